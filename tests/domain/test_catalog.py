"""Formats, the menu of a mode, the default and the labels."""

from datetime import date
from typing import Any

import pytest

from bot.domain.catalog import Catalog, Format, Mode

IMAGE = {
    "max_bytes": 1,
    "min_side": 1,
    "min_ratio": 0.4,
    "max_ratio": 2.5,
    "source": "made up",
}
RULES = {"label": "Some", "prompt_limit": 100, "concurrency": 1, "requests_per_minute": 1, "image": IMAGE}
BOTH = ["gmi", "novita"]


def offer(
    provider: str, model: str, duration: int, resolution: str, price: str, **more: Any
) -> dict[str, Any]:
    basis = {"modes": ["text", "image"], "source": "made up", "date": date(2026, 11, 1)}
    shape = {"provider": provider, "model": model, "duration": duration, "resolution": resolution}
    return {**basis, **shape, "price": price, **more}


OFFERS = [
    offer("gmi", "old", 6, "768p", "0.28"),
    offer("gmi", "old", 10, "768p", "0.20"),
    offer("gmi", "old", 6, "1080p", "0.10"),
    offer("novita", "old", 6, "768p", "0.20"),
    offer("gmi", "new", 6, "768p", "0.28", assumed=True),
    offer("novita", "new", 6, "768p", "0.28"),
    offer("novita", "old", 6, "512p", "0.05", modes=["image"]),
]


def catalog(offers: list[dict[str, Any]] = OFFERS) -> Catalog:
    models = {"old": {"label": "Old"}, "new": {"label": "New 2"}}
    providers = {"gmi": RULES, "novita": RULES}
    return Catalog.model_validate(
        {"cameras": ["Pan left"], "models": models, "providers": providers, "offers": offers}
    )


def shown(mode: Mode, providers: list[str]) -> list[str]:
    return [catalog().label(found) for found in catalog().menu(mode, providers)]


# ------------------------------------------------------------------ formats


@pytest.mark.parametrize("text", ["hailuo-02/6/768p", "hailuo-2.3-fast/10/1080p", "x/1/512p"])
def test_a_format_id_is_read_back(text: str) -> None:
    assert Format.parse(text).id == text


@pytest.mark.parametrize(
    "text",
    ["", "hailuo-02", "hailuo-02/6", "hailuo-02/6/720p", "hailuo-02/six/768p", "a/b/6/768p", "Hailuo/6/768p",
     "x/-6/768p", "x/6/768p\n", "x/٦/768p", "x/1000/768p", "x/6/768p/more", "/6/768p"],
)  # fmt: skip
def test_what_is_no_format_id_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no format id such as hailuo-2\.3/6/768p"):
        Format.parse(text)


# ------------------------------------------------------------------ offers


def test_the_cheapest_offer_comes_first() -> None:
    found = catalog().offers_for(Mode.TEXT, Format.parse("old/6/768p"), BOTH)
    assert [(one.provider, one.micros) for one in found] == [("novita", 200_000), ("gmi", 280_000)]


@pytest.mark.parametrize("order", [BOTH, BOTH[::-1]])
def test_at_the_same_price_the_operators_order_decides(order: list[str]) -> None:
    found = catalog().offers_for(Mode.TEXT, Format.parse("new/6/768p"), order)
    assert [one.provider for one in found] == order


def test_only_enabled_providers_and_the_asked_mode_count() -> None:
    low = Format.parse("old/6/512p")
    assert catalog().offers_for(Mode.TEXT, low, BOTH) == []
    assert catalog().offers_for(Mode.IMAGE, low, ["gmi"]) == []
    assert len(catalog().offers_for(Mode.IMAGE, low, BOTH)) == 1
    assert catalog().offers_for(Mode.TRANSITION, Format.parse("old/6/768p"), BOTH) == []


def test_the_menu_has_each_format_once_with_its_best_price() -> None:
    assert shown(Mode.TEXT, BOTH) == [
        "New 2 · 6 s · 768p · $0.28",
        "Old · 6 s · 768p · $0.20",
        "Old · 10 s · 768p · $0.20",
        "Old · 6 s · 1080p · $0.10",
    ]
    assert "Old · 6 s · 512p · $0.05" in shown(Mode.IMAGE, BOTH)


def test_the_menu_is_of_the_enabled_providers() -> None:
    assert shown(Mode.TEXT, ["novita"]) == ["New 2 · 6 s · 768p · $0.28", "Old · 6 s · 768p · $0.20"]
    assert shown(Mode.TEXT, []) == []
    assert shown(Mode.TRANSITION, BOTH) == []


# ------------------------------------------------------------------ the default


def test_the_operators_default_is_taken_where_it_can_be_made() -> None:
    found = catalog().default(Mode.TEXT, BOTH, Format.parse("old/6/1080p"))
    assert found is not None
    assert found.format.id == "old/6/1080p"


def test_else_the_cheapest_768p_though_another_is_cheaper() -> None:
    found = catalog().default(Mode.IMAGE, BOTH, Format.parse("old/99/768p"))
    assert found is not None
    assert (found.format.resolution, found.micros) == ("768p", 200_000)


def test_else_the_cheapest_of_all() -> None:
    offers = [offer("gmi", "old", 6, "1080p", "0.5"), offer("gmi", "old", 10, "1080p", "0.4")]
    found = catalog(offers).default(Mode.TEXT, BOTH, Format.parse("old/6/768p"))
    assert found is not None
    assert found.micros == 400_000


def test_where_nothing_can_be_made_there_is_no_default() -> None:
    assert catalog().default(Mode.TRANSITION, BOTH, Format.parse("old/6/768p")) is None


# ------------------------------------------------------------------ labels and prices


def test_a_format_of_a_model_that_left_the_catalog_is_still_shown() -> None:
    assert catalog().format_label(Format.parse("gone/6/768p")) == "gone · 6 s · 768p"


def test_assumed_prices_are_listed_for_enabled_providers_only() -> None:
    assert [found.format.id for found in catalog().assumed(BOTH)] == ["new/6/768p"]
    assert catalog().assumed(["novita"]) == []


@pytest.mark.parametrize(
    ("price", "micros"), [("0", 0), ("0.28", 280_000), ("0.000001", 1), ("999999", 999_999_000_000)]
)
def test_a_price_in_micros(price: str, micros: int) -> None:
    assert catalog([offer("gmi", "old", 6, "768p", price)]).offers[0].micros == micros


@pytest.mark.parametrize(
    "price", ["", "-1", "0.0000001", "1e2", "NaN", "$1", "1,5", "٣", ".5", "1.", " 1", "1_0", "1000000"]
)
def test_what_is_no_price_is_refused(price: str) -> None:
    with pytest.raises(ValueError, match="is no amount such as"):
        catalog([offer("gmi", "old", 6, "768p", price)])
