"""Test clips: FFmpeg's own test picture with noise over it, as large as wished, and a beep with a flash."""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

RATE = 24
SAMPLES = 48_000


def film(
    path: Path,
    *,
    seconds: float = 1,
    size: tuple[int, int] = (320, 192),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    bits: int | None = None,
    noise: int = 40,
    sound: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """`bits` a second, as good as filled; `sound` is an encoder's name."""
    source = f"size={size[0]}x{size[1]}:rate={RATE}:duration={seconds}"
    pictures = _frames(
        ("testsrc2", source), ("noise", f"alls={noise}:allf=t+u"), ("format", pixels), ("buffersink", "")
    )
    asked = dict(options) if options is not None else {"preset": "ultrafast"}
    if bits:
        asked |= {"maxrate": str(bits), "bufsize": str(bits // 4)}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options=asked)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        stream.bit_rate = bits or 400_000
        beep = container.add_stream(sound, rate=SAMPLES, layout="stereo") if sound else None
        for frame in pictures:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if beep:
            for frame in _sine(seconds, beep):
                container.mux(beep.encode(frame))
            container.mux(beep.encode(None))
    return path


def flash_and_beep(path: Path, *, at: float, seconds: float = 3) -> Path:
    """Black and silent, but for a white picture and a tone that both begin at that moment."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=RATE, options={"x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = 192, 128, "yuv420p"
        beep = container.add_stream("aac", rate=SAMPLES, layout="stereo")
        for number in range(round(seconds * RATE)):
            frame = av.VideoFrame(192, 128, "yuv420p")
            light = 235 if number / RATE >= at else 16
            for plane, value in zip(frame.planes, (light, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        for frame in _frames(
            ("sine", f"frequency=1000:sample_rate={SAMPLES}:duration={seconds}"),
            ("volume", f"volume='gte(t,{at})':eval=frame"),
            ("aformat", "sample_fmts=fltp:channel_layouts=stereo"),
            ("asetnsamples", "n=240"),
            ("abuffersink", ""),
        ):
            container.mux(beep.encode(frame))
        container.mux(beep.encode(None))
    return path


def _sine(seconds: float, encoder: Any) -> Iterator[Any]:
    wanted = f"sample_fmts={encoder.codec_context.format.name}:channel_layouts=stereo"
    return _frames(
        ("sine", f"frequency=440:sample_rate={SAMPLES}:duration={seconds}"),
        ("aformat", wanted),
        ("abuffersink", ""),
    )


def _frames(*filters: tuple[str, str]) -> Iterator[Any]:
    """What comes out of a chain of FFmpeg's filters."""
    graph = av.filter.Graph()
    nodes = [graph.add(name, arguments) for name, arguments in filters]
    for one, other in itertools.pairwise(nodes):
        one.link_to(other)
    graph.configure()
    while True:
        try:
            yield nodes[-1].pull()
        except (av.error.EOFError, av.error.BlockingIOError):
            return
