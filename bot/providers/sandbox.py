"""The built-in provider: makes a real clip on this machine, costs nothing, and fails when the prompt asks it to.

Words in the prompt that steer it:

- `!refuse`: refused at the submit, as a provider refuses content
- `!fail`: accepted, and fails after the delay with a reason
- `!never`: accepted, and stays in progress for ever
- `!slow`: takes 30 seconds longer

A job is one JSON file in its folder and, once painted, one MP4 beside it; both go a day after.
"""

import asyncio
import contextlib
import json
import re
import shutil
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from bot.domain.catalog import Format, Mode
from bot.domain.errors import (
    BotError,
    ContentRefused,
    JobNotFound,
    JobRejected,
    NotAVideo,
    ProviderBusy,
    ProviderClosed,
    Unreadable,
)
from bot.domain.language import kept
from bot.domain.ports import Clock, Job, ProviderEvent, Report
from bot.domain.published import Published
from bot.domain.task import TaskState
from bot.media.child import ChildFailed
from bot.media.files import PART, arriving
from bot.media.paint import PaintOrder, codecs, paint
from bot.providers.base import OneByOne
from bot.vault import PLAIN, Vault

_ID = re.compile(r"sandbox-[A-Za-z0-9_-]{1,100}")
_STEERING = re.compile(r"(?<!\S)!(refuse|fail|never|slow)\b")
_SLOW_MS = 30_000
#: About what painting takes for each second of clip; only the progress bar needs it.
_PAINTING_MS = 600
_QUEUED_BELOW = 10
_HOUR_MS = 3_600_000
_KEPT_MS = 24 * _HOUR_MS
#: Jobs nobody has asked for since the bot was stopped; their JSON is all there is of them.
_KEPT_OPEN_MS = 7 * _KEPT_MS


class _Order(BaseModel):
    """The body of the submit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode
    format: str
    prompt: str
    enhance: bool
    first_frame: str | None
    last_frame: str | None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        Format.parse(self.format)
        given = (self.first_frame is not None, self.last_frame is not None)
        needed = {Mode.TEXT: (False, False), Mode.IMAGE: (True, False), Mode.TRANSITION: (True, True)}
        if given != needed[self.mode]:
            raise ValueError(f"the frames do not fit the mode {self.mode}")
        return self

    @property
    def steering(self) -> frozenset[str]:
        return frozenset(_STEERING.findall(self.prompt))


class _Record(BaseModel):
    """One job's JSON file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: str
    created_at: int
    order: _Order
    failure: str | None = None


