"""Our words in the language of whoever reads them.

Code holds the English words; `bot/languages/*.po` holds the others under them, one file for each language.
The reader is set once, where an interaction or a task comes in, and everything below speaks their language.
"""

import contextlib
import gettext
import io
from collections.abc import Iterator
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import NamedTuple

FILES = Path(__file__).parents[1] / "languages"
ENGLISH = "en-US"
#: By Discord's names of them, https://discord.com/developers/docs/reference#locales.
LANGUAGES = (ENGLISH, "zh-CN", "es-ES", "pt-BR", "ja", "fr", "de")
#: Those that are written without spaces.
UNSPACED = frozenset({"zh-CN", "ja"})
#: The context of what is written down in English and told in the reader's language.
KEPT = "kept"
#: The context of the names of commands and options, which Discord wants in small letters and without spaces.
NAME = "name"
#: Characters in the titles, labels and buttons of a form, in any language.
SHORT = 45
#: Values in notes that are others' words, and may happen to be like ours.
_PEOPLES = frozenset({"reason", "actor", "said"})
_REMEMBERED = 4096
#: Notes within notes that are told. Ours have three; a stranger's words could go on without end.
_DEEPEST = 8

_reader: ContextVar[str] = ContextVar("reader", default=ENGLISH)


class _Pattern(NamedTuple):
    """A note's English words as they are found again: what stands before, between and after its values."""

    template: str
    names: tuple[str, ...]
    pieces: tuple[str, ...]

    @classmethod
    def of(cls, template: str) -> "_Pattern":
        parsed = list(Formatter().parse(template))
        names = tuple(name for _, name, _, _ in parsed if name is not None)
        pieces = [before for before, _, _, _ in parsed]
        return cls(template, names, (*pieces, "") if parsed and parsed[-1][1] is not None else tuple(pieces))

    def values(self, note: str) -> list[str] | None:
        """The values in a note, each as short as can be; None where these are not its words.

        In time that grows with the note alone, which a regular expression's does not: notes hold strangers' words.
        """
        if not self.names:
            return [] if note == self.template else None
        first, *between, last = self.pieces
        at, end = len(first), len(note) - len(last)
        if not (note.startswith(first) and note.endswith(last)):
            return None
        found = []
        for piece in between:
            place = note.find(piece, at + 1, max(end, 0))
            if place < 0:
                return None
            found.append(note[at:place])
            at = place + len(piece)
        return [*found, note[at:end]] if at < end else None


class _Catalogue(NamedTuple):
    words: gettext.NullTranslations
    notes: tuple[_Pattern, ...]


_catalogues: dict[str, _Catalogue] = {ENGLISH: _Catalogue(gettext.NullTranslations(), ())}


def load() -> None:
    """Read every language's file, about a tenth of a second each: before the event loop has work, or in a thread."""
    for language in LANGUAGES:
        if language not in _catalogues:
            _catalogues[language] = _read(language)


def _read(language: str) -> _Catalogue:
    # A third of what a child process that looks at a clip would need to start; it reads none.
    from babel.messages import mofile, pofile  # noqa: PLC0415

    with (FILES / f"{language}.po").open("rb") as source:
        catalogue = pofile.read_po(source, abort_invalid=True)
    packed = io.BytesIO()
    mofile.write_mo(packed, catalogue)
    packed.seek(0)
    notes = (str(message.id) for message in catalogue if message.context == KEPT)
    # The most particular first: of two that fit, the one with more words of its own is meant.
    ordered = sorted(map(_Pattern.of, notes), key=lambda note: -sum(map(len, note.pieces)))
    return _Catalogue(gettext.GNUTranslations(packed), tuple(ordered))


def language_of(locale: str) -> str:
    """Ours for one of Discord's locales: its own, a related one such as `es-ES` for `es-419`, else English."""
    if locale in LANGUAGES:
        return locale
    family = locale.partition("-")[0]
    return next((one for one in LANGUAGES if one.partition("-")[0] == family), ENGLISH)


def reader() -> str:
    return _reader.get()


def read_by(locale: str) -> None:
    """From here on, in this asyncio task, words are for somebody with this locale of Discord's."""
    _reader.set(language_of(locale))


@contextlib.contextmanager
def reading(locale: str) -> Iterator[None]:
    """Words within are for somebody with this locale."""
    before = _reader.set(language_of(locale))
    try:
        yield
    finally:
        _reader.reset(before)


def tr(text: str, /, **values: object) -> str:
    """These words, with their values, for the reader."""
    words = _words().gettext(text)
    return words.format(**values) if values else words


def trn(one: str, many: str, number: int, /, **values: object) -> str:
    """These words for a `number` of things, which they name `{number}` where they tell it."""
    return _words().ngettext(one, many, number).format(number=number, **values)


def short(text: str, /, **values: object) -> str:
    """As `tr`, of words that have room for `SHORT` characters in every language."""
    return tr(text, **values)


def named(text: str) -> str:
    """The name of a command or option for the reader."""
    return _words().pgettext(NAME, text)


def kept(text: str, /, **values: object) -> str:
    """Words for the database and the log: English, told later by `said`. A template names each value once.

    What is called `reason`, `actor` or `said` are others' words and stay as they are.
    """
    return text.format(**values) if values else text


def said(note: str) -> str:
    """What was `kept`, for the reader. Words that are not ours, such as a provider's, stay as they are."""
    return _said(note, _reader.get(), _DEEPEST)


@lru_cache(_REMEMBERED)
def _said(note: str, language: str, deepest: int) -> str:
    catalogue = _catalogues[language]
    fits = [(one, found) for one in catalogue.notes if (found := one.values(note)) is not None]
    if not fits or not deepest:
        return note
    pattern, found = min(fits, key=_words_begin)
    values = {
        name: value if name in _PEOPLES else _said(value, language, deepest - 1)
        for name, value in zip(pattern.names, found, strict=True)
    }
    return catalogue.words.pgettext(KEPT, pattern.template).format(**values)


def _words_begin(fit: tuple[_Pattern, list[str]]) -> int:
    """Where a template's own words begin in a note: those of one within it begin later."""
    pattern, values = fit
    return len(values[0]) if pattern.template.startswith("{") else 0


def _words() -> gettext.NullTranslations:
    return _catalogues[_reader.get()].words
