"""Members' pictures: made safe, or refused with what was found and what is allowed."""

import asyncio
import io
import os
import random
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from bot.domain.catalog import ImageRules
from bot.domain.errors import PictureRefused
from bot.media.pictures import PictureInfo, prepare
from tests.media.reaping import children_left

#: Bytes of a file that Discord takes in any server: 10 MiB.
DISCORDS_LEAST = 10_485_760
ROOT = Path(__file__).parents[2]
RULES = ImageRules(max_bytes=20_000_000, min_side=301, min_ratio=0.4, max_ratio=2.5, source="test")
RED, GREEN, BLUE, WHITE = (230, 20, 30), (20, 200, 40), (20, 40, 220), (255, 255, 255)

Make = Callable[..., Path]


@pytest.fixture
def saved(tmp_path: Path) -> Make:
    def save(picture: Image.Image, kind: str, name: str = "in", **options: object) -> Path:
        path = tmp_path / name
        picture.save(path, kind, **options)
        return path

    return save


async def made(source: Path, rules: ImageRules = RULES) -> tuple[PictureInfo, Image.Image]:
    target = source.with_name("out.jpg")
    info = await prepare(source, target, rules, name="cat.png")
    assert not children_left()
    assert [path for path in source.parent.iterdir() if path.suffix == ".part"] == []
    with Image.open(target, formats=("JPEG",)) as picture:
        picture.load()
        assert picture.mode == "RGB"
        assert picture.size == (info.width, info.height)
        assert target.stat().st_size == info.bytes
        assert not picture.getexif()
        assert {"exif", "icc_profile", "comment", "xmp", "photoshop"}.isdisjoint(picture.info)
        return info, picture.copy()


async def refused(source: Path, rules: ImageRules = RULES, name: str = "cat.png") -> str:
    target = source.with_name("out.jpg")
    with pytest.raises(PictureRefused) as refusal:
        await prepare(source, target, rules, name=name)
    assert not target.exists()
    assert not children_left()
    assert [path for path in source.parent.iterdir() if path.suffix == ".part"] == []
    return str(refusal.value)


def near(found: tuple[int, ...], wanted: tuple[int, int, int], slack: int = 8) -> bool:
    return all(abs(a - b) <= slack for a, b in zip(found, wanted, strict=True))


