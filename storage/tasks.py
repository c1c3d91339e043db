"""How tasks change: every move is one guarded update, in one transaction with its money and its event."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.domain.audit import Deed
from bot.domain.catalog import Offer
from bot.domain.errors import StaleTask
from bot.domain.language import kept
from bot.domain.limits import LimitHit, Scope
from bot.domain.task import MOVES, Task, TaskState
from storage import alarms, approvals, audit, ledger, limits, servers
from storage.database import Transaction
from storage.events import NOTE_LENGTH as _NOTE_LENGTH
from storage.events import add as _event
from storage.task_reads import TaskReads
from storage.task_rows import FINAL_STATES, RUNNING_STATES, task_of


@dataclass(frozen=True, slots=True)
class Placed:
    """What came of a request: its tasks, whether they were already there, or what stood in the way.

    That is a limit, or the reason an admin gave for making no clips just now.
    """

    tasks: list[Task]
    again: bool = False
    hit: LimitHit | None = None
    pause_reason: str | None = None


class TaskStore(TaskReads):
    """The writing half: each method is one whole transaction."""

    async def place(
        self, tasks: Sequence[Task], *, server_name: str, role_ids: frozenset[int] = frozenset()
    ) -> Placed:
        """Check every limit and hold the price of all clips of one request, or of none.

        `role_ids` are the member's. An interaction that was already placed finds its tasks, whatever the limits
        say now.
        """
        first, price = tasks[0], sum(task.price_micros for task in tasks)

        def work(tx: Transaction) -> Placed:
            rows = tx.all(
                "SELECT * FROM tasks WHERE interaction_id = :interaction ORDER BY ordinal",
                interaction=first.interaction_id,
            )
            if rows:
                return Placed([task_of(row) for row in rows], again=True)
            server = servers.get(tx, first.server_id)
            if server.pause_reason is not None:
                return Placed([], pause_reason=server.pause_reason)
            if price:
                applicable = limits.counted(tx, first, role_ids)
                if hit := limits.hit_of(applicable, price):
                    return Placed([], hit=hit)
                alarms.note(tx, applicable, first, price)
            servers.meet(tx, first.server_id, server_name, first.created_at)
            until = approvals.until(server, first)
            if until is not None:
                approvals.ask(tx, first, until)
            held = [
                replace(task, approval_until=until, due_at=task.due_at if until is None else None)
                for task in tasks
            ]
            for task in held:
                _insert(tx, task)
            return Placed(held)

        return await self._database.write(work)

    async def limit_hit(
        self, tasks: Sequence[Task], role_ids: frozenset[int] = frozenset()
    ) -> LimitHit | None:
        """The limit that holding the price of these tasks would pass now; `place` looks again."""

        def work(tx: Transaction) -> LimitHit | None:
            return limits.first_hit(tx, tasks[0], sum(task.price_micros for task in tasks), role_ids)

        return await self._database.write(work)

    async def room(self, draft: Task, role_ids: frozenset[int]) -> int | None:
        """Micros that every limit leaves for such a task now; None where there is no limit at all."""

        def work(tx: Transaction) -> int | None:
            return min((one.room for one in limits.counted(tx, draft, role_ids)), default=None)

        return await self._database.write(work)

    async def note_refused(self, drafts: Sequence[Task], role_ids: frozenset[int]) -> None:
        """A request is refused for good: moderators want to know of a budget that is used up."""

        def work(tx: Transaction) -> None:
            alarms.note_refused(tx, limits.counted(tx, drafts[0], role_ids), drafts[0])

        await self._database.write(work)

    async def begin_submit(self, task: Task, body: bytes, at: int, *, per_member: int | None = None) -> bytes:
        """held → submitting, with the exact bytes on disk; returns those kept from an earlier try, if any.

        `StaleTask` where its member has `per_member` tasks running: others may have started in the same instant.
        """
        _must_be_a_move(task, TaskState.SUBMITTING)
        # With pictures it has some megabytes: not on the writer's thread.
        sealed = await asyncio.to_thread(self._database.vault.seal, body)

        def work(tx: Transaction) -> bytes:
            if per_member is not None and _running(tx, task.member_id) >= per_member:
                raise StaleTask(f"task {task.id} waits: {per_member} of its member are running")
            changed = tx.run(
                """
                UPDATE tasks SET state = 'submitting', changed_at = :at, due_at = :at, problem = NULL,
                  submitted_at = :at, started = (SELECT COALESCE(MAX(id), 0) FROM task_events)
                WHERE id = :id AND state = 'held' AND approval_until IS NULL
                  AND server_id NOT IN (SELECT id FROM servers WHERE pause_reason IS NOT NULL)
                """,
                id=task.id,
                at=at,
            )
            note = kept("sent to {provider}", provider=task.provider)
            _moved(tx, changed, task, TaskState.SUBMITTING, at, note)
            added = tx.run(
                "INSERT INTO submissions (task_id, body) VALUES (:id, :body) ON CONFLICT (task_id) DO NOTHING",
                id=task.id,
                body=sealed,
            )
            row = None if added else tx.one("SELECT body FROM submissions WHERE task_id = :id", id=task.id)
            return (row and row["body"]) or body

        return await self._database.write(work)

    async def not_accepted(self, task: Task, at: int, *, due_at: int, note: str) -> None:
        """submitting → held: the provider certainly took nothing, so it may be tried again, or cancelled."""
        _must_be_a_move(task, TaskState.HELD)

        def work(tx: Transaction) -> None:
            changed = tx.run(
                """
                UPDATE tasks SET state = 'held', changed_at = :at, due_at = :due, problem = :note, polls = polls + 1
                WHERE id = :id AND state = 'submitting'
                """,
                id=task.id,
                at=at,
                due=due_at,
                note=note[:_NOTE_LENGTH],
            )
            _moved(tx, changed, task, TaskState.HELD, at, note)

        await self._database.write(work)

    async def fail_over(
        self, task: Task, offer: Offer, at: int, *, due_at: int, tried: Sequence[str], note: str
    ) -> LimitHit | None:
        """Give a task that its provider certainly did not take to another offer, never above its hold.

        A limit of the new provider that stands in the way changes nothing and is returned.
        """
        if task.state not in {TaskState.HELD, TaskState.SUBMITTING} or offer.micros > task.price_micros:
            raise _no_move(task, TaskState.HELD)
        there = replace(task, provider=offer.provider)

        def work(tx: Transaction) -> LimitHit | None:
            if hit := limits.first_hit(tx, there, task.price_micros, only=Scope.PROVIDER):
                return hit
            changed = tx.run(
                """
                UPDATE tasks SET state = 'held', changed_at = :at, due_at = :due, polls = polls + 1,
                  problem = CASE WHEN :due > :at THEN :note END,
                  provider = :provider, list_micros = :list, tried = :tried
                WHERE id = :id AND state = :old AND provider = :from_provider
                """,
                id=task.id,
                old=task.state.value,
                from_provider=task.provider,
                at=at,
                due=due_at,
                note=note[:_NOTE_LENGTH],
                provider=offer.provider,
                list=offer.micros,
                tried=",".join(tried),
            )
            event = kept("goes to {provider}: {why}", provider=offer.provider, why=note)
            _moved(tx, changed, task, TaskState.HELD, at, event)
            _forget_body(tx, task)
            return None

        return await self._database.write(work)

    async def read_now(self, task_id: str, at: int) -> bool:
        """Make a running task's next status read due; False where there is none to be made."""

        def work(tx: Transaction) -> bool:
            changed = tx.run(
                """
                UPDATE tasks SET due_at = :at WHERE id = :id AND due_at > :at AND job_id IS NOT NULL
                  AND state IN ('queued', 'processing', 'parked')
                """,
                id=task_id,
                at=at,
            )
            return changed == 1

        return await self._database.write(work)

    async def accepted(self, task: Task, job_id: str, state: TaskState, at: int, *, due_at: int) -> None:
        """submitting → queued or processing, with the provider's id."""
        if task.state is not TaskState.SUBMITTING or state not in {TaskState.QUEUED, TaskState.PROCESSING}:
            raise _no_move(task, state)

        def work(tx: Transaction) -> None:
            changed = tx.run(
                """
                UPDATE tasks SET state = :new, changed_at = :at, due_at = :due, job_id = :job, problem = NULL,
                  polls = 0
                WHERE id = :id AND state = 'submitting'
                """,
                id=task.id,
                new=state.value,
                at=at,
                due=due_at,
                job=job_id,
            )
            _moved(tx, changed, task, state, at, kept("accepted as {job}", job=job_id))
            _forget_body(tx, task)

        await self._database.write(work)

    async def observed(self, task: Task, state: TaskState, at: int, *, due_at: int) -> None:
        """A status was read: queued → processing, or the same state and only a later look."""
        if state is not task.state and (task.state, state) != (TaskState.QUEUED, TaskState.PROCESSING):
            raise _no_move(task, state)

        def work(tx: Transaction) -> None:
            changed = tx.run(
                """
                UPDATE tasks SET state = :new, due_at = :due, polls = polls + 1, problem = NULL,
                  changed_at = CASE WHEN state = :new THEN changed_at ELSE :at END
                WHERE id = :id AND state = :old
                """,
                id=task.id,
                old=task.state.value,
                new=state.value,
                at=at,
                due=due_at,
            )
            if state is task.state:
                _must_change(changed, task)
            else:
                _moved(tx, changed, task, state, at, kept("the provider works on it"))

        await self._database.write(work)

    async def postpone(self, task: Task, at: int, *, due_at: int | None, problem: str | None) -> None:
        """No move, only a later look; None for no further look by itself."""

        def work(tx: Transaction) -> None:
            changed = tx.run(
                """
                UPDATE tasks SET due_at = :due, problem = :problem, polls = polls + 1
                WHERE id = :id AND state = :old
                """,
                id=task.id,
                old=task.state.value,
                due=due_at,
                problem=problem and problem[:_NOTE_LENGTH],
            )
            _must_change(changed, task)
            if problem and problem[:_NOTE_LENGTH] != task.problem:
                _event(tx, task, task.state, at, problem)

        await self._database.write(work)

    async def park(self, task: Task, at: int, *, due_at: int | None, note: str) -> None:
        """The outcome is unknown: the hold stays, whoever settles it later. None for no more looks."""
        _must_be_a_move(task, TaskState.PARKED)

        def work(tx: Transaction) -> None:
            changed = tx.run(
                """
                UPDATE tasks SET state = 'parked', changed_at = :at, due_at = :due, problem = :note
                WHERE id = :id AND state = :old
                """,
                id=task.id,
                old=task.state.value,
                at=at,
                due=due_at,
                note=note[:_NOTE_LENGTH],
            )
            _moved(tx, changed, task, TaskState.PARKED, at, note)

        await self._database.write(work)

    async def succeed(
        self,
        task: Task,
        at: int,
        *,
        job_id: str,
        clip: tuple[str, int | None],
        cost_micros: int,
        note: str,
        charged_micros: int | None = None,
    ) -> None:
        """The provider finished: its cost is booked at once. `clip` is the link and when it expires.

        `charged_micros` is the provider's own figure, None where it gives none.
        """
        _must_be_a_move(task, TaskState.SUCCEEDED)

        def work(tx: Transaction) -> None:
            changed = tx.run(
                """
                UPDATE tasks SET state = 'succeeded', changed_at = :at, due_at = :at, polls = 0, problem = NULL,
                  job_id = :job, clip_url = :url, clip_expires_at = :expires, charged_micros = :charged
                WHERE id = :id AND state = :old
                """,
                id=task.id,
                old=task.state.value,
                at=at,
                job=job_id,
                url=clip[0],
                expires=clip[1],
                charged=charged_micros,
            )
            _moved(tx, changed, task, TaskState.SUCCEEDED, at, note)
            ledger.settle(tx, task, cost_micros, at)
            _forget_body(tx, task)

        await self._database.write(work)

    async def end(
        self,
        task: Task,
        state: TaskState,
        at: int,
        *,
        note: str,
        cost_micros: int | None = None,
        charged_micros: int | None = None,
        deed: Deed | None = None,
    ) -> None:
        """failed or cancelled: the hold is given back in the same transaction, or a cost without a clip booked.

        `charged_micros` is the provider's own figure, None where it gives none. `deed` is written down where an
        admin did it.
        """
        if state not in {TaskState.FAILED, TaskState.CANCELLED}:
            raise _no_move(task, state)
        _must_be_a_move(task, state)

        def work(tx: Transaction) -> None:
            changed = tx.run(
                """
                UPDATE tasks SET state = :new, changed_at = :at, due_at = NULL, problem = :note,
                  charged_micros = :charged, approval_until = NULL
                WHERE id = :id AND state = :old
                """,
                id=task.id,
                old=task.state.value,
                new=state.value,
                at=at,
                note=note[:_NOTE_LENGTH],
                charged=charged_micros,
            )
            _moved(tx, changed, task, state, at, note)
            if task.approval_until is not None:
                approvals.withdraw(tx, task)
            if cost_micros is None:
                ledger.release(tx, task, at)
            else:
                ledger.settle(tx, task, cost_micros, at)
            if deed is not None:
                audit.note(tx, deed, at)
            _forget_body(tx, task)

        await self._database.write(work)

    async def attach(self, task: Task, job_id: str, at: int, *, note: str) -> None:
        """Give a parked task the job that its lost submit made: it is read again, now.

        An operator who named a wrong one can name another. A job that the provider itself told stays: the bytes of
        its submit are forgotten.
        """

        def work(tx: Transaction) -> None:
            changed = tx.run(
                """
                UPDATE tasks SET job_id = :job, due_at = :at, problem = :note
                WHERE id = :id AND state = 'parked'
                  AND (job_id IS NULL OR EXISTS (SELECT 1 FROM submissions WHERE task_id = tasks.id))
                """,
                id=task.id,
                job=job_id,
                at=at,
                note=note[:_NOTE_LENGTH],
            )
            _must_change(changed, task)
            _event(tx, task, TaskState.PARKED, at, note)

        await self._database.write(work)

    async def new_link(self, task: Task, url: str, expires_at: int | None) -> None:
        def work(tx: Transaction) -> None:
            changed = tx.run(
                """
                UPDATE tasks SET clip_url = :url, clip_expires_at = :expires
                WHERE id = :id AND state = 'succeeded'
                """,
                id=task.id,
                url=url,
                expires=expires_at,
            )
            _must_change(changed, task)

        await self._database.write(work)

    async def posting(self, task: Task, at: int) -> Task:
        """Mark that the clip's message is about to be posted; the first such moment is kept."""

        def work(tx: Transaction) -> Task:
            changed = tx.run(
                """
                UPDATE tasks SET posting_since = COALESCE(posting_since, :at)
                WHERE id = :id AND state = 'succeeded'
                """,
                id=task.id,
                at=at,
            )
            _must_change(changed, task)
            row = tx.one("SELECT * FROM tasks WHERE id = :id", id=task.id)
            return task_of(row) if row else task

        return await self._database.write(work)

    async def delivered(
        self,
        task: Task,
        at: int,
        *,
        channel_id: int,
        message_id: int,
        note: str,
        problem: str | None = None,
    ) -> None:
        """succeeded → delivered, with the message that carries the clip; `problem` where it did not go as wished."""
        _must_be_a_move(task, TaskState.DELIVERED)

        def work(tx: Transaction) -> None:
            changed = tx.run(
                """
                UPDATE tasks SET state = 'delivered', changed_at = :at, due_at = NULL, problem = :problem,
                  message_channel_id = :channel, message_id = :message
                WHERE id = :id AND state = 'succeeded'
                """,
                id=task.id,
                at=at,
                problem=problem,
                channel=channel_id,
                message=message_id,
            )
            _moved(tx, changed, task, TaskState.DELIVERED, at, note)

        await self._database.write(work)

    # -------------------------------------------------------------- other writes

    async def announced(
        self, interaction_id: int, *, channel_id: int, message_id: int, urls: Sequence[str], at: int
    ) -> None:
        """Keep where the progress message stands and the addresses of its pictures; held tasks may start."""
        addresses = [*urls, None, None]

        def work(tx: Transaction) -> None:
            tx.run(
                """
                UPDATE tasks SET progress_channel_id = :channel, progress_message_id = :message,
                  first_frame_url = CASE WHEN first_frame_path IS NULL THEN NULL ELSE :first END,
                  last_frame_url = CASE WHEN last_frame_path IS NULL THEN NULL ELSE :last END,
                  due_at = CASE WHEN state = 'held' AND due_at > :at THEN :at ELSE due_at END
                WHERE interaction_id = :interaction
                """,
                interaction=interaction_id,
                channel=channel_id,
                message=message_id,
                first=addresses[0],
                last=addresses[1],
                at=at,
            )

        await self._database.write(work)

    async def hurry(self, interaction_id: int, at: int) -> None:
        """Let held tasks start now: their progress message could not be made from the command's answer."""

        def work(tx: Transaction) -> None:
            tx.run(
                """
                UPDATE tasks SET due_at = :at
                WHERE interaction_id = :interaction AND state = 'held' AND due_at > :at
                """,
                interaction=interaction_id,
                at=at,
            )

        await self._database.write(work)

    async def end_shown(self, interaction_id: int) -> None:
        """The progress message shows how every clip of the command ended, or is gone."""

        def work(tx: Transaction) -> None:
            tx.run(
                f"""
                UPDATE tasks SET end_shown = 1
                WHERE interaction_id = :interaction AND state IN ({FINAL_STATES})
                """,  # noqa: S608 - only constants of ours are put in
                interaction=interaction_id,
            )

        await self._database.write(work)

    async def clamp_due(self, at: int, *, latest: int) -> None:
        """Bring back due times that a clock set backwards has left too far in the future.

        Moderators get no longer for their answer than the server gives them from now.
        """

        def work(tx: Transaction) -> None:
            tx.run("UPDATE tasks SET due_at = :at WHERE due_at > :latest", at=at, latest=latest)
            approvals.clamp(tx, at)

        await self._database.write(work)


