"""Whatever words strangers choose: nobody else is mentioned, no layout broken, nothing too long, in any language."""

import re
from dataclasses import replace
from string import Formatter
from typing import Any

from hypothesis import example
from hypothesis import strategies as st

from bot import catalog as catalogs
from bot.domain import language
from bot.domain.parcel import Change, Link, Parcel
from bot.domain.ports import ProviderEvent
from bot.domain.task import HANDED_OVER, SETTLED, UNCOLLECTED, TaskEvent, TaskState
from bot.media import pictures
from bot.posting import texts
from cogs.replies import task_history
from tests.fuzz.examples import fuzz
from tests.posting.test_texts import TASK

CATALOG = catalogs.load()
language.load()
#: Our own sentences, whose gaps strangers fill.
NOTES = sorted({note.template for note in language._catalogues["de"].notes})
_SIGNS = [
    "@everyone",
    "@here",
    "<@1>",
    "<@&1>",
    "<#1>",
    "</tasks show:1>",
    "](https://x.example)",
    "`",
    "```",
    "\n",
    "> ",
    "-# ",
    "\u202e",
    "\ud800",
    "\x00",
    "{reason}",
    "{0}",
    "{",
    "%s",
    "<t:0:R>",
    "https://x.example/?sig=1",
    "🐚",
    "\u200b",
]
words = st.lists(st.sampled_from(_SIGNS) | st.text(max_size=30), max_size=12).map("".join)


@st.composite
def _notes(draw: st.DrawFn) -> str:
    """One of our sentences with strangers' words, or other sentences, in its gaps."""
    template = draw(st.sampled_from(NOTES))
    names = [name for _, name, _, _ in Formatter().parse(template) if name]
    inner = words | st.sampled_from(NOTES)
    return template.format(**{name: draw(inner) for name in names})


notes = (
    words
    | _notes()
    | st.sampled_from([HANDED_OVER, SETTLED, UNCOLLECTED]).flatmap(
        lambda begin: words.map(lambda more: begin + more)
    )
)
languages = st.sampled_from(language.LANGUAGES)


def harmless(text: str, lines: int | None = None) -> None:
    """Nobody but the member is mentioned, and a message takes it."""
    assert len(text.encode("utf-16-le", "surrogatepass")) // 2 <= texts.MESSAGE_LENGTH
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", text)
    told = bare.replace(f"<@{TASK.member_id}>", "")
    assert not re.search(r"@everyone|@here|<[@#/]|\]\(", told)
    assert "\u202e" not in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]", text)
    if lines is not None:
        assert text.count("\n") == lines


@example(note="x", lang="de", prompt="", state=TaskState.FAILED, paused="@everyone")
@fuzz(
    150,
    note=notes,
    lang=languages,
    prompt=words,
    state=st.sampled_from(list(TaskState)),
    paused=st.none() | words,
)
def test_progress(note: str, lang: str, prompt: str, state: TaskState, paused: str | None) -> None:
    task = replace(TASK, state=state, problem=note or None, prompt=prompt, due_at=None)
    with language.reading(lang):
        harmless(texts.status_line(task, CATALOG, paused=paused), 0)
        harmless(texts.progress_head(task, CATALOG), 1)


@fuzz(60, lang=languages, prompt=words, several=st.booleans(), url=st.text(max_size=3000))
def test_clip(lang: str, prompt: str, several: Any, url: str) -> None:
    parcel = Parcel(None, Change.NONE, Link(f"https://cdn.example/{'a' * len(url)}", None, own=False))
    with language.reading(lang):
        shown = texts.ready_message(
            replace(TASK, prompt=prompt), CATALOG, cost_micros=1, parcel=parcel, several=several
        )
    harmless(shown, 3)
    head, quote, *_, last = shown.split("\n")
    assert head.startswith(f"<@{TASK.member_id}>") or f"<@{TASK.member_id}>" in head
    assert quote.startswith("> ")
    assert last.endswith(f"`{TASK.id}`")


@fuzz(
    60,
    lang=languages,
    found=st.lists(notes, min_size=1, max_size=12),
    theirs=st.lists(st.tuples(words, notes)),
)
def test_history(lang: str, found: list[str], theirs: list[tuple[str, str]]) -> None:
    events = [TaskEvent(0, TaskState.PARKED, note) for note in found]
    with language.reading(lang):
        harmless(task_history(TASK, CATALOG, events, [], [ProviderEvent(*event) for event in theirs]))


@example(lang="de", note="not posted yet: " * 400)
@fuzz(60, lang=languages, note=st.builds(lambda note, times: note * times, notes, st.integers(1, 400)))
def test_what_is_told_of_a_note(lang: str, note: str) -> None:
    with language.reading(lang):
        assert language.said(note) or not note


@fuzz(60, lang=languages, name=words)
def test_file_name(lang: str, name: str) -> None:
    with language.reading(lang):
        shown = pictures._shown(name)
    inside = shown.strip("`")
    assert shown == "the picture" or (shown == f"`{inside}`" and inside.isprintable() and "`" not in inside)
    assert len(shown) <= 62
