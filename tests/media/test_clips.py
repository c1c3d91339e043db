"""Downloaded clips: a video is told from everything else by decoding it in a child process."""

import errno
import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image, ImageChops

from bot.domain.catalog import Format, Mode
from bot.domain.errors import NotAVideo
from bot.media import child
from bot.media.clips import ClipInfo, probe
from bot.media.jobs import clip as job
from bot.media.jobs.lettering import plain
from bot.media.paint import PaintOrder, paint
from tests.media.colours import frames
from tests.media.reaping import children_left


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short H.264 clip with its index in front."""
    return encoded(
        tmp_path_factory.mktemp("clips") / "clip.mp4", frames=48, options={"movflags": "+faststart"}
    )


def encoded(
    path: Path,
    *,
    frames: int,
    size: tuple[int, int] = (320, 192),
    rate: int = 24,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> Path:
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            picture = Image.effect_noise(size, 50).convert("RGB")
            frame = av.VideoFrame.from_image(picture).reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read(path: Path) -> bytes:
    return path.read_bytes()


def listed(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    start = 0
    while start < len(data):
        length = int.from_bytes(data[start : start + 4], "big")
        yield data[start + 4 : start + 8], start, start + length
        start += length


async def refused(path: Path) -> str:
    with pytest.raises(NotAVideo) as refusal:
        await probe(path)
    assert not children_left()
    return str(refusal.value)


async def test_a_real_clip(clip: Path) -> None:
    info = await probe(clip)
    assert info == ClipInfo(
        320, 192, 2.0, "h264", len(read(clip)), "yuv420p", "mp4", faststart=True, sound=None
    )
    assert not children_left()


@pytest.mark.parametrize("count", [1, 2, 13, 100])
async def test_its_last_frame_comes_with_it(tmp_path: Path, count: int) -> None:
    made = encoded(tmp_path / "clip.mp4", frames=count)
    assert (await probe(made, end=tmp_path / "end.png")) == await probe(made)
    found = Image.open(tmp_path / "end.png").convert("RGB")
    wanted = frames(made)[-1].reformat(format="rgb24").to_image()
    assert ImageChops.difference(found, wanted).getbbox() is None
    assert sorted(listed(tmp_path)) == ["clip.mp4", "end.png"]


def test_a_full_disk_leaves_no_part_of_a_last_frame(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("bot.media.jobs.still.os.fsync", full)
    assert job.run(str(clip), str(tmp_path / "end.png"))["width"] == 320
    assert listed(tmp_path) == []


async def test_a_last_frame_that_cannot_be_written_is_no_fault_of_the_clip(
    tmp_path: Path, clip: Path
) -> None:
    assert await probe(clip, end=tmp_path / "missing" / "end.png") == await probe(clip)
    with pytest.raises(NotAVideo):
        await probe(Path(__file__), end=tmp_path / "end.png")
    assert listed(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "codec"), [("a.webm", "libvpx-vp9"), ("a.mkv", "libx264"), ("a.mov", "mpeg4")]
)
async def test_other_containers_whatever_they_are_called(tmp_path: Path, name: str, codec: str) -> None:
    made = encoded(tmp_path / name, frames=24, codec=codec)
    path = made.rename(tmp_path / "clip.mp4")
    info = await probe(path)
    assert info.seconds == pytest.approx(1.0, abs=0.05)
    assert (info.width, info.height) == (320, 192)


async def test_a_single_frame(tmp_path: Path) -> None:
    assert (await probe(encoded(tmp_path / "a.mp4", frames=1))).seconds == pytest.approx(1 / 24, abs=0.001)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "an HTML page"),
        (b"", "an empty file"),
        (b'{"code": 404}', "a JSON text"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "a PNG picture"),
        (b"GIF89a", "a GIF"),
        (b"#EXTM3U\n#EXTINF:1\nfile:///etc/passwd\n", "a playlist"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "a playlist"),
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", "a HEIC picture"),
        (os.urandom(3) + b"\0\x01\x02" * 300, "an unknown kind of file"),
    ],
)
async def test_no_video_at_all(tmp_path: Path, data: bytes, found: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    assert await refused(path) == f"The file is no playable video: found {found} instead of a video."


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
async def test_cut_short(clip: Path, tmp_path: Path, share: float) -> None:
    data = read(clip)
    path = tmp_path / "clip.mp4"
    path.write_bytes(data[: int(len(data) * share)])
    text = await refused(path)
    assert "an MP4 cut short" in text
    assert f"{path.stat().st_size:,} of at least" in text


async def test_the_index_is_missing(clip: Path, tmp_path: Path) -> None:
    data = read(clip)
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"".join(data[start:end] for kind, start, end in boxes(data) if kind != b"moov"))
    assert "its index (moov) is missing" in await refused(path)


async def test_the_pictures_are_missing(clip: Path, tmp_path: Path) -> None:
    data = read(clip)
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"".join(data[start:end] for kind, start, end in boxes(data) if kind != b"mdat"))
    text = await refused(path)
    assert "damaged" in text or "without a single frame" in text


async def test_the_pictures_are_garbage(clip: Path, tmp_path: Path) -> None:
    data = bytearray(read(clip))
    start, end = next((start, end) for kind, start, end in boxes(bytes(data)) if kind == b"mdat")
    data[start + 8 : end] = b"\xa5" * (end - start - 8)
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    await refused(path)


async def test_a_webm_cut_short(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.webm", frames=72, size=(96, 64), codec="libvpx-vp9")
    os.truncate(path, path.stat().st_size // 3)
    assert "cut short" in await refused(path)


async def test_boxes_of_absurd_length(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    long = struct.pack(">I4sQ", 1, b"mdat", 2**63)
    path.write_bytes(read(clip)[:32] + long)
    assert "an MP4 cut short" in await refused(path)


async def test_sound_only(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100, layout="stereo")
        for number in range(20):
            frame = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.pts = 44_100, number * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert "sound only" in await refused(path)


async def test_longer_than_five_minutes(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mp4", frames=302, size=(32, 32), rate=1)
    text = await refused(path)
    assert "302.0 seconds" in text
    assert "300" in text


async def test_wider_than_8192(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mp4", frames=2, size=(8208, 32))
    assert "8,208 × 32 pixels" in await refused(path)


@pytest.mark.parametrize(
    ("size", "found"), [((9000, 8000), "9,000 × 8,000 pixels"), ((65_535, 65_535), "size is impossible")]
)
async def test_the_header_claims_an_absurd_size(tmp_path: Path, size: tuple[int, int], found: str) -> None:
    """Uncompressed video has no other size than the one in the index."""
    path = encoded(tmp_path / "a.mov", frames=2, codec="rawvideo")
    data = bytearray(path.read_bytes())
    width_and_height = struct.pack(">HH", 320, 192)
    entry = data.index(width_and_height, data.index(b"stsd"))
    data[entry : entry + 4] = struct.pack(">HH", *size)
    path.write_bytes(data)
    assert found in await refused(path)


async def test_time_out_and_too_little_memory_are_told(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.media.clips._SECONDS", 0.01)
    assert "more than 0.01 seconds" in await refused(clip)
    monkeypatch.setattr("bot.media.clips._SECONDS", 30)
    monkeypatch.setattr("bot.media.clips._MEMORY", 40 << 20)
    assert "could not be read as a video" in await refused(clip)


# clips painted here


def frames_of(path: Path) -> list[Image.Image]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 24
        assert stream.codec_context.pix_fmt == "yuv420p"
        return [frame.to_image() for frame in container.decode(stream)]


def mean(picture: Image.Image) -> tuple[int, ...]:
    pixel = picture.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


def distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def two_halves(path: Path, left: tuple[int, int, int], right: tuple[int, int, int]) -> Path:
    picture = Image.new("RGB", (1600, 1200), left)
    picture.paste(right, (800, 0, 1600, 1200))
    picture.save(path, "JPEG")
    return path


async def painted(tmp_path: Path, mode: Mode, form: str, prompt: str = "A red boat") -> Path:
    pictures = [
        two_halves(tmp_path / "first.jpg", (220, 30, 30), (200, 180, 20)),
        two_halves(tmp_path / "last.jpg", (20, 40, 200), (30, 190, 180)),
    ][: {Mode.TEXT: 0, Mode.IMAGE: 1, Mode.TRANSITION: 2}[mode]]
    target = tmp_path / "clip.mp4"
    await paint(PaintOrder(mode, Format.parse(form), prompt, target, *pictures))
    assert not children_left()
    assert not any(name.endswith(".part") for name in listed(tmp_path))
    return target


@pytest.mark.parametrize(
    ("form", "size"),
    [
        ("hailuo-02/1/512p", (912, 512)),
        ("hailuo-02/2/768p", (1366, 768)),
        ("hailuo-02/1/1080p", (1920, 1080)),
    ],
)
async def test_size_duration_and_rate(tmp_path: Path, form: str, size: tuple[int, int]) -> None:
    path = await painted(tmp_path, Mode.TEXT, form)
    info = await probe(path)
    assert (info.width, info.height) == size
    assert info.seconds == Format.parse(form).duration
    assert info.codec == "h264"
    assert len(frames_of(path)) == Format.parse(form).duration * 24
    kinds = [kind for kind, _, _ in boxes(path.read_bytes())]
    assert kinds.index(b"moov") < kinds.index(b"mdat")


async def test_text_moves_and_shows_the_words(tmp_path: Path) -> None:
    path = await painted(tmp_path, Mode.TEXT, "hailuo-2.3/2/512p", "Boat " * 12)
    frames = frames_of(path)
    assert distance(mean(frames[0].crop((0, 0, 200, 200))), mean(frames[-1].crop((0, 0, 200, 200)))) > 5
    middle = frames[0].crop((100, 100, 812, 412)).convert("L")
    white = sum(middle.histogram()[235:])
    assert white > 5000


def test_letters_that_the_font_has_not() -> None:
    assert plain("Café – naïve “boat”… 5×5") == "Cafe - naive “boat”… 5x5"
    assert plain("A 海 boat 😀") == "A boat"
    assert plain("海边的灯塔") == "A prompt of 5 characters"


async def test_prompts_that_the_font_cannot_show(tmp_path: Path) -> None:
    for prompt in ("海边的灯塔 \0\ud800", "x" * 2000, "[Zoom in]"):
        await painted(tmp_path, Mode.TEXT, "hailuo-02/1/512p", prompt)


@pytest.mark.parametrize(
    ("prompt", "redder"),
    [("A boat", None), ("A boat [Pan left]", "end"), ("A boat [Pan right]", "start"), ("[Shake]", None)],
)
async def test_the_camera_moves(tmp_path: Path, prompt: str, redder: str | None) -> None:
    frames = frames_of(await painted(tmp_path, Mode.IMAGE, "hailuo-2.3/2/512p", prompt))
    # The green in the picture is all on its right.
    first, last = (mean(frame)[1] for frame in (frames[0], frames[-1]))
    if redder:
        assert (last < first - 10) == (redder == "end")
        assert (first < last - 10) == (redder == "start")
    middle = len(frames) // 2
    changed = [abs(a - b) for a, b in zip(frames[0].tobytes(), frames[middle].tobytes(), strict=True)]
    assert sum(value > 20 for value in changed) > 1000


async def test_a_static_shot_stands_still(tmp_path: Path) -> None:
    picture = tmp_path / "in.jpg"
    Image.radial_gradient("L").resize((1600, 900)).convert("RGB").save(picture)
    target = tmp_path / "clip.mp4"
    form = Format.parse("hailuo-2.3/1/512p")
    await paint(PaintOrder(Mode.IMAGE, form, "[Static shot]", target, picture))
    frames = frames_of(target)
    assert distance(mean(frames[0]), mean(frames[-1])) <= 1


async def test_the_transition_begins_and_ends_with_its_pictures(tmp_path: Path) -> None:
    frames = frames_of(await painted(tmp_path, Mode.TRANSITION, "hailuo-02/2/768p"))
    for frame, name in (
        (frames[0], "first"),
        (frames[11], "first"),
        (frames[-12], "last"),
        (frames[-1], "last"),
    ):
        with Image.open(tmp_path / f"{name}.jpg") as picture:
            for left, right in ((0.1, 0.4), (0.6, 0.9)):
                shown = frame.crop((int(1366 * left), 100, int(1366 * right), 600))
                wanted = picture.crop((int(1600 * left), 300, int(1600 * right), 900))
                assert distance(mean(shown), mean(wanted)) < 12
    assert distance(mean(frames[24]), mean(frames[0])) > 30
    assert distance(mean(frames[24]), mean(frames[-1])) > 30


async def test_a_frame_that_is_gone(tmp_path: Path) -> None:
    order = PaintOrder(
        Mode.IMAGE, Format.parse("hailuo-02/6/512p"), "", tmp_path / "c.mp4", tmp_path / "gone.jpg"
    )
    with pytest.raises(child.ChildFailed, match="the frame's file is gone"):
        await paint(order)
    assert listed(tmp_path) == []
