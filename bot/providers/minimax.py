"""MiniMax itself: one paid POST that must not be sent twice and cannot be looked up, then reads and a file hop."""

from typing import Annotated, Any, Self

import httpx
import pydantic_core
from pydantic import BeforeValidator, Field, RootModel, StringConstraints, ValidationError, model_validator

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
from bot.domain.ports import Clock, Job, Report
from bot.domain.task import TaskState
from bot.providers import sentences
from bot.providers.answers import (
    Answer,
    ClipUrl,
    JobId,
    Lenient,
    clean,
    reason_in,
    segment,
    speaks_of_content,
    state_of,
    words_of,
)
from bot.providers.base import Hosted
from bot.providers.bodies import canonical, picture
from bot.providers.downloads import Downloads
from bot.providers.wire import Heard, Timing, Verdict

#: Each region has its own accounts and keys.
INTERNATIONAL = "https://api.minimax.io"
MAINLAND = "https://api.minimaxi.com"
#: Milliseconds a clip's link works. Older pages say nine hours.
LINK_LIFE = 3_600_000
_SUBMIT = "/v1/video_generation"
_QUERY = "/v1/query/video_generation"
_RETRIEVE = "/v1/files/retrieve"

_LARGE = frozenset({(6, "768p"), (10, "768p"), (6, "1080p")})
_SMALL = frozenset({(6, "512p"), (10, "512p")})
#: Our model to theirs, with its formats without a frame, with a first, and with both.
_MODELS = {
    "hailuo-02": ("MiniMax-Hailuo-02", (_LARGE, _LARGE | _SMALL, _LARGE)),
    "hailuo-2.3": ("MiniMax-Hailuo-2.3", (_LARGE, _LARGE, frozenset())),
    "hailuo-2.3-fast": ("MiniMax-Hailuo-2.3-Fast", (frozenset(), _LARGE, frozenset())),
}

#: Status words to our states, the callback's too.
_STATES = {
    "preparing": TaskState.QUEUED,
    "queueing": TaskState.QUEUED,
    "processing": TaskState.PROCESSING,
    "success": TaskState.SUCCEEDED,
    "fail": TaskState.FAILED,
    "failed": TaskState.FAILED,
}

_LABEL = "MiniMax"
_KEY_HELP = kept(
    "Put a working key in MINIMAX_API_KEY. It may belong to the other region: international keys work at "
    "{international}, mainland keys at {mainland}, whichever MINIMAX_API_URL names.",
    international=INTERNATIONAL,
    mainland=MAINLAND,
)
#: `base_resp.status_code`s that only the operator can mend, and how.
_FIXES = {
    1004: _KEY_HELP,
    2049: _KEY_HELP,
    1008: sentences.top_up(_LABEL),
    2056: kept("The plan's five hours are used up: wait for the next, or take a larger plan."),
}
#: Codes of what was certainly not accepted, and seconds until it may be [assumed: the rates are per minute].
_RATES = {1002: 15.0, 1039: 15.0, 1041: 15.0, 2045: 60.0}
_SENSITIVE = {1026, 1027}
_ILLEGAL, _PARAMETER = 1042, 2013
#: After these a job may exist or not; on a read they only mean "later".
_UNCLEAR = {1000, 1001, 1013, 1024, 1033}


def _as_text(value: Any) -> Any:
    """An id as text: MiniMax sends the same one as a string here and as an int64 there."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_Id = Annotated[JobId, BeforeValidator(_as_text)]
#: Empty as long as there is no file.
_FileId = Annotated[str, BeforeValidator(_as_text), StringConstraints(pattern=r"^[!-~]{0,200}$")]


class _BaseResp(Answer):
    status_code: Lenient[int] = None
    status_msg: Lenient[str] = None


class _Reply(Answer):
    """What every answer has. HTTP is generally 200; success is told here, or not at all."""

    base_resp: Lenient[_BaseResp] = None
    task_id: Any = None
    status: Any = None

    @property
    def code(self) -> int | None:
        return self.base_resp.status_code if self.base_resp else None

    @property
    def failed(self) -> bool:
        """Whether a job is said to have failed, so that the code tells why."""
        return isinstance(self.status, str) and state_of(self.status, _STATES) is TaskState.FAILED

    @property
    def said(self) -> str:
        words = self.base_resp.status_msg if self.base_resp else None
        return f"{self.code}: {words or 'no more is said'}"


class _Accepted(_Reply):
    task_id: Lenient[_Id] = None


class _Task(_Reply):
    task_id: _Id
    status: Annotated[str, StringConstraints(max_length=40)]
    file_id: Lenient[_FileId] = None
    reason: Any = None
    error: Any = None
    message: Any = None

    @property
    def state(self) -> TaskState:
        return state_of(self.status, _STATES)

    @property
    def told(self) -> str:
        """What it says of its failure, wherever that stands: no place is documented."""
        words = self.base_resp.status_msg if self.base_resp else None
        words = None if (words or "").strip().lower() == "success" else words
        return words_of(pydantic_core.to_json([words, self.reason, self.error, self.message]))


class _Refused(_Reply):
    """A query's answer that says that the content was refused, but nothing of the job."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.code not in _SENSITIVE or (self.failed and self.task_id):
            raise ValueError("no refusal")
        return self


