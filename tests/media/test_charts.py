"""Charts as they arrive: read back pixel by pixel."""

import asyncio
import io
from datetime import date, timedelta
from pathlib import Path

import pytest
from PIL import Image

from bot.media import child
from bot.media.charts import Chart, Series, draw, key
from tests.media.reaping import children_left

#: Of 🟦, 🟧 and 🟩.
BLUE, ORANGE, GREEN = (85, 172, 238), (244, 144, 12), (120, 177, 89)
GROUND, GRID, WHITE = (49, 51, 56), (78, 80, 88), (242, 243, 245)
DOLLAR = 1_000_000
LAST = date(2026, 11, 20)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all, as in a running bot: the fonts are looked for once."""
    return tmp_path_factory.mktemp("data") / "cache"


def chart(
    *amounts: tuple[int, ...], limit: int | None = None, title: str = "Spent", label: str = ""
) -> Chart:
    count = max(map(len, amounts), default=30)
    days = tuple(LAST - timedelta(days=count - 1 - number) for number in range(count))
    series = tuple(Series(f"Model {number}", micros) for number, micros in enumerate(amounts))
    return Chart(title, days, series, limit, label)


async def drawn(cache: Path, one: Chart) -> Image.Image:
    with Image.open(io.BytesIO(await draw(one, cache=cache))) as picture:
        assert picture.format == "PNG"
        assert picture.size == (1100, 550)
        return picture.convert("RGB")


def box(picture: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of all that has exactly this colour; right and bottom just outside."""
    mask = Image.new("1", picture.size)
    mask.putdata([pixel == colour for pixel in pixels(picture)])
    found = mask.getbbox()
    assert found, f"nothing is {colour}"
    return found


def height(found: tuple[int, int, int, int]) -> int:
    return found[3] - found[1]


def pixels(picture: Image.Image) -> list[tuple[int, ...]]:
    data = picture.tobytes()
    return list(zip(data[::3], data[1::3], data[2::3], strict=True))


def dashed(picture: Image.Image) -> list[int]:
    """The rows with a line across: more than half of them is white, where letters never are."""
    rows = [picture.crop((0, y, picture.width, y + 1)) for y in range(picture.height)]
    return [y for y, row in enumerate(rows) if pixels(row).count(WHITE) > picture.width / 2]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_each_day_has_its_bar_in_its_place_and_height(cache: Path) -> None:
    picture = await drawn(cache, chart((DOLLAR, 0, 0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0, 2 * DOLLAR)))
    early, late = (box(picture, colour) for colour in (BLUE, ORANGE))
    assert early[2] < 300
    assert late[0] > 900
    assert height(late) == pytest.approx(2 * height(early), abs=3)


async def test_series_stand_one_on_the_other(cache: Path) -> None:
    picture = await drawn(cache, chart((DOLLAR,), (DOLLAR,)))
    lower, upper = (box(picture, colour) for colour in (BLUE, ORANGE))
    assert upper[3] == pytest.approx(lower[1], abs=2)
    assert (lower[0], lower[2]) == (upper[0], upper[2])


async def test_the_limit_is_a_line_at_its_height(cache: Path) -> None:
    picture = await drawn(cache, chart((DOLLAR, DOLLAR), limit=2 * DOLLAR, label="your limit of $2.00"))
    bars = box(picture, BLUE)
    assert bars[3] - dashed(picture)[-1] == pytest.approx(2 * height(bars), abs=4)


async def test_a_limit_that_was_passed_crosses_the_bars(cache: Path) -> None:
    picture = await drawn(cache, chart((4 * DOLLAR,) * 9, limit=DOLLAR, label="$1.00"))
    _, top, _, bottom = box(picture, BLUE)
    line = dashed(picture)
    assert line
    assert top < line[0] <= line[-1] < bottom


async def test_a_limit_far_above_does_not_press_the_bars_flat(cache: Path) -> None:
    picture = await drawn(cache, chart((DOLLAR,) * 9, limit=500 * DOLLAR, label="$500.00"))
    assert height(box(picture, BLUE)) > 200
    assert not dashed(picture)


@pytest.mark.parametrize("amounts", [(), ((0,) * 30,), ((0,) * 30, (0,) * 30)])
async def test_where_nothing_was_spent_there_is_the_limit_alone(
    cache: Path, amounts: tuple[tuple[int, ...], ...]
) -> None:
    picture = await drawn(cache, chart(*amounts, limit=2 * DOLLAR))
    assert BLUE not in pixels(picture)
    assert dashed(picture)


def test_the_words_beside_it_tell_what_every_colour_means() -> None:
    assert key(chart((1,), (2,), label="limit $2.00 a day")) == (
        "Spent: 🟦 Model 0 · 🟧 Model 1 · ┅ limit $2.00 a day"
    )
    assert key(chart()) == "Spent"
    assert key(chart(*((DOLLAR * number,) for number in range(1, 10)))).endswith("🟨 Model 8 · 🟩 4 others")


async def test_the_smallest_of_too_many_series_are_one(cache: Path) -> None:
    bars = await drawn(cache, chart(*((DOLLAR * number,) for number in range(1, 10))))
    fifth, others = height(box(bars, BLUE)), height(box(bars, GREEN))
    assert others == pytest.approx(2 * fifth, abs=3)  # one to four together are ten


@pytest.mark.parametrize("count", [1, 2, 31, 366, 1500])
async def test_few_and_many_days_are_drawn(cache: Path, count: int) -> None:
    picture = await drawn(cache, chart((DOLLAR,) * count))
    left, top, right, bottom = box(picture, BLUE)
    assert bottom - top > 200
    assert (right - left > 800) is (count > 30)


async def test_nothing_but_the_fonts_stays(cache: Path) -> None:
    await asyncio.gather(*(draw(chart((DOLLAR,)), cache=cache) for _ in range(3)))
    assert [name.startswith("fontlist") for name in names_in(cache)] == [True]
    assert not children_left()


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    with pytest.raises(child.ChildFailed, match="cannot be written"):
        await draw(chart((DOLLAR,)), cache=tmp_path / "data" / "cache")
