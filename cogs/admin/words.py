"""Words that others have chosen, in an admin's private answers."""

import re

from bot.domain.language import tr
from bot.posting import texts

_MENTION = re.compile(r"\\<(\\@[!&]?|#)([0-9]{15,20})\\>")


def shown(text: str, *, length: int = 200) -> str:
    """As `texts.plain`, but members, roles and channels are shown by their names; nobody is notified."""
    return _MENTION.sub(
        lambda found: f"<{found[1].removeprefix(chr(92))}{found[2]}>", texts.plain(text, length=length)
    )


def permission(name: str) -> str:
    """As Discord's settings call it. `name` is discord.py's, of those that the bot needs somewhere."""
    known = {
        "read_messages": tr("View Channel"),
        "view_channel": tr("View Channel"),
        "send_messages": tr("Send Messages"),
        "send_messages_in_threads": tr("Send Messages in Threads"),
        "embed_links": tr("Embed Links"),
        "attach_files": tr("Attach Files"),
        "read_message_history": tr("Read Message History"),
    }
    return known.get(name, name.replace("_", " ").title())
