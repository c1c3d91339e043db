"""Clips made to fit: into a number of bytes and into what plays everywhere, with every frame and all sound."""

import asyncio
import hashlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from bot.media import child, fit
from bot.media.clips import ClipInfo, Remedy, probe
from bot.media.jobs import Refused
from bot.media.jobs import fit as job
from tests.media.films import SAMPLES, film, flash_and_beep
from tests.media.reaping import children_left, until

MIB = 2**20


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 MB: two seconds of 1080p with sound, its index at the end."""
    path = tmp_path_factory.mktemp("large") / "large.mp4"
    film(path, seconds=2, size=(1920, 1080), bits=100_000_000, sound="aac")
    assert path.stat().st_size > 24_000_000
    return path


@pytest.fixture(autouse=True)
def _half_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured here must do with half of what it may have."""
    monkeypatch.setattr(fit, "_MEMORY", fit._MEMORY // 2)


async def fitted(source: Path, limit: int, *, target: Path | None = None) -> tuple[ClipInfo, Path]:
    """What came out, looked at, and where it lies."""
    target = target or source.with_name("fitted.mp4")
    size = await fit.fit(source, await probe(source), target, limit=limit)
    info = await probe(target)
    assert size == info.bytes <= limit
    assert not children_left()
    return info, target


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def moments(path: Path) -> list[float]:
    """When each frame is shown; every one of them is decoded."""
    with av.open(str(path)) as container:
        return [round(frame.time, 4) for frame in container.decode(video=0)]


def heard(path: Path) -> float:
    """Seconds of sound."""
    with av.open(str(path)) as container:
        return float(sum(frame.samples for frame in container.decode(audio=0)) / SAMPLES)


def payload(path: Path) -> str:
    """The coded pictures and sound, whatever container they are in."""
    found = hashlib.sha256()
    with av.open(str(path)) as container:
        for stream in container.streams:
            container.seek(0)
            for packet in container.demux(stream):
                found.update(bytes(packet))
    return found.hexdigest()


# ------------------------------------------------------------------- smaller


async def test_a_large_clip_comes_out_below_the_limit_with_every_frame_and_its_sound(
    large: Path, tmp_path: Path
) -> None:
    info, target = await fitted(large, 10 * MIB, target=tmp_path / "fitted.mp4")
    assert 8 * MIB < info.bytes < 10 * MIB
    assert (info.width, info.height, info.codec, info.pixels) == (1920, 1080, "h264", "yuv420p")
    assert (info.remedy, info.sound, info.seconds) == (Remedy.NONE, "aac", 2.0)
    assert moments(target) == moments(large)
    assert heard(target) == pytest.approx(heard(large), abs=0.05)


async def test_a_hundred_megabytes_of_noise_take_no_more_memory(tmp_path: Path) -> None:
    source = film(
        tmp_path / "noise.mov", size=(1920, 1080), codec="rawvideo", pixels="uyvy422", options={}, seconds=1.1
    )
    assert source.stat().st_size > 100_000_000
    info, _ = await fitted(source, 2_000_000)
    assert (info.codec, info.width, info.bytes > 1_800_000) == ("h264", 1920, True)


@pytest.mark.parametrize(
    ("size", "limit", "expected"),
    [
        ((1280, 720), 200_000, (1280, 720)),
        ((1280, 720), 50_000, (960, 540)),
        ((720, 1280), 50_000, (540, 960)),
        ((2048, 1152), 900_000, (1920, 1080)),
        ((1366, 768), 50_000, (960, 540)),
        ((320, 192), 20_000, (320, 192)),
    ],
)
async def test_too_few_bits_for_the_picture_make_it_smaller_in_its_shape(
    tmp_path: Path, size: tuple[int, int], limit: int, expected: tuple[int, int]
) -> None:
    info, _ = await fitted(film(tmp_path / "a.mp4", seconds=0.5, size=size, bits=40_000_000), limit)
    assert (info.width, info.height) == expected


@pytest.mark.parametrize(("seconds", "limit"), [(4, 30_000), (4, 1), (1, 0)])
async def test_what_cannot_fit_is_told_and_leaves_nothing(tmp_path: Path, seconds: int, limit: int) -> None:
    source = film(tmp_path / "a.mp4", seconds=seconds)
    with pytest.raises(fit.CannotFit, match=r"could not be made to fit: .* within"):
        await fit.fit(source, await probe(source), tmp_path / "fitted.mp4", limit=limit)
    assert names(tmp_path) == ["a.mp4"]
    assert not children_left()


async def test_a_clip_with_room_to_spare_keeps_its_size_however_few_bits_it_had(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", size=(1280, 720), codec="libx265", noise=0, options=X265)
    info, _ = await fitted(source, 10 * MIB)
    assert (info.width, info.height, info.bytes < MIB) == (1280, 720, True)


def wish_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first try that ends far above the limit."""
    real = job._budget
    monkeypatch.setattr(job, "_budget", lambda video, limit: 3 * real(video, limit))


def test_a_second_try_corrects_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = film(tmp_path / "a.mp4", seconds=2, bits=8_000_000)
    wish_too_much(monkeypatch)
    assert job.run(str(source), str(tmp_path / "b.mp4"), 200_000, 1, remux=False)["bytes"] <= 200_000


def test_a_file_that_is_still_too_large_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = film(tmp_path / "a.mp4", seconds=2, bits=8_000_000)
    wish_too_much(monkeypatch)
    monkeypatch.setattr(job, "_TRIES", 1)
    with pytest.raises(Refused, match=r"still has .* bytes, and 200,000 are allowed"):
        job.run(str(source), str(tmp_path / "b.mp4"), 200_000, 1, remux=False)


async def test_a_file_damaged_in_its_middle_is_told(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", codec="mpeg4", options={})
    info = await probe(source)
    source.write_bytes(source.read_bytes()[:5000])
    with pytest.raises(fit.CannotFit):
        await fit.fit(source, info, tmp_path / "fitted.mp4", limit=MIB)
    assert names(tmp_path) == ["a.mp4"]


# ---------------------------------------------------------- what plays everywhere

X265 = {"preset": "ultrafast", "x265-params": "log-level=none"}
UNPLAYABLE: dict[str, dict[str, Any]] = {
    "HEVC": {"codec": "libx265", "options": X265},
    "HEVC 10 bit": {"codec": "libx265", "pixels": "yuv420p10le", "options": X265},
    "AV1": {"codec": "libsvtav1", "options": {"preset": "12"}},
    "AV1 10 bit": {"codec": "libsvtav1", "pixels": "yuv420p10le", "options": {"preset": "12"}},
    "VP9 in MP4": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "MPEG-4 part 2": {"codec": "mpeg4", "options": {}},
    "H.264 10 bit": {"pixels": "yuv420p10le"},
    "H.264 4:4:4": {"pixels": "yuv444p"},
    "H.264 of odd sides": {"pixels": "yuv444p", "size": (333, 191)},
    "sound that few play": {"sound": "alac"},
}


@pytest.mark.parametrize("made", UNPLAYABLE.values(), ids=UNPLAYABLE)
async def test_what_few_devices_play_becomes_h264(tmp_path: Path, made: dict[str, Any]) -> None:
    source = film(tmp_path / "a.mp4", **made)
    assert (await probe(source)).remedy is Remedy.ENCODE
    info, target = await fitted(source, 10 * MIB)
    assert (info.codec, info.pixels, info.remedy) == ("h264", "yuv420p", Remedy.NONE)
    assert (info.width, info.height) in {(320, 192), (332, 190), (332, 192)}
    assert moments(target) == moments(source)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
async def test_an_index_at_the_end_moves_to_the_front_without_a_new_encoding(
    tmp_path: Path, name: str
) -> None:
    source = film(tmp_path / name, sound="aac")
    assert (await probe(source)).remedy is Remedy.REMUX
    info, target = await fitted(source, 10 * MIB)
    assert (info.remedy, info.container, info.faststart) == (Remedy.NONE, "mp4", True)
    assert moments(target) == pytest.approx(moments(source), abs=0.001)
    assert heard(target) == pytest.approx(heard(source), abs=0.03)
    if name != "a.mkv":
        assert payload(target) == payload(source)


def test_a_new_container_that_is_too_large_is_encoded_after_all(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", seconds=2, bits=4_000_000)
    assert job.run(str(source), str(tmp_path / "b.mp4"), 500_000, 1, remux=True)["bytes"] <= 500_000


async def test_fragments_become_a_plain_file(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    plain = film(tmp_path / "plain.mp4")
    with (
        av.open(str(plain)) as read,
        av.open(str(source), "w", options={"movflags": "frag_keyframe+empty_moov"}) as written,
    ):
        stream = written.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                written.mux(packet)
    assert (await probe(source)).remedy is Remedy.REMUX
    assert (await fitted(source, MIB))[0].remedy is Remedy.NONE


@pytest.mark.parametrize(
    ("codec", "sound", "remedy"),
    [
        ("libvpx-vp9", None, Remedy.NONE),
        ("libvpx-vp9", "libopus", Remedy.NONE),
        ("libsvtav1", None, Remedy.ENCODE),
    ],
)
async def test_webm_plays_as_it_is_but_not_with_av1(
    tmp_path: Path, codec: str, sound: str | None, remedy: Remedy
) -> None:
    options = {"deadline": "realtime", "cpu-used": "8"} if codec == "libvpx-vp9" else {"preset": "12"}
    info = await probe(film(tmp_path / "a.webm", codec=codec, sound=sound, options=options))
    assert (info.container, info.remedy) == ("webm", remedy)


async def test_the_sound_stays_where_it_was_beside_the_pictures(tmp_path: Path) -> None:
    _, target = await fitted(flash_and_beep(tmp_path / "a.mp4", at=1.5), 10 * MIB)
    with av.open(str(target)) as container:
        flash = next(frame.time for frame in container.decode(video=0) if bytes(frame.planes[0])[0] > 128)
    with av.open(str(target)) as container:
        beep = next(frame.time for frame in container.decode(audio=0) if abs(frame.to_ndarray()).max() > 0.02)
    assert flash == pytest.approx(1.5, abs=0.001)
    assert beep == pytest.approx(1.5, abs=1 / 24)


def encoded(path: Path, codec: str, pixels: str, lights: dict[int, int]) -> Path:
    """Grey pictures by their milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=1000)
        stream.width, stream.height, stream.pix_fmt = 64, 64, pixels
        for moment, light in lights.items():
            frame = av.VideoFrame(64, 64, "rgb24")
            frame.planes[0].update(bytes([light]) * frame.planes[0].buffer_size)
            frame = frame.reformat(format=pixels)
            frame.pts, frame.time_base = moment, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


async def test_frames_at_odd_moments_keep_them(tmp_path: Path) -> None:
    odd = (0, 40, 80, 400, 410, 1000)
    _, target = await fitted(
        encoded(tmp_path / "a.mp4", "mpeg4", "yuv420p", dict.fromkeys(odd, 99)), 10 * MIB
    )
    assert moments(target) == [moment / 1000 for moment in odd]


@pytest.mark.parametrize(("codec", "pixels"), [("libx264", "yuvj444p"), ("libx264rgb", "rgb24")])
async def test_every_light_stays_as_it_was(tmp_path: Path, codec: str, pixels: str) -> None:
    source = encoded(tmp_path / "a.mp4", codec, pixels, {0: 0, 40: 60, 80: 190, 120: 255})
    _, target = await fitted(source, 10 * MIB)
    with av.open(str(target)) as container:
        shown = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
    assert shown == pytest.approx([0, 60, 190, 255], abs=3)


# ------------------------------------------------------------------------ waiting


async def test_other_files_are_looked_at_while_a_clip_is_made_to_fit(large: Path, tmp_path: Path) -> None:
    info = await probe(large)
    encodes = [
        asyncio.create_task(fit.fit(large, info, tmp_path / f"{number}.mp4", limit=MIB))
        for number in range(child.AT_ONCE + 1)
    ]
    await until(lambda: names(tmp_path))
    await probe(large)
    assert len(names(tmp_path)) == child.ENCODES_AT_ONCE
    assert not any(encode.done() for encode in encodes)
    for encode in encodes:
        encode.cancel()
    await asyncio.gather(*encodes, return_exceptions=True)
    assert (names(tmp_path), children_left()) == ([], False)
