"""Clips above a server's price: a moderator's click, or the end of the time for it, decides once and for all."""

import logging
from collections.abc import Callable, Sequence

from bot.domain.approvals import EXPIRED, Decision, Question, declined
from bot.domain.audit import Deed
from bot.domain.errors import Refusal
from bot.domain.language import kept, tr
from bot.domain.money import dollars
from bot.domain.ports import Clock
from bot.domain.prose import together
from bot.domain.task import Task
from bot.services.files import Files
from storage.approvals import ApprovalStore, Ruling

log = logging.getLogger(__name__)

REASON_LENGTH = 300
#: Questions that end at once; the rest follow in the next turn.
_AT_ONCE = 100


class Approvals:
    """`changed` is told of every clip that moved; `wake` is called when something may go on."""

    def __init__(
        self,
        store: ApprovalStore,
        files: Files,
        clock: Clock,
        *,
        changed: Callable[[Task], None],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._files = files
        self._clock = clock
        self._changed = changed
        self._wake = wake

    async def open_question(self, interaction_id: int, server_id: int) -> Question:
        """A question of this server that can still be answered; `Refusal` says why it cannot be."""
        question = await self._store.get(interaction_id)
        if question is None or question.server_id != server_id:
            raise Refusal(tr("There is no such question in this server. Nothing was changed."))
        if question.decision is not None or question.until <= self._clock():
            raise Refusal(_over(question))
        return question

    async def approve(self, interaction_id: int, server_id: int, *, actor_id: int, actor: str) -> Ruling:
        """Let the clips be made that still wait; `actor` is the moderator's name for their history."""
        question = await self.open_question(interaction_id, server_id)

        def deed(tasks: Sequence[Task]) -> Deed:
            return Deed(server_id, actor_id, "approvals approve", _subject(tasks), after=_cost(tasks))

        note = kept("approved by {actor}", actor=actor)
        return await self._ruled(
            await self._store.approve(question, self._clock(), by=actor_id, note=note, deed=deed)
        )

    async def decline(self, interaction_id: int, server_id: int, *, actor_id: int, reason: str) -> Ruling:
        """Cancel the clips that still wait and give their hold back; the member reads the reason, if there is one."""
        question = await self.open_question(interaction_id, server_id)
        words = " ".join(reason.split())[:REASON_LENGTH]

        def deed(tasks: Sequence[Task]) -> Deed:
            return Deed(
                server_id, actor_id, "approvals decline", _subject(tasks), before=_cost(tasks), reason=words
            )

        return await self._ruled(
            await self._store.decline(question, self._clock(), by=actor_id, note=declined(words), deed=deed)
        )

    async def expire(self) -> None:
        """End every question that nobody answered in time."""
        now = self._clock()
        for question in await self._store.overdue(now, limit=_AT_ONCE):
            await self._show(await self._store.expire(question, now, note=EXPIRED))

    async def _ruled(self, ruling: Ruling) -> Ruling:
        if not ruling.tasks:
            raise Refusal(_over(ruling.question))
        await self._show(ruling)
        self._wake()
        return ruling

    async def _show(self, ruling: Ruling) -> None:
        for task in ruling.tasks:
            self._changed(task)
        if ruling.tasks and ruling.question.decision is not Decision.APPROVED:
            await self._files.forget_pictures(ruling.tasks[0])


def _over(question: Question) -> str:
    """Why a question cannot be answered any more."""
    nothing = tr("Nothing was changed.")
    return together(_how(question), nothing)


def _how(question: Question) -> str:
    moderator = f"<@{question.decided_by}>"
    match question.decision:
        case Decision.APPROVED:
            return tr("{moderator} has approved it already.", moderator=moderator)
        case Decision.DECLINED:
            return tr(
                "{moderator} has declined it already, and its hold was given back.", moderator=moderator
            )
        case Decision.WITHDRAWN:
            return tr("Its member has cancelled it, and its hold was given back.")
        case _:
            return tr(
                "Its time was over {when}, so it is cancelled and its hold given back.",
                when=f"<t:{question.until // 1000}:R>",
            )


def _subject(tasks: Sequence[Task]) -> str:
    return f"{', '.join(task.id for task in tasks)} of <@{tasks[0].member_id}>"


def _cost(tasks: Sequence[Task]) -> str:
    return dollars(sum(task.price_micros for task in tasks))
