"""Every text that somebody in Discord can read, in every language: there, whole, and within Discord's limits."""

import ast
import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from babel.messages.catalog import Message
from discord import app_commands

from bot.app import build
from bot.client import Conch
from bot.domain import language
from bot.domain.language import ENGLISH, KEPT, LANGUAGES, NAME
from bot.settings import read_settings
from bot.translator import Words
from tools import words

OTHERS = [one for one in LANGUAGES if one != ENGLISH]
#: https://discord.com/developers/docs/interactions/application-commands#application-command-object
NAMES = re.compile(r"[-_'\w\u0900-\u097f\u0e00-\u0e7f]{1,32}")
MOST_CHARACTERS = 8000
SPEAKING = {"tr", "trn", "short", "kept"}


@pytest.fixture(scope="module")
def wanted() -> list[words.Words]:
    return asyncio.run(words.all_words())


@pytest.fixture
async def client(tmp_path: Path) -> Any:
    async with build(read_settings({"PROVIDERS": "sandbox", "DATA_DIR": str(tmp_path)})) as app:
        yield app.client


def messages(name: str) -> dict[tuple[str, str | None], Message]:
    return {(key(one.id), one.context): one for one in words.catalogue(name) if one.id}


def key(text: Any) -> str:
    return text if isinstance(text, str) else str(text[0])


def forms(message: Message) -> tuple[str, ...]:
    return tuple(message.string) if isinstance(message.string, tuple | list) else (str(message.string),)


def values(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("name", OTHERS)
def test_no_text_is_missing_or_left_over(name: str, wanted: list[words.Words]) -> None:
    known = messages(name)
    assert {(key(one.id), one.context) for one in wanted} ^ known.keys() == set()
    assert [one.id for one in known.values() if not words.translated(one)] == []


@pytest.mark.parametrize("name", OTHERS)
def test_every_value_of_a_text_is_told_in_every_language(name: str) -> None:
    wrong = []
    for message in messages(name).values():
        english = {message.id} if isinstance(message.id, str) else set(message.id)
        most = set().union(*map(values, english))
        # "One clip" needs no number.
        least = most - {"number"} if len(english) > 1 else most
        wrong += [form for form in forms(message) if not least <= values(form) <= most]
    assert wrong == []


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_text_fits_where_it_stands(name: str, wanted: list[words.Words]) -> None:
    known = messages(name) if name != ENGLISH else {}
    too_long = []
    for one in wanted:
        if one.room:
            found = known.get((key(one.id), one.context))
            too_long += [form for form in (forms(found) if found else (key(one.id),)) if len(form) > one.room]
    assert too_long == []


@pytest.mark.parametrize("name", LANGUAGES)
async def test_commands_and_options_have_names_that_discord_takes(name: str, client: Conch) -> None:
    for siblings in families(client.tree):
        names = [in_language(name, one) for one in siblings]
        assert [one for one in names if not NAMES.fullmatch(one) or one != one.lower()] == []
        assert len(set(names)) == len(names), names


def families(tree: app_commands.CommandTree[Any]) -> Iterator[list[str]]:
    """The names that stand beside each other: of commands, of those of a group, of the options of one."""
    slash = [one for one in tree.get_commands() if not isinstance(one, app_commands.ContextMenu)]
    yield [one.name for one in slash]
    for command in slash:
        for part in [command, *(command.walk_commands() if isinstance(command, app_commands.Group) else ())]:
            if isinstance(part, app_commands.Group):
                yield [child.name for child in part.commands]
            else:
                yield [option.display_name for option in part.parameters]


def in_language(name: str, text: str) -> str:
    with language.reading(name):
        return language.named(text)


async def test_no_command_is_longer_than_discord_takes(client: Conch) -> None:
    for command in client.tree.get_commands():
        payload = await command.get_translated_payload(client.tree, Words())
        for name in LANGUAGES:
            assert characters(payload, name) <= MOST_CHARACTERS, (command.name, name)


def characters(part: dict[str, Any], name: str) -> int:
    """Of names, descriptions and values, in one language."""
    own = sum(
        len((part.get(f"{field}_localizations") or {}).get(name, part.get(field, "")))
        for field in ("name", "description")
    )
    inner = [*part.get("options", ()), *part.get("choices", ())]
    return own + len(str(part.get("value", ""))) + sum(characters(one, name) for one in inner)


async def test_discord_is_sent_the_names_of_every_language(client: Conch) -> None:
    for command in client.tree.get_commands():
        payload = await command.get_translated_payload(client.tree, Words())
        told = {*payload["name_localizations"], *payload.get("description_localizations", {})}
        assert {*OTHERS} - told == set(), command.name


@pytest.mark.parametrize("name", OTHERS)
async def test_texts_call_commands_by_their_names_in_that_language(name: str, client: Conch) -> None:
    paths = sorted(
        (part.qualified_name for one in client.tree.get_commands() for part in every_part(one)),
        key=len,
        reverse=True,
    )
    wrong = []
    for message in messages(name).values():
        for form, english in zip(forms(message), [key(message.id)] * 9, strict=False):
            for mention in re.findall(r"`/([a-z ]+)", english):
                path = next((one for one in paths if f"{mention} ".startswith(f"{one} ")), None)
                assert path is not None, f"{english} names a command that is none"
                local = " ".join(in_language(name, part) for part in path.split())
                wrong += [] if f"`/{local}" in form else [(form, local)]
    assert wrong == []


def every_part(command: Any) -> list[Any]:
    if isinstance(command, app_commands.ContextMenu):
        return []
    return [command, *(command.walk_commands() if isinstance(command, app_commands.Group) else ())]


def test_a_kept_note_names_each_value_once() -> None:
    kept = [one.id for one in words.words_of_code() if one.context == KEPT and isinstance(one.id, str)]
    named = {text: [name for _, name, _, _ in Formatter().parse(text) if name] for text in kept}
    assert [text for text, found in named.items() if len(found) != len(set(found))] == []
    assert [text for text in kept if len(re.sub(r"\{[^}]*\}|\W", "", text)) < 4] == []


@pytest.mark.parametrize("name", OTHERS)
def test_a_kept_note_formats_no_value(name: str) -> None:
    """A value that is told again is a word by then, whatever it was."""
    notes = [one for one in messages(name).values() if one.context == KEPT]
    every = [text for one in notes for text in (key(one.id), *forms(one))]
    wrong = [text for text in every for *_, spec, how in Formatter().parse(text) if spec or how]
    assert wrong == []


def test_no_text_is_spoken_where_it_would_not_be_found() -> None:
    """Babel does not look into f-strings."""
    found = {key(one.id) for one in words.words_of_code()}
    spoken = {
        text
        for package in ("bot", "cogs", "storage")
        for file in (words.ROOT / package).rglob("*.py")
        for text in texts_in(file)
    }
    assert spoken == found


def texts_in(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in SPEAKING:
            text = node.args[0]
            if isinstance(text, ast.Constant):
                yield str(text.value)
            else:  # `short` hands its own argument on, in the module of these functions alone
                assert file.name == "language.py", f"{file}:{node.lineno} speaks what is no literal"


def test_names_are_kept_apart_from_other_words(wanted: list[words.Words]) -> None:
    assert {one.context for one in wanted} == {None, KEPT, NAME}
