"""Novita: one paid POST that must not be sent twice and cannot be looked up, then reads."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

import httpx
from pydantic import Field, RootModel, StringConstraints, ValidationError, model_validator

from bot.domain.errors import (
    ContentRefused,
    JobNotFound,
    JobRejected,
    OutcomeUnknown,
    ProviderBusy,
    ProviderClosed,
    ProviderError,
)
from bot.domain.language import kept
from bot.domain.money import dollars, micros_of
from bot.domain.ports import Clock, Job, Report
from bot.domain.published import Published
from bot.domain.task import TaskState
from bot.providers import sentences
from bot.providers.answers import (
    Answer,
    ClipUrl,
    JobId,
    Lenient,
    reason_in,
    segment,
    speaks_of_content,
    state_of,
)
from bot.providers.base import Hosted
from bot.providers.bodies import address, canonical, picture
from bot.providers.downloads import Downloads
from bot.providers.wire import Heard, Timing, Verdict

_ASYNC = "/v3/async"
_BALANCE = "/openapi/v1/billing/balance/detail"
_LABEL = "Novita"
_KEY_HELP = sentences.new_key(_LABEL, "NOVITA_API_KEY")

ImageField = Literal["image_url", "image"]

#: By model and whether there is a first frame: the endpoint, and whether it takes `fast_pretreatment`. Only the
#: newest of three editions of the page of `minimax-hailuo-02` has that field, whose default is what we want.
_ENDPOINTS = {
    ("hailuo-02", False): ("minimax-hailuo-02", False),
    ("hailuo-02", True): ("minimax-hailuo-02", False),
    ("hailuo-2.3", False): ("minimax-hailuo-2.3-t2v", True),
    ("hailuo-2.3", True): ("minimax-hailuo-2.3-i2v", True),
    ("hailuo-2.3-fast", True): ("minimax-hailuo-2.3-fast-i2v", False),
}
_NAMES = {name for name, _ in _ENDPOINTS.values()}
_FORMATS = {(6, "768p"), (10, "768p"), (6, "1080p")}

_STATES = {
    "task_status_queued": TaskState.QUEUED,
    "task_status_processing": TaskState.PROCESSING,
    "task_status_succeed": TaskState.SUCCEEDED,
    "task_status_failed": TaskState.FAILED,
}

_NO_ADDRESS = kept(
    "Novita takes a picture without a public address only with the setting NOVITA_IMAGE_FIELD=image."
)
_TOP_UP = sentences.top_up(_LABEL)
_RIGHTS = kept("See in the Novita console what the account may use.")
#: Reasons that only the operator can mend, and how.
_FIXES = {
    "MISSING_API_KEY": _KEY_HELP,
    "INVALID_API_KEY": _KEY_HELP,
    "FEATURE_NOT_ALLOWED": _RIGHTS,
    "API_NOT_ALLOWED": _RIGHTS,
    "API_NOT_FOUND": kept("Check NOVITA_API_URL, and whether Novita still has this model."),
    "NEED_REAL_NAME_VERIFY": kept("Verify your name in the Novita console."),
    "BILLING_BALANCE_NOT_ENOUGH": _TOP_UP,
    "BILLING_AUTH_FAILED": kept("See in the Novita console whether billing is set up."),
}
_TASK_FAILED = "TASK_FAILED"
#: Reasons after which a job may exist or not; on a read they only mean "later".
_UNCLEAR = {"CREATE_TASK_FAILED", "GET_RESULT_FAILED", "BILLING_FAILED", _TASK_FAILED}


class _Problem(Answer):
    reason: Annotated[str, StringConstraints(to_upper=True, strip_whitespace=True, max_length=80)]
    message: Lenient[str] = None

    @property
    def said(self) -> str:
        return f"{self.reason}: {self.message or 'no more is said'}"


class _Accepted(Answer):
    task_id: JobId


class _Task(Answer):
    task_id: JobId
    status: Annotated[str, StringConstraints(max_length=40)]
    reason: Lenient[str] = None
    progress_percent: Lenient[Annotated[int, Field(ge=0, le=100)]] = None

    @property
    def state(self) -> TaskState:
        return state_of(self.status, _STATES)


class _Video(Answer):
    video_url: ClipUrl
    #: Seconds, sent as text.
    video_url_ttl: Lenient[Annotated[int, Field(gt=0, le=31_536_000, strict=False)]] = None


class _Result(Answer):
    task: _Task
    videos: Lenient[list[_Video]] = None


class _Failed(_Problem):
    """A failed job, told as an error instead of a result."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.reason != _TASK_FAILED:
            raise ValueError("neither a result nor a failed job")
        return self


