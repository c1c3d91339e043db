"""Joins clips into one silent film: their packets as they are where all are alike, else encoded anew."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.video.reformatter import Colorspace

from bot.domain.language import kept
from bot.media.jobs import Refused
from bot.media.jobs.clip import opened, video_of
from bot.media.jobs.still import guessed_colours

#: Of the film's longer side, in pixels; more would need more memory and be shown by nobody.
_LONGEST_SIDE = 1920
#: Ticks a second of a film that is encoded: every usual frame rate has whole numbers of them.
_TICKS = 90_000
_USUAL_RATE = 24
#: What plays everywhere; a copy of anything else would not.
_PLAYABLE = ("h264", "yuv420p")


def run(sources: list[str], target: str) -> dict[str, Any]:
    """Frames, milliseconds and bytes of the film, and whether it was copied."""
    paths = [Path(source).absolute() for source in sources]
    try:
        copied = _alike(paths)
        frames, seconds = (_copy if copied else _encode)(paths, target)
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise Refused(kept("one of the clips is damaged ({reason})", reason=error.strerror)) from error
    with Path(target).open("rb") as file:
        os.fsync(file.fileno())
        size = os.fstat(file.fileno()).st_size
    return {"frames": frames, "milliseconds": round(seconds * 1000), "bytes": size, "copied": copied}


def _alike(paths: Sequence[Path]) -> bool:
    """A player can go from each to the next without being told anything new."""
    kinds = set()
    for path in paths:
        with opened(path) as container:
            stream = video_of(container)
            context = stream.codec_context
            kinds.add(
                (
                    (context.codec.canonical_name, context.pix_fmt),
                    (context.width, context.height, context.sample_aspect_ratio),
                    stream.time_base,
                    context.extradata,
                )
            )
    return len(kinds) == 1 and next(iter(kinds))[0] == _PLAYABLE


@contextmanager
def _film(target: str) -> Iterator[Any]:
    with av.open(target, "w", format="mp4", options={"movflags": "+faststart"}) as output:
        yield output


def _copy(paths: Sequence[Path], target: str) -> tuple[int, float]:
    frames, begins = 0, 0
    tick = Fraction(1, _TICKS)
    with _film(target) as output:
        film = None
        for path in paths:
            with opened(path) as container:
                stream = video_of(container)
                film = film or output.add_stream_from_template(stream)
                tick, shift, ends = stream.time_base, begins - (stream.start_time or 0), begins
                for packet in container.demux(stream):
                    if packet.dts is None:  # the demuxer's sign that there are no more
                        continue
                    packet.stream = film
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    ends = max(ends, packet.pts + (packet.duration or 0))
                    frames += 1
                    output.mux(packet)
                begins = ends
    return frames, float(begins * tick)


def _encode(paths: Sequence[Path], target: str) -> tuple[int, float]:
    size, rate = _size_and_rate(paths)
    frames, begins = 0, 0
    with _film(target) as output:
        film = output.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
        film.width, film.height = size
        film.pix_fmt = "yuv420p"
        context = film.codec_context
        context.thread_count = 1  # one child is one core's work; threads reserve address space
        context.colorspace = context.color_primaries = context.color_trc = Colorspace.ITU709
        context.time_base = Fraction(1, _TICKS)
        for path in paths:
            with opened(path) as container:
                ends = begins
                for frame, moment, lasts in _fitted(container, size):
                    frame.pts, frame.time_base = begins + moment, context.time_base
                    frame.pict_type = 0  # what it was in the source; the encoder would take it for an order
                    ends = frame.pts + lasts
                    frames += 1
                    output.mux(film.encode(frame))
                begins = ends
        output.mux(film.encode(None))
    return frames, begins / _TICKS


def _size_and_rate(paths: Sequence[Path]) -> tuple[tuple[int, int], Fraction]:
    """The largest picture of them all, with even sides as 4:2:0 needs, and the highest rate."""
    sizes, rates = [], []
    for path in paths:
        with opened(path) as container:
            stream = video_of(container)
            sizes.append((stream.codec_context.width, stream.codec_context.height))
            rates.append(_rate(stream))
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    factor = min(1.0, _LONGEST_SIDE / max(width, height))
    return (_even(width * factor), _even(height * factor)), max(rates)


def _even(length: float) -> int:
    return max(2, int(length) // 2 * 2)


def _rate(stream: Any) -> Fraction:
    return stream.average_rate or stream.guessed_rate or Fraction(_USUAL_RATE)


def _fitted(container: Any, size: tuple[int, int]) -> Iterator[tuple[Any, int, int]]:
    """Every frame at the film's size, black around one of another shape; with its beginning and length in ticks."""
    stream = video_of(container)
    stream.thread_type = "NONE"  # threads would need address space far beyond the memory limit
    usual = round(_TICKS / _rate(stream))
    graph, first = _filter(stream, size), None
    for frame in container.decode(stream):
        graph.push(frame)
        fitted = graph.pull()
        first = fitted.pts if first is None else first
        tick = fitted.time_base * _TICKS
        yield fitted, round((fitted.pts - first) * tick), round((frame.duration or 0) * tick) or usual


def _filter(stream: Any, size: tuple[int, int]) -> Any:
    width, height = size
    context = stream.codec_context
    guessed = guessed_colours(context.colorspace, context.height)
    matrix = {None: "auto", Colorspace.ITU709: "bt709", Colorspace.ITU601: "bt601"}[guessed]
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_buffer(template=stream),
        graph.add(
            "scale",
            f"{width}:{height}:force_original_aspect_ratio=decrease:force_divisible_by=2:"
            f"in_color_matrix={matrix}:out_color_matrix=bt709:out_range=tv",
        ),
        graph.add("pad", f"{width}:{height}:-1:-1"),
        graph.add("setsar", "1"),
        graph.add("format", "yuv420p"),
        graph.add("buffersink"),
    ).configure()
    return graph
