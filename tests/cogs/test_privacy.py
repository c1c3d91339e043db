"""`/privacy`: what is stored of a member, all of it as files, and its end; of the member who asks and nobody else."""

import io
import json
import zipfile
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from bot.domain.errors import Refusal
from bot.domain.privacy import Keeping
from bot.domain.task import Task, TaskState
from bot.posting.board import EDIT_SECONDS
from bot.services import privacy
from storage.privacy import PrivacyStore
from tests.cogs.clips import posted
from tests.cogs.fixtures import Open
from tests.cogs.forging import press
from tests.cogs.limiting import limited
from tests.cogs.moderators import asked, click, said, tell
from tests.cogs.pictures import picture
from tests.cogs.scene import Scene, drawn, told
from tests.cogs.test_tasks import page

DAY = 86_400.0
SECRET = "the whale's secret name is Ambergris"
FRAME = ("a.png", picture())


async def ask(scene: Scene, name: str, member: Any = None) -> Any:
    return await (member or scene.alice).slash(scene.channel, f"privacy {name}")


async def erase(scene: Scene, member: Any = None) -> str:
    member = member or scene.alice
    offered = await ask(scene, "erase", member)
    return told(await member.click(offered.response, label="Erase my data"))


async def sweep(scene: Scene) -> None:
    with scene.env.time_context():
        while await scene.app.retention.step() < 1:
            pass


async def redrawn(scene: Scene) -> str:
    await scene.pass_time(EDIT_SECONDS)
    await scene.redraw()
    return drawn(scene)


async def delivered(scene: Scene, **options: Any) -> Task:
    task = await scene.succeeded(prompt=SECRET, **options)
    posted = await scene.deliver(task)
    await scene.app.tasks.delivered(
        task, scene.now(), channel_id=posted.channel_id, message_id=posted.message_id, note=f"posted {SECRET}"
    )
    scene.clip(task).unlink()
    await scene.app.tasks.end_shown(task.interaction_id)
    return (await scene.tasks())[-1]


def files(scene: Scene, result: Any) -> dict[str, bytes]:
    answers = [one for one in [result.response, *result.followups] if one]
    assert all(one.ephemeral for one in answers)
    return {file.filename: scene.env.backend.cdn.get(file.url) for one in answers for file in one.attachments}


