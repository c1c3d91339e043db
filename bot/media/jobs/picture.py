"""Turns a member's picture into pixels alone: checked, upright, sRGB, one JPEG without any metadata."""

import contextlib
import io
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms
from PIL.Image import Resampling, Transpose

from bot.domain.language import kept
from bot.media import kinds
from bot.media.jobs import Refused

MAX_PIXELS = 40_000_000
LONG_SIDE = 2560
#: Bytes of a frame, whatever its provider takes: it is shown on Discord, where a file may have 10 MiB everywhere.
FRAME_BYTES = 9_000_000
_FORMATS = ("PNG", "JPEG", "WEBP")
#: What Pillow raises for broken data, besides its own UnidentifiedImageError (an OSError).
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error, zlib.error)
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_QUALITIES = (92, 85, 75, 60)

# Dimensions are checked here before anything is decoded, with a lower bound and a better sentence than Pillow's.
Image.MAX_IMAGE_PIXELS = None


class _WrongShape(Exception):
    """The picture is too wide or too narrow, and else as it should be."""


def run(source: str, target: str, rules: dict[str, Any], name: str) -> dict[str, Any]:
    """`name` is how the file is called in sentences. `{"wrong_shape": sentence}` where `shape` can make it fit."""
    try:
        with opened(Path(source), rules["max_bytes"], name) as (image, kind, turn):
            width, height = turned(image.size, turn)
            _check_shape(width, height, rules, name)
            picture = upright(image, turn, scaled(width, height, rules))
    except _WrongShape as problem:
        return {"wrong_shape": str(problem)}
    written = save(picture, Path(target), min(rules["max_bytes"], FRAME_BYTES), name)
    was = f"{kind}, {width}×{height}"
    return {"width": picture.width, "height": picture.height, "bytes": written, "was": was}


@contextlib.contextmanager
def opened(path: Path, max_bytes: int, name: str) -> Iterator[tuple[Image.Image, str, Transpose | None]]:
    """A still picture of an allowed kind and size, its kind, and how to turn it; whatever breaks is refused."""
    size = path.stat().st_size
    if size > max_bytes:
        raise Refused(
            kept(
                "{file} has {found} bytes ({megabytes} MB); at most {most} bytes ({limit} MB) are allowed. Save it "
                "smaller or as a JPEG, and attach that.",
                file=name,
                found=f"{size:,}",
                megabytes=_megabytes(size),
                most=f"{max_bytes:,}",
                limit=_megabytes(max_bytes),
            )
        )
    with path.open("rb") as file:
        kind = _kind(file.read(kinds.HEAD), name)
    try:
        with Image.open(path, formats=_FORMATS) as image:
            yield image, kind, _checked(image, kind, name)
    except _BROKEN as error:
        raise Refused(
            kept(
                "{file} is a {kind} picture that is damaged or cut short. Open it, save it again and "
                "attach that.",
                file=name,
                kind=kind,
            )
        ) from error


def _kind(head: bytes, name: str) -> str:
    kind = kinds.picture(head)
    if kind is None:
        raise Refused(
            kept(
                "{file} is {kind}; only PNG, JPEG and WEBP pictures are allowed. Save it as one of these and attach "
                "that.",
                file=name,
                kind=kinds.describe(head),
            )
        )
    if kind == "WEBP":
        # Pillow's WebP decoder reserves the whole canvas when it opens a file, so this one is asked before.
        _check_pixels(_webp_size(head), name)
    return kind


def _checked(image: Image.Image, kind: str, name: str) -> Transpose | None:
    """How an allowed picture must be turned to stand upright."""
    _check_pixels(image.size, name)
    # A JPEG may carry a second picture (depth, HDR gain); its first one is the photo.
    if kind != "JPEG" and getattr(image, "n_frames", 1) > 1:
        raise Refused(
            kept(
                "{file} is animated; a still picture is needed. Save one frame of it and attach that.",
                file=name,
            )
        )
    if kind == "PNG":
        # Its EXIF may stand behind the pixels; were they loaded below, their damage would be taken for EXIF's.
        image.load()
    return _turn(image)


