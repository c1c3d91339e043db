"""Forgets what need not be known any more: what members want erased, and what is older than the operator keeps it."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bot.domain.current import working_on
from bot.domain.errors import StorageError
from bot.domain.language import kept
from bot.domain.ports import Clock, Local
from bot.domain.privacy import Keeping
from bot.domain.task import Task
from bot.services.files import Files
from storage.erasures import ErasureStore, Why

log = logging.getLogger(__name__)

_DAY = 86_400_000
#: Tasks in one transaction: nobody waits long behind it.
_BATCH = 100
#: Milliseconds in which the progress message of an ended task says how it ended, before the reason is gone.
_DRAWN_WITHIN = 60_000
#: Seconds between two looks, and between two batches.
_PAUSE, _BREATH = 60.0, 0.1


@dataclass(frozen=True, slots=True)
class Erased:
    """What came of a member's wish: tasks erased now, and those that are once they have ended."""

    done: int
    open: list[Task]


class Retention:
    """`run` is the loop; tests call `step` and move the clock. `changed` is told of every task that moved.

    Of the `providers` those are told to forget that are `Local`.
    """

    def __init__(
        self,
        erasures: ErasureStore,
        files: Files,
        providers: Mapping[str, object],
        keeping: Keeping,
        clock: Clock,
        changed: Callable[[Task], None],
    ) -> None:
        self._erasures = erasures
        self._files = files
        self._providers = providers
        self._keeping = keeping
        self._clock = clock
        self._changed = changed
        # A killed process may have left something in the database's log.
        self._traces = True

    async def run(self) -> None:
        """Sweep until cancelled; what a stop cuts off is found again after the next start."""
        while True:
            try:
                pause = await self.step()
            except (StorageError, OSError) as error:
                log.error("nothing can be erased just now: %s", error)  # noqa: TRY400 - the sentence says all
                pause = _PAUSE
            await asyncio.sleep(pause)

    async def step(self) -> float:
        """One batch of each kind; seconds until there may be more to do."""
        now, keeping = self._clock(), self._keeping
        asked = await self._erasures.asked(now - _DRAWN_WITHIN, limit=_BATCH)
        await self._erase(asked, _by_member())
        old = await self._erasures.outlived(now - keeping.prompts_days * _DAY, limit=_BATCH)
        await self._erase(old, _after(keeping.prompts_days))
        clips = await self._erasures.uncollected(now - keeping.clips_days * _DAY, limit=_BATCH)
        await self._give_up(clips)
        await self._erasures.end_blocks(now)
        more = _BATCH in {len(asked), len(old), len(clips)}
        if self._traces and not more:
            self._traces = not await self._erasures.leave_no_bytes()
        return _BREATH if more else _PAUSE

    async def erase(self, member_id: int) -> Erased:
        """Erase every task of a member that has ended; the others are marked on disk, and follow when they end."""
        await self._erasures.ask(member_id, self._clock())
        done = 0
        while tasks := await self._erasures.asked_by(member_id, limit=_BATCH):
            await self._erase(tasks, _by_member())
            done += len(tasks)
        self._traces = not await self._erasures.leave_no_bytes()
        return Erased(done, await self._erasures.open_of(member_id))

    async def _erase(self, tasks: Sequence[Task], why: Why) -> None:
        """The files first: as long as the rows say so, what a crash leaves of them is found again."""
        if not tasks:
            return
        for task in tasks:
            provider = self._providers.get(task.provider)
            if isinstance(provider, Local) and task.job_id is not None:
                await provider.forget(task.job_id)
        await self._files.erase(tasks)
        await self._erasures.erase(tasks, self._clock(), why=why)
        self._traces = True
        log.info("%d tasks: %s", len(tasks), why.note)
        for task in tasks:
            if task.stranded:
                self._changed(task)

    async def _give_up(self, tasks: Sequence[Task]) -> None:
        if not tasks:
            return
        for task in tasks:
            await asyncio.to_thread(self._files.clip(task).unlink, missing_ok=True)
        why = _not_collected(self._keeping.clips_days)
        await self._erasures.give_up(tasks, self._clock(), why=why)
        for task in tasks:
            with working_on(task.id):
                await self._files.forget_pictures(task)
                log.info("the clip of task %s: %s", task.id, why.note)
            self._changed(task)


def _by_member() -> Why:
    return Why(
        kept("erased by its member"),
        kept("its clip could be posted nowhere, and was erased by its member"),
    )


def _after(days: int) -> Why:
    return Why(
        kept("erased after {days} days", days=days),
        kept("its clip could be posted nowhere, and was erased after {days} days", days=days),
    )


def _not_collected(days: int) -> Why:
    return Why(
        kept("not collected within {days} days", days=days),
        kept("its clip could be posted nowhere, and was not collected within {days} days", days=days),
    )