def _insert(tx: Transaction, task: Task) -> None:
    tx.run(
        """
        INSERT INTO tasks (id, interaction_id, ordinal, server_id, channel_id, member_id, mode, model, duration,
          resolution, prompt, camera, enhance, first_frame_path, last_frame_path, provider, price_micros,
          list_micros, upload_limit, state, created_at, changed_at, due_at, approval_until, polls,
          parent_id, private, language)
        VALUES (:id, :interaction, :ordinal, :server, :channel, :member, :mode, :model, :duration,
          :resolution, :prompt, :camera, :enhance, :first, :last, :provider, :price,
          :list, :upload_limit, 'held', :at, :at, :due, :approval_until, 0, :parent, :private, :language)
        """,
        id=task.id,
        interaction=task.interaction_id,
        ordinal=task.ordinal,
        server=task.server_id,
        channel=task.channel_id,
        member=task.member_id,
        mode=task.mode.value,
        model=task.format.model,
        duration=task.format.duration,
        resolution=task.format.resolution,
        prompt=tx.vault.seal_text(task.prompt),
        camera=task.camera,
        enhance=int(task.enhance),
        first=task.first_frame and task.first_frame.path,
        last=task.last_frame and task.last_frame.path,
        provider=task.provider,
        price=task.price_micros,
        list=task.list_micros,
        upload_limit=task.upload_limit,
        at=task.created_at,
        due=task.due_at,
        approval_until=task.approval_until,
        private=int(task.private),
        parent=task.parent_id,
        language=task.language,
    )
    ledger.hold(tx, task)
    note = kept("price held, to be made by {provider}", provider=task.provider)
    _event(tx, task, TaskState.HELD, task.created_at, note)


def _running(tx: Transaction, member_id: int) -> int:
    row = tx.one(
        f"SELECT COUNT(*) AS busy FROM tasks WHERE member_id = :member AND state IN ({RUNNING_STATES})",  # noqa: S608
        member=member_id,
    )
    return int(row["busy"]) if row else 0


def _must_change(changed: int, task: Task) -> None:
    if changed != 1:
        raise StaleTask(f"task {task.id} is no longer {task.state}")


def _no_move(task: Task, to: TaskState) -> StaleTask:
    return StaleTask(f"task {task.id} cannot go from {task.state} to {to}")


def _must_be_a_move(task: Task, to: TaskState) -> None:
    if to not in MOVES[task.state]:
        raise _no_move(task, to)


def _moved(tx: Transaction, changed: int, task: Task, to: TaskState, at: int, note: str) -> None:
    _must_change(changed, task)
    _event(tx, task, to, at, note)


def _forget_body(tx: Transaction, task: Task) -> None:
    tx.run("DELETE FROM submissions WHERE task_id = :id", id=task.id)