def _check_pixels(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise Refused(
            kept(
                "{file} has {width} × {height} pixels; at most {most} million pixels are allowed. Scale it down and "
                "attach that.",
                file=name,
                width=f"{width:,}",
                height=f"{height:,}",
                most=MAX_PIXELS // 1_000_000,
            )
        )


def _webp_size(head: bytes) -> tuple[int, int]:
    """The canvas in the header of the three kinds of WebP file (RFC 9649, sections 2.5 to 2.7)."""
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


def _check_shape(width: int, height: int, rules: dict[str, Any], name: str) -> None:
    if min(width, height) < rules["min_side"]:
        raise Refused(
            kept(
                "{file} has {width} × {height} pixels; each side needs at least {least}. Choose a larger picture.",
                file=name,
                width=f"{width:,}",
                height=f"{height:,}",
                least=rules["min_side"],
            )
        )
    ratio = width / height
    if not rules["min_ratio"] <= ratio <= rules["max_ratio"]:
        raise _WrongShape(
            kept(
                "{file} has {width} × {height} pixels, a ratio of {ratio}; from {least} to {most} (width divided by "
                "height) is allowed.",
                file=name,
                width=f"{width:,}",
                height=f"{height:,}",
                ratio=f"{ratio:.2f}",
                least=f"{rules['min_ratio']:.3g}",
                most=f"{rules['max_ratio']:.3g}",
            )
        )


def _turn(image: Image.Image) -> Transpose | None:
    # Broken EXIF is dropped like all other EXIF: the picture is then taken as it lies.
    with contextlib.suppress(*_BROKEN):
        return _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    return None


def turned(size: tuple[int, int], turn: Transpose | None) -> tuple[int, int]:
    """A size as it is upright, of one as it lies, and the other way round."""
    lying = turn in (Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90)
    return (size[1], size[0]) if lying else size


def scaled(width: int, height: int, rules: dict[str, Any]) -> tuple[int, int]:
    """The size to save: at most `LONG_SIDE`, as long as that keeps the rules."""
    long, short = max(width, height), min(width, height)
    factor = max(LONG_SIDE / long, rules["min_side"] / short)
    if factor >= 1:
        return width, height
    exact = short * factor
    for side in (round(exact), int(exact) + 1, int(exact)):
        new = (round(long * factor), side) if width >= height else (side, round(long * factor))
        if side >= rules["min_side"] and rules["min_ratio"] <= new[0] / new[1] <= rules["max_ratio"]:
            return new
    return width, height


def upright(
    image: Image.Image,
    turn: Transpose | None,
    size: tuple[int, int],
    middle: tuple[int, int] | None = None,
) -> Image.Image:
    """Decode to sRGB on white and turn; the whole picture scaled to `size`, or its `middle` of so many pixels."""
    picture = _rgb(image, turned(size, turn), turned(middle, turn) if middle else image.size)
    return picture if turn is None else picture.transpose(turn)


def _rgb(image: Image.Image, size: tuple[int, int], middle: tuple[int, int]) -> Image.Image:
    """Decode, scale early (memory), then convert to sRGB on white."""
    profile = image.info.get("icc_profile")
    width, height = image.size
    # JPEG decodes to the next half, quarter or eighth at once.
    image.draft(None, (-(-width * size[0] // middle[0]), -(-height * size[1] // middle[1])))
    picture = _plain(image)
    if (picture.size, middle) != (size, (width, height)):
        across, down = picture.width / width, picture.height / height
        left, top = (width - middle[0]) // 2, (height - middle[1]) // 2
        box = (left * across, top * down, (left + middle[0]) * across, (top + middle[1]) * down)
        picture = picture.resize(size, Resampling.LANCZOS, box, reducing_gap=3.0)
    alpha = None
    if picture.mode in ("RGBA", "LA"):
        alpha = picture.getchannel("A")
        picture = picture.convert(picture.mode.removesuffix("A"))
    picture = _srgb(picture, profile)
    if alpha:
        white = Image.new("RGB", size, "white")
        white.paste(picture, mask=alpha)
        return white
    return picture


def _plain(image: Image.Image) -> Image.Image:
    """One of L, LA, RGB, RGBA, CMYK: 8 bits, no palette, transparency as a channel."""
    image.load()
    if image.mode.startswith("I"):
        # 16 bits: Pillow versions differ in whether `convert` scales or clips, so it is scaled here.
        return image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")
    if "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK"):
        return image
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGBA" if image.mode in ("PA", "La", "RGBa") else "RGB")


def _srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    # A profile that is broken or of another colour space is ignored, as viewers do.
    with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
        if profile:
            found = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(picture, found, srgb, outputMode="RGB")
            if converted:
                return converted
    return picture.convert("RGB")


def save(picture: Image.Image, target: Path, max_bytes: int, name: str) -> int:
    """Write a JPEG of pixels alone and return its bytes."""
    # A fresh picture: Pillow would write `info` (comment, profile) of the old one.
    clean = Image.new("RGB", picture.size)
    clean.paste(picture)
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        clean.save(buffer, "JPEG", quality=quality, subsampling="4:4:4", optimize=False)
        if buffer.tell() <= max_bytes:
            with target.open("wb") as file:
                file.write(buffer.getbuffer())
                os.fsync(file.fileno())
            return buffer.tell()
    raise Refused(
        kept(
            "{file} has too much detail to fit into {most} bytes ({limit} MB) as a JPEG. Scale it down and attach "
            "that.",
            file=name,
            most=f"{max_bytes:,}",
            limit=_megabytes(max_bytes),
        )
    )


def _megabytes(number: int) -> str:
    return f"{number / 1_000_000:.1f}"
