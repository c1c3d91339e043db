"""The built-in catalog obeys the providers' rules, and every problem of a file names its line and its reason."""

import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from bot.catalog import load
from bot.domain.catalog import Catalog, Format, Mode
from bot.domain.errors import SetupError

BUILT_IN = resources.files("bot").joinpath("catalog.toml").read_text("utf-8")
LINES = BUILT_IN.split("\n")
OFFERS = [number for number, line in enumerate(LINES, 1) if line.startswith("  { ")]
T, F, FL = "text", "image", "transition"


def number_of(start: str) -> int:
    return next(number for number, line in enumerate(LINES, 1) if line.startswith(start))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "my catalog.toml"


def refusal(file: Path, text: str) -> list[str]:
    file.write_text(text, "utf-8")
    with pytest.raises(SetupError) as caught:
        load(file)
    return str(caught.value).splitlines()


def with_line(number: int, change: Callable[[str], str]) -> str:
    return "\n".join([*LINES[: number - 1], change(LINES[number - 1]), *LINES[number:]])


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(line: str) -> str:
        assert old in line
        return line.replace(old, new, 1)

    return change


# ------------------------------------------------------------------ the built-in file

#: providers.md 0.3, the local rules: (provider, model) → {resolution: {mode: durations}}.
ALLOWED: dict[tuple[str, str], dict[str, dict[str, set[int]]]] = {
    ("mindvideo", "hailuo-02"): {
        "512p": {F: {5, 10}},
        "768p": {T: {5, 10}, F: {5, 10}, FL: {5, 10}},
        "1080p": {T: {5}, F: {5}, FL: {5}},
    },
    ("mindvideo", "hailuo-2.3"): {"768p": {T: {6, 10}, F: {6, 10}}, "1080p": {T: {6}, F: {6}}},
    ("gmi", "hailuo-02"): {
        "512p": {F: {6, 10}},
        "768p": {T: {6, 10}, F: {6, 10}},
        "1080p": {T: {6}, F: {6}},
    },
    ("gmi", "hailuo-2.3-fast"): {"768p": {F: {6, 10}}, "1080p": {F: {6}}},
    ("novita", "hailuo-02"): {"768p": {T: {6, 10}, F: {6, 10}}, "1080p": {T: {6}, F: {6}}},
    ("novita", "hailuo-2.3"): {"768p": {T: {6, 10}, F: {6, 10}}, "1080p": {T: {6}, F: {6}}},
    ("novita", "hailuo-2.3-fast"): {"768p": {F: {6, 10}}, "1080p": {F: {6}}},
    ("runware", "hailuo-02"): {
        "768p": {T: {6, 10}, F: {6, 10}, FL: {6, 10}},
        "1080p": {T: {6}, F: {6}, FL: {6}},
    },
    ("runware", "hailuo-2.3"): {"768p": {T: {6, 10}, F: {6, 10}}, "1080p": {T: {6}, F: {6}}},
    ("runware", "hailuo-2.3-fast"): {"768p": {F: {6, 10}}, "1080p": {F: {6}}},
    ("minimax", "hailuo-02"): {
        "512p": {F: {6, 10}},
        "768p": {T: {6, 10}, F: {6, 10}, FL: {6, 10}},
        "1080p": {T: {6}, F: {6}, FL: {6}},
    },
    ("minimax", "hailuo-2.3"): {"768p": {T: {6, 10}, F: {6, 10}}, "1080p": {T: {6}, F: {6}}},
    ("minimax", "hailuo-2.3-fast"): {"768p": {F: {6, 10}}, "1080p": {F: {6}}},
}
PAID = {provider for provider, _ in ALLOWED}
#: providers.md 0.4: what is published, in dollars.
PUBLISHED = {
    ("minimax", "hailuo-02/6/512p"): "0.10",
    ("minimax", "hailuo-02/10/512p"): "0.15",
    ("minimax", "hailuo-02/6/768p"): "0.28",
    ("minimax", "hailuo-02/10/768p"): "0.56",
    ("minimax", "hailuo-02/6/1080p"): "0.49",
    ("minimax", "hailuo-2.3/6/768p"): "0.28",
    ("minimax", "hailuo-2.3/10/768p"): "0.56",
    ("minimax", "hailuo-2.3/6/1080p"): "0.49",
    ("minimax", "hailuo-2.3-fast/6/768p"): "0.19",
    ("minimax", "hailuo-2.3-fast/10/768p"): "0.32",
    ("minimax", "hailuo-2.3-fast/6/1080p"): "0.33",
    ("runware", "hailuo-2.3/6/768p"): "0.28",
    ("runware", "hailuo-2.3/10/768p"): "0.56",
    ("runware", "hailuo-2.3/6/1080p"): "0.49",
    ("runware", "hailuo-2.3-fast/6/768p"): "0.19",
    ("runware", "hailuo-2.3-fast/6/1080p"): "0.33",
    ("mindvideo", "hailuo-02/5/768p"): "0.225",
    ("mindvideo", "hailuo-2.3/6/768p"): "0.3294",
}


