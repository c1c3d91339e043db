"""What admins did: who, when, to what, before and after."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deed:
    """One admin action as it is written down. `action` is the command's path, such as "limits set".

    `subject` is what it was done to; `before` and `after` are words for people, "" for nothing.
    """

    server_id: int
    actor_id: int
    action: str
    subject: str = ""
    before: str = ""
    after: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A deed with its moment, milliseconds since 1970."""

    at: int
    deed: Deed
