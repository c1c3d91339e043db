"""Discord fails at any route of what moderators and members ask for beside clips: nothing is done twice or lost.

Whoever gets no answer presses again, as people do.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.domain.limits import Period
from bot.domain.money import dollars
from bot.domain.task import FINAL, Task, TaskState
from bot.media import charts
from storage.servers import ServerStore
from tests.cogs import moderators
from tests.cogs.clips import click, delivered, fill_in
from tests.cogs.limiting import deeds
from tests.cogs.moderators import labels, moderators_channel, said, tell
from tests.cogs.scene import Scene, drawn, open_scene
from tests.cogs.test_admin_notices import FEBRUARY, own_budget, until
from tests.cogs.test_admin_report import made
from tests.cogs.test_discord_faults import ACKNOWLEDGING, REFUSALS, Faults, Route
from tests.providers.mindvideo_standin import MindVideoStandIn

CHEAP = {"format": "hailuo-02/5/768p"}
#: Presses after which somebody would give up; each meets a fault on a route that no press before came to.
_TRIES = 12
#: Begins every answer that says to try again.
#: After either the same is done once more.
TROUBLE = ("Discord made trouble just now, so ", "This form is over: ")
WANTED = "✋ **Approval wanted**"
Act = Callable[[], Awaitable[Any]]


class Every:
    """All routes."""

    def __contains__(self, _: object) -> bool:
        return True


class Story:
    """Each step meets the faults anew, on each route that it takes."""

    def __init__(self, scene: Scene, clip: bytes, faults: Faults) -> None:
        self.scene = scene
        self.clip = clip
        self.faults = faults
        self.routes: set[Route] = set()
        self.channel = moderators_channel(scene)

    # ------------------------------------------------------------------ people

    async def insist(self, act: Act) -> str:
        """Do it until there is an answer that says more than to try again."""
        self.anew()
        for _ in range(_TRIES):
            result = await act()
            if (words := answer(result)) and not words.startswith(TROUBLE):
                return words
        raise AssertionError(f"no answer to {act}")

    async def until_gone(self, label: str) -> None:
        """Press it until the message shows a decision, and no buttons."""
        self.anew()
        for _ in range(_TRIES):
            await self.press(label)()
            if not self.buttons():
                return
        raise AssertionError(f"{label} stays")

    async def form(self, open_it: Act, fill: Callable[[Any], Awaitable[Any]]) -> str:
        """Open a form until it stands there and send it; another one where that got no answer."""

        async def act() -> Any:
            shown = await open_it()
            return await fill(shown) if shown.modal else shown

        return await self.insist(act)

    async def told(self, number: int, head: str) -> None:
        """Moderators are told by itself, after pauses: so many messages, of which the last begins so."""
        self.anew()
        for _ in range(_TRIES):
            before = said(self.scene, self.channel)
            await tell(self.scene)
            await self.scene.pass_time(900)
            # Once more where all stands: nothing comes twice.
            if before == said(self.scene, self.channel) and before[-1:] and before[-1].startswith(head):
                break
        assert len(before) == number
        assert before[-1].startswith(head)

    def anew(self) -> None:
        self.routes |= set(self.faults.used)
        self.faults.used.clear()

    # ------------------------------------------------------------------- steps

    async def play(self) -> None:
        await self.switches()
        await self.approvals()
        await self.reported_clips()
        await self.refund_and_cancel()
        await self.reads()
        await self.alarm_and_month()
        self.anew()

    async def switches(self) -> None:
        admin = self.scene.admin
        assert "Moderators are told in" in await self.insist(
            lambda: admin("notices", channel=self.channel, monthly_report=True)
        )
        await self.insist(lambda: admin("approvals", above="0.30", channel=self.channel))
        now = await ServerStore(self.scene.app.database).get(self.scene.guild.id)
        assert (now.notices_channel_id, now.approval_micros) == (self.channel.id, 300_000)
        actions = [deed.action for deed in await deeds(self.scene)]
        assert sorted(set(actions)) == ["approvals", "notices"]

    async def approvals(self) -> None:
        """One clip is approved, one declined, each once, whatever was pressed how often."""
        approved = await self.dear()
        await self.told(1, WANTED)
        await self.insist(self.press("Approve"))
        await self.decided("approvals approve", "✅ **Approved**")
        declined = await self.dear()
        await self.told(2, WANTED)
        await self.form(self.press("Decline"), lambda shown: decline(self.scene, shown))
        await self.decided("approvals decline", "🚫 **Declined**")
        states = {task.id: task.state for task in await self.scene.tasks()}
        assert states[declined.id] is TaskState.CANCELLED
        assert states[approved.id] is not TaskState.CANCELLED

    async def decided(self, action: str, head: str) -> None:
        await self.told(len(said(self.scene, self.channel)), head)
        assert [deed.action for deed in await deeds(self.scene)].count(action) == 1
        assert not self.buttons()

    async def reported_clips(self) -> None:
        """Bob reports a clip, Carol deletes it; Alice deletes another one."""
        scene = self.scene
        first, second = [await self.cheap() for _ in range(2)]
        for _ in range(2):
            words = await self.form(
                lambda: click(scene, first, "Report", scene.bob),
                lambda shown: fill_in(scene, shown, scene.bob, reason="my face"),
            )
        assert "You reported this clip" in words or "the moderators were told" in words
        assert len(said(scene, self.channel)) == 3
        await self.until_gone("Delete clip")
        assert said(scene, self.channel)[-1].startswith("🗑️ **Deleted**")
        await self.deleted(second)
        for task in (first, second):
            assert task.message_id not in scene.env.backend.messages[scene.channel.id]
            found = await scene.app.tasks.get(task.id)
            assert found is not None
            assert found.removed_by is not None
            notes = [event.note for event in await scene.app.tasks.events(task.id)]
            assert sum(note.startswith(("removed", "[")) and "removed" in note for note in notes) == 1

    async def deleted(self, task: Task) -> None:
        """By its member, who presses again for as long as it stands there."""
        self.anew()
        for _ in range(_TRIES):
            shown = await click(self.scene, task, "Delete")
            if shown.modal:
                await fill_in(self.scene, shown, reason="")
            if task.message_id not in self.scene.env.backend.messages[self.scene.channel.id]:
                return

    async def refund_and_cancel(self) -> None:
        scene = self.scene
        task = await self.cheap()
        await self.insist(lambda: scene.admin("tasks refund", task=task.id, reason="sorry"))
        refunds = await scene.app.database.read("SELECT task_id FROM ledger WHERE kind = 'refund'")
        assert [row["task_id"] for row in refunds] == [task.id]
        waiting = await self.dear()
        await self.told(4, WANTED)
        await self.insist(lambda: scene.admin("tasks cancel", task=waiting.id, reason="no"))
        await self.told(4, "🚫 **Cancelled before a decision:**")
        for _ in range(4):
            await scene.redraw()
            await scene.pass_time(600)
        assert "no" in drawn(scene)
        assert (await scene.tasks())[-1].state is TaskState.CANCELLED

    async def reads(self) -> None:
        """What only reads, and comes with files or in pages."""
        scene = self.scene
        for number in range(11):
            await made(scene, number, TaskState.FAILED, id=f"old{number}")
        await self.insist(lambda: scene.admin("report"))
        found: list[Any] = []

        async def find() -> Any:
            found.append(await scene.admin("tasks find"))
            return found[-1]

        await self.insist(find)
        for _ in range(_TRIES):
            page = found[-1].response
            if not page.components:  # trouble was told in its place
                await self.insist(find)
            elif "Newer" in str(page.components):
                break
            else:
                await scene.carol.click(page, label="Older")
        assert "Newer" in str(page.components)
        exports: list[Any] = []

        async def export() -> Any:
            exports.append(await scene.alice.slash(scene.channel, "privacy export"))
            return exports[-1]

        await self.insist(export)
        assert any(file.filename.endswith((".zip", ".json")) for file in exports[-1].response.attachments)

    async def alarm_and_month(self) -> None:
        before = len(said(self.scene, self.channel))
        spent = (await self.scene.spent_and_held())[0]
        await own_budget(self.scene, Period.TOTAL, spent + 500_000)
        await self.cheap()
        await self.told(before + 1, "⚠️")
        assert f"of {dollars(spent + 500_000)}" in said(self.scene, self.channel)[-1]
        await until(self.scene, FEBRUARY)
        await self.told(before + 2, "**Report: January 2026**")

    # ----------------------------------------------------------------- helpers

    async def dear(self) -> Task:
        """Alice asks for a clip that waits for a moderator. How that meets faults is another story."""
        await self.quietly(self.scene.video)
        return (await self.scene.tasks())[-1]

    async def cheap(self) -> Task:
        found: list[Task] = []

        async def make() -> None:
            await self.scene.video(**CHEAP)
            found.append(await delivered(self.scene))

        await self.quietly(make)
        return found[0]

    async def quietly(self, act: Act) -> None:
        before, lost = self.faults.before, self.faults.lost
        self.faults.before, self.faults.lost = None, ()
        await act()
        self.faults.before, self.faults.lost = before, lost

    def press(self, label: str) -> Act:
        """Carol, on the newest message of the moderators' channel."""
        return lambda: moderators.click(self.scene, self.channel, label)

    def buttons(self) -> list[str]:
        return labels(self.scene, self.channel)