class _Told(RootModel[_Refused | _Task]):
    root: Annotated[_Refused | _Task, Field(union_mode="left_to_right")]


class _File(Answer):
    download_url: ClipUrl
    file_id: Lenient[_FileId] = None


class _Retrieved(_Reply):
    file: _File


class MiniMax(Hosted):
    """`base` is the region's address, see `INTERNATIONAL` and `MAINLAND`."""

    name = "minimax"
    label = _LABEL
    home = INTERNATIONAL
    key_help = _KEY_HELP

    def __init__(
        self,
        client: httpx.AsyncClient,
        downloads: Downloads,
        *,
        key: str,
        clock: Clock,
        base: str | None = None,
        timing: Timing | None = None,
    ) -> None:
        super().__init__(client, downloads, key=key, base=base, classify=_classify, timing=timing)
        self._clock = clock

    def request(self, job: Job) -> bytes:
        """Every field written out, because defaults may change; `JobRejected` for what MiniMax does not make."""
        wish: dict[str, Any] = {
            "model": _model(job),
            "prompt": job.prompt,
            "duration": job.format.duration,
            "resolution": job.format.resolution.upper(),
            "prompt_optimizer": job.enhance,
        }
        if not job.last_frame:
            wish["fast_pretreatment"] = False
        if job.first_frame:
            wish["first_frame_image"] = picture(job.first_frame, job.read, self.label)
        if job.last_frame:
            wish["last_frame_image"] = picture(job.last_frame, job.read, self.label)
        if job.callback:
            wish["callback_url"] = job.callback
        return canonical(wish)

    async def submit(self, body: bytes, *, key: str) -> Report:  # noqa: ARG002  # the protocol's signature
        """The paid call. MiniMax knows no idempotency key, so `key` is not sent."""
        answer = await self._wire.call(
            "POST", _SUBMIT, model=_Accepted, body=body, spends=True, repeatable=False
        )
        if answer.code != 0 or not answer.task_id:
            raise OutcomeUnknown(
                kept(
                    "MiniMax did not say clearly that it took a paid request (job {job}, code {code}).",
                    job=self._wire.reason(str(answer.task_id)),
                    code=answer.code,
                )
            )
        return Report(job_id=answer.task_id, state=TaskState.QUEUED)

    async def status(self, job_id: str) -> Report:
        segment(job_id)
        told = await self._wire.call("GET", _QUERY, model=_Told, query={"task_id": job_id})
        task = told.root
        if isinstance(task, _Refused):
            reason = self._wire.reason(task.said)
            return Report(job_id, TaskState.FAILED, reason=reason, content_refused=True)
        if task.task_id != job_id:
            raise ProviderBusy(sentences.another_job(_LABEL))
        if task.state is TaskState.SUCCEEDED:
            return await self._finished(job_id, task.file_id or "")
        return self._report(task)

    def _report(self, task: _Task) -> Report:
        if task.state is not TaskState.FAILED:
            return Report(job_id=task.task_id, state=task.state)
        reason = self._wire.reason(task.told)
        refused = task.code in _SENSITIVE or speaks_of_content(reason or "")
        return Report(job_id=task.task_id, state=task.state, reason=reason, content_refused=refused)

    async def _finished(self, job_id: str, file_id: str) -> Report:
        """A clip is there once it has a link; a link that cannot be had yet is no failure of the job."""
        if not file_id:
            raise ProviderBusy(sentences.no_clip(_LABEL))
        # The link's life is counted from before the question, so that it is never thought to be longer.
        asked_at = self._clock()
        file = await self._retrieved(file_id)
        if file.file_id and file.file_id != file_id:
            raise ProviderBusy(kept("MiniMax answered about another file."))
        return Report(
            job_id=job_id,
            state=TaskState.SUCCEEDED,
            clip_url=file.download_url,
            clip_expires_at=asked_at + LINK_LIFE,
        )

    async def _retrieved(self, file_id: str) -> _File:
        try:
            answer = await self._wire.call(
                "GET", _RETRIEVE, model=_Retrieved, query={"file_id": file_id}, about_job=False
            )
        except (ProviderBusy, ProviderClosed):
            raise
        except ProviderError as error:
            raise ProviderBusy(
                kept("The clip is made, but its link cannot be had yet: {error}", error=error)
            ) from error
        return answer.file

    async def check(self) -> str:
        """Ask for a job that cannot exist: whoever may look for it has a working key."""
        try:
            answer = await self._wire.call(
                "GET", _QUERY, model=_Reply, query={"task_id": "0"}, about_job=False
            )
        except JobNotFound:
            return "MiniMax accepts the key."
        except JobRejected as error:
            raise ProviderBusy(f"This is no answer of MiniMax: check MINIMAX_API_URL. {error}") from error
        if answer.code is None:
            raise ProviderBusy("This is no answer of MiniMax: check MINIMAX_API_URL.")
        return "MiniMax accepts the key."


