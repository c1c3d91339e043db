"""The child process: its limits hold, and none is ever left behind."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from bot.media import child
from tests.media.reaping import children_left, until

AMPLE = 1 << 30


async def codecs(
    *, cpu_seconds: int = 10, memory_bytes: int = AMPLE, seconds: float = 30
) -> dict[str, object]:
    return await child.run("codecs", {}, cpu_seconds=cpu_seconds, memory_bytes=memory_bytes, seconds=seconds)


def painting(target: Path, *, seconds: int = 10) -> dict[str, object]:
    return {
        "mode": "text",
        "width": 1920,
        "height": 1080,
        "seconds": seconds,
        "prompt": "A long one",
        "label": "test",
        "pictures": [],
        "target": str(target),
    }


async def test_a_job_answers_and_its_process_is_gone() -> None:
    assert (await codecs())["version"]
    assert not children_left()


async def test_too_little_memory_is_told(tmp_path: Path) -> None:
    source = tmp_path / "large.png"
    Image.new("RGB", (6000, 6000)).save(source)
    rules = {"max_bytes": 10**8, "min_side": 1, "min_ratio": 0.1, "max_ratio": 10}
    arguments = {"source": str(source), "target": str(tmp_path / "out"), "rules": rules, "name": "x"}
    with pytest.raises(child.ChildFailed, match="too much memory"):
        await child.run("picture", arguments, cpu_seconds=10, memory_bytes=120 << 20, seconds=30)
    assert not children_left()


async def test_not_even_enough_memory_to_load_the_codec() -> None:
    with pytest.raises(child.ChildFailed):
        await codecs(memory_bytes=16 << 20)
    assert not children_left()


async def test_too_much_processor_time_is_told(tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    with pytest.raises(child.ChildFailed, match="more than 1 seconds of processor time"):
        await child.run("paint", painting(target), cpu_seconds=1, memory_bytes=AMPLE, seconds=30)
    assert not children_left()


async def test_the_deadline_kills(tmp_path: Path) -> None:
    with pytest.raises(child.ChildFailed, match=r"more than 0\.3 seconds"):
        await child.run("paint", painting(tmp_path / "c"), cpu_seconds=30, memory_bytes=AMPLE, seconds=0.3)
    assert not children_left()


async def test_a_deadline_before_anything_happens() -> None:
    with pytest.raises(child.ChildFailed, match="more than 0 seconds"):
        await codecs(seconds=0)
    assert not children_left()


async def test_cancelling_kills_and_reaps(tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    job = asyncio.create_task(
        child.run("paint", painting(target), cpu_seconds=60, memory_bytes=AMPLE, seconds=60)
    )
    await until(lambda: target.exists() or job.done())
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert not children_left()


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13])
async def test_cancelling_at_any_moment_of_the_start(turns: int) -> None:
    job = asyncio.create_task(codecs())
    for _ in range(turns):
        await asyncio.sleep(0)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert not children_left()


async def test_at_most_two_at_once(tmp_path: Path) -> None:
    targets = [tmp_path / f"{number}.mp4" for number in range(4)]
    jobs = [
        asyncio.create_task(
            child.run("paint", painting(target), cpu_seconds=60, memory_bytes=AMPLE, seconds=60)
        )
        for target in targets
    ]
    await until(lambda: sum(target.exists() for target in targets) >= child.AT_ONCE)
    running = sum(path.joinpath("comm").exists() for path in own_children())
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
    assert running == child.AT_ONCE
    assert not children_left()


def own_children() -> list[Path]:
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()
    # The event loop's helper thread forks, so its children are listed under other threads as well.
    for task in Path("/proc/self/task").iterdir():
        listed += (task / "children").read_text("ascii").split()
    return [Path("/proc") / pid for pid in set(listed)]


async def test_an_unknown_job_is_no_module_to_import() -> None:
    with pytest.raises(child.ChildFailed, match="there is no job"):
        await child.run("os", {}, cpu_seconds=5, memory_bytes=AMPLE, seconds=20)


async def test_a_crash_is_told_with_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(child.ChildFailed, match="FileNotFoundError"):
        await child.run(
            "clip", {"source": str(tmp_path / "none")}, cpu_seconds=5, memory_bytes=AMPLE, seconds=20
        )


async def test_secrets_of_the_environment_stay_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "marked-secret")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text("raise SystemExit('the working folder was imported')")
    target = tmp_path / "clip.mp4"
    job = asyncio.create_task(
        child.run("paint", painting(target), cpu_seconds=60, memory_bytes=AMPLE, seconds=60)
    )
    await until(lambda: target.exists() or job.done())
    environments = [(path / "environ").read_bytes() for path in own_children()]
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    assert environments
    assert not any(b"marked-secret" in environment for environment in environments)


def test_the_bot_process_loads_no_decoder() -> None:
    code = (
        "import sys, json, bot.media.pictures, bot.media.clips, bot.media.fit, bot.media.paint, bot.media.charts;"
        "import bot.app;"
        "print(json.dumps([name for name in ('PIL', 'av', 'numpy', 'matplotlib') if name in sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert json.loads(run.stdout) == []


def test_the_child_loads_no_pydantic(tmp_path: Path) -> None:
    """It would cost each child a tenth of a second."""
    code = (
        "import sys, bot.media.worker, bot.media.jobs.picture, bot.media.jobs.clip, bot.media.jobs.fit;"
        "import bot.media.jobs.paint, bot.media.jobs.chart;"
        "sys.exit('pydantic' in sys.modules or 'bot.domain.errors' in sys.modules)"
    )
    environment = os.environ | {"MPLCONFIGDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
