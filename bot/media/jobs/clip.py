"""Looks whether a file is a playable video, by decoding its first frame and its last half second."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import av

from bot.domain.language import kept
from bot.media import kinds
from bot.media.jobs import Refused, still

MAX_SIDE = 8192
MAX_SECONDS = 300
#: The last frame may lie this much before the end that the header tells.
_SLACK = 1.0
_TAIL = 0.5
_NEEDED_WHOLE = frozenset({b"moov", b"mdat", b"moof"})
_SMALLEST_BOX = 8
_LONG_LENGTH_FOLLOWS = 1
_OPTIONS = {
    "protocol_whitelist": "file",  # a container may name other files and addresses
    "enable_drefs": "0",
}


def run(source: str, end: str | None = None) -> dict[str, Any]:
    """`end`: a file for the last frame. That it cannot be written is no fault of the video."""
    path = Path(source).absolute()  # or a name such as "concat:a" would be taken for a protocol
    head = _head(path)
    if kinds.demuxer(head) is None:
        raise Refused(kept("found {kind} instead of a video", kind=kinds.describe(head)))
    order = _check_boxes(path) if kinds.demuxer(head) == "mov" else []
    try:
        with opened(path) as container:
            found, last = _probe(container)
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise Refused(
            kept(
                "found {kind} that is damaged or cut short ({reason})",
                kind=kinds.describe(head),
                reason=error.strerror,
            )
        ) from error
    if end:
        try:
            still.save(last, Path(end))
        except (OSError, MemoryError, av.FFmpegError):
            # A part of a picture, as a full disk leaves it, is none.
            Path(end).unlink(missing_ok=True)
    return found | {
        "bytes": path.stat().st_size,
        "container": kinds.container(head),
        "faststart": _faststart(order),
    }


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A stranger's file for reading, as one of the containers of `kinds` and nothing else."""
    with av.open(str(path), format=kinds.demuxer(_head(path)), options=_OPTIONS) as container:
        yield container


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(kinds.HEAD)


def _faststart(order: list[bytes]) -> bool:
    """A player can begin before it has the whole file. In fragments (moof) not every player can."""
    before = order[: order.index(b"mdat")] if b"mdat" in order else order
    return b"moov" in before and b"moof" not in order


def _check_boxes(path: Path) -> list[bytes]:
    """The outermost boxes of an MP4 tell exactly what is missing; returns their kinds in order."""
    size = path.stat().st_size
    found: list[bytes] = []
    with path.open("rb") as file:
        for kind, end in _boxes(file, size):
            if kind in _NEEDED_WHOLE and end > size:
                raise Refused(
                    kept(
                        "found an MP4 cut short: {found} of at least {least} bytes",
                        found=f"{size:,}",
                        least=f"{end:,}",
                    )
                )
            found.append(kind)
    if b"moov" not in found:
        raise Refused(kept("found an MP4 cut short: its index (moov) is missing"))
    return found


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """Kind and end of each box (ISO/IEC 14496-12, 4.2), as far as they make sense."""
    start = 0
    while start < size:
        file.seek(start)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == _LONG_LENGTH_FOLLOWS:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:  # the last box, to the end of the file
            length = size - start
        if length < _SMALLEST_BOX:
            return
        start += length
        yield header[4:8], start


def _probe(container: Any) -> tuple[dict[str, Any], Any]:
    """What is known of it, and its last frame."""
    stream = video_of(container)
    stream.thread_type = "NONE"  # threads would need address space far beyond the memory limit
    seconds = seconds_of(container, stream)
    _check_header(stream.codec_context.width, stream.codec_context.height, seconds)
    first = next(container.decode(stream), None)
    if first is None:
        raise Refused(kept("found a video without a single frame"))
    _check_header(first.width, first.height, seconds)
    start = first.time or 0.0
    container.seek(int((start + max(0.0, seconds - _TAIL)) * 1_000_000), backward=True)
    last = first
    for frame in container.decode(stream):
        last = frame
    reached = (last.time or 0.0) - start
    if reached < seconds - _SLACK:
        raise Refused(
            kept(
                "found a video cut short: it ends after {reached} of {seconds} seconds",
                reached=f"{reached:.1f}",
                seconds=f"{seconds:.1f}",
            )
        )
    found = {
        "width": first.width,
        "height": first.height,
        "seconds": seconds,
        "codec": _codec(stream),
        "pixels": first.format.name,
        "sound": next((_codec(sound) for sound in container.streams.audio), None),
    }
    return found, last


def video_of(container: Any) -> Any:
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    if container.streams.audio:
        raise Refused(kept("found a file with sound only, without a video"))
    raise Refused(kept("found a file without a video"))


def _codec(stream: Any) -> str:
    """The codec's name, whichever decoder of it there is."""
    context = stream.codec_context
    return str(context.codec.canonical_name) if context else "unknown"


def seconds_of(container: Any, stream: Any) -> float:
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return float(container.duration / av.time_base)
    raise Refused(kept("found a video that does not tell its length"))


def _check_header(width: int, height: int, seconds: float) -> None:
    if width <= 0 or height <= 0:
        raise Refused(kept("found a video whose size is impossible"))
    if max(width, height) > MAX_SIDE:
        raise Refused(
            kept(
                "found a video of {width} × {height} pixels; at most {most} a side are allowed",
                width=f"{width:,}",
                height=f"{height:,}",
                most=f"{MAX_SIDE:,}",
            )
        )
    if not 0 < seconds <= MAX_SECONDS:
        raise Refused(
            kept(
                "found a video of {seconds} seconds; more than 0 and at most {most} are allowed",
                seconds=f"{seconds:,.1f}",
                most=MAX_SECONDS,
            )
        )
