"""What Runware answers: items and errors, each about one task of a request, and what its codes mean."""

import re
from collections.abc import Callable
from enum import IntEnum, auto
from typing import Annotated, Any, Self

import pydantic_core
from pydantic import Field, StringConstraints, model_validator

from bot.domain.money import micros_of
from bot.domain.task import TaskState
from bot.providers.answers import (
    Answer,
    ClipUrl,
    Dollars,
    Lenient,
    reason_in,
    speaks_of_content,
    state_of,
    words_of,
)

_STATES = {
    "queued": TaskState.QUEUED,
    "pending": TaskState.QUEUED,
    "scheduled": TaskState.QUEUED,
    "waiting": TaskState.QUEUED,
    "processing": TaskState.PROCESSING,
    "success": TaskState.SUCCEEDED,
    "error": TaskState.FAILED,
}
#: Of several items about one job, the one that says most.
_TELLING = [TaskState.QUEUED, TaskState.PROCESSING, TaskState.FAILED, TaskState.SUCCEEDED]


class Kind(IntEnum):
    """What an error is to us. Of several errors about one job the first kind here counts."""

    DUPLICATE = auto()
    SAFETY = auto()
    CLOSED = auto()
    BUSY = auto()
    CANCELLED = auto()
    UNKNOWN_TASK = auto()
    EXPIRED = auto()
    REFUSED = auto()
    FAILED = auto()
    SERVER = auto()
    OTHER = auto()


#: Codes, in small letters, are no closed set; these are the classes of Runware's own SDK. Safety comes before
#: validation for `invalidProviderContent`, the key before it for `invalidApiKey`; a provider's own key or credit
#: (the vendor behind Runware) is not ours to mend.
_KINDS = [
    (Kind.DUPLICATE, r"^(conflict|duplicate)\w*uuid$"),
    (Kind.SAFETY, r"contentpolicy|content(detected|violation)$|providercontent$|moderation"),
    (Kind.SAFETY, r"^(prompt|image)blocked$"),
    (Kind.CLOSED, r"^(?!.*provider).*(apikey|credits|quota|balance|permission|credentials|authentication)"),
    (Kind.CLOSED, r"^(paymentrequired|unauthorized|forbidden)$|^auth|^token"),
    (Kind.CLOSED, r"^(account|organization|workspace)(disabled|suspended)$"),
    (Kind.BUSY, r"^ratelimit|^toomanyrequests$"),
    (Kind.CANCELLED, r"^taskcancell?ed$"),
    (Kind.UNKNOWN_TASK, r"notfound$"),
    (Kind.EXPIRED, r"expired$"),
    (Kind.REFUSED, r"^(invalid|missing|unsupported|conflict|duplicate|incompatible|mismatch|validation)"),
    (Kind.REFUSED, r"^(value|array|max)|^unknown(parameter|model|provider)"),
    (Kind.FAILED, r"timeout|^provider|^(inferenceerror|noavailableserver)$|failed$|^model"),
    (Kind.SERVER, r"servererror$|^ser(vice|ver)unavailable$"),
]

_Uuid = Annotated[str, StringConstraints(max_length=100, to_lower=True)]


class Problem(Answer):
    code: Lenient[str] = None
    message: Lenient[str] = None
    task_uuid: Lenient[_Uuid] = Field(default=None, alias="taskUUID")
    task_type: Lenient[str] = Field(default=None, alias="taskType")
    parameter: Any = None

    @property
    def kind(self) -> Kind:
        code = (self.code or "").lower()
        found = next((kind for kind, pattern in _KINDS if re.search(pattern, code)), Kind.OTHER)
        clash = code.startswith(("duplicate", "conflict")) and self.parameter in ("taskUUID", ["taskUUID"])
        return Kind.DUPLICATE if clash else found

    @property
    def said(self) -> str:
        return reason_in(": ".join(part for part in (self.code, self.message) if part))

    @property
    def of_content(self) -> bool:
        return self.kind is Kind.SAFETY or speaks_of_content(self.said)


class _Wallet(Answer):
    """A balance as newer accounts show it [assumed from third-party clients]."""

    amount: Dollars
    free: Lenient[Dollars] = Field(default=None, alias="freeBalance")


class Item(Answer):
    task_uuid: _Uuid = Field(alias="taskUUID")
    status: Lenient[str] = None
    video_url: Lenient[ClipUrl] = Field(default=None, alias="videoURL")
    cost: Lenient[Dollars] = None
    unsafe: Lenient[bool] = Field(default=None, alias="NSFWContent")
    progress: Lenient[Annotated[int, Field(ge=0, le=100)]] = None
    balance: Lenient[Dollars | _Wallet] = None
    error: Any = None
    message: Any = None

    @property
    def state(self) -> TaskState:
        if self.status is None:
            return TaskState.SUCCEEDED if self.video_url else TaskState.QUEUED
        return state_of(self.status, _STATES)

    @property
    def rank(self) -> tuple[int, bool]:
        return _TELLING.index(self.state), bool(self.video_url)

    @property
    def said(self) -> str:
        return words_of(pydantic_core.to_json([self.error, self.message]))

    @property
    def cost_micros(self) -> int | None:
        return None if self.cost is None else micros_of(self.cost)

    @property
    def balance_micros(self) -> int | None:
        found = self.balance
        if isinstance(found, _Wallet):
            found = found.amount + (found.free or 0)
        return None if found is None else micros_of(found)


class Reply(Answer):
    data: list[Lenient[Item]] | None = None
    errors: Lenient[list[Lenient[Problem]]] = None
    error: Lenient[Problem] = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.data is None and not self.problems:
            raise ValueError("neither data nor errors")
        return self

    @property
    def problems(self) -> list[Problem]:
        return [problem for problem in (*(self.errors or ()), self.error) if problem]

    def without(self, hide: Callable[[str], str]) -> Self:
        """The same with nothing in its problems that is to be hidden."""
        problems = [
            problem.model_copy(update={"message": hide(problem.message or "")}) for problem in self.problems
        ]
        return self.model_copy(update={"error": None, "errors": problems})

    def item(self, job_id: str) -> Item | None:
        about = [item for item in self.data or () if item and item.task_uuid == job_id]
        return max(about, key=lambda item: item.rank, default=None)

    def problem(self, *job_ids: str | None) -> Problem | None:
        """The problem of a job; of the whole request for None."""
        about = [problem for problem in self.problems if problem.task_uuid in job_ids]
        return min(about, key=lambda problem: problem.kind, default=None)
