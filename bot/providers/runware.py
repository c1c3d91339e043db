"""Runware: arrays of tasks over one POST; we choose a job's id, so that a lost submit can be looked up by it."""

import hashlib
import re
from collections.abc import Callable, Sequence
from enum import IntEnum, auto
from typing import Annotated, Any, Self
from uuid import UUID, uuid4

import httpx
import pydantic_core
from pydantic import Field, StringConstraints, ValidationError, model_validator

from bot.domain.errors import (
    ContentRefused,
    JobNotFound,
    JobRejected,
    OutcomeUnknown,
    ProviderBusy,
    ProviderClosed,
    ProviderError,
    SetupError,
)
from bot.domain.language import kept
from bot.domain.money import dollars, micros_of
from bot.domain.ports import Clock, Job, Report
from bot.domain.published import Published
from bot.domain.task import Frame, TaskState
from bot.providers import sentences
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
from bot.providers.base import Hosted
from bot.providers.bodies import canonical, picture
from bot.providers.downloads import Downloads
from bot.providers.wire import Heard, Timing, Verdict

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


#: The shortest life of a link, in seconds, that Runware takes.
SHORTEST_TTL = 60
_V1 = "/v1"
_PROMPT = range(2, 2001)
_LABEL = "Runware"
_ACCOUNT_HELP = kept("See to the key and the balance in the Runware dashboard.")

#: Our model to theirs, and which numbers of frames it takes. That two frames work is documented, but an older
#: page knows the first only.
_MODELS = {
    "hailuo-02": ("minimax:3@1", {0, 1, 2}),
    "hailuo-2.3": ("minimax:4@1", {0, 1}),
    "hailuo-2.3-fast": ("minimax:4@2", {1}),
}
_SIZES = {"768p": (1366, 768), "1080p": (1920, 1080)}
_FORMATS = {(6, "768p"), (10, "768p"), (6, "1080p")}

#: HTTP codes that say all there is to say, whatever the body holds.
_BY_STATUS = {
    httpx.codes.UNAUTHORIZED,
    httpx.codes.PAYMENT_REQUIRED,
    httpx.codes.REQUEST_TIMEOUT,
    httpx.codes.TOO_MANY_REQUESTS,
}


