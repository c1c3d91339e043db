"""What moderators are told by itself: questions, how they ended, alarms and monthly reports; each once."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from bot.domain.alarms import Alarm
from bot.domain.approvals import Question
from bot.domain.errors import BotError, DeliveryError
from bot.domain.limits import Period, Window, window
from bot.domain.ports import Announcer, Clock, Posted
from bot.domain.servers import Server
from bot.domain.task import Task
from bot.services.announcing import announce
from bot.services.approvals import Approvals
from storage.alarms import AlarmStore
from storage.approvals import ApprovalStore
from storage.ledger import LedgerStore
from storage.servers import ServerStore
from storage.tasks import TaskStore

log = logging.getLogger(__name__)

_LONGEST_WAIT = 30.0
_LOGIN_SECONDS = 1.0
#: A chore that did not work is tried again after this many seconds, then after twice as many, up to the longest.
_FIRST_REST, _LONGEST_REST = 5.0, 900.0
#: Chores of one kind and server known in a turn; the others come when these are done.
_KNOWN = 50
#: Open questions brought up to date at a start.
_REDRAWN = 500
#: Servers whose reports are looked for in a turn.
_REPORTS = 1000
#: Servers that are told something at once.
_AT_ONCE = 20
#: A command gets its progress message itself in this time, in milliseconds, unless it crashed.
_ANNOUNCED_WITHIN = 20_000
_DAY = 86_400_000
#: No month is shorter, whatever the clock's changes.
_SHORTEST_MONTH = 27 * _DAY
#: Months told after a long stop.
_MONTHS = 12

#: A month's report of a server: its words, and its files by name.
Monthly = Callable[[Server, Window], Awaitable[tuple[str, list[tuple[str, bytes]]]]]


class Desk(Protocol):
    """Discord's side. Every `DeliveryError` may pass: a channel that is gone, when another one is chosen."""

    @property
    def ready(self) -> bool:
        """Discord has let the bot in and told of its servers, whose languages are known then."""

    def reading(self, server_id: int) -> AbstractContextManager[None]:
        """Words within are in the server's own language."""

    async def ask(self, server: Server, question: Question, tasks: Sequence[Task], spent: int) -> Posted:
        """Post a question, or find the one a crash left unrecorded; `spent` is the member's month, in micros."""

    async def redraw(self, server: Server, question: Question, tasks: Sequence[Task], spent: int) -> None:
        """Let the question's message say what is the case now. One that is gone is left alone."""

    async def alarm(self, server: Server, alarm: Alarm) -> None: ...

    async def report(
        self, server: Server, span: Window, words: str, files: Sequence[tuple[str, bytes]]
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Stores:
    tasks: TaskStore
    ledger: LedgerStore
    servers: ServerStore
    approvals: ApprovalStore
    alarms: AlarmStore


@dataclass(frozen=True, slots=True)
class _Chore:
    """Something to tell in one server; `key` stays the same until it is done."""

    key: tuple[str, int]
    server_id: int
    work: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Rest:
    server_id: int
    failures: int
    until: float


class Notices:
    """`run` is the loop; tests call `step` and `idle` and move the clock."""

    def __init__(
        self,
        stores: Stores,
        approvals: Approvals,
        desk: Desk,
        announcer: Announcer,
        monthly: Monthly,
        clock: Clock,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tasks = stores.tasks
        self._ledger = stores.ledger
        self._servers = stores.servers
        self._questions = stores.approvals
        self._alarms = stores.alarms
        self._approvals = approvals
        self._desk = desk
        self._announcer = announcer
        self._monthly = monthly
        self._clock = clock
        self._monotonic = monotonic
        self._rests: dict[tuple[str, int], _Rest] = {}
        self._outdated: dict[int, int] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Tell what there is to tell, until cancelled; what a stop cuts off is found again after the next start."""
        try:
            await self._take_up()
            while True:
                self._wake.clear()
                try:
                    pause = await self.step()
                except BotError as error:
                    log.error("moderators cannot be told anything: %s", error)  # noqa: TRY400 - says all
                    await asyncio.sleep(_FIRST_REST)
                    continue
                except Exception:
                    # Clips are made all the same.
                    log.exception("moderators cannot be told anything")
                    await asyncio.sleep(_LONGEST_WAIT)
                    continue
                try:
                    await asyncio.wait_for(self._wake.wait(), pause)
                except TimeoutError:
                    continue
        finally:
            for running in self._running.values():
                running.cancel()
            await self.idle()

    async def _take_up(self) -> None:
        """A clip may have been cancelled just before the last stop: look at every open question once."""
        for question in await self._questions.open(limit=_REDRAWN):
            self._outdated[question.interaction_id] = question.server_id

    def wake(self) -> None:
        """There may be something to tell now."""
        self._wake.set()

    def look_again(self, server_id: int) -> None:
        """A server has chosen where it is told: what could not be told so far need not wait for its next try."""
        self._rests = {key: rest for key, rest in self._rests.items() if rest.server_id != server_id}
        self.wake()

    def changed(self, task: Task) -> None:
        """A member cancelled a clip: a question that asks for it, too, is out of date."""
        self._outdated[task.interaction_id] = task.server_id
        self.wake()

    async def step(self) -> float:
        """Begin whatever is to be told; seconds until there may be more to do."""
        await self._approvals.expire()
        if not self._desk.ready:
            return _LOGIN_SECONDS
        # These may end while the rows are read, and the rows then tell of what is done.
        busy = frozenset(self._running)
        chores = await self._chores()
        self._rests = {key: rest for key, rest in self._rests.items() if key in chores}
        now, by_server = self._monotonic(), dict[int, list[_Chore]]()
        for key, chore in chores.items():
            if key not in self._rests or self._rests[key].until <= now:
                by_server.setdefault(chore.server_id, []).append(chore)
        for server_id, own in by_server.items():
            if server_id not in busy and len(self._running) < _AT_ONCE:
                self._launch(server_id, own)
        return await self._pause(now)

    async def idle(self) -> None:
        """Wait until nothing is in flight."""
        while self._running:
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _pause(self, now: float) -> float:
        waits = [rest.until - now for rest in self._rests.values() if rest.until > now]
        if (ends := await self._questions.next_end()) is not None:
            waits.append((ends - self._clock()) / 1000)
        return max(0.01, min([_LONGEST_WAIT, *waits]))

    def _launch(self, server_id: int, chores: Sequence[_Chore]) -> None:
        """Each server for itself: one whose channel makes trouble holds up no other."""
        running = self._running[server_id] = asyncio.create_task(self._do(server_id, chores))

        def done(_: "asyncio.Task[None]") -> None:
            del self._running[server_id]
            self.wake()

        running.add_done_callback(done)

    async def _do(self, server_id: int, chores: Sequence[_Chore]) -> None:
        for chore in chores:
            try:
                with self._desk.reading(server_id):
                    await chore.work()
            except BotError as error:
                self._later(chore, error)
            except Exception as error:  # noqa: BLE001 - one chore's trouble is its own
                self._later(chore, error, bug=True)
            else:
                self._rests.pop(chore.key, None)

    def _later(self, chore: _Chore, error: Exception, *, bug: bool = False) -> None:
        """Once in the log, however often it is tried."""
        failures = self._rests[chore.key].failures + 1 if chore.key in self._rests else 1
        pause = min(_FIRST_REST * 2 ** min(failures - 1, 10), _LONGEST_REST)
        self._rests[chore.key] = _Rest(chore.server_id, failures, self._monotonic() + pause)
        if failures == 1:
            kind, number = chore.key
            text = "server %d: %s %d did not work and is tried again: %s"
            log.warning(text, chore.server_id, kind, number, error, exc_info=error if bug else None)

    # ------------------------------------------------------------------ chores

    async def _chores(self) -> dict[tuple[str, int], _Chore]:
        """Everything there is to tell, also what rests."""
        now = self._clock()
        unasked = await self._questions.unasked(now - _ANNOUNCED_WITHIN, each=_KNOWN)
        found = [_chore("question", one, self._ask) for one in unasked]
        unshown = await self._questions.unshown(each=_KNOWN)
        outdated = [Question(number, server, until=now) for number, server in self._outdated.items()]
        found += [_chore("answer", one, self._redraw) for one in (*unshown, *outdated)]
        found += [
            _Chore(("alarm", alarm.id), alarm.server_id, partial(self._alarm, alarm))
            for alarm in await self._alarms.untold(each=_KNOWN)
        ]
        found += [
            _Chore(("report", server.id), server.id, partial(self._report, server.id))
            for server in await self._servers.awaiting_report(now - _SHORTEST_MONTH, limit=_REPORTS)
            if _months(server, now)
        ]
        return {chore.key: chore for chore in found}

    async def _ask(self, interaction_id: int) -> None:
        question = await self._questions.get(interaction_id)
        if question is None or question.decision is not None:
            return
        server = await self._servers.get(question.server_id)
        tasks = await self._announced(await self._tasks.of_interaction(interaction_id))
        posted = await self._desk.ask(server, question, tasks, await self._spent(server, tasks[0]))
        await self._questions.asked(
            interaction_id, channel_id=posted.channel_id, message_id=posted.message_id
        )

    async def _announced(self, tasks: list[Task]) -> list[Task]:
        """The member of a command that a crash left without a progress message sees that it waits, too."""
        interaction_id = tasks[0].interaction_id
        if tasks[0].progress_message_id is not None:
            return tasks
        try:
            await announce(tasks, self._tasks, self._announcer, self._clock())
        except DeliveryError as error:
            log.warning("interaction %d waits without a progress message: %s", interaction_id, error)
            return tasks
        return await self._tasks.of_interaction(interaction_id)

    async def _spent(self, server: Server, task: Task) -> int:
        """What the member spent in this server this month."""
        month = window(Period.MONTH, self._clock(), server.tz)
        return (await self._ledger.of_member(task.member_id, month, server_id=server.id)).spent

    async def _redraw(self, interaction_id: int) -> None:
        """Bring a question's message up to date, decided or not."""
        server_id = self._outdated.pop(interaction_id, None)
        try:
            question = await self._questions.get(interaction_id)
            if question is None or (question.decision is None and question.message_id is None):
                return
            server = await self._servers.get(question.server_id)
            tasks = await self._tasks.of_interaction(interaction_id)
            await self._desk.redraw(server, question, tasks, await self._spent(server, tasks[0]))
        except BaseException:
            if server_id is not None:
                self._outdated[interaction_id] = server_id
            raise
        if question.decision is not None:
            await self._questions.shown(interaction_id)

    async def _alarm(self, alarm: Alarm) -> None:
        server, now = await self._servers.get(alarm.server_id), self._clock()
        wanted = server.alarms and server.notices_channel_id is not None
        if wanted and alarm.span(server.tz).until > now:
            await self._desk.alarm(server, alarm)
        await self._alarms.told(alarm, now)

    async def _report(self, server_id: int) -> None:
        server = await self._servers.get(server_id)
        if not server.monthly_report or server.notices_channel_id is None:
            return
        months = _months(server, self._clock())
        for month in months[-_MONTHS:]:
            words, files = await self._monthly(server, month)
            await self._desk.report(server, month, words, files)
            await self._servers.reported(server_id, month.until)


def _chore(kind: str, question: Question, work: Callable[[int], Awaitable[None]]) -> _Chore:
    number = question.interaction_id
    return _Chore((kind, number), question.server_id, partial(work, number))


def _months(server: Server, now: int) -> list[Window]:
    """The months that have ended and were not reported, the oldest first."""
    found: list[Window] = []
    until = server.reported_until
    while until is not None:
        # Two days on, as the zone may have changed since: no month is told twice.
        month = window(Period.MONTH, until + 2 * _DAY, server.tz)
        if month.until > now:
            break
        found.append(month)
        until = month.until
    return found