def offered(catalog: Catalog, provider: str, model: str) -> dict[str, dict[str, set[int]]]:
    found: dict[str, dict[str, set[int]]] = {}
    for offer in catalog.offers:
        if (offer.provider, offer.model) == (provider, model):
            for mode in offer.modes:
                found.setdefault(offer.resolution, {}).setdefault(mode, set()).add(offer.duration)
    return found


@pytest.mark.parametrize(("provider", "model"), ALLOWED)
def test_the_built_in_catalog_offers_exactly_what_the_provider_takes(provider: str, model: str) -> None:
    assert offered(load(), provider, model) == ALLOWED[provider, model]


def test_the_built_in_catalog_offers_no_other_pair_of_provider_and_model() -> None:
    pairs = {(offer.provider, offer.model) for offer in load().offers if offer.provider != "sandbox"}
    assert pairs == set(ALLOWED)


def test_what_any_paid_provider_makes_the_sandbox_makes_for_nothing() -> None:
    catalog = load()
    paid = {
        (mode, offer.format.id) for offer in catalog.offers if offer.provider in PAID for mode in offer.modes
    }
    free = {
        (mode, offer.format.id)
        for offer in catalog.offers
        if offer.provider not in PAID
        for mode in offer.modes
    }
    assert paid == free
    assert {offer.micros for offer in catalog.offers if offer.provider == "sandbox"} == {0}


def test_published_prices_are_the_published_ones_and_all_others_are_marked_as_assumed() -> None:
    offers = [offer for offer in load().offers if offer.provider in PAID]
    sure = {(offer.provider, offer.format.id): offer.price for offer in offers if not offer.assumed}
    assert sure == PUBLISHED
    assert all(offer.micros > 0 for offer in offers)


def test_every_price_has_its_source_and_date() -> None:
    assert all(offer.source.strip() and offer.date.year >= 2026 for offer in load().offers)


@pytest.mark.parametrize("mode", Mode)
def test_no_menu_is_longer_than_discord_allows(mode: Mode) -> None:
    catalog = load()
    for providers in (list(catalog.providers), sorted(PAID)):
        labels = [catalog.label(offer) for offer in catalog.menu(mode, providers)]
        assert 0 < len(labels) <= 25
        assert len(set(labels)) == len(labels)
        assert all(len(label) <= 100 for label in labels)


def test_the_fifteen_camera_commands_are_there() -> None:
    cameras = load().cameras
    assert len(set(cameras)) == len(cameras) == 15


# ------------------------------------------------------------------ an operator's file


def test_one_more_line_is_one_more_entry_of_the_menu(file: Path) -> None:
    line = LINES[OFFERS[0] - 1].replace("duration = 5", "duration = 7").replace('"0.15"', '"0.07"')
    file.write_text(with_line(OFFERS[0], lambda first: f"{first}\n{line}"), "utf-8")
    labels = {load(file).label(offer) for offer in load(file).menu(Mode.IMAGE, ["mindvideo"])}
    before = {load().label(offer) for offer in load().menu(Mode.IMAGE, ["mindvideo"])}
    assert labels - before == {"Hailuo 02 · 7 s · 512p · $0.07"}


def test_an_operators_file_may_offer_ten_seconds_in_1080p(file: Path) -> None:
    number = next(n for n in OFFERS if '"minimax"' in LINES[n - 1] and '"1080p"' in LINES[n - 1])
    file.write_text(with_line(number, replaced("duration = 6", "duration = 10")), "utf-8")
    wanted = Format.parse("hailuo-02/10/1080p")
    assert [offer.provider for offer in load(file).offers_for(Mode.TEXT, wanted, ["minimax"])] == ["minimax"]


