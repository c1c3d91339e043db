"""Strangers' words, made harmless for where Discord shows them."""

import re
import unicodedata

#: What Discord's markdown reads: signs that it takes anywhere; at the start of a line; dots and colons of links.
_SIGNS = re.compile(r"[\\*_~|`\[\]<>@:]|^[#-]|(?<=\w)\.(?=\w)")
_NUMBERED = re.compile(r"\d+(?=\.)")
#: They turn the rest of the line around.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def plain(text: str, *, length: int = 200) -> str:
    """A stranger's words on one line that Discord shows as they are, at most `length` characters with the escapes.

    A backslash stands before every sign that would become markdown, a mention, a link, an emoji or a time.
    """
    words = " ".join("".join(letter for letter in " ".join(text.split()) if _shown(letter)).split())
    signs = {match.start() for match in _SIGNS.finditer(words)}
    if numbered := _NUMBERED.match(words):
        signs.add(numbered.end())
    pieces = [f"\\{letter}" if place in signs else letter for place, letter in enumerate(words)]
    if sum(map(_length, pieces)) <= length:
        return "".join(pieces)
    kept, left = [], length - 1
    for piece in pieces:
        left -= _length(piece)
        if left < 0:
            break
        kept.append(piece)
    return "".join(kept) + "…"


def _shown(letter: str) -> bool:
    return letter not in _TURNING and unicodedata.category(letter) not in {"Cc", "Cs"}


def _length(piece: str) -> int:
    """As the strictest counter counts: in UTF-16."""
    return sum(2 if letter > "\uffff" else 1 for letter in piece)
