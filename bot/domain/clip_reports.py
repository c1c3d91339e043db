"""Clips that members report to the moderators."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    REMOVED = "removed"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class ClipReport:
    """One member's report of one clip; `at` is milliseconds since 1970.

    `message_id` is None until moderators were told, `verdict` until one of them, `decided_by`, has decided.
    """

    id: int
    task_id: str
    server_id: int
    member_id: int
    at: int
    reason: str
    message_id: int | None = None
    verdict: Verdict | None = None
    decided_by: int | None = None
