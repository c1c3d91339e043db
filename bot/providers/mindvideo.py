"""MindVideo: one paid, keyed POST, then reads."""

import logging
from typing import Annotated, Any

from pydantic import Field, RootModel, StringConstraints

from bot.domain.errors import JobNotFound, JobRejected, OutcomeUnknown, ProviderBusy, ProviderError
from bot.domain.language import kept
from bot.domain.money import micros_of
from bot.domain.ports import Job, ProviderEvent, Report
from bot.domain.task import TaskState
from bot.providers import sentences
from bot.providers.answers import (
    Answer,
    ClipUrl,
    Dollars,
    JobId,
    Lenient,
    clean,
    segment,
    speaks_of_content,
    state_of,
)
from bot.providers.base import Hosted
from bot.providers.bodies import canonical, picture

log = logging.getLogger(__name__)

_TASKS = "/api/v1/tasks"
_EVENTS = 20

#: Our model to theirs, with what its schema takes: durations in seconds, resolutions, a last frame.
_MODELS: dict[str, tuple[str, set[int], set[str], bool]] = {
    "hailuo-02": ("minimax-hailuo-02", {5, 10}, {"512p", "768p", "1080p"}, True),
    "hailuo-2.3": ("minimax-hailuo-2-3", {6, 10}, {"768p", "1080p"}, False),
}

_STATES = {
    "queued": TaskState.QUEUED,
    "processing": TaskState.PROCESSING,
    "succeeded": TaskState.SUCCEEDED,
    "failed": TaskState.FAILED,
    "cancelled": TaskState.CANCELLED,
}


class _Problem(Answer):
    code: Lenient[str] = None
    message: Lenient[str] = None


class _Video(Answer):
    url: ClipUrl


class _Output(Answer):
    videos: Annotated[list[_Video], Field(min_length=1)]


class _Task(Answer):
    task_id: JobId
    status: Annotated[str, StringConstraints(max_length=40)]
    output: Lenient[_Output] = None
    cost_estimate: Lenient[Dollars] = None
    cost_actual: Lenient[Dollars] = None
    error: Lenient[str | _Problem] = None
    message: Lenient[str] = None

    @property
    def state(self) -> TaskState:
        return state_of(self.status, _STATES)

    @property
    def clip_url(self) -> str | None:
        return self.output.videos[0].url if self.output else None

    @property
    def said(self) -> str:
        """The first of the places a reason may stand in; none of them is documented."""
        error = self.error
        if isinstance(error, _Problem):
            error = ": ".join(part for part in (error.code, error.message) if part)
        return error or self.message or ""


class _Anything(RootModel[Any]):
    pass