class Sandbox(OneByOne):
    name = "sandbox"
    recovers = True

    def __init__(self, folder: Path, *, clock: Clock, vault: Vault = PLAIN, delay_seconds: float = 0) -> None:
        self._folder = folder
        self._clock = clock
        self._vault = vault
        self._delay_ms = round(delay_seconds * 1000)
        self._painting: dict[str, asyncio.Task[None]] = {}
        self._submitting = asyncio.Lock()
        self._swept_at = clock()
        folder.mkdir(parents=True, exist_ok=True)
        self._sweep(at_start=True)

    def request(self, job: Job) -> bytes:
        body = {
            "mode": job.mode.value,
            "format": job.format.id,
            "prompt": job.prompt,
            "enhance": job.enhance,
            "first_frame": job.first_frame.path if job.first_frame else None,
            "last_frame": job.last_frame.path if job.last_frame else None,
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()

    async def submit(self, body: bytes, *, key: str) -> Report:
        order = _parsed(body)
        job_id = f"sandbox-{key}"
        if not _ID.fullmatch(job_id):
            raise JobRejected(kept("The sandbox takes keys of up to 100 letters, digits, - and _."))
        if "refuse" in order.steering:
            raise ContentRefused(kept("The sandbox refused the prompt, because it contains !refuse."))
        async with self._submitting:
            record = await asyncio.to_thread(self._accept, job_id, order)
        if record.order != order:
            raise JobRejected(kept("The sandbox has another job under this key."))
        return await self._report(record)

    async def recover(
        self,
        body: bytes,
        *,
        key: str,
        since: int,  # noqa: ARG002  # the protocol's signature
        known: frozenset[str],  # noqa: ARG002  # the protocol's signature
    ) -> Report:
        return await self.submit(body, key=key)

    async def find(self, key: str) -> Report | None:
        job_id = f"sandbox-{key}"
        record = await asyncio.to_thread(self._read, job_id) if _ID.fullmatch(job_id) else None
        return await self._report(record) if record else None

    async def status(self, job_id: str) -> Report:
        return await self._report(await self._known(job_id))

    async def events(self, job_id: str) -> list[ProviderEvent]:
        record = await self._known(job_id)
        report = await self._report(record)
        accepted = f"accepted {record.order.mode} {record.order.format}"
        return [
            ProviderEvent(when=_written(record.created_at), text=accepted),
            ProviderEvent(when=_written(self._clock()), text=report.reason or report.state.value),
        ]

    async def download(self, url: str, to: Path) -> None:
        await asyncio.to_thread(self._copy, url, to)

    async def check(self) -> str:
        try:
            version = await codecs()
        except ChildFailed as error:
            raise ProviderClosed(f"The sandbox cannot make clips here: {error}.") from error
        return f"The sandbox makes clips on this machine: PyAV {version} can encode H.264. It costs nothing."

    async def published(self) -> Published:
        return Published(notes=("The sandbox publishes no price list or balance: it costs nothing.",))

    async def forget(self, job_id: str) -> None:
        """Remove the job's order, which holds its prompt, and its clip."""
        if _ID.fullmatch(job_id):
            for path in (self._folder / f"{job_id}.json", self._clip(job_id)):
                await asyncio.to_thread(path.unlink, missing_ok=True)

    async def close(self) -> None:
        """End what is being painted; the next status of such a job starts it again."""
        painting = list(self._painting.values())
        for task in painting:
            task.cancel()
        await asyncio.gather(*painting, return_exceptions=True)

    async def _known(self, job_id: str) -> _Record:
        record = await asyncio.to_thread(self._read, job_id) if _ID.fullmatch(job_id) else None
        if record is None:
            raise JobNotFound(
                kept("The sandbox does not know this job; it forgets finished ones after a day.")
            )
        return record

    async def _report(self, record: _Record) -> Report:
        order, job_id = record.order, record.job_id
        elapsed = self._clock() - record.created_at
        wait = self._delay_ms + (_SLOW_MS if "slow" in order.steering else 0)
        failure = record.failure or (kept("The prompt contains !fail.") if "fail" in order.steering else None)
        if failure and (elapsed >= wait or record.failure):
            return Report(job_id, TaskState.FAILED, reason=failure, cost_micros=0)
        share = 100 * elapsed // (wait + Format.parse(order.format).duration * _PAINTING_MS)
        progress = min(99, max(0, share))
        if "never" in order.steering:
            return Report(job_id, TaskState.PROCESSING, progress=progress)
        clip = self._clip(job_id)
        if not failure:
            painted = await asyncio.to_thread(clip.is_file)
            if painted and elapsed >= wait:
                return Report(
                    job_id,
                    TaskState.SUCCEEDED,
                    clip_url=clip.absolute().as_uri(),
                    clip_expires_at=record.created_at + _KEPT_MS,
                    cost_micros=0,
                )
            if not painted:
                self._paint(record)
        state = TaskState.QUEUED if progress < _QUEUED_BELOW else TaskState.PROCESSING
        return Report(job_id, state, progress=progress)

    def _paint(self, record: _Record) -> None:
        """Start painting unless it is under way."""
        job_id = record.job_id
        if job_id not in self._painting:
            task = asyncio.create_task(self._painted(record), name=f"paint {job_id}")
            self._painting[job_id] = task
            task.add_done_callback(lambda _: self._painting.pop(job_id, None))

    async def _painted(self, record: _Record) -> None:
        order = record.order
        try:
            async with AsyncExitStack() as stack:
                frames = [
                    await stack.enter_async_context(self._vault.opened(Path(path))) if path else None
                    for path in (order.first_frame, order.last_frame)
                ]
                await paint(
                    PaintOrder(
                        mode=order.mode,
                        format=Format.parse(order.format),
                        prompt=order.prompt,
                        target=self._clip(record.job_id),
                        first=frames[0],
                        last=frames[1],
                    )
                )
        except (BotError, OSError) as error:
            failure = kept("The sandbox could not paint the clip: {error}.", error=error)
            await asyncio.to_thread(self._write, record.model_copy(update={"failure": failure}))

    def _clip(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.mp4"

    def _accept(self, job_id: str, order: _Order) -> _Record:
        """The job of this id, made now if there is none."""
        if self._clock() - self._swept_at > _HOUR_MS:
            self._sweep()
        record = self._read(job_id)
        if record is None:
            record = _Record(job_id=job_id, created_at=self._clock(), order=order)
            self._write(record)
        return record

    def _read(self, job_id: str) -> _Record | None:
        try:
            return _Record.model_validate_json(self._vault.read(self._folder / f"{job_id}.json"))
        except (FileNotFoundError, ValidationError, Unreadable):
            return None

    def _write(self, record: _Record) -> None:
        self._vault.write(self._folder / f"{record.job_id}.json", record.model_dump_json().encode())

    def _sweep(self, *, at_start: bool = False) -> None:
        """Remove finished jobs after a day, forgotten ones after a week, and what killed processes left."""
        now = self._swept_at = self._clock()
        for path in self._folder.glob("sandbox-*.json"):
            record = self._read(path.stem)
            if record is None or path.stem in self._painting:
                continue
            finished = self._clip(path.stem).exists() or record.failure or "fail" in record.order.steering
            if now - record.created_at > (_KEPT_MS if finished else _KEPT_OPEN_MS):
                path.unlink(missing_ok=True)
                self._clip(path.stem).unlink(missing_ok=True)
        for path in self._folder.iterdir():
            stray = path.suffix == PART or (path.suffix == ".mp4" and not path.with_suffix(".json").exists())
            with contextlib.suppress(FileNotFoundError):
                old = now - path.stat().st_mtime * 1000 > _KEPT_MS
                if (stray and old) or (at_start and path.suffix == PART):
                    path.unlink()

    def _copy(self, url: str, to: Path) -> None:
        source = self._contained(url)
        try:
            with arriving(to) as part:
                shutil.copyfile(source, part)
        except OSError as error:
            raise ProviderBusy(
                kept("The sandbox's clip could not be copied: {error}.", error=error)
            ) from error

    def _contained(self, url: str) -> Path:
        """The clip that a `file:` URI names; `NotAVideo` for everything outside the folder."""
        try:
            parts = urlsplit(url)
            path = Path(url2pathname(parts.path)).resolve()
        except (ValueError, OSError):
            raise NotAVideo(kept("The sandbox's link cannot be read.")) from None
        home = self._folder.resolve()
        plain = parts.scheme == "file" and not (parts.netloc or parts.query or parts.fragment)
        if not plain or path.parent != home or path.suffix != ".mp4" or not path.is_file():
            raise NotAVideo(kept("The link names no clip in the sandbox's folder."))
        return path


def _parsed(body: bytes) -> _Order:
    try:
        return _Order.model_validate_json(body)
    except ValidationError as error:
        why = error.errors()[0]["msg"]
        raise JobRejected(kept("The sandbox cannot read the request: {why}.", why=why)) from error


def _written(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