class _Told(RootModel[_Result | _Failed]):
    root: Annotated[_Result | _Failed, Field(union_mode="left_to_right")]


#: An amount of money in units of 0.0001 dollars, sent as text.
_Units = Annotated[Decimal, Field(ge=-(10**12), le=10**12, strict=False)]


class _Balance(Answer):
    available: Lenient[_Units] = Field(default=None, alias="availableBalance")
    credit: Lenient[_Units] = Field(default=None, alias="creditLimit")
    #: Two names of one thing, the second the newer.
    invoices: Lenient[_Units] = Field(default=None, alias="outstandingInvoices")
    pending: Lenient[_Units] = Field(default=None, alias="pendingCharges")


class Novita(Hosted):
    """`image_field` is the first frame's field at `minimax-hailuo-02`, whose documentation has named both.

    Only under `image` does it take pictures as data and a last frame. `webhooks` sends a job's callback along,
    which the pages of these models do not promise to be taken.
    """

    name = "novita"
    label = _LABEL
    home = "https://api.novita.ai"
    key_help = _KEY_HELP

    def __init__(
        self,
        client: httpx.AsyncClient,
        downloads: Downloads,
        *,
        key: str,
        clock: Clock,
        base: str | None = None,
        image_field: ImageField = "image_url",
        webhooks: bool = False,
        timing: Timing | None = None,
    ) -> None:
        super().__init__(client, downloads, key=key, base=base, classify=_classify, timing=timing)
        self._clock = clock
        self._image_field = image_field
        self._webhooks = webhooks

    def request(self, job: Job) -> bytes:
        """The endpoint, a line break, then the exact body; `JobRejected` for what Novita does not make."""
        endpoint, pretreats = _endpoint(job)
        wish: dict[str, Any] = {
            "prompt": job.prompt,
            "duration": job.format.duration,
            "resolution": job.format.resolution.upper(),
            "enable_prompt_expansion": job.enhance,
        }
        if pretreats:
            wish["fast_pretreatment"] = False
        wish |= self._pictures(job)
        if self._webhooks and job.callback:
            wish["extra"] = {"webhook": {"url": job.callback}}
        return endpoint.encode() + b"\n" + canonical(wish)

    def _pictures(self, job: Job) -> dict[str, str]:
        # The other models' pages know no edition but the one with `image`.
        field = self._image_field if job.format.model == "hailuo-02" else "image"
        pictures: dict[str, str] = {}
        if job.first_frame:
            by_address = field == "image_url"
            pictures[field] = (
                address(job.first_frame, _NO_ADDRESS)
                if by_address
                else picture(job.first_frame, job.read, self.label)
            )
        if job.last_frame:
            if job.format.model != "hailuo-02":
                raise JobRejected(sentences.takes_no_last_frame(_LABEL, job.format.model))
            if not job.first_frame:
                raise JobRejected(sentences.last_frame_alone(_LABEL))
            if field != "image":
                raise JobRejected(
                    kept("Novita takes a last frame only with the setting NOVITA_IMAGE_FIELD=image.")
                )
            pictures["end_image"] = picture(job.last_frame, job.read, self.label)
        return pictures

    async def submit(self, body: bytes, *, key: str) -> Report:  # noqa: ARG002  # the protocol's signature
        """The paid call. Novita knows no idempotency key, so `key` is not sent."""
        name, _, wish = body.partition(b"\n")
        endpoint = name.decode("ascii", "replace")
        if endpoint not in _NAMES:
            raise JobRejected(kept("The stored request names no endpoint of Novita."))
        accepted = await self._wire.call(
            "POST", f"{_ASYNC}/{endpoint}", model=_Accepted, body=wish, spends=True, repeatable=False
        )
        return Report(job_id=accepted.task_id, state=TaskState.QUEUED)

    async def status(self, job_id: str) -> Report:
        """`JobNotFound` in the first half minute may only mean that Novita has not seen its own job yet [assumed]."""
        segment(job_id)
        asked_at = self._clock()
        told = await self._wire.call("GET", f"{_ASYNC}/task-result", model=_Told, query={"task_id": job_id})
        result = told.root
        if isinstance(result, _Failed):
            return self._failure(job_id, result.said)
        if result.task.task_id != job_id:
            raise ProviderBusy(sentences.another_job(_LABEL))
        if result.task.state is TaskState.FAILED:
            return self._failure(job_id, result.task.reason or "")
        if result.task.state is TaskState.SUCCEEDED:
            return _success(job_id, result.videos, asked_at)
        return Report(job_id=job_id, state=result.task.state, progress=result.task.progress_percent)

    def _failure(self, job_id: str, said: str) -> Report:
        reason = self._wire.reason(said)
        refused = reason is not None and (speaks_of_content(reason) or "ILLEGAL_" in reason.upper())
        return Report(job_id=job_id, state=TaskState.FAILED, reason=reason, content_refused=refused)

    async def check(self) -> str:
        """Read the balance."""
        balance = _micros((await self._balance()).available)
        if balance is None:
            return "Novita accepts the key, but names no balance."
        return f"Novita accepts the key; the balance is {dollars(balance)}."

    async def published(self) -> Published:
        """The balance; Novita's prices stand nowhere that a program could read them."""
        found = await self._balance()
        amounts = {"Credit limit": found.credit, "Not yet paid": found.pending or found.invoices}
        notes = tuple(
            f"{name}: {dollars(micros)}." for name, units in amounts.items() if (micros := _micros(units))
        )
        return Published(balance_micros=_micros(found.available), notes=notes)

    async def _balance(self) -> _Balance:
        return await self._wire.call("GET", _BALANCE, model=_Balance, about_job=False)