class Runware(Hosted):
    """`safety` has Runware look at every clip; `ttl` is the life of a clip's link in seconds."""

    name = "runware"
    label = _LABEL
    home = "https://api.runware.ai"
    key_help = sentences.new_key(_LABEL, "RUNWARE_API_KEY")
    recovers = True
    #: Jobs asked about in one POST. No largest number is documented.
    batch = 20

    def __init__(
        self,
        client: httpx.AsyncClient,
        downloads: Downloads,
        *,
        key: str,
        clock: Clock,
        base: str | None = None,
        safety: bool = False,
        ttl: int = 86_400,
        timing: Timing | None = None,
    ) -> None:
        if ttl < SHORTEST_TTL:
            raise SetupError(f"Runware keeps links for {SHORTEST_TTL} s at least, not {ttl}.")
        super().__init__(client, downloads, key=key, base=base, classify=_classify, timing=timing)
        self._clock = clock
        self._safety = safety
        self._ttl = ttl

    def request(self, job: Job) -> bytes:
        """One task under an id that follows from the job's key; `JobRejected` for what Runware does not make."""
        frames = _frames(job)
        width, height = _SIZES.get(job.format.resolution, (0, 0))
        task: dict[str, Any] = {
            "taskType": "videoInference",
            "taskUUID": _uuid(f"conch-{job.task_id}"),
            "model": _model(job, len(frames)),
            "positivePrompt": job.prompt,
            "width": width,
            "height": height,
            "duration": job.format.duration,
            "deliveryMethod": "async",
            "outputType": "URL",
            "outputFormat": "MP4",
            "includeCost": True,
            "numberResults": 1,
            "ttl": self._ttl,
            "providerSettings": {"minimax": {"promptOptimizer": job.enhance}},
        }
        if frames:
            task["inputs"] = {
                "frameImages": [
                    {"image": picture(frame, job.read, self.label), "frame": place} for place, frame in frames
                ]
            }
        if self._safety:
            task["safety"] = {"checkContent": True, "mode": "fast"}
        if job.callback:
            task["webhookURL"] = job.callback
        return canonical([task])

    async def submit(self, body: bytes, *, key: str) -> Report:
        job_id, asked_at = _uuid(key), self._clock()
        reply = await self._call(body, spends=True)
        if item := reply.item(job_id):
            return self._accepted(job_id, item, asked_at)
        problem = reply.problem(job_id, None)
        if not problem:
            raise OutcomeUnknown(kept("Runware neither took nor refused a paid request."))
        return _not_taken(job_id, problem)

    async def status(self, job_id: str) -> Report:
        outcome = (await self.statuses([job_id]))[job_id]
        if isinstance(outcome, ProviderError):
            raise outcome
        return outcome

    async def statuses(self, job_ids: Sequence[str]) -> dict[str, Report | ProviderError]:
        """What became of each, `batch` to a POST; one POST that fails is the error of all that were in it."""
        outcomes: dict[str, Report | ProviderError] = {}
        asked = []
        for job_id in dict.fromkeys(job_ids):
            if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", job_id):
                asked.append(job_id)
            else:
                outcomes[job_id] = JobNotFound(sentences.NO_JOB_ID)
        for start in range(0, len(asked), self.batch):
            outcomes |= await self._ask(asked[start : start + self.batch])
        return outcomes

    async def _ask(self, job_ids: list[str]) -> dict[str, Report | ProviderError]:
        asked_at = self._clock()
        try:
            reply = await self._call(_question(job_ids))
        except ProviderError as error:
            return dict.fromkeys(job_ids, error)
        return {job_id: self._outcome(job_id, reply, asked_at) for job_id in job_ids}

    async def recover(
        self,
        body: bytes,
        *,
        key: str,
        since: int,  # noqa: ARG002  # the protocol's signature
        known: frozenset[str],  # noqa: ARG002  # the protocol's signature
    ) -> Report:
        """Look the lost submit up by its id. Where Runware has no such task, send it again under the same id.

        That a second submit under one id is refused and not billed is [assumed], which is why the look-up comes
        first. A look-up that fails says nothing of the job: neither does its `ProviderBusy` or `ProviderClosed`.
        """
        job_id, asked_at = _uuid(key), self._clock()
        reply = await self._look_up(job_id)
        if _is_unknown(job_id, reply):
            return await self.submit(body, key=key)
        return self._found(job_id, reply, asked_at)

    async def find(self, key: str) -> Report | None:
        """Look it up by its id. Silence, which elsewhere means a pending job, may mean here that there is none."""
        job_id, asked_at = _uuid(key), self._clock()
        reply = await self._look_up(job_id)
        if _is_unknown(job_id, reply):
            return None
        if not (reply.item(job_id) or reply.problem(job_id) or reply.problem(None)):
            raise ProviderBusy(kept("{provider} said nothing of this job", provider=_LABEL))
        return self._found(job_id, reply, asked_at)

    async def _look_up(self, job_id: str) -> Reply:
        try:
            return await self._call(_question([job_id]))
        except JobRejected as error:
            raise _untold(error) from error

    def _found(self, job_id: str, reply: Reply, asked_at: int) -> Report:
        outcome = self._outcome(job_id, reply, asked_at)
        if isinstance(outcome, JobNotFound):
            raise _untold(outcome) from outcome
        if isinstance(outcome, ProviderError):
            raise outcome
        return outcome

    async def check(self) -> str:
        """Read the balance."""
        balance = await self._balance()
        if balance is None:
            return "Runware accepts the key, but names no balance."
        return f"Runware accepts the key; the balance is {dollars(balance)}."

    async def published(self) -> Published:
        """The balance; Runware's prices stand nowhere that a program could read them."""
        balance = await self._balance()
        return Published(
            balance_micros=balance, notes=("Runware tells the price of a clip only with the clip.",)
        )

    async def _balance(self) -> int | None:
        task_id = str(uuid4())
        task = {"taskType": "accountManagement", "taskUUID": task_id, "operation": "getDetails"}
        reply = await self._call(canonical([task]))
        if item := reply.item(task_id):
            return item.balance_micros
        problem = reply.problem(task_id, None)
        raise _at_large(problem) if problem else ProviderBusy("Runware says nothing of the account.")

    async def _call(self, tasks: bytes, *, spends: bool = False) -> Reply:
        reply = await self._wire.call(
            "POST", _V1, model=Reply, body=tasks, spends=spends, repeatable=not spends, about_job=False
        )
        return reply.without(self._wire.hide)

    def _accepted(self, job_id: str, item: Item, asked_at: int) -> Report:
        """Of a job that is certainly ours. One that ended without its clip is no error yet: `status` asks again."""
        if item.state is TaskState.SUCCEEDED and not item.video_url:
            return Report(job_id=job_id, state=TaskState.PROCESSING)
        return self._report(job_id, item, asked_at)

    def _outcome(self, job_id: str, reply: Reply, asked_at: int) -> Report | ProviderError:
        """Of a job that was asked about. Where nothing is said of it, it is still pending [assumed]."""
        item, problem = reply.item(job_id), reply.problem(job_id)
        clip = item and item.state is TaskState.SUCCEEDED and item.video_url
        if problem and not clip:
            return _ended(job_id, problem)
        if item and item.state is TaskState.SUCCEEDED and not clip:
            return ProviderBusy(sentences.no_clip(_LABEL))
        if item:
            return self._report(job_id, item, asked_at)
        general = reply.problem(None)
        return _at_large(general) if general else Report(job_id=job_id, state=TaskState.PROCESSING)

    def _report(self, job_id: str, item: Item, asked_at: int) -> Report:
        """The link's life is counted from before the question, so that it is never thought to be longer."""
        succeeded, failed = item.state is TaskState.SUCCEEDED, item.state is TaskState.FAILED
        if self._safety and item.unsafe and succeeded:
            why = kept("Runware's check of the finished clip found unsafe content.")
            return Report(
                job_id, TaskState.FAILED, cost_micros=item.cost_micros, reason=why, content_refused=True
            )
        reason = self._wire.reason(item.said) if failed else None
        return Report(
            job_id=job_id,
            state=item.state,
            progress=item.progress,
            clip_url=item.video_url if succeeded else None,
            clip_expires_at=asked_at + self._ttl * 1000 if succeeded else None,
            cost_micros=item.cost_micros,
            reason=reason,
            content_refused=failed and speaks_of_content(reason or ""),
        )