def corners(size: tuple[int, int] = (800, 600)) -> Image.Image:
    """Red at the upper left, green at the upper right, blue at the lower left, white at the lower right."""
    picture = Image.new("RGB", size, WHITE)
    width, height = size
    for colour, place in ((RED, (0, 0)), (GREEN, (width // 2, 0)), (BLUE, (0, height // 2))):
        picture.paste(colour, (*place, place[0] + width // 2, place[1] + height // 2))
    return picture


def seen(picture: Image.Image) -> list[tuple[int, ...]]:
    width, height = picture.size
    places = ((0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8))
    found = [picture.getpixel((int(width * x), int(height * y))) for x, y in places]
    return [pixel for pixel in found if isinstance(pixel, tuple)]


def noise(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    data = random.Random(7).randbytes(size[0] * size[1] * len(mode))
    return Image.frombytes(mode, size, data)


def png_header(width: int, height: int) -> bytes:
    """A PNG that only claims its size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


# what is taken, and fixed where that is safe


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_the_three_kinds(saved: Make, kind: str) -> None:
    info, picture = await made(saved(corners(), kind))
    assert info.was == f"{kind}, 800×600"
    assert (info.width, info.height) == (800, 600)
    for found, wanted in zip(seen(picture), (RED, GREEN, BLUE, WHITE), strict=True):
        assert near(found, wanted)


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_orientation_is_applied_and_gps_is_gone(saved: Make, orientation: int) -> None:
    upright = corners()
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    lying = upright if undo is None else upright.transpose(undo)
    source = saved(lying, "JPEG", exif=exif, comment=b"at home", quality=95, xmp=b"<x:xmpmeta/>")
    info, picture = await made(source)
    assert (info.width, info.height) == (800, 600)
    assert info.was == "JPEG, 800×600"
    for found, wanted in zip(seen(picture), (RED, GREEN, BLUE, WHITE), strict=True):
        assert near(found, wanted)
    assert b"at home" not in source.with_name("out.jpg").read_bytes()


async def test_broken_exif_is_dropped(saved: Make) -> None:
    info, _ = await made(saved(corners(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff junk"))
    assert (info.width, info.height) == (800, 600)


async def test_an_embedded_profile_becomes_srgb(saved: Make) -> None:
    """In a profile with red and blue exchanged, what is written as red is meant as blue."""
    swapped = swapped_profile()
    _, picture = await made(saved(Image.new("RGB", (400, 400), (250, 10, 10)), "PNG", icc_profile=swapped))
    red, _, blue = seen(picture)[0]
    assert blue > 200
    assert red < 60


def swapped_profile() -> bytes:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # Exchange the tags' names: rXYZ is the colour of the first channel, bXYZ of the third.
    first, third = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[first : first + 4], profile[third : third + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("profile", [b"no profile at all", swapped_profile()[:200], b"\0" * 4000])
async def test_a_broken_profile_is_ignored(saved: Make, profile: bytes) -> None:
    _, picture = await made(saved(corners(), "PNG", icc_profile=profile))
    assert near(seen(picture)[0], RED)


async def test_a_profile_of_another_colour_space_is_ignored(saved: Make) -> None:
    grey = Image.new("L", (400, 400), 120)
    _, picture = await made(saved(grey, "PNG", icc_profile=swapped_profile()))
    assert near(seen(picture)[0], (120, 120, 120))


async def test_cmyk_jpeg(saved: Make) -> None:
    info, picture = await made(saved(Image.new("CMYK", (400, 500), (0, 255, 255, 0)), "JPEG"))
    assert info.was == "JPEG, 400×500"
    red, green, blue = seen(picture)[0]
    assert red > 180
    assert max(green, blue) < 80


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
async def test_transparency_lies_on_white(saved: Make, mode: str) -> None:
    picture = Image.new(mode, (400, 400), (0,) * len(mode))
    solid = (*BLUE, 255) if mode == "RGBA" else (40, 255)
    picture.paste(solid, (0, 0, 200, 400))
    _, result = await made(saved(picture, "PNG"))
    left, right, *_ = seen(result)
    assert near(left, BLUE if mode == "RGBA" else (40, 40, 40))
    assert near(right, WHITE)


async def test_half_transparent_edges_do_not_darken_when_scaled(saved: Make) -> None:
    """Scaled without regard to alpha, the black behind the clear part would bleed in."""
    picture = Image.new("RGBA", (4000, 4000), (0, 0, 0, 0))
    for start in range(0, 4000, 4):
        picture.paste((255, 255, 255, 255), (start, 0, start + 2, 4000))
    _, result = await made(saved(picture, "PNG"))
    assert min(low for low, _ in result.getextrema()) > 245  # type: ignore[misc]  # three pairs for RGB


async def test_palette_with_transparency(saved: Make) -> None:
    picture = corners().quantize(8)
    clear = picture.getpixel((10, 10))
    _, result = await made(saved(picture, "PNG", transparency=clear))
    found = seen(result)
    assert near(found[0], WHITE)
    assert near(found[1], GREEN)


@pytest.mark.parametrize(("value", "shown"), [(0, 0), (257 * 100, 100), (65535, 255)])
async def test_sixteen_bit_grey_is_scaled_not_clipped(saved: Make, value: int, shown: int) -> None:
    _, picture = await made(saved(Image.new("I;16", (400, 400), value), "PNG"))
    assert near(seen(picture)[0], (shown, shown, shown), slack=2)


async def test_one_bit(saved: Make) -> None:
    _, picture = await made(saved(Image.new("1", (400, 400), 1), "PNG"))
    assert near(seen(picture)[0], WHITE)


async def test_a_large_picture_is_scaled_to_2560(saved: Make) -> None:
    info, picture = await made(saved(corners((4000, 3000)), "JPEG"))
    assert (info.width, info.height, info.was) == (2560, 1920, "JPEG, 4000×3000")
    assert near(seen(picture)[1], GREEN)


async def test_scaling_never_goes_below_the_rules(saved: Make) -> None:
    rules = RULES.model_copy(update={"min_side": 2000})
    info, _ = await made(saved(corners((5000, 2500)), "JPEG"), rules)
    assert (info.width, info.height) == (4000, 2000)


@pytest.mark.parametrize(("size", "widest"), [((5000, 2000), 2.5), ((4600, 2000), 2.3), ((3500, 2000), 1.75)])
@pytest.mark.parametrize("upright", [True, False])
async def test_the_most_extreme_ratios_stay_allowed_when_scaled(
    saved: Make, size: tuple[int, int], widest: float, *, upright: bool
) -> None:
    rules = RULES.model_copy(update={"max_ratio": widest, "min_ratio": size[1] / size[0]})
    info, _ = await made(saved(Image.new("RGB", size[::-1] if upright else size), "PNG"), rules)
    assert max(info.width, info.height) == 2560
    assert rules.min_ratio <= info.width / info.height <= rules.max_ratio


async def test_nineteen_megabytes_of_noise(saved: Make) -> None:
    source = saved(noise((2570, 2480)), "PNG", compress_level=1)
    assert 19_000_000 < source.stat().st_size <= RULES.max_bytes
    info, _ = await made(source)
    assert info.bytes <= DISCORDS_LEAST


async def test_a_small_file_of_noise_becomes_no_frame_that_discord_does_not_take(saved: Make) -> None:
    extreme = noise((2560, 2560)).point(lambda value: value // 128 * 255)
    source = saved(extreme, "PNG")
    info, _ = await made(source)
    assert (info.width, info.height) == (2560, 2560)
    assert source.stat().st_size < info.bytes <= DISCORDS_LEAST


async def test_what_is_saved_keeps_the_byte_limit_too(saved: Make) -> None:
    rules = RULES.model_copy(update={"max_bytes": 900_000})
    source = saved(noise((1200, 900), "L").resize((1600, 1200)), "JPEG", quality=40)
    assert source.stat().st_size <= rules.max_bytes
    info, _ = await made(source, rules)
    assert info.bytes <= rules.max_bytes


async def test_what_hangs_behind_a_jpeg_is_gone(saved: Make) -> None:
    source = saved(corners(), "JPEG")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("evil.html", "<script>alert(1)</script>")
    source.write_bytes(source.read_bytes() + archive.getvalue())
    await made(source)
    written = source.with_name("out.jpg").read_bytes()
    assert written.endswith(b"\xff\xd9")
    assert b"evil.html" not in written
    assert b"PK\x03\x04" not in written


async def test_a_jpeg_with_a_second_picture_is_its_first(saved: Make) -> None:
    source = saved(corners(), "MPO", save_all=True, append_images=[Image.new("RGB", (800, 600), BLUE)])
    info, picture = await made(source)
    assert info.was == "JPEG, 800×600"
    assert near(seen(picture)[0], RED)


# what is refused


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
async def test_animated(saved: Make, kind: str) -> None:
    source = saved(corners(), kind, save_all=True, append_images=[Image.new("RGB", (800, 600), BLUE)])
    text = await refused(source)
    assert "`cat.png` is animated" in text
    assert "still picture" in text


def memory(line: str) -> int:
    """KiB of this process, as Linux counts them."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split(f"{line}:")[1].split()[0])


def memory_from_now() -> int:
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the high-water mark starts anew
    return memory("VmHWM")


async def test_a_bomb_of_13000_by_13000(saved: Make) -> None:
    source = saved(Image.new("1", (13_000, 13_000)), "PNG", optimize=True)
    assert source.stat().st_size < 1_000_000
    before = memory_from_now()
    text = await refused(source)
    assert memory("VmHWM") - before < 10_000
    assert "13,000 × 13,000" in text
    assert "40 million" in text


@pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1), (1_000_000, 1_000_000)])
async def test_absurd_sizes_in_a_png_header(tmp_path: Path, size: tuple[int, int]) -> None:
    source = tmp_path / "in"
    source.write_bytes(png_header(*size))
    assert f"{size[0]:,} × {size[1]:,}" in await refused(source)


async def test_an_absurd_canvas_in_a_webp_header(saved: Make) -> None:
    """Pillow would reserve two gigabytes for it before anyone could ask for the size."""
    source = saved(Image.new("RGBA", (400, 400), (1, 2, 3, 4)), "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0")
    data = bytearray(source.read_bytes())
    assert data[12:16] == b"VP8X"
    data[24:30] = (16_000).to_bytes(3, "little") * 2
    source.write_bytes(data)
    assert "16,001 × 16,001" in await refused(source)


#: Refuses each picture and prints the most kilobytes that any child had in memory.
REFUSING = """
import asyncio, resource, sys
from pathlib import Path
from bot.domain.errors import PictureRefused
from bot.media.pictures import prepare
from tests.media.test_pictures import RULES

async def main():
    for name in sys.argv[1:]:
        try:
            await prepare(Path(name), Path(name + ".jpg"), RULES, name="cat.png")
        except PictureRefused:
            continue
        sys.exit(f"{name} was taken")

asyncio.run(main())
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


async def test_a_child_takes_no_memory_for_declared_sizes(saved: Make, tmp_path: Path) -> None:
    """In a process of its own: what is measured is the largest of all its children."""
    bomb = saved(Image.new("1", (13_000, 13_000)), "PNG", "bomb", optimize=True)
    wide = saved(Image.new("RGB", (8000, 6000)), "WEBP", "wide", lossless=True, method=0)
    files = [str(bomb), str(wide)]
    for number, size in enumerate([(2**31 - 1, 2**31 - 1), (30_000, 30_000), (6400, 6400)]):
        files.append(str(tmp_path / f"head{number}"))
        (tmp_path / f"head{number}").write_bytes(png_header(*size))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", REFUSING, *files), cwd=ROOT, stdout=-1, stderr=-1
    )
    output, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    assert int(output) < 150_000


@pytest.mark.parametrize("lossless", [True, False])
async def test_the_size_of_a_plain_webp(saved: Make, *, lossless: bool) -> None:
    source = saved(Image.new("RGB", (8000, 6000)), "WEBP", lossless=lossless, method=0)
    assert "8,000 × 6,000" in await refused(source)


async def test_fifty_thousand_by_one(saved: Make) -> None:
    text = await refused(saved(Image.new("RGB", (50_000, 1)), "PNG"))
    assert "50,000 × 1" in text
    assert "301" in text


async def test_100_by_4000(saved: Make) -> None:
    text = await refused(saved(Image.new("RGB", (100, 4000)), "JPEG"))
    assert "100 × 4,000" in text
    assert "at least 301" in text


async def test_a_bad_ratio(saved: Make) -> None:
    text = await refused(saved(Image.new("RGB", (1600, 400)), "JPEG"))
    assert "1,600 × 400" in text
    assert "4.00" in text
    assert "from 0.4 to 2.5" in text


async def test_the_shape_is_judged_upright(saved: Make) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    rules = RULES.model_copy(update={"min_ratio": 1.0})
    text = await refused(saved(Image.new("RGB", (800, 600)), "JPEG", exif=exif), rules)
    assert "600 × 800" in text


async def test_too_many_bytes_are_refused_before_decoding(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_bytes(b"not even a picture")
    os.truncate(source, RULES.max_bytes + 1)
    text = await refused(source)
    assert "20,000,001 bytes" in text
    assert "at most 20,000,000 bytes" in text


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
async def test_cut_short(saved: Make, kind: str, share: float) -> None:
    source = saved(noise((400, 400)), kind)
    os.truncate(source, int(source.stat().st_size * share))
    text = await refused(source)
    assert f"a {kind} picture that is damaged or cut short" in text


async def test_damaged_inside(saved: Make) -> None:
    source = saved(Image.linear_gradient("L").resize((700, 700)).rotate(30), "PNG")
    data = bytearray(source.read_bytes())
    data[2000:2400] = b"\xff" * 400
    source.write_bytes(data)
    assert "damaged" in await refused(source)


SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (SVG, "an SVG drawing"),
        (b"\xef\xbb\xbf <svg width='5'>", "an SVG drawing"),
        (b"<!DOCTYPE html><html><body>Not found", "an HTML page"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "an EPS"),
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", "a HEIC picture"),
        (b"\0\0\0\x1cftypavif\0\0\0\0mif1avif", "an AVIF picture"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "an MP4 or MOV video"),
        (b"\x1aE\xdf\xa3\x01\0\0\0", "a WebM or Matroska video"),
        (b"PK\3\4rest", "a ZIP archive"),
        (b'{"error": "expired"}', "a JSON text"),
        (b"hello there", "a text"),
        (b"\x01\x02\x03\x04", "an unknown kind of file"),
        (b"", "an empty file"),
    ],
)
async def test_no_picture_at_all(tmp_path: Path, data: bytes, found: str) -> None:
    source = tmp_path / "in.png"
    source.write_bytes(data)
    text = await refused(source)
    assert text.startswith(f"`cat.png` is {found}; only PNG, JPEG and WEBP pictures are allowed.")


@pytest.mark.parametrize(("kind", "found"), [("GIF", "a GIF"), ("TIFF", "a TIFF"), ("BMP", "a BMP")])
async def test_other_pictures(saved: Make, kind: str, found: str) -> None:
    assert f"`cat.png` is {found};" in await refused(saved(corners(), kind))


async def test_a_gif_of_ten_thousand_frames_is_never_opened(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_bytes(b"GIF89a" + b"\0" * 100_000)
    assert "is a GIF" in await refused(source)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a`b*c_d@everyone.png", "`a'b*c_d@everyone.png`"),
        ("gnp.\u202eexe\0\n.png", "`gnp.exe.png`"),
        ("x" * 300 + ".png", "`" + "x" * 29 + "…" + "x" * 26 + ".png`"),
        ("\u200b", "the picture"),
    ],
)
async def test_the_name_is_shown_harmless(tmp_path: Path, name: str, shown: str) -> None:
    source = tmp_path / "in"
    source.write_bytes(b"GIF89a")
    assert (await refused(source, name=name)).startswith(f"{shown} is a GIF")


async def test_a_target_that_cannot_be_written_is_not_the_pictures_fault(saved: Make, tmp_path: Path) -> None:
    source = saved(corners(), "PNG")
    with pytest.raises(
        PictureRefused, match="could not be prepared: FileNotFoundError: No such file or directory"
    ):
        await prepare(source, tmp_path / "no folder" / "out.jpg", RULES, name="cat.png")
