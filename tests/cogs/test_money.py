"""`/formats`: every price."""

from pathlib import Path

import pytest

from bot.domain.catalog import Format
from tests.cogs.fixtures import Open
from tests.cogs.scene import Scene, told
from tests.cogs.test_menu import catalog_of


async def formats(scene: Scene) -> str:
    return told(await scene.alice.slash(scene.channel, "formats"))


async def test_every_format_of_every_mode_is_listed_with_its_price(scene: Scene) -> None:
    words = await formats(scene)
    text, image, transition = words.split("**`/video ")[1:]
    assert text.splitlines()[1] == "- Hailuo 2.3 · 6 s · 768p · $0.3294 · default"
    assert "- Hailuo 02 · 5 s · 512p · $0.15" in image
    assert "- Hailuo 02 · 5 s · 768p · $0.225 · default" in transition


async def test_each_mode_has_one_default(scene: Scene) -> None:
    parts = (await formats(scene)).split("**`/video ")[1:]
    assert [part.count("· default") for part in parts] == [1, 1, 1]


@pytest.mark.parametrize("count", [3, 30, 60])
async def test_the_list_is_one_message_however_long_the_catalog(
    open_bot: Open, tmp_path: Path, count: int
) -> None:
    wished = Format.parse("hailuo-02/2/768p")
    async with open_bot(catalog_file=catalog_of(tmp_path, count), default_format=wished) as scene:
        words = await formats(scene)
    assert len(words) <= 2000
    assert "- Hailuo 02 · 2 s · 768p · $0.02 · default" in words


async def test_a_mode_that_nobody_makes_says_so(open_bot: Open, tmp_path: Path) -> None:
    async with open_bot(catalog_file=catalog_of(tmp_path, 3)) as scene:
        assert (await formats(scene)).endswith("- nothing: no provider makes these")
