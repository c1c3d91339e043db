"""Pictures that are too wide or too narrow, made to fit: cropped to the middle, or padded with a blurred backdrop."""

import random
from pathlib import Path

import pytest
from PIL import Image, ImageCms, ImageFilter

from bot.domain.catalog import ImageRules
from bot.domain.errors import PictureRefused, WrongShape
from bot.media.pictures import prepare, preview_of, reshape
from tests.media.reaping import children_left

RULES = ImageRules(max_bytes=20_000_000, min_side=301, min_ratio=0.4, max_ratio=2.5, source="test")
RED, GREEN, BLUE = (230, 20, 30), (20, 200, 40), (20, 40, 220)


def banded(size: tuple[int, int]) -> Image.Image:
    """Red, green and blue along its longer side; a third each."""
    wide = size[0] >= size[1]
    picture = Image.new("RGB", size, GREEN)
    third = max(size) // 3
    picture.paste(RED, (0, 0, third, size[1]) if wide else (0, 0, size[0], third))
    picture.paste(BLUE, (size[0] - third, 0, *size) if wide else (0, size[1] - third, *size))
    return picture


def save(folder: Path, picture: Image.Image, kind: str = "PNG", **options: object) -> Path:
    source = folder / "in"
    picture.save(source, kind, **options)
    return source


async def made(source: Path, rules: ImageRules = RULES) -> tuple[Image.Image, Image.Image]:
    """Both shapes, each of which is taken as it is, with no metadata and a small preview."""
    frames = source.with_name("cropped.jpg"), source.with_name("padded.jpg")
    await reshape(
        source,
        rules,
        name="cat.png",
        cropped=(frames[0], preview_of(frames[0])),
        padded=(frames[1], preview_of(frames[1])),
    )
    assert not children_left()
    for frame in frames:
        info = await prepare(frame, source.with_name("out.jpg"), rules, name="cat.png")
        with Image.open(frame) as picture, Image.open(preview_of(frame)) as preview:
            assert picture.size == (info.width, info.height)
            assert {"exif", "icc_profile", "comment", "xmp"}.isdisjoint(picture.info)
            assert max(preview.size) <= 640
            assert preview.width / preview.height == pytest.approx(picture.width / picture.height, rel=0.05)
    return Image.open(frames[0]).convert("RGB"), Image.open(frames[1]).convert("RGB")


def near(picture: Image.Image, x: float, y: float, wanted: tuple[int, int, int], slack: int = 12) -> bool:
    found = picture.getpixel((int(picture.width * x), int(picture.height * y)))
    assert isinstance(found, tuple)
    return all(abs(a - b) <= slack for a, b in zip(found, wanted, strict=True))


async def test_what_is_too_wide_loses_its_left_and_right(tmp_path: Path) -> None:
    cropped, _ = await made(save(tmp_path, banded((3000, 400))))
    assert cropped.size == (1000, 400)
    assert all(near(cropped, x, 0.5, GREEN) for x in (0.02, 0.5, 0.98))


async def test_what_is_too_narrow_loses_its_top_and_bottom(tmp_path: Path) -> None:
    cropped, _ = await made(save(tmp_path, banded((400, 3000))))
    assert cropped.size == (400, 1000)
    assert all(near(cropped, 0.5, y, GREEN) for y in (0.02, 0.5, 0.98))


async def test_the_crop_is_of_the_very_middle_and_not_scaled(tmp_path: Path) -> None:
    noise = Image.frombytes("RGB", (2000, 400), random.Random(7).randbytes(2000 * 400 * 3))
    picture = noise.filter(ImageFilter.GaussianBlur(2))
    cropped, _ = await made(save(tmp_path, picture))
    wanted = picture.crop((500, 0, 1500, 400))
    pairs = zip(cropped.tobytes(), wanted.tobytes(), strict=True)
    assert max(abs(a - b) for a, b in pairs) <= 12


async def test_padding_keeps_the_whole_picture_in_the_middle(tmp_path: Path) -> None:
    _, padded = await made(save(tmp_path, banded((3000, 400))))
    assert padded.size == (2560, 1024)
    assert all(
        near(padded, x, y, colour)
        for x, colour in ((0.02, RED), (0.5, GREEN), (0.98, BLUE))
        for y in (0.36, 0.5, 0.64)
    )


