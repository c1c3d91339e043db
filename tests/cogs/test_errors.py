"""What goes wrong inside: the member reads one honest sentence, the operator the traceback, nobody a secret."""

import logging
from typing import Any

import pytest

from bot.domain.errors import StorageError
from bot.logs import Redacted
from bot.services.requests import Requests
from cogs.acknowledge import changed, no_discord, sorry
from storage.database import Database
from tests.cogs.scene import Scene, nothing_happened, says, told


@pytest.fixture
def broken(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A bot whose `/video` runs into a bug that carries a secret."""

    async def bug(*_: object) -> None:
        raise RuntimeError(f"no such thing at https://x.example/?sig=1 with {scene.standin.key}")

    monkeypatch.setattr(Requests, "place", bug)
    scene.expects_bugs = True
    return scene


async def test_a_bug_is_told_in_private_and_promises_nothing(broken: Scene) -> None:
    words = told(await broken.video())
    assert words == sorry()
    assert not any(word in words.lower() for word in ("refund", "given back", "free", "nothing was"))
    assert await nothing_happened(broken)


async def test_a_bug_leaves_its_traceback_in_the_log(broken: Scene, caplog: pytest.LogCaptureFixture) -> None:
    await broken.video()
    (record,) = [one for one in caplog.records if one.name == "cogs.acknowledge"]
    assert record.levelno == logging.ERROR
    assert "RuntimeError: no such thing" in logging.Formatter().format(record)


async def test_no_secret_of_a_bug_reaches_the_log(broken: Scene, caplog: pytest.LogCaptureFixture) -> None:
    await broken.video()
    written = Redacted(logging.Formatter(), broken.settings.secrets)
    lines = "\n".join(written.format(record) for record in caplog.records)
    assert "RuntimeError" in lines
    assert broken.standin.key not in lines
    assert "sig=1" not in lines


async def test_no_line_of_the_log_names_an_interactions_token(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    scene.env.inject_error("*", "/webhooks/*", status=503, times=None)
    result = await scene.raw("video text", prompt=(3, ""))
    lines = [record.getMessage() for record in caplog.records if record.name.startswith(("bot", "cogs"))]
    assert lines
    assert not any(result._interaction.token in line for line in lines)


async def test_a_failing_database_is_the_operators_to_mend(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(*_: object) -> None:
        raise StorageError("The database could not do it (disk full): free some room. Nothing was changed.")

    monkeypatch.setattr(Database, "write", full)
    said = told(await scene.video())
    assert (
        "database does not answer just now. Nothing was held unless `/tasks list` shows it; try again" in said
    )
    assert "free some room" not in said
    (record,) = [one for one in caplog.records if one.name == "cogs.acknowledge"]
    assert record.levelno == logging.ERROR
    assert "disk full): free some room." in record.getMessage()
    monkeypatch.undo()
    assert await nothing_happened(scene)


@pytest.mark.parametrize(
    "path",
    ["video text", "video picture", "video"],
    ids=["option missing", "no such subcommand", "no subcommand"],
)
async def test_a_command_from_before_an_update_says_to_reload(scene: Scene, path: str) -> None:
    scene.expects_bugs = True
    assert told(await scene.raw(path)) == changed()


async def test_discords_own_trouble_is_told_as_such_and_is_no_bug(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.expects_bugs = True
    scene.env.inject_error("PATCH", "/webhooks/*/messages/@original", status=503, times=1)
    assert told(await scene.alice.slash(scene.channel, "tasks list")) == no_discord()
    (record,) = [one for one in caplog.records if one.name == "cogs.acknowledge"]
    assert (record.levelno, record.exc_info) == (logging.WARNING, None)


# ----------------------------------------------------------- telling in trouble


async def refuse_with(scene: Scene, method: str, path: str) -> Any:
    scene.env.inject_error(method, path, status=503)
    return await scene.raw("video text", prompt=(3, ""))


async def test_the_member_is_told_although_the_public_answer_cannot_be_removed(scene: Scene) -> None:
    result = await refuse_with(scene, "DELETE", "/webhooks/*/messages/@original")
    assert "The prompt is empty" in result.followups[0].content
    assert result.response.content == "Answered in private."


async def test_the_public_answer_is_removed_although_the_member_cannot_be_told(scene: Scene) -> None:
    result = await refuse_with(scene, "POST", "/webhooks/*")
    assert result.response is None
    assert scene.shown() == []


async def test_the_public_answer_never_holds_the_refusal(scene: Scene) -> None:
    await scene.raw("video text", prompt=(3, ""))
    public = [one.json["content"] for one in scene.sent("PATCH", "/@original")]
    assert public == ["Answered in private."]


async def test_a_private_answer_is_refused_in_place(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "tasks show", task="zzz")
    assert "There is no such task" in result.response.content
    assert result.followups == []


async def test_an_error_after_the_private_progress_message_is_told_beside_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that is laid out takes no words."""

    async def full(*_: object, **__: object) -> None:
        raise StorageError("disk full")

    monkeypatch.setattr(scene.app.tasks, "announced", full)
    result = await scene.video(private=True)
    assert "is held; cancelling is free" in says(result.response)
    (beside,) = result.followups
    assert beside.ephemeral
    assert "database does not answer just now" in beside.content
