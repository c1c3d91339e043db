"""Words that others have chosen, in an admin's private answers."""

import re

from bot.posting import texts

_MENTION = re.compile(r"\\<(\\@[!&]?|#)([0-9]{15,20})\\>")


def shown(text: str, *, length: int = 200) -> str:
    """As `texts.plain`, but members, roles and channels are shown by their names; nobody is notified."""
    return _MENTION.sub(
        lambda found: f"<{found[1].removeprefix(chr(92))}{found[2]}>", texts.plain(text, length=length)
    )
