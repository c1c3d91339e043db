"""Reads the catalog file; every problem is told with the line it stands on."""

import re
import tomllib
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from bot.domain.catalog import Catalog, OfferError
from bot.domain.errors import SetupError

#: One offer opens: in the list, or as a table of its own.
_OFFER = re.compile(r"(?:^|[\[,])\s*\{|^\s*\[\[\s*offers\s*\]\]")


def load(path: Path | None = None) -> Catalog:
    """The built-in catalog, or the operator's file. `SetupError` names the line and the reason."""
    name = str(path) if path else "the built-in catalog"
    try:
        raw = (path or resources.files("bot").joinpath("catalog.toml")).read_bytes()
        source = raw.decode("utf-8-sig")
    except OSError as error:
        raise SetupError(f"CATALOG_FILE: {name} cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SetupError(f"CATALOG_FILE: {name}, line {line}: not UTF-8; save it as UTF-8") from error
    try:
        tables = tomllib.loads(source)
    # A number of thousands of digits is a ValueError too.
    except (ValueError, RecursionError) as error:
        raise SetupError(f"CATALOG_FILE: {name} is no TOML: {error}") from error
    try:
        return Catalog.model_validate(tables)
    except ValidationError as error:
        raise SetupError("\n".join(_sentences(name, source, error))) from error


def _sentences(name: str, source: str, error: ValidationError) -> list[str]:
    sentences = []
    for problem in error.errors():
        place = problem["loc"]
        cause = problem.get("ctx", {}).get("error")
        if isinstance(cause, OfferError):
            place = ("offers", cause.number)
        where = ".".join(str(part) for part in place)
        sentences.append(f"CATALOG_FILE: {name}, line {_line(source, place)}: {where}: {problem['msg']}")
    return sentences


def _line(source: str, place: tuple[int | str, ...]) -> int:
    """The line of `("offers", 3, "price")` or `("providers", "gmi", "label")`, from 1.

    TOML keeps an inline table on one line, so the n-th offer stands where the n-th table without a key opens.
    """
    lines = source.split("\n")
    if len(place) > 1 and place[0] == "offers":
        offers = [number for number, line in enumerate(lines, 1) for _ in _OFFER.findall(_bare(line))]
        # What is no table in the list opens none.
        if int(place[1]) < len(offers):
            return offers[int(place[1])]
    best, depth = 1, 0
    header: list[str] = []
    for number, line in enumerate(lines, 1):
        if table := re.match(r"\s*\[+([^\]]+)\]+", line):
            header = _keys(table[1])
            path = header
        elif key := re.match(r'\s*((?:[\w.-]|"[^"]*")+)\s*=', line):
            path = header + _keys(key[1])
        else:
            continue
        common = 0
        while common < min(len(path), len(place)) and path[common] == str(place[common]):
            common += 1
        if common > depth:
            best, depth = number, common
    return best


def _bare(line: str) -> str:
    """A line without its strings and its comment."""
    return re.sub(r'"(\\.|[^"\\])*"|\'[^\']*\'|#.*', "", line)


def _keys(text: str) -> list[str]:
    return [part.strip().strip('"') for part in re.findall(r'"[^"]*"|[^."]+', text)]
