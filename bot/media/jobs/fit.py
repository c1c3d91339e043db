"""Makes a clip smaller, or one that plays everywhere: H.264 and AAC in an MP4 whose index comes first."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace

from bot.domain.language import kept
from bot.media.jobs import Refused
from bot.media.jobs.clip import opened, seconds_of, video_of

_TRIES = 2
#: Share of the limit that is aimed at: one pass with a capped rate ends within two per cent of its aim.
_AIM = 0.975
#: Of a try after one that ended too large: a clip whose rate is hard to foresee.
_SECOND_AIM = 0.9
#: Bytes in the index for each frame, and for each second of sound.
_FRAME_ENTRY = 24
_SOUND_ENTRY = 600
#: Bits a second.
_SOUND_RATE = 128_000
_LEAST_SOUND_RATE = 48_000
_LEAST_RATE = 100_000
_SOUND_SHARE = 0.1
_SAMPLES = 48_000
#: Bits a pixel and frame; with fewer, a smaller picture looks better than a blurred one.
_LEAST_BITS = 0.05
#: The shorter side, from the best; a larger picture than the first is never needed, and would need much memory.
_SIDES = (1080, 720, 540)
#: An older codec needs this many times the bits of a newer one.
_GENERATION = 2
_PRESET = "veryfast"
_BUFFERS = 5


@dataclass(frozen=True, slots=True)
class _Video:
    width: int
    height: int
    seconds: float
    frame_rate: Any
    silent: bool
    rate: float  # bits a second, of the whole file


@dataclass(frozen=True, slots=True)
class _Plan:
    """Rates are bits a second."""

    width: int
    height: int
    rate: int
    sound_rate: int
    threads: int


def run(source: str, target: str, limit: int, threads: int, *, remux: bool) -> dict[str, Any]:
    """Write `target` with at most `limit` bytes. `remux`: where a new container suffices for that."""
    path = Path(source).absolute()
    if remux:
        _remux(path, target)
    if not remux or _bytes(target) > limit:
        _encode_to_fit(path, target, limit, threads)
    if _bytes(target) > limit:
        raise Refused(
            kept(
                "it still has {found} bytes, and {most} are allowed",
                found=f"{_bytes(target):,}",
                most=f"{limit:,}",
            )
        )
    with Path(target).open("rb") as file:
        os.fsync(file.fileno())
    return {"bytes": _bytes(target)}


def _bytes(target: str) -> int:
    return Path(target).stat().st_size


def _remux(source: Path, target: str) -> None:
    with opened(source) as container, _written(target) as output:
        streams = [video_of(container), *container.streams.audio[:1]]
        copies = {stream.index: output.add_stream_from_template(stream) for stream in streams}
        for packet in container.demux(streams):
            if packet.dts is not None:  # the demuxer's sign that there are no more
                packet.stream = copies[packet.stream.index]
                output.mux(packet)


def _encode_to_fit(source: Path, target: str, limit: int, threads: int) -> None:
    with opened(source) as container:
        video = _look(container, source)
    sound = (
        0 if video.silent else max(_LEAST_SOUND_RATE, min(_SOUND_RATE, _budget(video, limit) * _SOUND_SHARE))
    )
    room = _budget(video, limit) - sound
    # Far more bits than the source has would show nothing that is not in it.
    enough = max(video.rate * _GENERATION, _LEAST_RATE)
    for _ in range(_TRIES):
        if room < _LEAST_RATE:
            raise Refused(
                kept(
                    "{seconds} seconds cannot look like anything within {most} bytes",
                    seconds=f"{video.seconds:.1f}",
                    most=f"{limit:,}",
                )
            )
        rate = min(room, enough)
        _encode(source, target, video, _Plan(*_size(video, room), int(rate), int(sound), threads))
        if _bytes(target) <= limit:
            return
        room = rate * _SECOND_AIM * limit / _bytes(target)


def _look(container: Any, source: Path) -> _Video:
    stream = video_of(container)
    seconds = seconds_of(container, stream)
    return _Video(
        width=stream.codec_context.width,
        height=stream.codec_context.height,
        seconds=seconds,
        frame_rate=stream.average_rate or stream.guessed_rate or 24,
        silent=not container.streams.audio,
        rate=source.stat().st_size * 8 / seconds,
    )


def _budget(video: _Video, limit: int) -> float:
    """Bits a second for pictures and sound, the container's share taken off."""
    index = float(video.frame_rate) * _FRAME_ENTRY + (0 if video.silent else _SOUND_ENTRY)
    return _AIM * limit * 8 / video.seconds - index * 8


