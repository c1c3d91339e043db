"""Novita: one paid POST that must not be sent twice and cannot be looked up, then reads."""

import base64
import json
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
from pydantic import Field, StringConstraints, ValidationError

from bot.domain.errors import (
    ContentRefused,
    JobNotFound,
    JobRejected,
    OutcomeUnknown,
    ProviderBusy,
    ProviderClosed,
    ProviderError,
)
from bot.domain.money import dollars, micros_of
from bot.domain.ports import Clock, Job, ProviderEvent, Report
from bot.domain.published import Published
from bot.domain.task import Frame, TaskState
from bot.providers.answers import Answer, JobId, Lenient, clean, segment, speaks_of_content
from bot.providers.downloads import Downloads
from bot.providers.wire import Timing, Wire, bearer

BASE = "https://api.novita.ai"
LARGEST_FRAME = 3_000_000
LARGEST_CLIP = 500_000_000
#: Seconds one download may take.
DOWNLOAD_SECONDS = 300.0
_ASYNC = "/v3/async"
_BALANCE = "/openapi/v1/billing/balance/detail"
_KEY_HELP = "Make a new key in the Novita console and put it in NOVITA_API_KEY."

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

#: Status words to our states. A word we do not know is no end: the task is asked about again.
_STATES = {
    "task_status_queued": TaskState.QUEUED,
    "task_status_processing": TaskState.PROCESSING,
    "task_status_succeed": TaskState.SUCCEEDED,
    "task_status_failed": TaskState.FAILED,
}

_TOP_UP = "Top up the balance in the Novita console."
_RIGHTS = "See in the Novita console what the account may use."
#: Reasons that only the operator can mend, and how.
_FIXES = {
    "MISSING_API_KEY": _KEY_HELP,
    "INVALID_API_KEY": _KEY_HELP,
    "FEATURE_NOT_ALLOWED": _RIGHTS,
    "API_NOT_ALLOWED": _RIGHTS,
    "API_NOT_FOUND": "Check NOVITA_API_URL, and whether Novita still has this model.",
    "NEED_REAL_NAME_VERIFY": "Verify your name in the Novita console.",
    "BILLING_BALANCE_NOT_ENOUGH": _TOP_UP,
    "BILLING_AUTH_FAILED": "See in the Novita console whether billing is set up.",
}
#: Reasons after which a job may exist or not; on a read they only mean "later".
_UNCLEAR = {"CREATE_TASK_FAILED", "GET_RESULT_FAILED", "BILLING_FAILED"}


class _Problem(Answer):
    reason: Annotated[str, StringConstraints(to_upper=True, strip_whitespace=True, max_length=80)]
    message: Lenient[str] = None


class _Accepted(Answer):
    task_id: JobId


class _Task(Answer):
    task_id: JobId
    status: Annotated[str, StringConstraints(max_length=40)]
    reason: Lenient[str] = None
    progress_percent: Lenient[Annotated[int, Field(ge=0, le=100)]] = None

    @property
    def state(self) -> TaskState:
        return _STATES.get(self.status.strip().lower(), TaskState.PROCESSING)


class _Video(Answer):
    video_url: Annotated[
        str, StringConstraints(pattern=r"(?i)^https?://[^\s\x00-\x1f\x7f]+$", max_length=4096)
    ]
    #: Seconds, sent as text.
    video_url_ttl: Lenient[Annotated[int, Field(gt=0, le=31_536_000, strict=False)]] = None


class _Result(Answer):
    task: _Task
    videos: Lenient[list[_Video]] = None


#: An amount of money in units of 0.0001 dollars, sent as text.
_Units = Annotated[Decimal, Field(ge=-(10**12), le=10**12, strict=False)]


class _Balance(Answer):
    available: Lenient[_Units] = Field(default=None, alias="availableBalance")
    credit: Lenient[_Units] = Field(default=None, alias="creditLimit")
    #: Two names of one thing, the second the newer.
    invoices: Lenient[_Units] = Field(default=None, alias="outstandingInvoices")
    pending: Lenient[_Units] = Field(default=None, alias="pendingCharges")