def _uuid(key: str) -> str:
    """The id of a task: it follows from the task's key alone, and looks like a UUID of version 4."""
    return str(UUID(bytes=hashlib.sha256(key.encode()).digest()[:16], version=4))


def _question(job_ids: Sequence[str]) -> bytes:
    return canonical([{"taskType": "getResponse", "taskUUID": job_id} for job_id in job_ids])


def _model(job: Job, frames: int) -> str:
    wished = job.format
    model, counts = _MODELS.get(wished.model, ("", set()))
    if not model or (wished.duration, wished.resolution) not in _FORMATS:
        raise JobRejected(sentences.unmade(_LABEL, wished.id))
    if frames not in counts:
        raise JobRejected(
            sentences.takes_no_last_frame(_LABEL, wished.model)
            if frames
            else sentences.needs_first_frame(_LABEL, wished.id)
        )
    if len(job.prompt) not in _PROMPT:
        raise JobRejected(
            kept("Runware takes prompts of {least} to {most} characters.", least=_PROMPT[0], most=_PROMPT[-1])
        )
    return model


def _frames(job: Job) -> list[tuple[str, Frame]]:
    if job.last_frame and not job.first_frame:
        raise JobRejected(sentences.last_frame_alone(_LABEL))
    return [
        (place, frame) for place, frame in (("first", job.first_frame), ("last", job.last_frame)) if frame
    ]


