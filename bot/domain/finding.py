"""What an examination of the bot found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of it; `mend` is what to do, and set only where something is wrong."""

    about: str
    text: str
    mend: str | None = None
