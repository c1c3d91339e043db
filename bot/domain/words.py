"""Blocked words: how words and prompts are made comparable, and when one stands in the other as a whole word."""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

#: Scripts that put no space between words, by how Unicode begins the names of their signs. Korean has spaces, but
#: writes its particles onto the word.
_UNSPACED = (
    "CJK",
    "IDEOGRAPHIC",
    "HIRAGANA",
    "KATAKANA",
    "BOPOMOFO",
    "HANGUL",
    "THAI",
    "LAO",
    "KHMER",
    "MYANMAR",
    "TIBETAN",
)
#: Invisible, although Unicode counts them as letters or marks: joiners, fillers and variation selectors.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f" + "".join(map(chr, range(0xFE00, 0xFE10)))
) | frozenset(map(chr, range(0xE0100, 0xE01F0)))
_APOSTROPHES = frozenset("\u2018\u2019\u02bc")
_MINUS = "\u2212"
#: Before this one stand the scripts whose marks are accents or points, such as Latin, Cyrillic, Hebrew and Arabic:
#: a word without them is the same word. After it marks spell vowels and tones, and without them it is another.
_FIRST_SPELLED = "\u0780"
#: Canonical combining classes: written through the letter, and from the first that only says on which side.
_OVERLAY, _PLACED = 1, 200
_VIRAMA = 9
#: What Unicode has not assigned is shown as nothing or as a box, but here lies room for emoji newer than Python.
_FIRST_PICTURE, _LAST_PICTURE = "\U0001f000", "\U0001faff"
#: The two marks that Hiragana and Katakana share have a name of their own.
_KANA = ("HIRAGANA", "KATAKANA", "COMBINING KATAKANA-HIRAGANA")
#: More signs than any language uses; the bound is there for those who try all of Unicode.
_REMEMBERED = 8192


def folded(text: str) -> str:
    """The text as it is compared: without case, compatibility forms, accents, strange marks and invisible signs.

    White space, hyphens and underscores become one space, apostrophes become one kind. Folding twice changes nothing.
    """
    kept, base = [], " "
    for letter in "".join(map(_folded_letter, text)):
        if not _is_mark(letter):
            base = letter
        elif min(base, letter) < _FIRST_SPELLED or _script(base) != _script(letter):
            continue
        kept.append(letter)
    # Composed again, or the Korean syllable 가 would be found at the beginning of 각.
    return " ".join(unicodedata.normalize("NFC", "".join(kept)).split())


def found(words: Iterable[str], prompt: str) -> list[str]:
    """Those of the words, all of them folded, that stand in a prompt as whole words, in their order.

    A word ends where letters meet digits or anything else, so `bad` is found in bad2, bad-tempered, _bad_ and bad's,
    but not in badge. In scripts without spaces it is found anywhere, but never ends within a syllable.
    """
    text = folded(prompt)
    anywhere = [word for word in words if word in text]
    marked = _marked(text) if anywhere else ""
    return [word for word in anywhere if _marked(word) in marked]


def _marked(text: str) -> str:
    """The text with a NUL, which no folded text has, wherever a word may begin or end.

    So a whole word is found by one search, in time that grows with the text alone, however often it stands in others.
    """
    pieces = [
        letter if _joined(before, letter) else f"\0{letter}" for before, letter in pairwise(f"\0{text}")
    ]
    return "".join(pieces) + "\0"


def _joined(before: str, after: str) -> bool:
    """Whether no word ends between two signs."""
    if _is_mark(after) or unicodedata.combining(before) == _VIRAMA:
        return True
    kind = _word_kind(before)
    return kind != "" and kind == _word_kind(after)


@lru_cache(_REMEMBERED)
def _folded_letter(letter: str) -> str:
    # Accents go first: folding the case of one, the Greek iota below, would make a letter of it.
    return _decomposed(_decomposed(letter).casefold())


def _decomposed(pieces: str) -> str:
    return "".join(map(_compared, unicodedata.normalize("NFKD", pieces)))


def _compared(piece: str) -> str:
    """One decomposed sign as it is compared; "" where it does not count."""
    category = unicodedata.category(piece)
    if piece.isspace() or piece == _MINUS or category in {"Zs", "Zl", "Zp", "Pd", "Pc"}:
        return " "
    if piece in _APOSTROPHES:
        return "'"
    place = unicodedata.combining(piece)
    if place == _OVERLAY or place >= _PLACED or category in {"Cc", "Cf", "Cs", "Me"} or piece in _INVISIBLE:
        return ""
    return "" if category == "Cn" and not _FIRST_PICTURE <= piece <= _LAST_PICTURE else piece


@lru_cache(_REMEMBERED)
def _is_mark(letter: str) -> bool:
    return unicodedata.category(letter).startswith("M")


@lru_cache(_REMEMBERED)
def _script(letter: str) -> str:
    """As far as a mark must have that of its letter: Unicode's names begin with it, in one word or more."""
    name = unicodedata.name(letter, "")
    return "KANA" if name.startswith(_KANA) else name.partition(" ")[0]


@lru_cache(_REMEMBERED)
def _word_kind(letter: str) -> str:
    """What a word is made of: "L" letters with their marks, "N" digits; "" for what is no part of a longer word."""
    kind = unicodedata.category(letter)[0]
    if kind == "N":
        return kind
    if kind not in "LM" or unicodedata.name(letter, "").startswith(_UNSPACED):
        return ""
    return "L"