def _classify(heard: Heard) -> Verdict | None:
    """Let the errors of single tasks speak where the HTTP code alone would; None leaves it to the code."""
    if not httpx.codes.is_client_error(heard.status) or heard.status in _BY_STATUS:
        return None
    try:
        problems = Reply.model_validate_json(heard.body).problems
    except ValidationError:
        return None
    if heard.status == httpx.codes.FORBIDDEN and not any(problem.of_content for problem in problems):
        return None
    return Verdict.ANSWER if problems else None


def _is_unknown(job_id: str, reply: Reply) -> bool:
    """Whether Runware says itself, and nothing else, that it has no such task."""
    problem = reply.problem(job_id)
    return problem is not None and problem.kind is Kind.UNKNOWN_TASK and not reply.item(job_id)


def _untold(error: ProviderError) -> OutcomeUnknown:
    """Of the look-up or of an expired result, not of the job: it must not read as if nothing was made."""
    return OutcomeUnknown(kept("Runware does not tell what became of the job: {error}", error=error))


def _not_taken(job_id: str, problem: Problem) -> Report:
    """Of a submit. What is no certain refusal raises `OutcomeUnknown`."""
    kind, said = problem.kind, problem.said
    if kind is Kind.DUPLICATE:
        # An earlier try of ours was taken, because nobody else has this id [assumed].
        return Report(job_id=job_id, state=TaskState.QUEUED)
    if kind in {Kind.CLOSED, Kind.BUSY}:
        raise _at_large(problem)
    if kind in {Kind.SAFETY, Kind.REFUSED, Kind.UNKNOWN_TASK, Kind.EXPIRED}:
        refusal = ContentRefused if problem.of_content else JobRejected
        raise refusal(sentences.refused(_LABEL, said))
    if kind in {Kind.CANCELLED, Kind.FAILED} and problem.task_uuid == job_id:
        return _end(job_id, problem)
    raise OutcomeUnknown(sentences.unusable_to_paid(_LABEL, said))


def _ended(job_id: str, problem: Problem) -> Report | ProviderError:
    """Of a job that was asked about. An error of the question, not of the job, is none of its ends."""
    kind = problem.kind
    if kind is Kind.UNKNOWN_TASK:
        return JobNotFound(sentences.unknown_job(_LABEL, problem.said))
    if kind is Kind.EXPIRED:
        return JobNotFound(kept("Runware no longer keeps this job ({said}).", said=problem.said))
    question = problem.task_type == "getResponse" and kind in {Kind.REFUSED, Kind.OTHER}
    if question or kind in {Kind.CLOSED, Kind.BUSY, Kind.SERVER, Kind.DUPLICATE}:
        return _at_large(problem)
    return _end(job_id, problem)


def _end(job_id: str, problem: Problem) -> Report:
    if problem.kind is Kind.CANCELLED:
        return Report(job_id=job_id, state=TaskState.CANCELLED, reason=problem.said)
    return Report(
        job_id=job_id,
        state=TaskState.FAILED,
        reason=problem.said or None,
        content_refused=problem.of_content,
    )


def _at_large(problem: Problem) -> ProviderError:
    """An error that is no job's end: the operator's to mend, or something that passes."""
    if problem.kind is Kind.CLOSED:
        return ProviderClosed(sentences.account_closed(_LABEL, problem.said, _ACCOUNT_HELP))
    return ProviderBusy(sentences.wait(_LABEL, problem.said))
