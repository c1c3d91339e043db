"""Clips above a server's price wait for a moderator: one question for all clips of a command."""

from dataclasses import dataclass
from enum import StrEnum

from bot.domain.language import kept

#: Begins the note of a clip that a moderator did not allow; his reason may follow it.
DECLINED = kept("a moderator declined it")
EXPIRED = kept("nobody approved it in time")


def declined(reason: str) -> str:
    """The note of a clip that a moderator did not allow; `reason` is "" where there is none."""
    return kept("a moderator declined it: {reason}", reason=reason) if reason else DECLINED


class Decision(StrEnum):
    APPROVED = "approved"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Question:
    """What moderators are asked about one command, until `until` (milliseconds since 1970).

    `message_id` is None until they were asked, `decision` until it is decided; `decided_by` is a moderator.
    """

    interaction_id: int
    server_id: int
    until: int
    channel_id: int | None = None
    message_id: int | None = None
    decision: Decision | None = None
    decided_by: int | None = None
