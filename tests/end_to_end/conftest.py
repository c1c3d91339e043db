"""What every end-to-end test stands on: a clip, two pictures, and a stage."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from bot.domain.catalog import Format, Mode
from bot.media.paint import PaintOrder, paint
from tests.end_to_end.stage import Stage, open_stage

_ORIENTATION, _GPS = 0x0112, 0x8825


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A real MP4, painted once."""
    target = tmp_path_factory.mktemp("clip") / "clip.mp4"
    chosen = Format(model="hailuo-02", duration=5, resolution="512p")
    asyncio.run(paint(PaintOrder(Mode.TEXT, chosen, "a paper boat", target)))
    return target.read_bytes()


def picture(kind: str) -> bytes:
    """A photograph of 400×640 pixels, stored lying on its side, with the place where it was taken."""
    image = Image.radial_gradient("L").resize((640, 400)).convert("RGB")
    image.paste((200, 30, 30), (0, 0, 640, 80))
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    exif.get_ifd(_GPS).update({1: "N", 2: (IFDRational(54), IFDRational(19), IFDRational(1))})
    target = io.BytesIO()
    image.save(target, kind, exif=exif)
    return target.getvalue()


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    return picture("JPEG")


@pytest.fixture(scope="session")
def png() -> bytes:
    return picture("PNG")


@pytest.fixture
async def stage(tmp_path: Path, clip: bytes, jpeg: bytes) -> AsyncIterator[Stage]:
    """A stage of its own; whatever a test did there, no secret was logged."""
    async with open_stage(tmp_path, clip, picture=jpeg) as stage:
        yield stage
        stage.check_stand_ins()
        stage.check_secrets()