class _TaskFailed(ProviderError):
    """A failed job, told as an error instead of a result."""


class Novita:
    """`image_field` is the first frame's field at `minimax-hailuo-02`, whose documentation has named both.

    Only under `image` does it take pictures as data and a last frame. `webhooks` sends a job's callback along,
    which the pages of these models do not promise to be taken.
    """

    name = "novita"
    idempotent = False
    recovers = False

    def __init__(
        self,
        client: httpx.AsyncClient,
        downloads: Downloads,
        *,
        key: str,
        clock: Clock,
        base: str = BASE,
        image_field: ImageField = "image_url",
        webhooks: bool = False,
        timing: Timing | None = None,
    ) -> None:
        self._wire = Wire(
            client,
            base,
            label="Novita",
            auth=bearer(key),
            key_help=_KEY_HELP,
            classify=_classify,
            timing=timing,
        )
        self._downloads = downloads
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
        callback = getattr(job, "callback", None)
        if self._webhooks and callback:
            wish["extra"] = {"webhook": {"url": callback}}
        text = json.dumps(wish, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return f"{endpoint}\n{text}".encode("utf-8", "replace")

    def _pictures(self, job: Job) -> dict[str, str]:
        # The other models' pages know no edition but the one with `image`.
        field = self._image_field if job.format.model == "hailuo-02" else "image"
        pictures: dict[str, str] = {}
        if job.first_frame:
            pictures[field] = _address(job.first_frame) if field == "image_url" else _picture(job.first_frame)
        if job.last_frame:
            if job.format.model != "hailuo-02" or not job.first_frame:
                raise JobRejected(
                    "Novita takes a last frame only for hailuo-02, and only beside a first one."
                )
            if field != "image":
                raise JobRejected("Novita takes a last frame only with the setting NOVITA_IMAGE_FIELD=image.")
            pictures["end_image"] = _picture(job.last_frame)
        return pictures

    async def submit(self, body: bytes, *, key: str) -> Report:  # noqa: ARG002  # the protocol's signature
        """The paid call. Novita knows no idempotency key, so `key` is not sent."""
        name, _, wish = body.partition(b"\n")
        endpoint = name.decode("ascii", "replace")
        if endpoint not in _NAMES:
            raise JobRejected("The stored request names no endpoint of Novita.")
        try:
            accepted = await self._wire.call(
                "POST", f"{_ASYNC}/{endpoint}", model=_Accepted, body=wish, spends=True, repeatable=False
            )
        except _TaskFailed as error:
            raise OutcomeUnknown(f"Novita named no job in its answer to a paid request ({error}).") from error
        return Report(job_id=accepted.task_id, state=TaskState.QUEUED)

    async def status(self, job_id: str) -> Report:
        """`JobNotFound` in the first half minute may only mean that Novita has not seen its own job yet [assumed]."""
        segment(job_id)
        asked_at = self._clock()
        try:
            result = await self._wire.call(
                "GET", f"{_ASYNC}/task-result", model=_Result, query={"task_id": job_id}
            )
        except _TaskFailed as error:
            return _failure(job_id, str(error))
        if result.task.task_id != job_id:
            raise ProviderBusy("Novita answered about another job.")
        if result.task.state is TaskState.FAILED:
            return _failure(job_id, result.task.reason or "")
        if result.task.state is TaskState.SUCCEEDED:
            return _success(job_id, result.videos, asked_at)
        return Report(job_id=job_id, state=result.task.state, progress=result.task.progress_percent)

    async def recover(
        self,
        body: bytes,  # noqa: ARG002  # the protocol's signature
        *,
        key: str,  # noqa: ARG002  # the protocol's signature
        since: int,  # noqa: ARG002  # the protocol's signature
        known: frozenset[str] = frozenset(),  # noqa: ARG002  # the protocol's signature
    ) -> Report:
        raise OutcomeUnknown("Novita has no way to ask.")

    async def events(self, job_id: str) -> list[ProviderEvent]:  # noqa: ARG002  # the protocol's signature
        """None: Novita keeps no history of a job."""
        return []

    async def download(self, url: str, to: Path) -> None:
        await self._downloads.fetch(url, to, limit=LARGEST_CLIP, seconds=DOWNLOAD_SECONDS)

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
        return await self._wire.call("GET", _BALANCE, model=_Balance)


def _endpoint(job: Job) -> tuple[str, bool]:
    wished = job.format
    found = _ENDPOINTS.get((wished.model, job.first_frame is not None))
    if (wished.duration, wished.resolution) not in _FORMATS or (not found and job.first_frame):
        raise JobRejected(f"Novita does not make {wished.id}.")
    if not found:
        raise JobRejected(f"Novita makes {wished.id} only from a first frame, if at all.")
    return found


def _address(frame: Frame) -> str:
    if not frame.url or not frame.url.startswith(("http://", "https://")):
        raise JobRejected(
            "Novita takes a picture without a public address only with the setting NOVITA_IMAGE_FIELD=image."
        )
    return frame.url


def _picture(frame: Frame) -> str:
    """Its address where it has one, else the picture itself; `JobRejected` where it is too large for that."""
    if frame.url:
        return frame.url
    try:
        with Path(frame.path).open("rb") as file:
            picture = file.read(LARGEST_FRAME + 1)
    except OSError as error:
        raise JobRejected("The picture is no longer on this machine; send it again.") from error
    if len(picture) > LARGEST_FRAME:
        raise JobRejected(f"The picture has more than the {LARGEST_FRAME / 1e6:g} MB that Novita takes.")
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode('ascii')}"