async def test_the_backdrop_is_the_picture_itself_blurred(tmp_path: Path) -> None:
    _, padded = await made(save(tmp_path, banded((400, 1200))))
    assert padded.size == (480, 1200)
    # The bands of the picture end in one pixel; those beside it run into each other.
    inside = [padded.getpixel((240, y)) for y in range(350, 450)]
    beside = [padded.getpixel((10, y)) for y in range(350, 450)]
    assert len({pixel for pixel in inside if not within(pixel, RED) and not within(pixel, GREEN)}) < 12
    assert sum(not within(pixel, RED) and not within(pixel, GREEN) for pixel in beside) > 30
    assert near(padded, 0.02, 0.05, RED)
    assert near(padded, 0.02, 0.95, BLUE)


def within(pixel: object, wanted: tuple[int, int, int]) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(a - b) <= 16 for a, b in zip(pixel, wanted, strict=True))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_large_pictures_of_every_kind_become_handy(tmp_path: Path, kind: str) -> None:
    cropped, padded = await made(save(tmp_path, banded((12_000, 2000)), kind))
    assert (cropped.size, padded.size) == ((2560, 1024), (2560, 1024))
    assert near(cropped, 0.5, 0.5, GREEN)
    assert near(padded, 0.02, 0.5, RED)


async def test_a_turned_photo_is_cropped_as_it_is_seen(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = banded((400, 3000)).transpose(Image.Transpose.ROTATE_90)
    cropped, padded = await made(save(tmp_path, lying, "JPEG", exif=exif, quality=95))
    assert cropped.size == (400, 1000)
    assert all(near(cropped, 0.5, y, GREEN) for y in (0.02, 0.98))
    assert near(padded, 0.5, 0.02, RED)
    assert near(padded, 0.5, 0.98, BLUE)


async def test_transparency_becomes_white_and_colours_become_srgb(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (1600, 400), (0, 0, 0, 0))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    cropped, padded = await made(save(tmp_path, picture, icc_profile=profile))
    assert near(cropped, 0.5, 0.5, (255, 255, 255))
    assert near(padded, 0.02, 0.02, (255, 255, 255))


@pytest.mark.parametrize(
    ("size", "rules"),
    [
        ((301, 60_000), RULES),
        ((60_000, 301), RULES),
        ((301, 753), RULES),
        ((754, 301), RULES),
        ((400, 1001), RULES),
        ((1001, 400), RULES),
        ((333, 977), RULES.model_copy(update={"min_ratio": 0.41, "max_ratio": 2.39})),
        ((2399, 1001), RULES.model_copy(update={"min_ratio": 0.41, "max_ratio": 2.39})),
        ((700, 1000), RULES.model_copy(update={"min_ratio": 1.0, "max_ratio": 1.0})),
        ((5001, 3001), RULES.model_copy(update={"min_ratio": 0.5, "max_ratio": 1.6})),
    ],
)
async def test_both_shapes_keep_the_rules_however_far_off_it_was(
    tmp_path: Path, size: tuple[int, int], rules: ImageRules
) -> None:
    source = save(tmp_path, Image.new("L", size, 90))
    with pytest.raises(WrongShape) as problem:
        await prepare(source, tmp_path / "out.jpg", rules, name="cat.png")
    assert problem.value.found.endswith("(width divided by height) is allowed.")
    assert str(problem.value).endswith("is allowed. Crop it and attach that.")
    for picture in await made(source, rules):
        assert rules.min_ratio <= picture.width / picture.height <= rules.max_ratio
        assert min(picture.size) >= rules.min_side
        assert max(picture.size) <= 2560


async def test_what_is_too_small_cannot_be_helped(tmp_path: Path) -> None:
    source = save(tmp_path, Image.new("RGB", (100, 4000)))
    with pytest.raises(PictureRefused, match=r"each side needs at least 301\. Choose a larger") as problem:
        await prepare(source, tmp_path / "out.jpg", RULES, name="cat.png")
    assert not isinstance(problem.value, WrongShape)


async def test_a_damaged_file_gets_no_shape(tmp_path: Path) -> None:
    source = save(tmp_path, banded((3000, 400)))
    source.write_bytes(source.read_bytes()[:100])
    with pytest.raises(PictureRefused, match="damaged or cut short"):
        await reshape(
            source,
            RULES,
            name="cat.png",
            cropped=(tmp_path / "c.jpg", tmp_path / "d.jpg"),
            padded=(tmp_path / "p.jpg", tmp_path / "q.jpg"),
        )
