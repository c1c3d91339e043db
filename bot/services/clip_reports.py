"""Members report clips to the moderators, who remove them or do not."""

from bot.domain.audit import Deed
from bot.domain.clip_reports import ClipReport, Verdict
from bot.domain.errors import Refusal
from bot.domain.language import kept, tr
from bot.domain.ports import Clock
from bot.domain.servers import Server
from bot.domain.task import Task
from storage.clip_reports import ClipReportStore
from storage.servers import ServerStore

REASON_LENGTH = 500
A_DAY = 5
_DAY = 86_400_000


class ClipReports:
    def __init__(self, store: ClipReportStore, servers: ServerStore, clock: Clock) -> None:
        self._store = store
        self._servers = servers
        self._clock = clock

    async def allowed(self, task: Task, member_id: int) -> Server:
        """The server whose moderators are to be told; `Refusal` says why the member cannot report this clip."""
        if member_id == task.member_id:
            raise Refusal(tr("This clip is your own: **Delete** removes it."))
        server = await self._servers.get(task.server_id)
        if server.notices_channel_id is None:
            raise Refusal(
                tr(
                    "This server has chosen no channel for what its moderators are told, so nobody would read it. "
                    "Ask an admin to choose one with `/admin notices`, or write to them."
                )
            )
        at = self._clock()
        sent = await self._store.sent(task, member_id, since=at - _DAY)
        if sent.of_clip is not None:
            raise Refusal(
                tr(
                    "You reported this clip {when}. Its moderators know of it.",
                    when=f"<t:{sent.of_clip.at // 1000}:R>",
                )
            )
        if len(sent.lately) >= A_DAY:
            raise Refusal(
                tr(
                    "You sent {number} reports in the last 24 hours; {most} are allowed. The next one can be sent "
                    "{when}. What is urgent you can write to a moderator.",
                    number=len(sent.lately),
                    most=A_DAY,
                    when=f"<t:{(sent.lately[-A_DAY] + _DAY) // 1000}:R>",
                )
            )
        return server

    async def report(self, task: Task, member_id: int, reason: str) -> tuple[Server, ClipReport]:
        """A report that moderators are to be told of now; it counts once they were."""
        words = " ".join(reason.split())[:REASON_LENGTH]
        if not words:
            raise Refusal(tr("The reason is empty. Say in words what is wrong with the clip."))
        server = await self.allowed(task, member_id)
        return server, await self._store.add(task, member_id, self._clock(), reason=words)

    async def told(self, report: ClipReport, message_id: int) -> None:
        await self._store.told(report, message_id)

    async def of_server(self, report_id: int, server_id: int) -> ClipReport:
        """A report of this server, decided or not; `Refusal` where there is none."""
        report = await self._store.get(report_id)
        if report is None or report.server_id != server_id:
            raise Refusal(tr("There is no such report in this server. Nothing was changed."))
        return report

    async def decide(self, report: ClipReport, verdict: Verdict, actor_id: int) -> ClipReport:
        """Keep the verdict. A dismissal is a deed of its own; a removal is written down where it is done."""
        deed = None
        if verdict is Verdict.DISMISSED:
            subject = kept(
                "{task}, reported by {member}", task=report.task_id, member=f"<@{report.member_id}>"
            )
            deed = Deed(report.server_id, actor_id, "clips dismiss", subject, before=report.reason)
        decided = await self._store.decide(report, verdict, self._clock(), by=actor_id, deed=deed)
        if (decided.verdict, decided.decided_by) != (verdict, actor_id):
            raise Refusal(already(decided))
        return decided


def already(report: ClipReport) -> str:
    """Who decided a report, and how."""
    member = f"<@{report.decided_by}>"
    if report.verdict is Verdict.REMOVED:
        return tr("{member} has decided it already: removed.", member=member)
    return tr("{member} has decided it already: dismissed.", member=member)
