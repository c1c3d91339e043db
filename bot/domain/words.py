"""Blocked words: how words and prompts are made comparable, and when one stands in the other as a whole word."""

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

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
#: More signs than any language uses; the bound is there for those who try all of Unicode.
_REMEMBERED = 8192


def folded(text: str) -> str:
    """The text as it is compared: without case, compatibility forms, accents and invisible signs.

    White space, hyphens and underscores become one space, apostrophes become one kind. Folding twice changes nothing.
    """
    kept, base = [], " "
    for letter in "".join(map(_folded_letter, text)):
        if not _is_mark(letter):
            base = letter
        elif min(base, letter) < _FIRST_SPELLED:
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
    bounds = _bounds(text) if anywhere else []
    return [word for word in anywhere if _stands(word, text, bounds)]


def _bounds(text: str) -> list[int]:
    """For every place in the text the nearest, from there on, at which a word may begin or end."""
    bounds = [len(text)] * (len(text) + 1)
    for place in range(len(text) - 1, 0, -1):
        bounds[place] = bounds[place + 1] if _joined(text[place - 1], text[place]) else place
    bounds[0] = 0
    return bounds


def _stands(word: str, text: str, bounds: Sequence[int]) -> bool:
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        if bounds[start] == start and bounds[end] == end:
            return True
        start = text.find(word, bounds[start + 1])
    return False


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
    gone = place == _OVERLAY or place >= _PLACED or category in {"Cc", "Cf", "Cs", "Me"}
    return "" if gone or piece in _INVISIBLE else piece


@lru_cache(_REMEMBERED)
def _is_mark(letter: str) -> bool:
    return unicodedata.category(letter).startswith("M")


@lru_cache(_REMEMBERED)
def _word_kind(letter: str) -> str:
    """What a word is made of: "L" letters with their marks, "N" digits; "" for what is no part of a longer word."""
    kind = unicodedata.category(letter)[0]
    if kind == "N":
        return kind
    if kind not in "LM" or unicodedata.name(letter, "").startswith(_UNSPACED):
        return ""
    return "L"
