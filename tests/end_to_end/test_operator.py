"""`conch tasks` and `conch catalog` as an operator runs them: beside a running bot, after a killed one, and alone."""

import asyncio
import os
import stat
import sys
from pathlib import Path

from tests.end_to_end.stage import REPOSITORY, Process, Stage
from tests.providers.standin import Fault, always

#: Seconds until a lost submit is parked, as minutes.
_SOON = {"TASK_DEADLINE_MINUTES": "0.01"}


async def conch(stage: Stage, *arguments: str, **settings: str) -> tuple[int, str]:
    """The exit code of a command and all it said."""
    process = await stage.launch(*arguments, **{"LOG_LEVEL": "WARNING", **settings})
    return await process.end(), process.log.read_text("utf-8")


async def with_a_parked_task(stage: Stage) -> tuple[Process, str, str]:
    """A running bot, one parked task, and the job at MindVideo that the task does not know of."""
    bot = await stage.start(**_SOON)
    stage.mindvideo.after = always(Fault(drop=True), "POST")
    await stage.ask("video text", prompt="a paper boat")
    await stage.until(lambda: "⏸️" in progress(stage))
    stage.mindvideo.after = None
    (job_id,) = stage.mindvideo.jobs
    return bot, stage.rows("SELECT id FROM tasks")[0]["id"], job_id


def progress(stage: Stage) -> str:
    return "".join(message.words for message in stage.progress()).replace("\\", "")


def ledger(stage: Stage) -> list[tuple[str, int]]:
    return [tuple(row) for row in stage.rows("SELECT kind, spent_micros FROM ledger ORDER BY id")]


async def test_a_running_bot_does_what_the_operator_decides(stage: Stage) -> None:
    bot, task, job_id = await with_a_parked_task(stage)
    mode = (stage.data / "control.sock").stat().st_mode
    assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)
    code, said = await conch(stage, "tasks")
    assert (code, said.splitlines()[0].split()[:2]) == (0, [task, "parked"])
    code, said = await conch(stage, "tasks", "settle", task, "--cost", "cheap", "--reason", "x")
    assert (code, "conch: found 'cheap', need dollars" in said) == (1, True)
    stage.mindvideo.finish(job_id)
    code, said = await conch(stage, "tasks", "attach", task, "--job", job_id, "--reason", "seen there")
    assert (code, f"job {job_id}" in said) == (0, True)
    await stage.linked()
    code, said = await conch(stage, "tasks", "release", task, "--reason", "too late")
    assert (code, "is delivered, not parked" in said) == (1, True)
    stage.check_books()
    assert await bot.stop() == 0
    assert not (stage.data / "control.sock").exists()


async def test_what_was_decided_without_a_bot_is_shown_by_the_next(stage: Stage) -> None:
    bot, task, _ = await with_a_parked_task(stage)
    await bot.kill()
    assert (stage.data / "control.sock").exists()
    code, said = await conch(stage, "tasks", "settle", task, "--cost", "0.3294", "--reason", "no clip there")
    assert (code, "settled by the operator at $0.3294: no clip there" in said) == (0, True)
    code, said = await conch(stage, "tasks", "settle", task, "--cost", "0.3294", "--reason", "again")
    assert (code, "is failed, not parked" in said) == (1, True)
    assert ledger(stage) == [("hold", 0), ("settle", 329_400)]
    # The socket that the killed bot left hinders neither.
    bot = await stage.start()
    await stage.until(lambda: "It ended without a clip" in progress(stage))
    assert "Settled by the operator at $0.3294: no clip there." in progress(stage)
    assert await conch(stage, "tasks") == (0, "No task is parked: every outcome is known.\n")
    assert await bot.stop() == 0


async def test_a_data_folder_too_deep_for_a_socket_stops_nobody(stage: Stage) -> None:
    deep = {"DATA_DIR": str(stage.folder / ("d" * 100))}
    bot = await stage.start(**deep)
    assert "`conch tasks` cannot reach this bot while it runs" in stage.logged
    code, said = await conch(stage, "tasks", **deep)
    assert (code, "Another Conch is running" in said, "Traceback" in said) == (2, True, False)
    assert await bot.stop() == 0
    assert await conch(stage, "tasks", **deep) == (0, "No task is parked: every outcome is known.\n")


async def test_the_catalog_is_printed_and_a_reader_who_leaves_early_is_no_error(stage: Stage) -> None:
    code, said = await conch(stage, "catalog")
    assert (code, said.count("\n") > 40, "Traceback" in said) == (0, True, False)
    reading, writing = os.pipe()
    os.close(reading)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "--env-file", os.devnull, "catalog"),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)},
        cwd=Path(stage.folder),
        stdout=writing,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(writing)
    _, complaints = await process.communicate()
    assert (process.returncode, complaints) == (1, b"")


async def test_live_prices_of_a_bad_key_are_a_failure_without_a_traceback(stage: Stage) -> None:
    code, said = await conch(stage, "catalog", "--live")
    assert (code, "mindvideo: MindVideo publishes no price list" in said) == (0, True)
    code, said = await conch(stage, "catalog", "--live", PROVIDERS="", MINDVIDEO_API_KEY="")
    assert (code, "conch: No provider is switched on." in said, "Traceback" in said) == (2, True, False)