def _model(job: Job) -> str:
    if job.last_frame and not job.first_frame:
        raise JobRejected(sentences.last_frame_alone(_LABEL))
    model, formats = _MODELS.get(job.format.model, ("", ()))
    wished = (job.format.duration, job.format.resolution)
    if not any(wished in some for some in formats):
        raise JobRejected(sentences.unmade(_LABEL, job.format.id))
    if wished not in formats[bool(job.first_frame) + bool(job.last_frame)]:
        raise JobRejected(kept("MiniMax does not make {format} from these frames.", format=job.format.id))
    return model


def _classify(heard: Heard) -> ProviderError | Verdict | None:
    """By `base_resp.status_code`, whatever the HTTP code; None where that tells of no error."""
    try:
        reply = _Reply.model_validate_json(heard.body)
    except ValidationError:
        return None
    code, said = reply.code, reason_in(reply.said)
    if not code:
        return None
    named = heard.spends and reply.task_id
    if (fix := _FIXES.get(code)) and not named:
        return ProviderClosed(sentences.account_closed(_LABEL, said, fix))
    if httpx.codes.is_success(heard.status) and reply.failed and code not in _RATES:
        return None
    if (reply.task_id and reply.status is None) or (reply.status and not reply.failed and code in _SENSITIVE):
        # On a submit that names a job, sending it again may cost again.
        job_id = clean(str(reply.task_id), 80)
        return OutcomeUnknown(
            kept("MiniMax contradicts itself about the job {job} ({said}).", job=repr(job_id), said=said)
        )
    return _by_code(code, said, spends=heard.spends) or _unheard_of(heard.status, said)


def _by_code(code: int, said: str, *, spends: bool) -> ProviderError | Verdict | None:
    if code in _RATES:
        return ProviderBusy(sentences.wait(_LABEL, said), retry_after=_RATES[code])
    if code in _UNCLEAR:
        return OutcomeUnknown(sentences.unusable(_LABEL, said))
    if code in _SENSITIVE:
        return ContentRefused(sentences.refused(_LABEL, said)) if spends else Verdict.ANSWER
    if code == _PARAMETER and not spends:
        # Only the id can be wrong; what MiniMax says of one it does not know is not documented [assumed].
        return JobNotFound(sentences.unknown_job(_LABEL, said))
    refused = code in {_ILLEGAL, _PARAMETER}
    return JobRejected(sentences.refused(_LABEL, said)) if refused else None


def _unheard_of(status: int, said: str) -> ProviderError | None:
    """A code nobody documents; where the HTTP code tells of an error, that one counts."""
    if httpx.codes.is_success(status):
        return OutcomeUnknown(sentences.unusable(_LABEL, said))
    return None