class MindVideo(Hosted):
    name = "mindvideo"
    label = "MindVideo"
    home = "https://api.mindvideo.ai"
    key_help = sentences.new_key(label, "MINDVIDEO_API_KEY")
    recovers = True

    def request(self, job: Job) -> bytes:
        """Every field written out, because the defaults differ by model; `JobRejected` for what it cannot make."""
        model, durations, resolutions, takes_last = _MODELS.get(job.format.model, ("", set(), set(), False))
        if job.format.duration not in durations or job.format.resolution not in resolutions:
            raise JobRejected(sentences.unmade(self.label, job.format.id))
        if job.last_frame and not takes_last:
            raise JobRejected(sentences.takes_no_last_frame(self.label, job.format.model))
        wish: dict[str, Any] = {
            "prompt": job.prompt,
            "duration": job.format.duration,
            "resolution": job.format.resolution,
            "prompt_optimizer": job.enhance,
            "fast_pretreatment": False,
            "watermark": False,
        }
        if job.first_frame:
            wish["first_frame_image"] = picture(job.first_frame, job.read, self.label)
        if job.last_frame:
            wish["last_frame_image"] = picture(job.last_frame, job.read, self.label)
        return canonical({"model": model, "input": wish})

    async def submit(self, body: bytes, *, key: str) -> Report:
        task = await self._wire.call(
            "POST",
            _TASKS,
            model=_Task,
            body=body,
            headers={"Idempotency-Key": key},
            spends=True,
            repeatable=True,
        )
        # A replay may show an end already. One without its clip is not an error here: the job is accepted.
        if task.state is TaskState.SUCCEEDED and not task.clip_url:
            return Report(job_id=task.task_id, state=TaskState.PROCESSING)
        return await self._report(task)

    async def recover(
        self,
        body: bytes,
        *,
        key: str,
        since: int,  # noqa: ARG002  # the protocol's signature
        known: frozenset[str],  # noqa: ARG002  # the protocol's signature
    ) -> Report:
        """Send it again: the same key and bytes show the job that there is, and cost nothing more."""
        try:
            return await self.submit(body, key=key)
        except JobRejected as error:
            raise OutcomeUnknown(kept("This says nothing of the first try: {error}", error=error)) from error

    async def status(self, job_id: str) -> Report:
        task = await self._wire.call("GET", f"{_TASKS}/{segment(job_id)}", model=_Task)
        if task.task_id != job_id:
            raise ProviderBusy(sentences.another_job(self.label))
        if task.state is TaskState.SUCCEEDED and not task.clip_url:
            raise ProviderBusy(sentences.no_clip(self.label))
        return await self._report(task)

    async def _report(self, task: _Task) -> Report:
        reason = None
        if task.state in {TaskState.FAILED, TaskState.CANCELLED}:
            reason = self._wire.reason(task.said) or await self._last_words(task.task_id)
        return Report(
            job_id=task.task_id,
            state=task.state,
            clip_url=task.clip_url if task.state is TaskState.SUCCEEDED else None,
            cost_micros=_cost(task),
            reason=reason,
            content_refused=task.state is TaskState.FAILED and speaks_of_content(reason or ""),
        )

    async def _last_words(self, job_id: str) -> str | None:
        events = await self.events(job_id)
        return events[-1].text if events else None

    async def events(self, job_id: str) -> list[ProviderEvent]:
        """At most twenty lines of a shape nobody documents; nothing at all where they cannot be read."""
        try:
            history = await self._wire.call("GET", f"{_TASKS}/{segment(job_id)}/events", model=_Anything)
        except ProviderError as error:
            log.debug("no events of job %s: %s", job_id, error)
            return []
        return self._events(history.root)

    def _events(self, history: Any) -> list[ProviderEvent]:
        if isinstance(history, dict):
            history = history.get("events") or history.get("data")
        if not isinstance(history, list):
            return []
        found = [self._event(entry) for entry in history[-_EVENTS:]]
        return [event for event in found if event.text]

    def _event(self, entry: Any) -> ProviderEvent:
        when, said = "", entry if isinstance(entry, str) else ""
        if isinstance(entry, dict):
            when = "".join(_texts(entry, "at", "time", "created_at", "timestamp")[:1])
            said = ": ".join(_texts(entry, "status", "type", "event", "message"))
        return ProviderEvent(clean(self._wire.hide(when), 40), clean(self._wire.hide(said), 120))

    async def check(self) -> str:
        """Ask for a job that cannot exist: whoever may look for it has a working key."""
        try:
            await self._wire.call("GET", f"{_TASKS}/does-not-exist", model=_Anything)
        except JobNotFound:
            return "MindVideo accepts the key."
        raise ProviderBusy("MindVideo knows a job that cannot exist: check the address.")


def _cost(task: _Task) -> int | None:
    """What was charged, in micros. A clip without a charge is entered at MindVideo's own estimate, if it has one."""
    cost = task.cost_actual
    if task.state is TaskState.SUCCEEDED and cost is None:
        log.warning("MindVideo named no cost of job %s; its estimate is %s", task.task_id, task.cost_estimate)
        cost = task.cost_estimate
    return None if cost is None else micros_of(cost)


def _texts(entry: dict[Any, Any], *names: str) -> list[str]:
    values = (entry.get(name) for name in names)
    found = (
        str(value) for value in values if isinstance(value, str | int | float) and not isinstance(value, bool)
    )
    return list(dict.fromkeys(found))
