"""All SQL on tasks and their events. Every move is one guarded update, with its money and its event."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.catalog import Format, Mode
from bot.domain.errors import StaleTask
from bot.domain.limits import LimitHit
from bot.domain.task import FINAL, MOVES, RUNNING, Frame, Task, TaskEvent, TaskState
from storage import ledger, limits
from storage.database import Database, Transaction

_NOTE_LENGTH = 400


def _listed(states: frozenset[TaskState]) -> str:
    """Constants of ours as an SQL list; nothing from outside comes here."""
    return ", ".join(f"'{state.value}'" for state in sorted(states))


_FINAL, _RUNNING = _listed(FINAL), _listed(RUNNING)
_UNFINISHED = ", ".join(f"('{state.value}')" for state in TaskState if state not in FINAL)
#: The providers of tasks that have a due time, by leaps through the index: it is never read as a whole.
_OPEN = """
open_ones (name) AS (
  SELECT MIN(provider) FROM tasks WHERE due_at IS NOT NULL
  UNION ALL
  SELECT (SELECT MIN(provider) FROM tasks WHERE due_at IS NOT NULL AND provider > open_ones.name)
  FROM open_ones WHERE name IS NOT NULL
)"""


@dataclass(frozen=True, slots=True)
class Placed:
    """What came of a request: its tasks, whether they were already there, or the limit that stood in the way."""

    tasks: list[Task]
    again: bool = False
    hit: LimitHit | None = None


class TaskStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    # ------------------------------------------------------------------ moves

    async def place(self, tasks: Sequence[Task], *, server_name: str) -> Placed:
        """Check every limit and hold the price of all clips of one request, or of none.

        An interaction that was already placed finds its tasks, whatever the limits say now.
        """
        first = tasks[0]

        def work(tx: Transaction) -> Placed:
            rows = tx.all(
                "SELECT * FROM tasks WHERE interaction_id = :interaction ORDER BY ordinal",
                interaction=first.interaction_id,
            )
            if rows:
                return Placed([_task(row) for row in rows], again=True)
            if hit := limits.first_hit(tx, first, sum(task.price_micros for task in tasks)):
                return Placed([], hit=hit)
            tx.run(
                """
                INSERT INTO servers (id, name, first_seen_at) VALUES (:id, :name, :at)
                ON CONFLICT (id) DO UPDATE SET name = excluded.name
                """,
                id=first.server_id,
                name=server_name,
                at=first.created_at,
            )
            for task in tasks:
                _insert(tx, task)
            return Placed(list(tasks))

        return await self._database.write(work)

    async def begin_submit(self, task: Task, body: bytes, at: int) -> bytes:
        """held → submitting, with the exact bytes on disk; returns those kept from an earlier try, if any."""
        _must_be_a_move(task, TaskState.SUBMITTING)

        def work(tx: Transaction) -> bytes:
            changed = tx.run(
                """
                UPDATE tasks SET state = 'submitting', changed_at = :at, due_at = :at, problem = NULL,
                  submitted_at = COALESCE(submitted_at, :at)
                WHERE id = :id AND state = 'held'
                """,
                id=task.id,
                at=at,
            )
            _moved(tx, changed, task, TaskState.SUBMITTING, at, f"sent to {task.provider}")
            tx.run(
                "INSERT INTO submissions (task_id, body) VALUES (:id, :body) ON CONFLICT (task_id) DO NOTHING",
                id=task.id,
                body=body,
            )
            row = tx.one("SELECT body FROM submissions WHERE task_id = :id", id=task.id)
            return bytes(row["body"]) if row else body

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
            _moved(tx, changed, task, state, at, f"accepted as {job_id}")
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
                _moved(tx, changed, task, state, at, "the provider works on it")

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
        self, task: Task, at: int, *, job_id: str, clip: tuple[str, int | None], cost_micros: int, note: str
    ) -> None:
        """The provider finished: its cost is booked at once. `clip` is the link and when it expires."""
        _must_be_a_move(task, TaskState.SUCCEEDED)

        def work(tx: Transaction) -> None:
            changed = tx.run(
                """
                UPDATE tasks SET state = 'succeeded', changed_at = :at, due_at = :at, polls = 0, problem = NULL,
                  job_id = :job, clip_url = :url, clip_expires_at = :expires
                WHERE id = :id AND state = :old
                """,
                id=task.id,
                old=task.state.value,
                at=at,
                job=job_id,
                url=clip[0],
                expires=clip[1],
            )
            _moved(tx, changed, task, TaskState.SUCCEEDED, at, note)
            ledger.settle(tx, task, cost_micros, at)
            _forget_body(tx, task)

        await self._database.write(work)

    async def end(self, task: Task, state: TaskState, at: int, *, note: str) -> None:
        """failed or cancelled: the hold is given back in the same transaction."""
        if state not in {TaskState.FAILED, TaskState.CANCELLED}:
            raise _no_move(task, state)
        _must_be_a_move(task, state)

        def work(tx: Transaction) -> None:
            changed = tx.run(
                """
                UPDATE tasks SET state = :new, changed_at = :at, due_at = NULL, problem = :note
                WHERE id = :id AND state = :old
                """,
                id=task.id,
                old=task.state.value,
                new=state.value,
                at=at,
                note=note[:_NOTE_LENGTH],
            )
            _moved(tx, changed, task, state, at, note)
            ledger.release(tx, task, at)
            _forget_body(tx, task)

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
            return _task(row) if row else task

        return await self._database.write(work)

    async def delivered(self, task: Task, at: int, *, channel_id: int, message_id: int, note: str) -> None:
        """succeeded → delivered, with the message that carries the clip."""
        _must_be_a_move(task, TaskState.DELIVERED)

        def work(tx: Transaction) -> None:
            changed = tx.run(
                """
                UPDATE tasks SET state = 'delivered', changed_at = :at, due_at = NULL, problem = NULL,
                  message_channel_id = :channel, message_id = :message
                WHERE id = :id AND state = 'succeeded'
                """,
                id=task.id,
                at=at,
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
                WHERE interaction_id = :interaction AND state IN ({_FINAL})
                """,  # noqa: S608 - only constants of ours are put in
                interaction=interaction_id,
            )

        await self._database.write(work)

    async def clamp_due(self, at: int, *, latest: int) -> None:
        """Bring back due times that a clock set backwards has left too far in the future."""

        def work(tx: Transaction) -> None:
            tx.run("UPDATE tasks SET due_at = :at WHERE due_at > :latest", at=at, latest=latest)

        await self._database.write(work)

    # ------------------------------------------------------------------ reads

    async def get(self, task_id: str) -> Task | None:
        row = await self._database.read_one("SELECT * FROM tasks WHERE id = :id", id=task_id)
        return _task(row) if row else None

    async def of_interaction(self, interaction_id: int) -> list[Task]:
        rows = await self._database.read(
            "SELECT * FROM tasks WHERE interaction_id = :interaction ORDER BY ordinal",
            interaction=interaction_id,
        )
        return [_task(row) for row in rows]

    async def of_member(self, member_id: int, server_id: int, *, limit: int) -> list[Task]:
        """The member's newest tasks in a server, newest first."""
        rows = await self._database.read(
            """
            SELECT * FROM tasks WHERE member_id = :member AND server_id = :server
            ORDER BY created_at DESC, ordinal LIMIT :limit
            """,
            member=member_id,
            server=server_id,
            limit=limit,
        )
        return [_task(row) for row in rows]

    async def to_show(self, *, limit: int) -> list[Task]:
        """Tasks whose progress message does not show their end: unfinished ones, and those a crash came after."""
        rows = await self._database.read(
            "SELECT * FROM tasks WHERE end_shown = 0 ORDER BY created_at LIMIT :limit", limit=limit
        )
        return [_task(row) for row in rows]

    async def unfinished_interactions(self) -> set[int]:
        rows = await self._database.read(
            f"SELECT DISTINCT interaction_id FROM tasks WHERE state NOT IN ({_FINAL})"  # noqa: S608
        )
        return {row["interaction_id"] for row in rows}

    async def due(self, provider: str, at: int, *, limit: int) -> list[Task]:
        """Tasks whose status, or lost submit, is due for a look, the longest waiting first."""
        rows = await self._database.read(
            """
            SELECT * FROM tasks WHERE provider = :provider AND due_at IS NOT NULL AND due_at <= :at
              AND state IN ('submitting', 'queued', 'processing', 'parked')
            ORDER BY due_at LIMIT :limit
            """,
            provider=provider,
            at=at,
            limit=limit,
        )
        return [_task(row) for row in rows]

    async def deliverable(self, at: int, *, provider: str, limit: int) -> list[Task]:
        """Finished tasks of a provider whose clip may be posted now, the longest waiting first."""
        rows = await self._database.read(
            """
            SELECT * FROM tasks WHERE provider = :provider AND state = 'succeeded'
              AND due_at IS NOT NULL AND due_at <= :at
            ORDER BY due_at LIMIT :limit
            """,
            provider=provider,
            at=at,
            limit=limit,
        )
        return [_task(row) for row in rows]

    async def startable(self, provider: str, at: int, *, per_member: int, limit: int) -> list[Task]:
        """Held tasks in their fair order: a member's next clip comes before another's later ones.

        Members with `per_member` tasks running wait, and so does everybody's surplus.
        """
        rows = await self._database.read(
            f"""
            WITH running AS (
              SELECT member_id, COUNT(*) AS busy FROM tasks WHERE state IN ({_RUNNING}) GROUP BY member_id
            ), waiting AS (
              SELECT tasks.*, COALESCE(busy, 0) + ROW_NUMBER() OVER (
                PARTITION BY tasks.member_id ORDER BY created_at, interaction_id, ordinal
              ) AS turn
              FROM tasks LEFT JOIN running ON running.member_id = tasks.member_id
              WHERE state = 'held' AND provider = :provider AND due_at IS NOT NULL AND due_at <= :at
            )
            SELECT * FROM waiting WHERE turn <= :per_member
            ORDER BY turn, created_at, interaction_id, ordinal LIMIT :limit
            """,  # noqa: S608 - only constants of ours are put in
            provider=provider,
            at=at,
            per_member=per_member,
            limit=limit,
        )
        return [_task(row) for row in rows]

    async def ahead_of(self, task: Task) -> int:
        """How many held tasks of the same provider were asked for earlier."""
        row = await self._database.read_one(
            """
            SELECT COUNT(*) AS ahead FROM tasks WHERE state = 'held' AND provider = :provider
              AND (created_at, interaction_id, ordinal) < (:created, :interaction, :ordinal)
            """,
            provider=task.provider,
            created=task.created_at,
            interaction=task.interaction_id,
            ordinal=task.ordinal,
        )
        return int(row["ahead"]) if row else 0

    async def running(self, provider: str) -> int:
        row = await self._database.read_one(
            f"SELECT COUNT(*) AS busy FROM tasks WHERE provider = :provider AND state IN ({_RUNNING})",  # noqa: S608
            provider=provider,
        )
        return int(row["busy"]) if row else 0

    async def open_providers(self) -> set[str]:
        """Providers with something left to do, whatever today's settings say."""
        rows = await self._database.read(
            f"WITH RECURSIVE {_OPEN} SELECT name FROM open_ones WHERE name IS NOT NULL"  # noqa: S608
        )
        return {row["name"] for row in rows}

    async def next_due(self, after: int) -> int | None:
        row = await self._database.read_one(
            f"""
            WITH RECURSIVE {_OPEN}, unfinished (name) AS (VALUES {_UNFINISHED})
            SELECT MIN((
              SELECT MIN(due_at) FROM tasks
              WHERE provider = open_ones.name AND state = unfinished.name
                AND due_at IS NOT NULL AND due_at > :after
            )) AS due
            FROM open_ones CROSS JOIN unfinished
            """,  # noqa: S608 - only constants of ours are put in
            after=after,
        )
        return row["due"] if row else None

    async def body(self, task: Task) -> bytes | None:
        """The bytes of a submit whose outcome is not known yet."""
        row = await self._database.read_one("SELECT body FROM submissions WHERE task_id = :id", id=task.id)
        return bytes(row["body"]) if row else None

    async def cost(self, task_id: str) -> int:
        """Micros booked for a task; 0 where nothing is."""
        row = await self._database.read_one(
            "SELECT spent_micros AS cost FROM ledger WHERE task_id = :task AND kind = 'settle'", task=task_id
        )
        return int(row["cost"]) if row else 0

    async def usual_milliseconds(self, task: Task) -> int | None:
        """How long the last clips of this provider and format took from submit to success, on average."""
        row = await self._database.read_one(
            """
            SELECT AVG(took) AS took FROM (
              SELECT (
                SELECT MIN(at) FROM task_events WHERE task_id = tasks.id AND state = 'succeeded'
              ) - tasks.submitted_at AS took
              FROM tasks
              WHERE tasks.state = 'delivered' AND provider = :provider AND model = :model
                AND duration = :duration AND resolution = :resolution
              ORDER BY tasks.created_at DESC LIMIT 20
            ) AS latest
            """,
            provider=task.provider,
            model=task.format.model,
            duration=task.format.duration,
            resolution=task.format.resolution,
        )
        return round(row["took"]) if row and row["took"] is not None else None

    async def events(self, task_id: str) -> list[TaskEvent]:
        rows = await self._database.read(
            "SELECT at, state, note FROM task_events WHERE task_id = :task ORDER BY id", task=task_id
        )
        return [TaskEvent(row["at"], TaskState(row["state"]), row["note"]) for row in rows]


