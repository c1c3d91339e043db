"""How a finished clip goes to its member: as a file that Discord takes and players play, else as a link."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bot.domain.language import kept


class Change(StrEnum):
    """What was done to the pictures; a new container changes nothing of them."""

    NONE = kept("as it is")
    SMALLER = kept("made smaller to fit")
    CONVERTED = kept("converted so that it plays everywhere")


@dataclass(frozen=True, slots=True)
class Link:
    """`expires_at` is milliseconds since 1970, None where nobody says; `own`: it leads to this bot."""

    url: str
    expires_at: int | None
    own: bool


@dataclass(frozen=True, slots=True)
class Parcel:
    """`file` is None where no file fits; then there is a link. Beside a changed file it leads to the original."""

    file: Path | None
    change: Change = Change.NONE
    link: Link | None = None