def _endpoint(job: Job) -> tuple[str, bool]:
    wished = job.format
    found = _ENDPOINTS.get((wished.model, job.first_frame is not None))
    # What is made without a first frame is made from one, too.
    made = (wished.model, True) in _ENDPOINTS
    if not made or (wished.duration, wished.resolution) not in _FORMATS:
        raise JobRejected(sentences.unmade(_LABEL, wished.id))
    if not found:
        raise JobRejected(sentences.needs_first_frame(_LABEL, wished.id))
    return found


def _classify(heard: Heard) -> ProviderError | Verdict | None:
    """By `reason`, because one reason comes with several HTTP codes; None leaves it to the code."""
    if heard.status < httpx.codes.BAD_REQUEST:
        return None
    try:
        problem = _Problem.model_validate_json(heard.body)
    except ValidationError:
        return None
    reason, said = problem.reason, reason_in(problem.said)
    if reason == _TASK_FAILED and not heard.spends:
        return Verdict.ANSWER
    if fix := _FIXES.get(reason):
        return ProviderClosed(sentences.account_closed(_LABEL, said, fix))
    if reason in _UNCLEAR:
        return OutcomeUnknown(sentences.unusable(_LABEL, said))
    return _definite(reason, said) or _other_billing(heard.status, reason, said)


def _definite(reason: str, said: str) -> ProviderError | None:
    if reason == "RATE_LIMIT_EXCEEDED":
        return ProviderBusy(sentences.wait(_LABEL, said))
    if reason == "TASK_NOT_FOUND":
        return JobNotFound(sentences.unknown_job(_LABEL, said))
    if reason.startswith("ILLEGAL_"):
        return ContentRefused(sentences.refused(_LABEL, said))
    if reason.startswith(("INVALID_", "IMAGE_")):
        refusal = ContentRefused if speaks_of_content(said) else JobRejected
        return refusal(sentences.refused(_LABEL, said))
    return None


def _other_billing(status: int, reason: str, said: str) -> ProviderClosed | None:
    """A billing reason nobody documents; where the fault is Novita's, a job may exist."""
    if reason.startswith("BILLING_") and httpx.codes.is_client_error(status):
        return ProviderClosed(sentences.account_closed(_LABEL, said, _TOP_UP))
    return None


def _success(job_id: str, videos: list[_Video] | None, asked_at: int) -> Report:
    """The link's life is counted from before the question, so that it is never thought to be longer."""
    if not videos:
        raise ProviderBusy(sentences.no_clip(_LABEL))
    ttl = videos[0].video_url_ttl
    return Report(
        job_id=job_id,
        state=TaskState.SUCCEEDED,
        progress=100,
        clip_url=videos[0].video_url,
        clip_expires_at=None if ttl is None else asked_at + ttl * 1000,
    )


def _micros(units: Decimal | None) -> int | None:
    return None if units is None else micros_of(units / 10_000)