def _insert(tx: Transaction, task: Task) -> None:
    tx.run(
        """
        INSERT INTO tasks (id, interaction_id, ordinal, server_id, channel_id, member_id, mode, model, duration,
          resolution, prompt, camera, enhance, first_frame_path, last_frame_path, provider, price_micros,
          upload_limit, state, created_at, changed_at, due_at, polls)
        VALUES (:id, :interaction, :ordinal, :server, :channel, :member, :mode, :model, :duration,
          :resolution, :prompt, :camera, :enhance, :first, :last, :provider, :price,
          :upload_limit, 'held', :at, :at, :due, 0)
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
        prompt=task.prompt,
        camera=task.camera,
        enhance=int(task.enhance),
        first=task.first_frame and task.first_frame.path,
        last=task.last_frame and task.last_frame.path,
        provider=task.provider,
        price=task.price_micros,
        upload_limit=task.upload_limit,
        at=task.created_at,
        due=task.due_at,
    )
    ledger.hold(tx, task)
    _event(tx, task, TaskState.HELD, task.created_at, f"price held, to be made by {task.provider}")


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


def _event(tx: Transaction, task: Task, state: TaskState, at: int, note: str) -> None:
    tx.run(
        "INSERT INTO task_events (task_id, at, state, note) VALUES (:task, :at, :state, :note)",
        task=task.id,
        at=at,
        state=state.value,
        note=note[:_NOTE_LENGTH],
    )


def _forget_body(tx: Transaction, task: Task) -> None:
    tx.run("DELETE FROM submissions WHERE task_id = :id", id=task.id)


def _frame(path: str | None, url: str | None) -> Frame | None:
    return Frame(path, url) if path else None


def _task(row: sqlite3.Row) -> Task:
    return Task(
        id=row["id"],
        interaction_id=row["interaction_id"],
        ordinal=row["ordinal"],
        server_id=row["server_id"],
        channel_id=row["channel_id"],
        member_id=row["member_id"],
        mode=Mode(row["mode"]),
        format=Format.model_construct(
            model=row["model"], duration=row["duration"], resolution=row["resolution"]
        ),
        prompt=row["prompt"],
        camera=row["camera"],
        enhance=bool(row["enhance"]),
        first_frame=_frame(row["first_frame_path"], row["first_frame_url"]),
        last_frame=_frame(row["last_frame_path"], row["last_frame_url"]),
        provider=row["provider"],
        price_micros=row["price_micros"],
        upload_limit=row["upload_limit"],
        state=TaskState(row["state"]),
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        submitted_at=row["submitted_at"],
        due_at=row["due_at"],
        polls=row["polls"],
        job_id=row["job_id"],
        clip_url=row["clip_url"],
        clip_expires_at=row["clip_expires_at"],
        problem=row["problem"],
        progress_channel_id=row["progress_channel_id"],
        progress_message_id=row["progress_message_id"],
        posting_since=row["posting_since"],
        message_channel_id=row["message_channel_id"],
        message_id=row["message_id"],
    )