def _size(video: _Video, room: float) -> tuple[int, int]:
    """The largest picture that so many bits a second suffice for; both sides even, as 4:2:0 needs."""
    for side in _SIDES:
        factor = min(1.0, side / min(video.width, video.height))
        width, height = (max(2, round(length * factor / 2) * 2) for length in (video.width, video.height))
        if room >= width * height * float(video.frame_rate) * _LEAST_BITS:
            break
    return width, height


def _encode(source: Path, target: str, video: _Video, plan: _Plan) -> None:
    with opened(source) as container, _written(target) as output:
        stream = video_of(container)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = plan.threads
        sounds = container.streams.audio[:1]
        picture = _picture_encoder(output, stream, video, plan)
        sound = _sound_encoder(output, plan.sound_rate) if sounds else None
        resampler = av.AudioResampler("fltp", "stereo", _SAMPLES)
        for packet in container.demux([stream, *sounds]):
            for frame in packet.decode():
                if packet.stream is stream:
                    output.mux(picture.encode(_prepared(frame, picture)))
                elif sound:
                    output.mux([out for part in resampler.resample(frame) for out in sound.encode(part)])
        output.mux(picture.encode(None))
        if sound:
            output.mux([out for part in resampler.resample(None) for out in sound.encode(part)])
            output.mux(sound.encode(None))


@contextmanager
def _written(target: str) -> Iterator[Any]:
    with av.open(target, "w", format="mp4", options={"movflags": "+faststart"}) as output:
        yield output


def _picture_encoder(output: Any, source: Any, video: _Video, plan: _Plan) -> Any:
    # The buffer comes on top of what the rate allows: a second of it, and of a short clip a small part.
    buffer = int(plan.rate * min(1.0, video.seconds / _BUFFERS))
    options = {"preset": _PRESET, "maxrate": str(plan.rate * 11 // 10), "bufsize": str(buffer)}
    encoder = output.add_stream("libx264", rate=video.frame_rate, options=options)
    encoder.width, encoder.height = plan.width, plan.height
    encoder.pix_fmt, encoder.bit_rate = "yuv420p", plan.rate
    context, original = encoder.codec_context, source.codec_context
    context.thread_count = plan.threads
    # The source's own clock: every frame keeps its moment, and the sound its place beside it.
    context.time_base = source.time_base
    if original.sample_aspect_ratio:
        context.sample_aspect_ratio = original.sample_aspect_ratio
    context.color_range = ColorRange.MPEG
    context.color_primaries, context.color_trc = original.color_primaries, original.color_trc
    context.colorspace = Colorspace.ITU709 if original.format.is_rgb else original.colorspace
    return encoder


def _sound_encoder(output: Any, rate: int) -> Any:
    encoder = output.add_stream("aac", rate=_SAMPLES, layout="stereo")
    encoder.bit_rate = rate
    return encoder


def _prepared(frame: Any, encoder: Any) -> Any:
    picture = frame.reformat(
        encoder.width,
        encoder.height,
        "yuv420p",
        dst_colorspace=Colorspace.ITU709 if frame.format.is_rgb else None,
        dst_color_range=ColorRange.MPEG,
        interpolation="BICUBIC",
        threads=1,
    )
    # What the frame was in the source; the encoder would take it for an order.
    picture.pict_type = PictureType.NONE
    return picture
