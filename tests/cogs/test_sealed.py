"""`DATA_KEY`: a member's words and pictures lie sealed on disk, and everything that is made of them goes on."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import SecretStr

from bot.domain.errors import SetupError, StorageError
from bot.domain.task import TaskState
from bot.vault import MARK, Vault, new_key
from storage.backup import take
from storage.database import Transaction
from storage.restore import restore
from tests import at_rest
from tests.at_rest import PICTURES
from tests.cogs.clips import BOTH, FIRST, click, delivered, fill_in, posted
from tests.cogs.fixtures import Open
from tests.cogs.moderators import asked
from tests.cogs.pictures import picture
from tests.cogs.scene import Scene, told
from tests.cogs.test_privacy import ask, exported, files, unpacked
from tests.cogs.test_shapes import WIDE, offered

OLD, NEW = SecretStr(new_key()), SecretStr(new_key())
SECRET = "the whale's secret name is Ambergris"


def in_plain(scene: Scene) -> list[str]:
    """Files that tell a prompt or show a picture."""
    return at_rest.in_plain(scene.folder, "Ambergris")


def kept(scene: Scene) -> list[Path]:
    """All pictures that lie in the data folder."""
    return sorted(file for file in scene.settings.data_dir.rglob("*.[jp][pn]g"))


def damage(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[60] ^= 1
    file.write_bytes(data)


async def asked_without_address(scene: Scene) -> None:
    """For a clip whose picture stands nowhere, so that its provider gets the picture itself."""
    await scene.video("image", prompt=SECRET, **FIRST)
    await scene.app.database.write(lambda tx: tx.run("UPDATE tasks SET first_frame_url = NULL"))


async def damage_prompt(scene: Scene) -> None:
    strange = Vault([OLD.get_secret_value()]).seal_text("of another file")
    await scene.app.database.write(lambda tx: tx.run("UPDATE tasks SET prompt = :strange", strange=strange))


def pixels(scene: Scene, attachment: Any) -> tuple[int, int]:
    url = attachment["url"] if isinstance(attachment, dict) else attachment.url
    return Image.open(io.BytesIO(scene.env.backend.cdn.get(url))).size


async def test_a_clip_and_all_that_is_made_of_it(open_bot: Open, real_clip: bytes) -> None:
    async with open_bot(data_keys=(NEW,)) as scene:
        task = await posted(scene, real_clip, "transition", prompt=SECRET, **BOTH)
        assert task.prompt == SECRET
        assert [file.name for file in kept(scene)] == [
            f"{task.id}.png",
            f"{task.interaction_id}-first.jpg",
            f"{task.interaction_id}-last.jpg",
        ]
        assert all(file.read_bytes().startswith(MARK) for file in kept(scene))
        assert [pixels(scene, one) for one in scene.shown()[0].attachments] == [(400, 400), (500, 400)]
        await fill_in(scene, await click(scene, task, "Continue"), prompt=f"{SECRET} dives")
        assert (await delivered(scene)).parent_id == task.id
        await click(scene, task, "Again")
        assert (await delivered(scene)).prompt == SECRET
        form = await click(scene, task, "Edit")
        assert SECRET in str(form.modal)
        assert in_plain(scene) == []


async def test_a_picture_of_the_wrong_shape_waits_sealed(open_bot: Open, real_clip: bytes) -> None:
    async with open_bot(data_keys=(NEW,)) as scene:
        scene.standin.clip, scene.standin.auto = real_clip, True
        offer = await offered(scene, prompt=SECRET)
        assert [pixels(scene, one) for one in offer.attachments] == [(640, 256), (640, 256)]
        assert len(kept(scene)) == 4
        assert in_plain(scene) == []
        await scene.restart(data_keys=(OLD, NEW))
        await scene.alice.click(offer, label="Pad")
        assert (await delivered(scene)).prompt == SECRET
        assert in_plain(scene) == []


async def test_the_sandbox_keeps_its_orders_sealed(open_bot: Open) -> None:
    async with open_bot(data_keys=(NEW,), providers=("sandbox",)) as scene:
        await scene.video(prompt=f"!fail {SECRET}")
        await scene.step(3)
        assert (await scene.task()).state is TaskState.FAILED
        assert list((scene.settings.data_dir / "sandbox").glob("*.json"))
        assert in_plain(scene) == []


async def test_a_provider_that_gets_the_picture_itself_gets_it_open(open_bot: Open) -> None:
    async with open_bot(data_keys=(NEW,)) as scene:
        await asked_without_address(scene)
        await scene.step()
        (order,) = scene.standin.sent("POST")
        sent = json.loads(order.body)["input"]
        assert sent["first_frame_image"].startswith("data:image/jpeg;base64,/9j/")
        assert sent["prompt"] == SECRET
        assert in_plain(scene) == []


async def test_moderators_see_the_picture_they_are_asked_about(open_bot: Open) -> None:
    async with open_bot(data_keys=(NEW,)) as scene:
        channel = await asked(scene, "image", prompt=SECRET, **FIRST)
        (question,) = scene.shown(channel)
        assert [pixels(scene, one) for one in question.attachments] == [(400, 400)]
        assert SECRET in question.content


async def test_an_export_is_open(open_bot: Open) -> None:
    async with open_bot(data_keys=(NEW,)) as scene:
        await scene.video("image", prompt=SECRET, **FIRST)
        inside = unpacked(files(scene, await ask(scene, "export")))
        (shown,) = [data for name, data in inside.items() if name.startswith("pictures/")]
        assert Image.open(io.BytesIO(shown)).size == (400, 400)
        assert [row["prompt"] for row in (await exported(scene))["tasks"]] == [SECRET]


async def test_a_new_key_is_brought_in_by_a_start_and_frees_the_old(open_bot: Open, real_clip: bytes) -> None:
    async with open_bot() as scene:
        task = await posted(scene, real_clip, "image", prompt=SECRET, **FIRST)
        await scene.video("image", prompt=SECRET, first_frame=("wide.png", picture(size=(1600, 400))))
        assert len(set(in_plain(scene))) > len(kept(scene))
        await scene.restart(data_keys=(OLD,))
        assert in_plain(scene) == []
        await scene.restart(data_keys=(NEW, OLD))
        await scene.restart(data_keys=(NEW,))
        await click(scene, task, "Again")
        assert (await delivered(scene)).prompt == SECRET
        assert in_plain(scene) == []


@pytest.mark.parametrize("keys", [(), (OLD,)])
async def test_no_start_without_the_key(open_bot: Open, keys: tuple[SecretStr, ...]) -> None:
    async with open_bot(data_keys=(NEW,)) as scene:
        await scene.video(prompt=SECRET)
        await scene.stop_app()
        scene.changes["data_keys"] = keys
        with pytest.raises(SetupError, match="was sealed with a key that is not here"):
            await scene.start_app()
        scene.changes["data_keys"] = (NEW,)
        await scene.start_app()
        assert (await scene.task()).prompt == SECRET


async def test_erasing_leaves_nothing_sealed_either(open_bot: Open) -> None:
    async with open_bot(data_keys=(NEW,)) as scene:
        await scene.video("image", prompt=SECRET, **FIRST)
        await scene.alice.slash(scene.channel, "tasks cancel", task=(await scene.task()).id)
        offer = await ask(scene, "erase")
        told(await scene.alice.click(offer.response, label="Erase my data"))
        rows = await scene.app.database.read("SELECT prompt AS stored FROM tasks")
        assert [row["stored"] for row in rows] == [""]
        assert kept(scene) == []


# ------------------------------------------------------------- what no key opens


async def test_a_prompt_that_no_key_opens_fails_alone_and_gives_its_hold_back(
    open_bot: Open, real_clip: bytes
) -> None:
    async with open_bot(data_keys=(NEW,)) as scene:
        scene.standin.clip, scene.standin.auto = real_clip, True
        await scene.video(prompt=SECRET)
        await damage_prompt(scene)
        await scene.bob.slash(scene.channel, "video text", prompt="a fine one")
        await scene.step(8)
        task = await scene.task()
        assert task.state is TaskState.FAILED
        assert "The prompt can no longer be read on this machine; send it again." in str(task.problem)
        assert await scene.spent_and_held() == (0, 0)
        (fine,) = await scene.app.tasks.of_member(scene.bob.id, scene.guild.id, limit=5)
        assert fine.state is TaskState.DELIVERED


async def test_a_picture_that_no_key_opens_fails_its_clip_as_one_that_is_gone(open_bot: Open) -> None:
    async with open_bot(data_keys=(NEW,)) as scene:
        await asked_without_address(scene)
        damage(kept(scene)[0])
        await scene.step()
        assert "The picture is no longer on this machine" in str((await scene.task()).problem)
        assert await scene.spent_and_held() == (0, 0)
        assert scene.standin.requests == []


async def test_an_order_that_no_key_opens_is_parked_when_its_answer_was_lost(open_bot: Open) -> None:
    async with open_bot(data_keys=(NEW,)) as scene:
        task = await scene.accepted(prompt=SECRET)
        strange = Vault([OLD.get_secret_value()]).seal(b"{}")

        def lost(tx: Transaction) -> None:
            tx.run("UPDATE tasks SET state = 'submitting', job_id = NULL, due_at = created_at")
            tx.run("INSERT INTO submissions (task_id, body) VALUES (:id, :body)", id=task.id, body=strange)

        await scene.app.database.write(lost)
        await scene.step()
        assert (await scene.task()).state is TaskState.PARKED
        assert len(scene.standin.sent("POST")) == 1


async def test_an_export_comes_without_a_picture_that_no_key_opens(open_bot: Open) -> None:
    async with open_bot(data_keys=(NEW,)) as scene:
        await scene.video("image", prompt=SECRET, **FIRST)
        damage(kept(scene)[0])
        assert [row["prompt"] for row in (await exported(scene))["tasks"]] == [SECRET]


async def test_a_damaged_file_keeps_no_new_key_away(open_bot: Open, real_clip: bytes) -> None:
    async with open_bot(data_keys=(OLD,)) as scene:
        await posted(scene, real_clip, "image", prompt=SECRET, **FIRST)
        damage(kept(scene)[0])
        await scene.restart(data_keys=(NEW, OLD))
        await scene.restart(data_keys=(NEW,))
        assert (await scene.task()).prompt == SECRET
        vault = Vault([NEW.get_secret_value()])
        assert vault.read(kept(scene)[1]).startswith(PICTURES)


async def test_the_sandboxs_record_that_no_key_opens_is_an_unknown_job(open_bot: Open) -> None:
    async with open_bot(data_keys=(NEW,), providers=("sandbox",)) as scene:
        await scene.video(prompt=f"!fail !slow {SECRET}")
        await scene.step()
        (record,) = (scene.settings.data_dir / "sandbox").glob("*.json")
        damage(record)
        await scene.restart()
        await scene.step(3)
        assert (await scene.task()).state is not TaskState.PROCESSING


async def test_a_full_disk_leaves_no_shape_in_plain(open_bot: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Vault, file: Path, plain: bytes) -> None:
        raise StorageError(f"no room for {len(plain)} bytes of {file.name}")

    async with open_bot(data_keys=(NEW,)) as scene:
        with monkeypatch.context() as patch:
            patch.setattr(Vault, "write", full)
            assert "database does not answer" in told(await scene.video("image", prompt=SECRET, **WIDE))
        assert kept(scene) == []
        assert in_plain(scene) == []


async def test_what_a_crash_left_open_among_the_drafts_goes_at_the_next_start(open_bot: Open) -> None:
    async with open_bot(data_keys=(NEW,)) as scene:
        await offered(scene, prompt=SECRET)
        left = kept(scene)[0].with_name(".7-first-crop.jpg.0123.part")
        left.write_bytes(PICTURES[0])
        await scene.restart()
        await scene.app.engine.recover()
        assert in_plain(scene) == []
        assert len(kept(scene)) == 4


# ------------------------------------------------------------------- restored


async def test_a_restored_database_needs_the_key_of_the_pictures_too(
    open_bot: Open, real_clip: bytes, tmp_path: Path
) -> None:
    """The backup is older than the last change of the key."""
    async with open_bot(data_keys=(OLD,)) as scene:
        task = await posted(scene, real_clip, "image", prompt=SECRET, **FIRST)
        backup = await take(scene.settings.database, tmp_path / "backups", scene.now(), keep=3)
        await scene.restart(data_keys=(NEW, OLD))
        await scene.stop_app()
        with pytest.raises(SetupError, match="DATA_KEY is another one"):
            await restore(backup, scene.settings.database, scene.now(), Vault([NEW.get_secret_value()]))
        await restore(backup, scene.settings.database, scene.now(), Vault([OLD.get_secret_value()]))
        scene.changes["data_keys"] = (OLD,)
        with pytest.raises(SetupError, match="data was sealed with a key that is not here"):
            await scene.start_app()
        await scene.stop_app()
        await scene.restart(data_keys=(NEW, OLD))
        assert Vault([NEW.get_secret_value()]).read(kept(scene)[1]).startswith(PICTURES)
        await click(scene, task, "Again")
        assert (await delivered(scene)).prompt == SECRET


async def test_pictures_sealed_after_a_backup_need_their_key_too(open_bot: Open, tmp_path: Path) -> None:
    async with open_bot() as scene:
        backup = await take(scene.settings.database, tmp_path / "backups", scene.now(), keep=3)
        await scene.restart(data_keys=(NEW,))
        await scene.stop_app()
        await restore(backup, scene.settings.database, scene.now())
        scene.changes["data_keys"] = ()
        with pytest.raises(SetupError, match="DATA_KEY is not set"):
            await scene.start_app()
        await scene.stop_app()
        scene.changes["data_keys"] = (NEW,)
        await scene.start_app()


async def test_a_picture_that_no_key_opens_is_told_as_gone_by_the_buttons(
    open_bot: Open, real_clip: bytes
) -> None:
    async with open_bot(data_keys=(NEW,)) as scene:
        task = await posted(scene, real_clip, "image", prompt=SECRET, **FIRST)
        end, first = kept(scene)
        damage(first)
        damage(end)
        assert "The picture of this clip can no longer be had." in told(await click(scene, task, "Again"))
        await fill_in(scene, await click(scene, task, "Continue"), prompt="it dives")
        assert (await delivered(scene)).parent_id == task.id