@pytest.mark.parametrize("change", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
def test_a_file_from_another_editor_is_read(file: Path, change: Callable[[str], str]) -> None:
    file.write_bytes(change(BUILT_IN).encode())
    assert load(file) == load()


# ------------------------------------------------------------------ problems


@pytest.mark.parametrize("number", [OFFERS[0], OFFERS[7], OFFERS[30], OFFERS[-1]])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((r"duration = \d+", 'duration = "6"'), "duration: Input should be a valid integer"),
        ((r"duration = \d+", "duration = 6.5"), "duration: Input should be a valid integer"),
        ((r"duration = \d+", "duration = 0"), "duration: Input should be greater than or equal to 1"),
        ((r"duration = \d+", "duration = 61"), "duration: Input should be less than or equal to 60"),
        ((r'price = "[0-9.]+"', "price = 0.28"), "price: Input should be a valid string"),
        ((r'price = "[0-9.]+"', 'price = "free"'), "price: .*'free' is no amount such as \"0.28\""),
        ((r'price = "[0-9.]+"', 'price = "-1"'), "price: .*'-1' is no amount"),
        ((r'price = "[0-9.]+", ', ""), "price: Field required"),
        ((r'source = "[^"]+"', 'source = ""'), "source: String should have at least 1 character"),
        ((r"date = [0-9-]+", 'date = "today"'), "date: Input should be a valid date"),
        ((r", date = [0-9-]+", ""), "date: Field required"),
        ((r"modes = ", "mode = "), "modes: Field required"),
        ((r"modes = \[[^]]*\]", "modes = []"), "modes: List should have at least 1 item"),
        ((r"modes = \[[^]]*\]", 'modes = ["video"]'), "modes.0: Input should be 'text', 'image' or 'transition'"),
        ((r" }", ", colour = 1 }"), "colour: Extra inputs are not permitted"),
        ((r'resolution = "\d+p"', 'resolution = "720p"'), "resolution: Input should be '512p', '768p' or '1080p'"),
        ((r'model = "[^"]+"', 'model = "sora"'), r"model 'sora' is not in \[models\]: hailuo-02, hailuo-2.3"),
        ((r'provider = "[^"]+"', 'provider = "x"'), r"provider 'x' is not in \[providers\]: mindvideo, gmi"),
        ((r'(modes = .*)resolution = "\d+p"', r'modes = ["text"], duration = 6, resolution = "512p"'), "512p needs"),
    ],
)  # fmt: skip
def test_a_bad_offer_is_told_with_its_line(
    file: Path, number: int, change: tuple[str, str], reason: str
) -> None:
    text = with_line(number, lambda line: re.sub(*change, line, count=1))
    sentences = refusal(file, text)
    place = f"CATALOG_FILE: {file}, line {number}: offers.{OFFERS.index(number)}"
    assert all(sentence.startswith(place) for sentence in sentences)
    assert any(re.search(reason, sentence) for sentence in sentences)


def test_an_offer_made_twice_is_told_with_the_line_of_the_second(file: Path) -> None:
    (sentence,) = refusal(file, with_line(OFFERS[2], lambda line: f"{line}\n\n{line}"))
    assert f"line {OFFERS[2] + 2}: offers.3: " in sentence
    assert "hailuo-02/5/768p is offered twice by mindvideo for" in sentence


def test_comments_and_strings_full_of_braces_do_not_shift_the_line(file: Path) -> None:
    noise = '  # { provider = "old" }, [{\n'
    source = replaced("MiniMax list price of the longer", 'list, {see} [{ \\" # there }')
    text = with_line(OFFERS[0], lambda line: noise + source(line)).replace('price = "0.25"', "price = 1")
    (sentence,) = refusal(file, text)
    assert f"line {OFFERS[1] + 1}: offers.1.price" in sentence


def test_offers_may_share_a_line(file: Path) -> None:
    one = LINES[OFFERS[0] - 1].strip()
    bad = one.replace('"0.15"', "15")
    text = BUILT_IN.replace(
        "offers = [\n", f"offers = [ {one.replace('= 5', '= 8')} {bad.replace('= 5', '= 9')}\n"
    )
    (sentence,) = refusal(file, text)
    assert f"line {number_of('offers = [')}: offers.1.price" in sentence


