"""GMI Cloud: one paid POST that must not be sent twice, a list to look lost ones up in, then reads."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import pydantic_core
from pydantic import Field, StringConstraints

from bot.domain.errors import (
    ContentRefused,
    JobRejected,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    SetupError,
)
from bot.domain.language import kept
from bot.domain.money import dollars, micros_of
from bot.domain.ports import Job, Report
from bot.domain.published import Published
from bot.domain.task import TaskState
from bot.providers import sentences
from bot.providers.answers import (
    Answer,
    ClipUrl,
    Dollars,
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
from bot.providers.bodies import address, canonical
from bot.providers.downloads import Downloads
from bot.providers.wire import Heard, Timing

#: Milliseconds their clock may be behind ours.
_CLOCKS_APART = 60_000


@dataclass(frozen=True, slots=True)
class _Model:
    """`framed` are the resolutions that need a first frame."""

    slug: str
    formats: frozenset[tuple[int, str]]
    framed: frozenset[str]


#: Whether pictures as data are taken is unknown, so only addresses are sent.
_NO_ADDRESS = kept("GMI Cloud takes a picture only by its public address, and this one has none.")

_LARGE = frozenset({(6, "768p"), (10, "768p"), (6, "1080p")})
#: The slugs are case-sensitive; only the title of a guide names the first one [assumed, `check` looks].
_MODELS = {
    "hailuo-02": _Model("Minimax-Hailuo-02", _LARGE | {(6, "512p"), (10, "512p")}, frozenset({"512p"})),
    "hailuo-2.3-fast": _Model("Minimax-Hailuo-2.3-Fast", _LARGE, frozenset({"768p", "1080p"})),
}

_STATES = {
    "created": TaskState.QUEUED,
    "dispatched": TaskState.QUEUED,
    "queued": TaskState.QUEUED,
    "processing": TaskState.PROCESSING,
    "success": TaskState.SUCCEEDED,
    "failed": TaskState.FAILED,
    "cancelled": TaskState.CANCELLED,
}

#: The bound keeps out milliseconds, by which every old request would look like a new one.
_Seconds = Annotated[float, Field(ge=0, le=100_000_000_000)]


class _Media(Answer):
    url: ClipUrl


class _Outcome(Answer):
    media_urls: Lenient[list[_Media]] = None
    video_url: Lenient[ClipUrl] = None
    thumbnail_image_url: Lenient[str] = None

    @property
    def clip_url(self) -> str | None:
        urls = [*(media.url for media in self.media_urls or ()), self.video_url]
        return next((url for url in urls if url and url != self.thumbnail_image_url), None)


class _Request(Answer):
    request_id: JobId
    status: Annotated[str, StringConstraints(max_length=40)]
    model: Lenient[str] = None
    payload: Lenient[dict[str, Any]] = None
    created_at: Lenient[_Seconds] = None
    outcome: Any = None
    reason: Any = None
    error: Any = None
    message: Any = None

    @property
    def state(self) -> TaskState:
        return state_of(self.status, _STATES)

    @property
    def clip_url(self) -> str | None:
        if self.state is not TaskState.SUCCEEDED or not isinstance(self.outcome, dict):
            return None
        return _Outcome.model_validate(self.outcome).clip_url

    @property
    def said(self) -> str:
        """What it says of its end, wherever that stands: no place or shape is documented."""
        if self.state not in {TaskState.FAILED, TaskState.CANCELLED}:
            return ""
        return words_of(pydantic_core.to_json([self.reason, self.error, self.message, self.outcome]))


class _Requests(Answer):
    requests: list[Lenient[_Request]]


class _Models(Answer):
    model_ids: list[str]


class _PriceInfo(Answer):
    price: Lenient[Dollars] = None
    pricing_type: Lenient[str] = None
    unit: Lenient[str] = None


class _ModelInfo(Answer):
    price_info: Lenient[_PriceInfo] = None


class Gmi(Hosted):
    """`organization` is for accounts in several of them."""

    name = "gmi"
    label = "GMI Cloud"
    home = "https://console.gmicloud.ai/api/v1/ie/requestqueue/apikey"
    key_help = sentences.new_key(label, "GMI_API_KEY")
    recovers = True

    def __init__(
        self,
        client: httpx.AsyncClient,
        downloads: Downloads,
        *,
        key: str,
        base: str | None = None,
        organization: str | None = None,
        timing: Timing | None = None,
    ) -> None:
        member = _member_of(organization)
        super().__init__(
            client, downloads, key=key, base=base, headers=member, classify=_classify, timing=timing
        )

    def request(self, job: Job) -> bytes:
        """Every field written out; `JobRejected` for what GMI Cloud does not make."""
        model = _MODELS.get(job.format.model)
        if not model or (job.format.duration, job.format.resolution) not in model.formats:
            raise JobRejected(sentences.unmade(self.label, job.format.id))
        if job.last_frame:
            raise JobRejected(sentences.takes_no_last_frame(self.label, job.format.model))
        if not job.first_frame and job.format.resolution in model.framed:
            raise JobRejected(sentences.needs_first_frame(self.label, job.format.id))
        payload: dict[str, Any] = {
            "prompt": job.prompt,
            "duration": job.format.duration,
            "resolution": job.format.resolution.upper(),
            "prompt_optimizer": job.enhance,
            "fast_pretreatment": False,
        }
        if job.first_frame:
            payload["first_frame_image"] = address(job.first_frame, _NO_ADDRESS)
        return canonical({"model": model.slug, "payload": payload})

    async def submit(self, body: bytes, *, key: str) -> Report:  # noqa: ARG002  # the protocol's signature
        """The paid call. GMI Cloud knows no idempotency key, so `key` is not sent."""
        request = await self._wire.call(
            "POST", "/requests", model=_Request, body=body, spends=True, repeatable=False
        )
        return self._accepted(request)

    async def status(self, job_id: str) -> Report:
        request = await self._wire.call("GET", f"/requests/{segment(job_id)}", model=_Request)
        if request.request_id != job_id:
            raise ProviderBusy(sentences.another_job(self.label))
        if request.state is TaskState.SUCCEEDED and not request.clip_url:
            raise ProviderBusy(sentences.no_clip(self.label))
        return self._report(request)

    async def recover(
        self,
        body: bytes,
        *,
        key: str,  # noqa: ARG002  # the protocol's signature
        since: int,
        known: frozenset[str],
    ) -> Report:
        """Look a lost submit up in the list, by what was asked and when (`since`, milliseconds since 1970).

        `known` are jobs of other tasks, which may have asked for the same. `OutcomeUnknown` unless exactly one
        fits: the list may be paged and its echo may lack fields, so that a miss proves nothing [assumed].
        """
        asked = json.loads(body)
        fitting = {
            request.request_id: request
            for request in await self._requests(asked["model"])
            if request and request.request_id not in known and _fits(request, asked, since)
        }
        if len(fitting) > 1:
            raise OutcomeUnknown(
                kept("GMI Cloud has {number} jobs that may be this one.", number=len(fitting))
            )
        if not fitting:
            raise OutcomeUnknown(
                kept("GMI Cloud lists no such job, which does not prove that there is none.")
            )
        return self._accepted(fitting.popitem()[1])

    async def _requests(self, slug: str) -> list[_Request | None]:
        query = {"model_id": slug}
        try:
            found = await self._wire.call("GET", "/requests", model=_Requests, query=query, about_job=False)
        except JobRejected as error:
            # Of the list, not of the job: it must not read as if the job were refused.
            raise OutcomeUnknown(kept("GMI Cloud gives no list to look in: {error}", error=error)) from error
        return found.requests

    async def check(self) -> str:
        """Read the list of models, which tells whether the slugs are still spelt as we spell them."""
        problems = _unlisted(await self._listed())
        return " ".join(["GMI Cloud accepts the key.", *problems])

    async def published(self) -> Published:
        """The price of every model as GMI Cloud states it, by slug; it tells no balance."""
        listed = await self._listed()
        prices, notes = {}, _unlisted(listed)
        for slug in (model.slug for model in _MODELS.values() if model.slug in listed):
            info = await self._priced(slug)
            if info and info.price is not None:
                prices[slug] = micros_of(info.price)
                terms = clean(" ".join(filter(None, (info.pricing_type, info.unit))), 80) or "no unit named"
                notes.append(f"{slug}: {dollars(prices[slug])} ({terms}).")
            else:
                notes.append(f"GMI Cloud names no price of {slug}.")
        return Published(prices=prices, notes=tuple(notes))

    async def _listed(self) -> list[str]:
        return (await self._wire.call("GET", "/models", model=_Models, about_job=False)).model_ids

    async def _priced(self, slug: str) -> _PriceInfo | None:
        path = f"/models/{segment(slug)}"
        try:
            return (await self._wire.call("GET", path, model=_ModelInfo, about_job=False)).price_info
        except JobRejected:
            return None

    def _accepted(self, request: _Request) -> Report:
        """Of a job that is certainly ours. One that ended without its clip is no error yet: `status` asks again."""
        if request.state is TaskState.SUCCEEDED and not request.clip_url:
            return Report(job_id=request.request_id, state=TaskState.PROCESSING)
        return self._report(request)

    def _report(self, request: _Request) -> Report:
        reason = self._wire.reason(request.said)
        return Report(
            job_id=request.request_id,
            state=request.state,
            clip_url=request.clip_url,
            reason=reason,
            content_refused=request.state is TaskState.FAILED and speaks_of_content(reason or ""),
        )


def _member_of(organization: str | None) -> dict[str, str]:
    if organization is None:
        return {}
    if not re.fullmatch(r"[!-~]+", organization):
        raise SetupError("GMI Cloud's organization id is empty or has characters no id has: copy it again.")
    return {"X-Organization-ID": organization}


def _classify(heard: Heard) -> ProviderError | None:
    """The refusals that their HTTP code alone does not show [assumed]."""
    if heard.status < httpx.codes.BAD_REQUEST:
        return None
    said = words_of(heard.body)
    # The vendor behind GMI Cloud refused the input, and no request was made.
    vendor = heard.status == httpx.codes.INTERNAL_SERVER_ERROR and "backend error (400)" in said.lower()
    if not vendor and not (heard.status == httpx.codes.FORBIDDEN and speaks_of_content(said)):
        return None
    refusal = ContentRefused if speaks_of_content(said) else JobRejected
    return refusal(sentences.refused(Gmi.label, f"{heard.status}: {reason_in(said)}"))


def _fits(request: _Request, asked: Mapping[str, Any], since: int) -> bool:
    """Whether a listed request is what was asked: its prompt, all else it repeats, and not older than `since`."""
    if request.created_at is None or request.created_at * 1000 < since - _CLOCKS_APART:
        return False
    if request.model is not None and request.model.lower() != asked["model"].lower():
        return False
    wish, echo = asked["payload"], request.payload or {}
    if echo.get("first_frame_image") and "first_frame_image" not in wish:
        return False
    return "prompt" in echo and all(echo[name] == value for name, value in wish.items() if name in echo)


def _unlisted(listed: list[str]) -> list[str]:
    """A sentence for each of our models that is not in the list, with the spelling that may have replaced it."""
    sentences = []
    for slug in (model.slug for model in _MODELS.values() if model.slug not in listed):
        near = next((name for name in listed if name.lower() == slug.lower()), None)
        hint = f", but {clean(near, 80)}" if near else "; this account may not use it"
        sentences.append(f"It does not list {slug}{hint}.")
    return sentences
