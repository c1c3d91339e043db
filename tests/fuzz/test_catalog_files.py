"""A catalog file is read or refused with a sentence that names the place, whatever stands in it."""

import re
from importlib import resources
from pathlib import Path

from hypothesis import example
from hypothesis import strategies as st

from bot import catalog
from bot.domain.catalog import Mode
from bot.domain.errors import SetupError
from tests.fuzz.examples import fuzz

SOURCE = resources.files("bot").joinpath("catalog.toml").read_text()
_LINES = SOURCE.splitlines()
#: Values and names as they stand in the file.
_PIECES = re.compile(r'"[^"\n]*"|\[[^\[\]\n]*\]|\b[\w.-]+\b')
_SPANS = [match.span() for match in _PIECES.finditer(SOURCE)]

_values = st.sampled_from(
    [
        "",
        "-1",
        "0",
        "1e400",
        "nan",
        "inf",
        "9" * 400,
        "9" * 5000,
        "true",
        '""',
        "[]",
        "{}",
        "[[]]",
        "{ a = 1 }",
        "1979-05-27",
        "0001-01-01",
        "1979-05-27T07:32:00Z",
        "[" * 500,
        "{a=" * 500,
        '"\\ud800"',
        '"""',
        "'''",
        '"0.28',
        "offers",
        "models.x",
        '"a.b"',
        "[[offers]]",
        "[offers]",
        "=",
        "#",
        "\n",
        "\r",
        "\x00",
        "\u2028",
        "hailuo-02",
        '"text"',
        '["text", "text"]',
        '"' + "9" * 5000 + '"',
    ]
) | st.text(max_size=20)
_edits = st.one_of(
    st.tuples(st.just("piece"), st.integers(0, len(_SPANS) - 1), _values),
    st.tuples(st.just("line"), st.integers(0, len(_LINES) - 1), _values),
    st.tuples(st.just("before"), st.integers(0, len(_LINES) - 1), _values),
    st.tuples(st.just("cut"), st.integers(0, len(SOURCE)), st.just("")),
    st.tuples(st.just("twice"), st.integers(0, len(_LINES) - 1), st.just("")),
)


def edited(source: str, kind: str, place: int, value: str) -> str:
    if kind == "piece":
        spans = [match.span() for match in _PIECES.finditer(source)] or [(0, 0)]
        begin, end = spans[place % len(spans)]
        return source[:begin] + value + source[end:]
    if kind == "cut":
        return source[:place]
    lines = source.split("\n")
    place %= len(lines)
    match kind:
        case "line":
            lines[place] = value
        case "before":
            lines.insert(place, value)
        case _:
            lines.insert(place, lines[place])
    return "\n".join(lines)


def read_or_refused(path: Path) -> None:
    try:
        found = catalog.load(path)
    except SetupError as error:
        assert str(path) in str(error)
        assert "is no TOML" in str(error) or re.search(r", line [1-9]\d*: ", str(error))
        return
    providers = list(found.providers)
    for mode in Mode:
        for offer in found.menu(mode, providers):
            assert offer.micros >= 0
            assert found.label(offer)


@example(edits=[("line", 1, "a = " + "9" * 5000)])
@example(edits=[("line", 1, "a = " + "[" * 5000)])
@example(edits=[("line", 70, "-1")])
@fuzz(120, edits=st.lists(_edits, min_size=1, max_size=3))
def test_changed_catalog(edits: list[tuple[str, int, str]], tmp_path: Path) -> None:
    source = SOURCE
    for edit in edits:
        source = edited(source, *edit)
    path = tmp_path / "catalog.toml"
    path.write_bytes(source.encode("utf-8", "surrogatepass"))
    read_or_refused(path)


@fuzz(40, source=st.binary() | st.text().map(str.encode))
def test_any_file_as_catalog(source: bytes, tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_bytes(source)
    read_or_refused(path)
