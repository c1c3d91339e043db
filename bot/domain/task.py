"""A task is one requested clip, from the hold of its price to the delivered message."""

from dataclasses import dataclass
from enum import StrEnum

from bot.domain.catalog import Format, Mode
from bot.domain.language import ENGLISH, kept


class TaskState(StrEnum):
    HELD = "held"
    SUBMITTING = "submitting"
    QUEUED = "queued"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PARKED = "parked"


_ENDS = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED})

#: Every move a task may make by itself. `submitting → held` happens only when the provider certainly accepted
#: nothing; `processing → queued` does not exist: a provider whose status goes backwards is not followed.
#: A clip that could be posted nowhere and is kept no longer is ended as failed by `storage/erasures.py` alone.
#: One that was held when a backup was made is parked by `storage/restore.py` alone.
MOVES: dict[TaskState, frozenset[TaskState]] = {
    TaskState.HELD: frozenset({TaskState.SUBMITTING, TaskState.FAILED, TaskState.CANCELLED}),
    TaskState.SUBMITTING: _ENDS | {TaskState.HELD, TaskState.QUEUED, TaskState.PROCESSING, TaskState.PARKED},
    TaskState.QUEUED: _ENDS | {TaskState.PROCESSING, TaskState.PARKED},
    TaskState.PROCESSING: _ENDS | {TaskState.PARKED},
    TaskState.PARKED: _ENDS,
    TaskState.SUCCEEDED: frozenset({TaskState.DELIVERED}),
    TaskState.DELIVERED: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELLED: frozenset(),
}

#: Nothing more happens to these.
FINAL = frozenset(state for state, onward in MOVES.items() if not onward)
#: Those whose job may be running at a provider, for limits on running tasks.
RUNNING = frozenset({TaskState.SUBMITTING, TaskState.QUEUED, TaskState.PROCESSING})


@dataclass(frozen=True, slots=True)
class Frame:
    """A checked picture: pixels only, orientation applied, no metadata.

    `path` is the file in the data folder; `url` the address a provider can read it from, once it has one.
    """

    path: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One row of `tasks`. Times are whole milliseconds since 1970 (UTC); money is micros.

    `price_micros` is held; `list_micros`, never above it, is the list price at the provider that has the task now.
    `tried` are the providers that did not take it and never will. `approval_until` is set while a moderator's
    click is waited for, `waiting_since` once that or a pause of the server is over. `charged_micros` is what the
    provider itself says it charged. `erase_asked_at` is when the member wanted its words and pictures gone.
    `parent_id` is the clip that this one goes on from; `removed_by` whoever had the posted clip removed.
    What is `private` is shown to its member alone. `language` is the member's, for what is told of the task.
    """

    id: str
    interaction_id: int
    ordinal: int
    server_id: int
    channel_id: int
    member_id: int
    mode: Mode
    format: Format
    prompt: str
    camera: str | None
    enhance: bool
    first_frame: Frame | None
    last_frame: Frame | None
    provider: str
    price_micros: int
    list_micros: int
    state: TaskState
    created_at: int
    changed_at: int
    tried: tuple[str, ...] = ()
    upload_limit: int | None = None
    submitted_at: int | None = None
    due_at: int | None = None
    polls: int = 0
    job_id: str | None = None
    clip_url: str | None = None
    clip_expires_at: int | None = None
    problem: str | None = None
    progress_channel_id: int | None = None
    progress_message_id: int | None = None
    posting_since: int | None = None
    message_channel_id: int | None = None
    message_id: int | None = None
    approval_until: int | None = None
    waiting_since: int | None = None
    charged_micros: int | None = None
    erase_asked_at: int | None = None
    erased_at: int | None = None
    parent_id: str | None = None
    removed_by: int | None = None
    private: bool = False
    language: str = ENGLISH

    @property
    def erased(self) -> bool:
        """Its prompt and pictures are gone for good; its money, its times and where its messages stand are not."""
        return self.erased_at is not None

    @property
    def stranded(self) -> bool:
        """Its clip is paid and could be posted nowhere: nothing more happens to it by itself."""
        return self.state is TaskState.SUCCEEDED and self.due_at is None

    @property
    def key(self) -> str:
        """The idempotency key of the paid call: fixed with the task, the same on every try."""
        return f"conch-{self.id}"


#: Begins the note of a task that the operator ended with a cost but without a clip; once erased, it is all of it.
SETTLED = kept("settled by the operator")


#: Begins the note of a paid task whose clip could be posted nowhere and is kept no longer.
UNCOLLECTED = "its clip could be posted nowhere"


#: Noted with a clip that went to its member alone, in an answer that nobody else can open.
HANDED_OVER = kept("handed over in private")


def settled_at(cost: str, reason: str) -> str:
    return kept("settled by the operator at {cost}: {reason}", cost=cost, reason=reason)


def switched_off(provider: str) -> str:
    """Of a task at a provider that this bot no longer asks."""
    return kept("{provider} is switched off: switch it on again to collect this clip", provider=provider)


def restored(backup: str) -> str:
    """Of a task that may have gone on since the backup was made that the database comes from."""
    return kept(
        "the database was restored from a backup of {backup}, and this clip may have been made since",
        backup=backup,
    )


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """One line of a task's history. `at` is milliseconds since 1970."""

    at: int
    state: TaskState
    note: str


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """`kind` is hold, settle, release or refund; the amounts are the changes this entry makes, in micros."""

    kind: str
    held_micros: int
    spent_micros: int
    refunded_micros: int
    at: int