def unpacked(parts: dict[str, bytes]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for data in parts.values():
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found |= {name: archive.read(name) for name in archive.namelist()}
    return found


async def exported(scene: Scene, member: Any = None) -> dict[str, Any]:
    """The tables of an export, of all its documents."""
    parts = files(scene, await ask(scene, "export", member))
    documents = parts if set(parts) == {"conch-data.json"} else unpacked(parts)
    tables: dict[str, Any] = {}
    for name, data in documents.items():
        if name.endswith(".json"):
            document = json.loads(data)
            assert document.pop("about")["member_id"] == str((member or scene.alice).id)
            for table, rows in document.items():
                tables.setdefault(table, []).extend(rows)
    return tables


async def rows_of(scene: Scene) -> dict[str, list[dict[str, Any]]]:
    """The whole database."""
    names = await scene.app.database.read("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return {
        name["name"]: [dict(row) for row in await scene.app.database.read(f"SELECT * FROM {name['name']}")]
        for name in names
    }


def mentions(row: dict[str, Any], member: Any) -> bool:
    return any(value == member.id or str(member.id) in str(value) for value in row.values())


def on_disk(folder: Path, words: bytes) -> list[str]:
    """The files, of the database and of the data folder, that have the words in them."""
    return [file.name for file in folder.rglob("*") if file.is_file() and words in file.read_bytes()]


# ------------------------------------------------------------------------- show


async def test_a_stranger_reads_that_nothing_is_stored(scene: Scene) -> None:
    assert "Nothing is stored of you" in told(await ask(scene, "show"))


async def test_show_counts_what_there_is_and_says_for_how_long(open_bot: Open) -> None:
    async with open_bot(operator_contact="ada@example.com", keep_prompts_days=90, keep_clips_days=1) as scene:
        await scene.stranded()
        await scene.video("image", first_frame=FRAME)
        await scene.admin("access deny", member=scene.alice.user, reason="spam")
        words = told(await ask(scene, "show"))
        nothing = told(await ask(scene, "show", scene.bob))
    assert len(words) <= 2000
    for piece in (
        "**2 videos**",
        "Of these 1 under way.",
        "**1 picture** on disk",
        "**1 clip** that could be posted nowhere; `/tasks show` hands it over",
        "**3 ledger lines**: $0.3294 spent",
        "**1 rule** that admins set about you",
        "**0 limits** that admins set about you",
        "**1 line** in the record",
        "prompts and notes 90 days from when you asked; pictures 30 days after their clip; clips that nobody",
        "collects 1 day;",
        "`/privacy export`",
        "`/privacy erase`",
        "**Operator:** ada@example.com",
    ):
        assert piece in words
    assert "Nothing is stored of you" in nothing
    assert "ada@example.com" in nothing


# ----------------------------------------------------------------------- export


async def test_an_export_is_one_json_file_with_all_that_every_table_knows_of_the_member(scene: Scene) -> None:
    channel = await asked(scene, prompt=SECRET)
    await click(scene, channel, "Approve")
    await scene.admin("access deny", member=scene.alice.user, reason="spam")
    await limited(scene, "1", "day", scene.alice.user)
    there = await scene.elsewhere()
    await there.alice.slash(there.channel, "video text", prompt="a paper boat")
    await there.eve.slash(there.channel, "video text", prompt="eve's own")
    tables = await exported(scene)
    for table, rows in (await rows_of(scene)).items():
        known = [row for row in rows if mentions(row, scene.alice)]
        assert len(tables.get(table, [])) >= len(known), table
    assert [row["prompt"] for row in tables["tasks"]] == [SECRET, "a paper boat"]
    assert {row["name"] for row in tables["servers"]} == {"Reef", "Lagoon"}
    assert {row["kind"] for row in tables["ledger"]} == {"hold"}
    assert [row["decision"] for row in tables["approvals"]] == ["approved"]
    assert {row["task_id"] for row in tables["task_events"]} == {row["id"] for row in tables["tasks"]}


async def test_an_export_tells_nothing_of_others(scene: Scene) -> None:
    channel = await asked(scene)
    await click(scene, channel, "Approve")
    await scene.admin("access deny", member=scene.alice.user, reason="spam")
    await scene.bob.slash(scene.channel, "video text", prompt="bob's own")
    text = json.dumps(await exported(scene))
    for one in ("bob's own", str(scene.bob.id), str(scene.carol.id), str(scene.folder)):
        assert one not in text


async def test_an_admins_own_deeds_are_in_the_admins_export(scene: Scene) -> None:
    channel = await asked(scene)
    await click(scene, channel, "Approve")
    tables = await exported(scene, scene.carol)
    assert [row["action"] for row in tables["audit"]] == ["approvals", "approvals approve"]
    assert [row["decided_by"] for row in tables["approvals"]] == [str(scene.carol.id)]
    assert "tasks" not in tables


async def test_pictures_and_waiting_clips_lie_beside_the_data(scene: Scene) -> None:
    task = await scene.stranded()
    await scene.video("image", first_frame=FRAME)
    inside = unpacked(files(scene, await ask(scene, "export")))
    (frame,) = (scene.settings.data_dir / "frames").iterdir()
    assert inside[f"pictures/{frame.name}"] == frame.read_bytes()
    assert inside[f"clips/{task.id}.mp4"] == b"a clip"
    assert json.loads(inside["data-1.json"])["tasks"][1]["first_frame_path"] == frame.name


async def test_the_last_frame_of_a_clip_is_among_the_pictures(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    assert "**1 picture** on disk" in told(await ask(scene, "show"))
    inside = unpacked(files(scene, await ask(scene, "export")))
    assert inside[f"pictures/{task.id}.png"].startswith(b"\x89PNG")
    await erase(scene)
    assert "picture** on disk" not in told(await ask(scene, "show"))


async def test_what_is_too_much_for_a_file_comes_in_parts(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy, "_ITEM_BYTES", 3000)
    await scene.stranded(prompt="short")
    for number in range(4):
        await scene.video(prompt=f"{number} {SECRET}" * 10)
    scene.clip((await scene.tasks())[0]).write_bytes(b"x" * 3001)
    result = await ask(scene, "export")
    parts = files(scene, result)
    assert len(parts) > 1
    assert all(len(data) < 4000 for data in parts.values())
    assert len((await exported(scene))["tasks"]) == 5
    assert (
        "they are too large for Discord or cannot be read any more: `clips/" in result.followups[-1].content
    )


async def test_more_than_an_answer_holds_is_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy, "_ITEM_BYTES", 1)
    monkeypatch.setattr("cogs.privacy._MOST_PARTS", 2)
    opened = []

    class Noted(zipfile.ZipFile):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            opened.append(self)

    monkeypatch.setattr("bot.services.privacy.zipfile.ZipFile", Noted)
    await scene.video()
    result = await ask(scene, "export")
    assert len(files(scene, result)) == 2
    assert "There is more than the 2 files above" in result.followups[-1].content
    assert [archive.fp for archive in opened] == [None] * len(opened)
    assert len(opened) > 2


async def test_a_member_has_one_export_at_a_time(scene: Scene) -> None:
    await scene.video()
    store = PrivacyStore(scene.app.database)
    own = privacy.Privacy(store, scene.app.retention, Keeping(1, 1, 1), folder=scene.folder, clock=scene.now)
    async with aclosing(own.export(scene.alice.id, left_out=[])) as first:
        await anext(first)
        with pytest.raises(Refusal, match="Your export is being made already"):
            await anext(own.export(scene.alice.id, left_out=[]))
    assert await anext(own.export(scene.alice.id, left_out=[]))


# ------------------------------------------------------------------------ erase


async def test_erase_asks_first(scene: Scene) -> None:
    await delivered(scene)
    words = told(await ask(scene, "erase"))
    assert "**This erases for good**" in words
    assert "1 video" in words
    assert "**What stays:** amounts" in words
    assert (await scene.task()).prompt == SECRET


async def test_erasing_leaves_no_byte_of_prompt_or_picture_anywhere(scene: Scene) -> None:
    task = await delivered(scene, mode="image", first_frame=FRAME)
    # As after a crash, which leaves the picture behind.
    left = scene.settings.data_dir / "frames" / f"{task.interaction_id}-first.jpg"
    left.write_bytes(b"pixels of a whale")
    assert "conch.db" in str(on_disk(scene.folder, SECRET.encode()))
    assert "of 1 video." in await erase(scene)
    assert on_disk(scene.folder, SECRET.encode()) == []
    assert on_disk(scene.folder, b"pixels of a whale") == []
    assert on_disk(scene.folder, b"cdn.discordapp") == []


async def test_erasing_many_leaves_no_byte_either(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=10**9) as scene:
        for _ in range(10):
            await scene.video(prompt=SECRET * 50, count=4)
        for task in await scene.tasks():
            await scene.app.tasks.end(task, TaskState.FAILED, scene.now(), note=f"refused: {SECRET}")
        assert "of 40 videos." in await erase(scene)
        assert on_disk(scene.folder, SECRET.encode()) == []


async def test_erasing_changes_no_money_and_nobody_elses_rows(scene: Scene) -> None:
    await delivered(scene)
    there = await scene.elsewhere()
    await there.alice.slash(there.channel, "video text", prompt=SECRET)
    await there.eve.slash(there.channel, "video text", prompt="eve's own")
    await scene.bob.slash(scene.channel, "video text", prompt="bob's own")
    await scene.admin("access deny", member=scene.alice.user, reason="spam")
    before = await rows_of(scene)
    await erase(scene)
    after = await rows_of(scene)
    for table in ("ledger", "audit", "access_rules", "limits", "servers"):
        assert after[table] == before[table]
    for others in (scene.bob, there.eve):
        assert [row for row in after["tasks"] if mentions(row, others)] == [
            row for row in before["tasks"] if mentions(row, others)
        ]
    kept = ("member_id", "price_micros", "provider", "model", "created_at", "state", "message_id")
    (row,) = [row for row in after["tasks"] if row["erased_at"]]
    assert [row[name] for name in kept] == [before["tasks"][0][name] for name in kept]


async def test_of_an_erased_task_the_history_says_so_and_nothing_more(scene: Scene) -> None:
    task = await delivered(scene)
    await erase(scene)
    history = told(await scene.alice.slash(scene.channel, "tasks show", task=task.id))
    assert "> *erased by its member*" in history
    assert "delivered: erased by its member" in history
    assert "settle $0.3294" in history
    assert "At MindVideo" not in history
    assert "✅ Ready: https://" in page(await scene.alice.slash(scene.channel, "tasks list"))
    assert "Ambergris" not in history
    (choice,) = await scene.alice.autocomplete(scene.channel, "tasks show", "task", "")
    assert "erased by its member" in choice["name"]


async def test_a_failure_no_longer_says_why(scene: Scene) -> None:
    task = await scene.accepted()
    await scene.app.tasks.end(task, TaskState.FAILED, scene.now(), note=f"not that: {SECRET}")
    await erase(scene)
    said_ = page(await scene.alice.slash(scene.channel, "tasks list"))
    assert "It failed and $0.3294 was given back: The reason was erased." in said_


async def test_erasing_twice_does_no_harm(scene: Scene) -> None:
    await delivered(scene)
    offered = await ask(scene, "erase")
    await erase(scene)
    before = await rows_of(scene)
    assert "There was nothing to erase now." in told(
        await scene.alice.click(offered.response, label="Erase my data")
    )
    assert "There is nothing left to erase" in told(await ask(scene, "erase"))
    assert await rows_of(scene) == before


async def test_a_clip_that_waits_to_be_collected_goes_and_stays_paid(scene: Scene) -> None:
    task = await scene.stranded()
    money = await scene.spent_and_held()
    await redrawn(scene)
    await erase(scene)
    assert not scene.clip(task).exists()
    ended = await scene.task()
    assert (ended.state, ended.erased) == (TaskState.FAILED, True)
    assert await scene.spent_and_held() == money
    words = "❌ It ended without a clip: Its clip could be posted nowhere, and was erased by its member."
    assert words in await redrawn(scene)


async def test_what_is_under_way_is_finished_first_and_then_erased(scene: Scene) -> None:
    task = await scene.succeeded(prompt=SECRET)
    words = await erase(scene)
    assert f"Still under way, and erased a minute after they end: `{task.id}`." in words
    assert (await scene.task()).prompt == SECRET
    await scene.app.tasks.delivered(
        task, scene.now(), channel_id=scene.channel.id, message_id=77, note="posted"
    )
    await sweep(scene)
    assert (await scene.task()).prompt == SECRET
    await scene.pass_time(60)
    await sweep(scene)
    assert (await scene.task()).erased
    assert on_disk(scene.folder, SECRET.encode()) == []


async def test_what_is_to_be_erased_is_so_over_a_restart(scene: Scene) -> None:
    task = await scene.succeeded(prompt=SECRET)
    await erase(scene)
    await scene.restart()
    await scene.app.tasks.delivered(
        task, scene.now(), channel_id=scene.channel.id, message_id=77, note="posted"
    )
    await scene.pass_time(60)
    await sweep(scene)
    assert (await scene.task()).erased


async def test_a_picture_stays_as_long_as_another_clip_of_the_command_needs_it(scene: Scene) -> None:
    await scene.video("image", first_frame=FRAME, count=2)
    first, second = await scene.tasks()
    await scene.app.tasks.end(first, TaskState.CANCELLED, scene.now(), note="x")
    await erase(scene)
    assert scene.files()
    await scene.app.tasks.end(second, TaskState.CANCELLED, scene.now(), note="x")
    await scene.pass_time(60)
    await sweep(scene)
    assert not scene.files()


async def test_a_new_clip_is_not_erased_with_the_old(scene: Scene) -> None:
    await delivered(scene)
    await erase(scene)
    await scene.pass_time(1)
    await delivered(scene)
    await scene.pass_time(120)
    await sweep(scene)
    assert [task.erased for task in await scene.tasks()] == [True, False]


async def test_moderators_no_longer_read_the_prompt_they_were_asked_about(scene: Scene) -> None:
    channel = await asked(scene, "image", first_frame=FRAME, prompt=SECRET)
    await click(scene, channel, "Approve")
    await tell(scene)
    await scene.app.tasks.end((await scene.tasks())[-1], TaskState.FAILED, scene.now(), note="x")
    assert "Ambergris" in said(scene, channel)[-1]
    await erase(scene)
    await tell(scene)
    assert "> *erased by its member*" in said(scene, channel)[-1]
    assert scene.shown(channel)[-1].attachments == []


async def test_nobody_can_press_anothers_button(scene: Scene) -> None:
    await delivered(scene)
    for member in (scene.bob, scene.carol):
        said_ = told(await press(scene, f"conch:erase:{scene.alice.id}", member))
        assert "only that member may press it" in said_
    assert (await scene.task()).prompt == SECRET


async def test_the_button_works_after_a_restart(scene: Scene) -> None:
    await delivered(scene)
    offered = await ask(scene, "erase")
    await scene.restart()
    assert "of 1 video." in told(await scene.alice.click(offered.response, label="Erase my data"))


async def test_whoever_has_left_the_server_has_the_same_rights_in_direct_messages(scene: Scene) -> None:
    await delivered(scene)
    await scene.video(prompt=SECRET)
    await scene.alice.slash(scene.channel, "tasks cancel", task=(await scene.tasks())[-1].id)
    user = scene.alice.user
    assert "**2 videos**" in told(await user.slash("privacy show"))
    (data,) = files(scene, await user.slash("privacy export")).values()
    assert len(json.loads(data)["tasks"]) == 2
    offered = await user.slash("privacy erase")
    assert "of 2 videos." in told(await user.click(offered.response, label="Erase my data"))


async def test_the_sandboxs_own_files_go_too(open_bot: Open) -> None:
    async with open_bot(providers=("sandbox",)) as scene:
        await scene.video(prompt=f"!fail {SECRET}")
        await scene.step(3)
        assert (await scene.task()).state is TaskState.FAILED
        assert on_disk(scene.folder / "data", SECRET.encode())
        await erase(scene)
        assert on_disk(scene.folder, SECRET.encode()) == []


# -------------------------------------------------------------------- retention


async def test_prompts_go_when_their_days_are_over(open_bot: Open) -> None:
    async with open_bot(keep_prompts_days=7) as scene:
        await delivered(scene)
        await scene.pass_time(7 * DAY - 60)
        await sweep(scene)
        assert (await scene.task()).prompt == SECRET
        await scene.video(prompt="a newer one")
        await scene.pass_time(60)
        await sweep(scene)
        old, new = await scene.tasks()
        assert (old.prompt, new.prompt) == ("", "a newer one")
        assert on_disk(scene.folder, SECRET.encode()) == []
        history = told(await scene.alice.slash(scene.channel, "tasks show", task=old.id))
        assert "> *erased, as its time was over*" in history
        assert "delivered: erased after 7 days" in history


async def test_a_clip_that_still_goes_on_keeps_its_prompt_however_old(open_bot: Open) -> None:
    async with open_bot(keep_prompts_days=1) as scene:
        task = await scene.accepted(prompt=SECRET)
        await scene.app.tasks.park(task, scene.now(), due_at=None, note="unknown")
        await scene.pass_time(3 * DAY)
        await sweep(scene)
        assert (await scene.task()).prompt == SECRET


async def test_a_clip_that_nobody_collects_goes_when_its_days_are_over(open_bot: Open) -> None:
    async with open_bot(keep_clips_days=3) as scene:
        task = await scene.stranded(prompt=SECRET)
        money = await scene.spent_and_held()
        assert "could not be posted" in await redrawn(scene)
        await scene.pass_time(3 * DAY - 60)
        await sweep(scene)
        assert scene.clip(task).exists()
        await scene.pass_time(60)
        await sweep(scene)
        assert not scene.clip(task).exists()
        ended = await scene.task()
        assert (ended.state, ended.prompt) == (TaskState.FAILED, SECRET)
        assert await scene.spent_and_held() == money
        words = (
            "It ended without a clip: Its clip could be posted nowhere, and was not collected within 3 days."
        )
        assert words in await redrawn(scene)
        assert words in page(await scene.alice.slash(scene.channel, "tasks list"))


async def test_a_block_that_is_over_is_forgotten_and_others_are_not(scene: Scene) -> None:
    await scene.admin("access deny", member=scene.alice.user, **{"for": 1})
    await scene.admin("access deny", member=scene.bob.user)
    await scene.pass_time(3601)
    await sweep(scene)
    rows = (await rows_of(scene))["access_rules"]
    assert [row["subject"] for row in rows] == [str(scene.bob.id)]


async def test_more_than_a_batch_is_swept_in_several(open_bot: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.services.retention._BATCH", 2)
    async with open_bot(keep_prompts_days=1, user_daily_limit=10**9) as scene:
        await scene.video(count=4)
        for task in await scene.tasks():
            await scene.app.tasks.end(task, TaskState.FAILED, scene.now(), note="x")
        await scene.pass_time(DAY)
        assert await scene.app.retention.step() < 1
        assert [task.erased for task in await scene.tasks()].count(True) == 2
        await sweep(scene)
        assert all(task.erased for task in await scene.tasks())