def answer(result: Any) -> str:
    """What the person reads in the end."""
    found = [one.content for one in [result.response, *result.followups] if one and one.content]
    return "" if result.modal else "\n".join(found)


async def decline(scene: Scene, shown: Any) -> Any:
    (field,) = [part for row in shown.modal["components"] for part in row["components"]]
    return await scene.carol.submit_modal(shown, {field["custom_id"]: "no"})


async def quick_chart(*_: object, **__: object) -> bytes:
    return b"a picture"


async def play(
    folder: Path,
    template: Path,
    clip: bytes,
    monkeypatch: pytest.MonkeyPatch,
    fail: Callable[[Faults], None],
) -> set[Route]:
    """The story with faults; the routes that it took."""
    await asyncio.to_thread(folder.mkdir)
    with monkeypatch.context() as patch:
        patch.setattr(charts, "draw", quick_chart)
        many = {"user_daily_limit": 1_000_000_000}
        async with (
            MindVideoStandIn() as standin,
            open_scene(folder, template, standin, patch, **many) as scene,
        ):
            standin.clip, standin.auto = clip, True
            scene.expects_bugs = True  # what simcord calls one: a command that could not even be answered
            story = Story(scene, clip, Faults(patch))
            fail(story.faults)
            await story.play()
            await check(scene)
            return story.routes


async def check(scene: Scene) -> None:
    """Money is right at the end, as `conch report --check` has it."""
    tasks = await scene.tasks()
    assert all(task.state in FINAL for task in tasks)
    spent, held = await scene.spent_and_held()
    assert (spent, held) == (sum(scene.standin.charges.values()) * 1_000_000, 0)


async def test_every_route_may_be_refused_at_first(
    tmp_path: Path, template: Path, real_clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One refusal after the other, twice on each route of each step."""

    def refuse(faults: Faults) -> None:
        refusals = itertools.cycle(REFUSALS.values())

        def one() -> BaseException:
            return next(refusals)()

        faults.before, faults.times = one, 2

    routes = await play(tmp_path / "bot", template, real_clip, monkeypatch, refuse)
    assert ACKNOWLEDGING in routes
    assert len(routes) >= 8


async def test_on_every_route_an_answer_may_be_lost(
    tmp_path: Path, template: Path, real_clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(faults: Faults) -> None:
        faults.lost = Every()

    await play(tmp_path / "bot", template, real_clip, monkeypatch, lose)
