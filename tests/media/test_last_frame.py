"""The last frame of a clip is exactly the last that is decoded, in its true colours."""

from pathlib import Path

import pytest
from PIL import Image, ImageChops

from bot.domain.errors import NotAVideo
from bot.media.last_frame import last_frame
from tests.media.colours import BLUE, GREEN, GREY, RED, close, encoded, frames, middle, names
from tests.media.reaping import children_left


@pytest.mark.parametrize("count", [1, 2, 13, 100])
@pytest.mark.parametrize("options", [{}, {"bf": "3", "g": "100"}, {"bf": "0", "g": "1"}])
async def test_it_is_the_last_of_all_decoded_frames(
    tmp_path: Path, count: int, options: dict[str, str]
) -> None:
    colours = [(number % 256, 255 - number % 256, 120) for number in range(0, 2 * count, 2)]
    clip = encoded(tmp_path / "clip.mp4", colours, options=options)
    await last_frame(clip, tmp_path / "end.png")
    found = Image.open(tmp_path / "end.png").convert("RGB")
    wanted = frames(clip)[-1].reformat(format="rgb24").to_image()
    assert len(frames(clip)) == count
    assert ImageChops.difference(found, wanted).getbbox() is None
    assert not children_left()


@pytest.mark.parametrize("colour", [RED, GREEN, BLUE])
async def test_its_colours_are_those_that_were_meant(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    clip = encoded(tmp_path / "clip.mp4", [GREY, colour], size=(640, 360))
    await last_frame(clip, tmp_path / "end.png")
    assert close(middle(Image.open(tmp_path / "end.png")), colour)


async def test_other_containers_have_one_too(tmp_path: Path) -> None:
    clip = encoded(tmp_path / "clip.webm", [RED, BLUE], codec="libvpx-vp9")
    await last_frame(clip, tmp_path / "end.png")
    assert close(middle(Image.open(tmp_path / "end.png")), BLUE)


@pytest.mark.parametrize("share", [0, 0.5])
async def test_what_is_no_whole_video_leaves_no_file(tmp_path: Path, share: float) -> None:
    clip = encoded(tmp_path / "clip.mp4", [RED] * 24)
    clip.write_bytes(clip.read_bytes()[: int(clip.stat().st_size * share)])
    with pytest.raises(NotAVideo, match="The clip's last frame could not be read: "):
        await last_frame(clip, tmp_path / "end.png")
    assert names(tmp_path) == ["clip.mp4"]
