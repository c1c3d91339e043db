"""The command line as an operator meets it: exit codes, sentences, and what they say to do."""

import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import discord
import pytest

from bot.demo.standin import DiscordStandIn, Fault
from bot.media import clips
from tests.end_to_end.stage import CATALOG, Stage, launch

RIGHTS = {
    "read_messages",
    "send_messages",
    "send_messages_in_threads",
    "embed_links",
    "attach_files",
    "read_message_history",
}


async def run(stage: Stage, *arguments: str, **settings: str) -> tuple[int, str]:
    """The exit code of a command and all it said."""
    process = await stage.launch(*arguments, **settings)
    return await process.end(), process.log.read_text("utf-8")


# ------------------------------------------------------------------------- run


def broken_catalog(stage: Stage) -> dict[str, str]:
    path = stage.folder / "catalog.toml"
    path.write_text(CATALOG.read_text().replace('price = "0.3294"', 'price = "cheap"'))
    return {"CATALOG_FILE": str(path)}


def newer_schema(stage: Stage) -> dict[str, str]:
    stage.data.mkdir()
    with closing(sqlite3.connect(stage.database)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    return {}


def damaged(stage: Stage) -> dict[str, str]:
    stage.data.mkdir()
    stage.database.write_bytes(b"not a database at all" * 500)
    return {}


@pytest.mark.parametrize(
    ("settings", "sentences"),
    [
        ({"DISCORD_TOKEN": ""}, ["DISCORD_TOKEN is not set."]),
        ({"MINDVIDEO_API_KEY": ""}, ["No provider is switched on.", "MINDVIDEO_API_KEY"]),
        (
            {"POLL_SECONDS": "soon", "USER_DAILY_LIMIT": "-1", "PROVIDERS": "acme"},
            ["POLL_SECONDS: ", "USER_DAILY_LIMIT: ", "PROVIDERS: "],
        ),
        ({"DISCORD_TOKEN": "wrong"}, ["DISCORD_TOKEN is not accepted by Discord."]),
        (broken_catalog, ["CATALOG_FILE: ", "line ", "price"]),
        (newer_schema, ["was written by a newer Conch (schema 9999"]),
        (damaged, ["is damaged", "restore the newest backup"]),
    ],
    ids=["no token", "no provider", "bad values", "wrong token", "broken catalog", "newer schema", "damaged"],
)
async def test_a_bad_setup_exits_with_2_and_says_what_to_change(
    stage: Stage, settings: dict[str, str] | Callable[[Stage], dict[str, str]], sentences: list[str]
) -> None:
    code, said = await run(stage, "run", **(settings(stage) if callable(settings) else settings))
    assert code == 2
    assert [sentence for sentence in sentences if sentence not in said] == []
    assert said.startswith("conch: ") or "\nconch: " in said
    assert "Traceback" not in said


async def test_a_file_that_is_no_database_of_ours_is_not_written_to(stage: Stage) -> None:
    damaged(stage)
    before = stage.database.read_bytes()
    await run(stage, "run")
    assert stage.database.read_bytes() == before


# ---------------------------------------------------------------------- doctor


async def test_doctor_finds_all_well(stage: Stage) -> None:
    code, said = await run(stage, "doctor")
    assert code == 0
    assert said.endswith("All is well.\n")
    assert "FAIL" not in said
    for finding in (
        "Discord token: works",
        "'Reef': all permissions",
        "MindVideo accepts the key",
        "is writable",
    ):
        assert finding in said


async def test_doctor_names_a_channel_that_takes_rights_away(stage: Stage) -> None:
    await stage.discord.deny(stage.channel, "attach_files", "embed_links")
    code, said = await run(stage, "doctor")
    assert code == 0
    assert "not in #clips (Embed Links, Attach Files)" in said


def failures(said: str) -> dict[str, str]:
    """What failed, and how it is mended."""
    lines = [*said.splitlines(), ""]
    return {
        line.split(":")[0][6:]: lines[number + 1] for number, line in enumerate(lines) if line[:4] == "FAIL"
    }


async def test_doctor_tells_each_failure_with_its_fix(stage: Stage) -> None:
    await stage.discord.add_server("Mute", discord.Permissions(view_channel=True, send_messages=True))
    damaged(stage)
    code, said = await run(stage, "doctor", MINDVIDEO_API_KEY="wrong")
    assert code == 1
    found = failures(said)
    assert set(found) == {"Discord server 'Mute'", "provider mindvideo", "database"}
    assert "missing: Embed Links, Attach Files, Read Message History" in said
    assert "https://discord.com/oauth2/authorize" in found["Discord server 'Mute'"]
    assert "MINDVIDEO_API_KEY" in found["provider mindvideo"]
    assert "restore the newest backup" in said
    assert stage.mindvideo.refused
    stage.mindvideo.refused.clear()


async def test_an_unwritable_data_folder_is_told_by_run_and_doctor(stage: Stage) -> None:
    file = stage.folder / "a-file"
    file.touch()
    settings = {"DATA_DIR": str(file / "data"), "DATABASE_URL": f"sqlite:///{stage.folder / 'conch.db'}"}
    code, said = await run(stage, "doctor", **settings)
    assert code == 1
    assert "Make DATA_DIR writable" in failures(said)["disk"]
    code, said = await run(stage, "run", **settings)
    assert code == 2
    assert "DATA_DIR: " in said
    assert "Traceback" not in said


async def test_doctor_tells_a_bad_token(stage: Stage) -> None:
    code, said = await run(stage, "doctor", DISCORD_TOKEN="wrong")
    assert code == 1
    assert "FAIL  Discord token: Discord does not accept it\n      → Reset it in the developer portal" in said


async def test_doctor_tells_that_the_bot_is_in_no_server(stage: Stage) -> None:
    async with DiscordStandIn() as empty:
        code, said = await run(
            stage,
            "doctor",
            DISCORD_TOKEN=empty.token,
            DISCORD_API_URL=empty.api_url,
            DISCORD_GATEWAY_URL=empty.gateway_url,
        )
    assert code == 1
    assert "the bot is in none\n      → Invite it: https://discord.com/oauth2/authorize" in said


# --------------------------------------------------------- health, invite, sync


async def test_health_follows_the_bot(stage: Stage) -> None:
    assert (await run(stage, "health"))[0] == 1
    bot = await stage.start()
    code = 1
    for _ in range(100):  # as a container's health check asks again and again
        code, said = await run(stage, "health")
        if code == 0:
            break
    assert (code, said) == (0, "conch: well\n")
    code, said = await run(stage, "doctor")
    assert code == 0
    assert "is in use by a running Conch" in said
    os.utime(stage.data / "alive", (0, 0))
    assert "hangs, is offline or has ended" in (await run(stage, "health"))[1]
    (stage.data / "alive").touch()
    assert await bot.stop() == 0
    code, said = await run(stage, "health")
    assert (code, "no bot on the data folder" in said) == (1, True)


async def test_a_bot_waits_for_a_discord_that_cannot_be_reached(stage: Stage) -> None:
    async def away(request: Any) -> Fault | None:
        return Fault(503) if request.path == "/users/@me" and turned_away(stage) <= 2 else None

    stage.discord.before = away
    bot = await stage.start()
    assert turned_away(stage) == 3
    assert "Traceback" not in stage.logged
    assert await bot.stop() == 0


def turned_away(stage: Stage) -> int:
    return sum(request.path == "/users/@me" for request in stage.discord.requests)


async def test_a_second_bot_on_the_same_data_folder_is_refused(stage: Stage) -> None:
    bot = await stage.start()
    code, said = await run(stage, "run", DATABASE_URL=f"sqlite:///{stage.folder / 'other.db'}")
    assert (code, f"Another Conch is running on {stage.data}" in said) == (2, True)
    assert await bot.stop() == 0


async def test_the_invite_link_asks_for_what_is_needed_and_no_more(stage: Stage) -> None:
    bot = await stage.start()
    assert await bot.stop() == 0
    link = re.search(r"https://discord.com/oauth2/authorize\?\S+", stage.logged)
    assert link
    asked = discord.Permissions(int(re.findall(r"permissions=(\d+)", link[0])[0]))
    assert {name for name, wanted in asked if wanted} == RIGHTS
    assert f"client_id={stage.discord.backend.application_id}" in link[0]


async def test_commands_are_sent_only_when_discord_does_not_have_them(stage: Stage) -> None:
    def sent(standin: Any) -> int:
        return sum(request.method == "PUT" for request in standin.requests)

    for _ in range(2):
        bot = await stage.start()
        assert await bot.stop() == 0
    assert sent(stage.discord) == 1
    async with DiscordStandIn() as other:
        await other.add_server("Elsewhere")
        bot = await stage.launch(
            "run",
            DISCORD_TOKEN=other.token,
            DISCORD_API_URL=other.api_url,
            DISCORD_GATEWAY_URL=other.gateway_url,
        )
        await other.until(lambda: other.connected)
        assert await bot.stop() == 0
        assert sent(other) == 1


# ------------------------------------------------------------------------ demo


async def test_demo_leaves_three_playable_clips(tmp_path: Path) -> None:
    log = tmp_path / "demo.log"
    process = await launch(log, "demo", "--folder", str(tmp_path / "demo"), env={})
    assert await process.wait() == 0
    sizes = {}
    for path in sorted((tmp_path / "demo").glob("*.mp4")):
        found = await clips.probe(path)
        sizes[path.stem] = (found.width, found.height, round(found.seconds))
    assert sizes == {"image": (1366, 768, 6), "text": (1366, 768, 6), "transition": (1366, 768, 5)}


@pytest.mark.parametrize(("content", "words"), [(b"A=\xff\xfe", "text file in UTF-8"), (None, "there is no")])
async def test_a_settings_file_that_cannot_be_read_is_told(
    content: bytes | None, words: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "odd.env").write_bytes(content)
    log = tmp_path / "log"
    process = await launch(log, "doctor", env={}, env_file=str(tmp_path / "odd.env"))
    assert (await process.wait(), words in log.read_text("utf-8")) == (2, True)


async def test_a_demo_folder_that_cannot_be_made_is_told(stage: Stage) -> None:
    (stage.folder / "file").touch()
    code, said = await run(stage, "demo", "--folder", str(stage.folder / "file" / "demo"))
    assert (code, "--folder" in said) == (2, True)
