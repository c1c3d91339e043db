"""Clips become one film with every frame of each, in their order."""

from pathlib import Path

import pytest

from bot.domain.errors import NotAVideo
from bot.media.clips import probe
from bot.media.join import join
from tests.media.colours import BLUE, GREEN, RED, close, encoded, frames, middle, names
from tests.media.reaping import children_left


def clips(folder: Path, *changes: dict[str, object]) -> list[Path]:
    """A red, a green and a blue one of twelve frames each, the later ones with changes."""
    made = []
    for number, colour in enumerate((RED, GREEN, BLUE)):
        own = changes[number - 1] if number and number <= len(changes) else {}
        name = f"{number}.webm" if own.get("codec") == "libvpx-vp9" else f"{number}.mp4"
        made.append(encoded(folder / name, [colour] * 12, **own))  # type: ignore[arg-type]
    return made


def in_order(film: Path) -> bool:
    found = frames(film)
    times = [frame.time for frame in found]
    wanted = [RED] * 12 + [GREEN] * 12 + [BLUE] * 12
    return times == sorted(set(times)) and all(
        close(middle(frame), colour) for frame, colour in zip(found, wanted, strict=True)
    )


async def test_clips_that_are_alike_are_copied_as_they_are(tmp_path: Path) -> None:
    parts = clips(tmp_path)
    made = await join(parts, tmp_path / "film.mp4")
    assert (made.frames, made.milliseconds, made.copied) == (36, 1500, True)
    assert in_order(tmp_path / "film.mp4")
    alone = [bytes(plane) for frame in frames(parts[1]) for plane in frame.planes]
    joined = [bytes(plane) for frame in frames(tmp_path / "film.mp4")[12:24] for plane in frame.planes]
    assert joined == alone
    assert not children_left()


@pytest.mark.parametrize(
    "change",
    [
        {"size": (640, 384)},
        {"size": (192, 320)},
        {"rate": 30},
        {"codec": "libvpx-vp9"},
        {"pixels": "yuv444p"},
        {"options": {"profile": "baseline"}},
    ],
)
async def test_clips_that_differ_are_encoded_with_every_frame(
    tmp_path: Path, change: dict[str, object]
) -> None:
    made = await join(clips(tmp_path, change), tmp_path / "film.mp4")
    assert (made.frames, made.copied) == (36, False)
    # WebM counts whole milliseconds.
    assert made.milliseconds == pytest.approx(1400 if "rate" in change else 1500, abs=2)
    assert in_order(tmp_path / "film.mp4")


async def test_clips_in_a_codec_that_not_everybody_plays_are_not_copied(tmp_path: Path) -> None:
    parts = [encoded(tmp_path / f"{number}.mp4", [RED] * 12, codec="mpeg4") for number in range(2)]
    made = await join(parts, tmp_path / "film.mp4")
    info = await probe(tmp_path / "film.mp4")
    assert (made.copied, made.frames, info.codec) == (False, 24, "h264")


async def test_a_picture_of_another_shape_gets_black_bars(tmp_path: Path) -> None:
    parts = [
        encoded(tmp_path / "wide.mp4", [RED] * 3),
        encoded(tmp_path / "high.mp4", [GREEN] * 3, size=(96, 192)),
    ]
    await join(parts, tmp_path / "film.mp4")
    wide, high = (frames(tmp_path / "film.mp4")[number] for number in (0, -1))
    assert (wide.width, wide.height) == (high.width, high.height) == (320, 192)
    assert close(middle(high), GREEN)
    corner = high.reformat(format="rgb24").to_image().getpixel((8, 96))
    assert close(corner, (0, 0, 0))
    assert close(wide.reformat(format="rgb24").to_image().getpixel((8, 96)), RED)


async def test_frames_out_of_order_in_the_file_stay_right(tmp_path: Path) -> None:
    later: dict[str, object] = {"options": {"bf": "3", "g": "12"}}
    made = await join(clips(tmp_path, later, later)[1:], tmp_path / "film.mp4")
    assert (made.copied, made.frames) == (True, 24)
    colours = [middle(frame) for frame in frames(tmp_path / "film.mp4")]
    assert all(close(colour, GREEN) for colour in colours[:12])
    assert all(close(colour, BLUE) for colour in colours[12:])


async def test_one_damaged_clip_spoils_the_film_and_leaves_no_file(tmp_path: Path) -> None:
    parts = clips(tmp_path)
    parts[1].write_bytes(parts[1].read_bytes()[:700])
    with pytest.raises(NotAVideo, match="The clips could not be joined: "):
        await join(parts, tmp_path / "film.mp4")
    assert names(tmp_path) == ["0.mp4", "1.mp4", "2.mp4"]