def test_offers_may_be_tables_of_their_own(file: Path) -> None:
    tables = '[[offers]]\nprovider = "gmi"\n# the rest is missing\n\n[[ offers ]]\nprovider = 5'
    sentences = refusal(file, tables + "\ncameras = []\n[models]\n[providers]\n")
    places = {sentence.split(": ")[1].rpartition(" ")[2] + sentence.split(": ")[2] for sentence in sentences}
    assert {"1offers.0.price", "5offers.1.provider"} <= places


@pytest.mark.parametrize(
    ("start", "old", "new", "place", "reason"),
    [
        ('"hailuo-2.3" =', "label", "name", "models.hailuo-2.3.label", "Field required"),
        ("hailuo-02 =", '"Hailuo 02"', '""', "models.hailuo-02.label", "at least 1 character"),
        ("hailuo-02 =", "hailuo-02", '"Hailuo 02"', "models.Hailuo 02", "should match pattern"),
        ('label = "Novita"', '"Novita"', "7", "providers.novita.label", "valid string"),
        ("[providers.minimax]", "x]", "x]\nspeed = 3", "providers.minimax.speed", "Extra inputs"),
        ("[providers.gmi.image]", "image", "picture", "providers.gmi.image", "Field required"),
        ("cameras", "= [", "= [ 5,", "cameras.0", "valid string"),
        ("cameras", "cameras", "camera", "camera", "Extra inputs"),
    ],
)  # fmt: skip
def test_a_bad_line_elsewhere_is_told(
    file: Path, start: str, old: str, new: str, place: str, reason: str
) -> None:
    number = number_of(start)
    sentences = refusal(file, with_line(number, replaced(old, new)))
    lines = {number, number + new.count("\n"), number_of("[providers.gmi]") if "gmi" in place else number}
    found = [s for s in sentences if f": {place}" in s and re.search(reason, s)]
    assert [s for s in found if int(s.split(", line ")[1].split(":")[0]) in lines], sentences


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("prompt_limit", "2001", "less than or equal to 2000"),
        ("concurrency", "0", "greater than 0"),
        ("requests_per_minute", "true", "valid integer"),
        ("max_bytes", "-1", "greater than 0"),
        ("min_ratio", '"2:5"', "valid number"),
        ("max_ratio", "nan", "greater than 0"),
    ],
)
def test_a_bad_rule_of_a_provider_is_told_with_its_line(
    file: Path, key: str, value: str, reason: str
) -> None:
    first = number_of("[providers.runware]")
    number = next(n for n in range(first, len(LINES)) if LINES[n - 1].startswith(f"{key} ="))
    (sentence,) = refusal(file, with_line(number, lambda _: f"{key} = {value}"))
    assert f", line {number}: providers.runware." in sentence
    assert key in sentence
    assert reason in sentence


def test_several_problems_are_told_at_once(file: Path) -> None:
    text = with_line(OFFERS[1], replaced("duration", "length")).replace('label = "GMI Cloud"', "label = 1")
    lines = {sentence.split(", line ")[1].split(":")[0] for sentence in refusal(file, text)}
    assert lines == {str(OFFERS[1]), str(number_of('label = "GMI'))}


@pytest.mark.parametrize("number", [1, 20, len(LINES) - 2])
def test_a_syntax_error_is_told_with_its_line(file: Path, number: int) -> None:
    (sentence,) = refusal(
        file, with_line(number, lambda line: "= nothing" if number != 20 else line + " oops")
    )
    assert sentence.startswith(f"CATALOG_FILE: {file} is no TOML: ")
    assert f"(at line {number}, column " in sentence


def test_a_file_that_is_not_utf8_is_told_with_its_line(file: Path) -> None:
    file.write_bytes(BUILT_IN.replace("GMI Cloud", "GMI Clöud").encode("latin-1"))
    with pytest.raises(SetupError) as caught:
        load(file)
    line = number_of('label = "GMI')
    assert str(caught.value) == f"CATALOG_FILE: {file}, line {line}: not UTF-8; save it as UTF-8"


@pytest.mark.parametrize("name", ["nowhere.toml", "."])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(SetupError, match=r"^CATALOG_FILE: .* cannot be read: "):
        load(tmp_path / name)


def test_an_empty_file_lacks_everything(file: Path) -> None:
    sentences = refusal(file, "")
    assert [sentence.rpartition("line 1: ")[2] for sentence in sentences] == [
        f"{key}: Field required" for key in ("cameras", "models", "providers", "offers")
    ]