def _classify(status: int, body: bytes) -> ProviderError | None:
    """By `reason`, because one reason comes with several HTTP codes; None leaves it to the code."""
    if status < httpx.codes.BAD_REQUEST:
        return None
    try:
        problem = _Problem.model_validate_json(body)
    except ValidationError:
        return None
    said = clean(f"{problem.reason}: {problem.message or 'no more is said'}", 300)
    if fix := _FIXES.get(problem.reason):
        return ProviderClosed(f"Novita does nothing for this account ({said}). {fix}")
    if problem.reason in _UNCLEAR:
        return OutcomeUnknown(f"Novita gave no usable answer ({said}).")
    return _definite(problem.reason, said) or _other_billing(status, problem.reason, said)


def _definite(reason: str, said: str) -> ProviderError | None:
    if reason == "RATE_LIMIT_EXCEEDED":
        return ProviderBusy(f"Novita asks us to wait ({said}).")
    if reason == "TASK_NOT_FOUND":
        return JobNotFound(f"Novita does not know this job ({said}).")
    if reason == "TASK_FAILED":
        return _TaskFailed(said)
    if reason.startswith("ILLEGAL_"):
        return ContentRefused(f"Novita refused the request ({said}).")
    if reason.startswith(("INVALID_", "IMAGE_")):
        refusal = ContentRefused if speaks_of_content(said) else JobRejected
        return refusal(f"Novita refused the request ({said}).")
    return None


def _other_billing(status: int, reason: str, said: str) -> ProviderClosed | None:
    """A billing reason nobody documents; where the fault is Novita's, a job may exist."""
    if reason.startswith("BILLING_") and httpx.codes.is_client_error(status):
        return ProviderClosed(f"Novita does nothing for this account ({said}). {_TOP_UP}")
    return None


def _success(job_id: str, videos: list[_Video] | None, asked_at: int) -> Report:
    """The link's life is counted from before the question, so that it is never thought to be longer."""
    if not videos:
        raise ProviderBusy("Novita says the job succeeded, but names no clip.")
    ttl = videos[0].video_url_ttl
    return Report(
        job_id=job_id,
        state=TaskState.SUCCEEDED,
        progress=100,
        clip_url=videos[0].video_url,
        clip_expires_at=None if ttl is None else asked_at + ttl * 1000,
    )


def _failure(job_id: str, said: str) -> Report:
    reason = clean(said, 300) or None
    refused = reason is not None and (speaks_of_content(reason) or "ILLEGAL_" in reason.upper())
    return Report(job_id=job_id, state=TaskState.FAILED, reason=reason, content_refused=refused)


def _micros(units: Decimal | None) -> int | None:
    return None if units is None else micros_of(units / 10_000)
