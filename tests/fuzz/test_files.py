"""Strangers' files through the real child processes: a refusal in words or pixels alone, and the bot lives."""

import io
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from PIL import Image

from bot.domain.catalog import ImageRules
from bot.domain.errors import NotAVideo, PictureRefused
from bot.media import clips, pictures
from tests.fuzz.examples import fuzz
from tests.media.films import film
from tests.media.reaping import children_left

RULES = ImageRules(max_bytes=20_000_000, min_side=301, min_ratio=0.4, max_ratio=2.5, source="test")
_SECRET = b"GPS 52.5200 13.4050"
_SIZE = (480, 360)


def _saved(kind: str, **options: Any) -> bytes:
    picture = Image.linear_gradient("L").resize(_SIZE).convert("RGB")
    exif = Image.Exif()
    exif[0x010E] = _SECRET.decode()
    buffer = io.BytesIO()
    picture.save(buffer, kind, exif=exif, **options)
    return buffer.getvalue()


REAL = [
    _saved("PNG"),
    _saved("JPEG", comment=_SECRET),
    _saved("JPEG", progressive=True),
    _saved("WEBP"),
    _saved("WEBP", lossless=True),
]
_NUMBERS = [struct.pack(form, number) for form in (">I", "<I", ">H") for number in (0, 1, 0x7FFF, 0xFFFF)]
_OTHERS = [
    b"<script>alert(1)</script>",
    b"PK\x03\x04",
    b"%PDF-1.7",
    b"GIF89a",
    b"\x00\x00\x00\x18ftypmp42",
    b"MZ",
    *REAL,
]
#: A place as a share of the whole, most often near the head, and what is done there.
changes = st.lists(
    st.tuples(
        st.one_of(st.floats(0, 0.02), st.floats(0, 1)),
        st.sampled_from(["overwrite", "insert", "remove", "cut", "add"]),
        st.binary(min_size=1, max_size=8) | st.sampled_from(_NUMBERS) | st.sampled_from(_OTHERS),
    ),
    max_size=4,
)


def changed(data: bytes, edits: list[tuple[float, str, bytes]]) -> bytes:
    for share, kind, piece in edits:
        place = int(share * len(data))
        match kind:
            case "overwrite":
                data = data[:place] + piece + data[place + len(piece) :]
            case "insert":
                data = data[:place] + piece + data[place:]
            case "remove":
                data = data[:place] + data[place + len(piece) :]
            case "cut":
                data = data[:place] if place > len(data) // 2 else data
            case _:
                data += piece
    return data


@fuzz(14, real=st.sampled_from(REAL), edits=changes)
async def test_damaged_picture(real: bytes, edits: list[tuple[float, str, bytes]], tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out.jpg"
    source.write_bytes(changed(real, edits))
    try:
        found = await pictures.prepare(source, target, RULES, name="cat.png")
    except PictureRefused as refusal:
        told = str(refusal)
        assert "`cat.png`" in told
        assert "Traceback" not in told
        assert str(tmp_path) not in told
        assert not target.exists()
    else:
        made = target.read_bytes()
        assert _SECRET not in made
        assert not any(other in made for other in _OTHERS[:2])
        with Image.open(target, formats=("JPEG",)) as picture:
            picture.load()
            assert picture.size == (found.width, found.height)
            assert not picture.getexif()
        target.unlink()
    assert not children_left()
    assert list(tmp_path.iterdir()) == [source]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("films")
    made = [
        film(folder / "plain.mp4"),
        film(folder / "first.mp4", sound="aac"),
        film(folder / "web.webm", codec="libvpx"),
    ]
    return [path.read_bytes() for path in made]


_boxes = st.sampled_from(
    [b"moov", b"mdat", b"trak", b"stts", b"stsz", b"avc1", b"avcC", b"mvhd", b"tkhd", b"ftyp"]
)


@fuzz(
    12,
    which=st.integers(0, 2),
    edits=changes,
    boxes=st.lists(st.tuples(_boxes, st.integers(-8, 24), st.sampled_from(_NUMBERS)), max_size=3),
)
async def test_damaged_video(
    which: int,
    edits: list[tuple[float, str, bytes]],
    boxes: list[tuple[bytes, int, bytes]],
    videos: list[bytes],
    tmp_path: Path,
) -> None:
    data = bytearray(videos[which])
    for box, offset, number in boxes:
        if (place := data.find(box) + offset) > 0:
            data[place : place + len(number)] = number
    path = tmp_path / "clip.mp4"
    path.write_bytes(changed(bytes(data), edits))
    try:
        found = await clips.probe(path)
    except NotAVideo as refusal:
        assert "Traceback" not in str(refusal)
        assert str(tmp_path) not in str(refusal)
    else:
        assert 0 < found.width <= 8192
        assert 0 < found.height <= 8192
        assert 0 < found.seconds <= 300
    assert not children_left()
