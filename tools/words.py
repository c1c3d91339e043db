"""`make words`: brings the message files up to date with the code, so that what is left to translate shows.

New words come in empty, those that nothing says any more go, and everything else stays as it is.
"""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from babel.messages import pofile
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from discord import app_commands

from bot.app import build
from bot.domain.language import ENGLISH, KEPT, LANGUAGES, NAME
from bot.settings import read_settings

ROOT = Path(__file__).parent.parent
FILES = ROOT / "bot" / "languages"
_Keywords = Mapping[str, tuple[int, ...] | None]
_PACKAGES = ("bot", "cogs", "storage")
#: Functions of `bot.domain.language`, and which of their arguments are words.
_SPOKEN: _Keywords = {"tr": None, "trn": (1, 2)}
_WIDTH = 110
#: Files that differ in their date alone would differ for nothing.
_BEGAN = datetime(2026, 11, 20, tzinfo=UTC)


class Words(NamedTuple):
    """`id` is one text, or a singular and a plural; `room` is how many characters it has, 0 for enough."""

    id: str | tuple[str, str]
    context: str | None
    file: str
    room: int = 0


def words_of_code() -> Iterator[Words]:
    for package in _PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            source = file.relative_to(ROOT).as_posix()
            for found in _extracted(file, _SPOKEN):
                yield Words(found, None, source)
            for found in _extracted(file, {"short": None}):
                yield Words(found, None, source, room=45)
            for found in _extracted(file, {"kept": None}):
                yield Words(found, KEPT, source)


def _extracted(file: Path, keywords: _Keywords) -> Iterator[str | tuple[str, str]]:
    with file.open("rb") as source:
        for _, message, _, _ in extract("python", source, keywords=keywords):
            yield message if isinstance(message, str) else (message[0], message[1])


def words_of_commands(tree: app_commands.CommandTree) -> Iterator[Words]:
    for command in tree.get_commands():
        if isinstance(command, app_commands.ContextMenu):
            yield Words(command.name, None, "commands", room=32)
            continue
        parts = [command, *(command.walk_commands() if isinstance(command, app_commands.Group) else ())]
        for part in parts:
            yield Words(part.name, NAME, "commands", room=32)
            yield Words(part.description, None, "commands", room=100)
            for option in part.parameters if isinstance(part, app_commands.Command) else ():
                yield Words(option.display_name, NAME, "commands", room=32)
                yield Words(str(option.description), None, "commands", room=100)
                # A format is called the same everywhere.
                for choice in option.choices if option.name != "format" else ():
                    yield Words(choice.name, None, "commands", room=100)


async def all_words() -> list[Words]:
    """Everything a bot can say, the commands of one without a token among it."""
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings({"PROVIDERS": "sandbox", "DATA_DIR": folder})
        async with build(settings) as app:
            return [*words_of_code(), *words_of_commands(app.client.tree)]


def template(words: list[Words]) -> Catalog:
    found = Catalog(creation_date=_BEGAN)
    for one in words:
        room = [f"At most {one.room} characters."] if one.room else []
        found.add(one.id, context=one.context, locations=[(one.file, 0)], auto_comments=room)
    return found


def catalogue(language: str) -> Catalog:
    with (FILES / f"{language}.po").open("rb") as source:
        return pofile.read_po(source, abort_invalid=True)


def main() -> None:
    wanted = template(asyncio.run(all_words()))
    for language in LANGUAGES:
        if language == ENGLISH:
            continue
        file = FILES / f"{language}.po"
        found = Catalog(
            language.replace("-", "_"),
            header_comment=f"# What Conch says, in {language}; `make words` brings it up to date.",
            project="Conch",
            version="1",
            msgid_bugs_address="-",
            last_translator="-",
            language_team="-",
            creation_date=_BEGAN,
            revision_date=_BEGAN,
            fuzzy=False,
        )
        for message in catalogue(language) if file.exists() else ():
            if message.id:
                found[message.id] = message
        found.update(wanted, no_fuzzy_matching=True)
        found.obsolete.clear()
        missing = sum(not translated(message) for message in found if message.id)
        with file.open("wb") as target:
            pofile.write_po(target, found, width=_WIDTH, include_lineno=False, omit_header=False)
        print(f"{file.relative_to(ROOT)}: {len(found)} texts, {missing} to translate")


def translated(message: Message) -> bool:
    """Whether every form of it has words."""
    forms = message.string if isinstance(message.string, tuple | list) else (message.string,)
    return all(forms)


if __name__ == "__main__":
    main()
