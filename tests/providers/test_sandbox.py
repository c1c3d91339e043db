"""The built-in provider: real clips, idempotent, and failing on demand."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from bot.domain.catalog import Format, Mode
from bot.domain.errors import ContentRefused, JobNotFound, JobRejected, NotAVideo
from bot.domain.ports import Job, Provider, Report
from bot.domain.task import Frame, TaskState
from bot.media.clips import probe
from bot.providers.sandbox import Sandbox
from bot.vault import Vault, new_key
from tests.media.reaping import children_left, until

NOON = 1_800_000_000_000
HOUR = 3_600_000
RUNNING = {TaskState.QUEUED, TaskState.PROCESSING}


class Time:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sandbox"


@pytest.fixture
async def sandbox(folder: Path, time: Time) -> AsyncIterator[Sandbox]:
    made = Sandbox(folder, clock=time)
    yield made
    await made.close()
    assert not children_left()


def job(prompt: str = "A boat", mode: Mode = Mode.TEXT, *frames: Path) -> Job:
    first, last = [*(Frame(str(path)) for path in frames), None, None][:2]
    return Job("t1", mode, Format.parse("hailuo-2.3/1/512p"), prompt, False, first, last)  # noqa: FBT003


def picture(path: Path) -> Path:
    Image.new("RGB", (640, 480), "teal").save(path, "JPEG")
    return path


async def finished(sandbox: Sandbox, job_id: str) -> Report:
    """Wait for what is being painted, then ask."""
    await asyncio.gather(*sandbox._painting.values())
    return await sandbox.status(job_id)


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_clip_from_submit_to_download(sandbox: Sandbox, folder: Path, tmp_path: Path) -> None:
    provider: Provider = sandbox
    report = await provider.submit(provider.request(job()), key="conch-1")
    assert (report.job_id, report.state, report.progress) == ("sandbox-conch-1", TaskState.QUEUED, 0)
    report = await finished(sandbox, report.job_id)
    assert (report.state, report.cost_micros) == (TaskState.SUCCEEDED, 0)
    assert report.clip_url == (folder / "sandbox-conch-1.mp4").as_uri()
    assert report.clip_expires_at == NOON + 24 * HOUR
    await provider.download(report.clip_url, tmp_path / "clip.mp4")
    info = await probe(tmp_path / "clip.mp4")
    assert (info.width, info.height, info.seconds, info.codec) == (912, 512, 1.0, "h264")
    assert listed(folder) == ["sandbox-conch-1.json", "sandbox-conch-1.mp4"]


@pytest.mark.parametrize(("mode", "count"), [(Mode.IMAGE, 1), (Mode.TRANSITION, 2)])
async def test_clips_from_frames(sandbox: Sandbox, tmp_path: Path, mode: Mode, count: int) -> None:
    frames = [picture(tmp_path / f"{number}.jpg") for number in range(count)]
    report = await sandbox.submit(sandbox.request(job("A boat", mode, *frames)), key="k")
    assert (await finished(sandbox, report.job_id)).state is TaskState.SUCCEEDED


async def test_orders_and_frames_may_lie_sealed(folder: Path, time: Time, tmp_path: Path) -> None:
    vault = Vault([new_key()])
    frames = [picture(tmp_path / f"{number}.jpg") for number in range(2)]
    for frame in frames:
        vault.seal_file(frame)
    sandbox = Sandbox(folder, clock=time, vault=vault)
    report = await sandbox.submit(sandbox.request(job("A boat", Mode.TRANSITION, *frames)), key="k")
    assert b"boat" not in (folder / "sandbox-k.json").read_bytes()
    assert (await finished(sandbox, report.job_id)).state is TaskState.SUCCEEDED
    await sandbox.close()
    assert listed(tmp_path) == ["0.jpg", "1.jpg", "sandbox"]


def test_the_body_is_the_same_on_every_try(sandbox: Sandbox) -> None:
    body = sandbox.request(job("Grüße 海 \ud800"))
    assert body == sandbox.request(job("Grüße 海 \ud800"))
    assert body == (
        b'{"enhance":false,"first_frame":null,"format":"hailuo-2.3/1/512p","last_frame":null,'
        b'"mode":"text","prompt":"Gr\\u00fc\\u00dfe \\u6d77 \\ud800"}'
    )


async def test_the_same_key_is_the_same_job(sandbox: Sandbox, folder: Path, time: Time) -> None:
    body = sandbox.request(job())
    reports = await asyncio.gather(*(sandbox.submit(body, key="k") for _ in range(5)))
    assert {report.job_id for report in reports} == {"sandbox-k"}
    assert [task.get_name() for task in asyncio.all_tasks() if "paint" in task.get_name()] == [
        "paint sandbox-k"
    ]
    await finished(sandbox, "sandbox-k")
    time.now += HOUR
    again = await sandbox.submit(body, key="k")
    assert again.state is TaskState.SUCCEEDED
    assert not sandbox._painting
    with pytest.raises(JobRejected, match="another job under this key"):
        await sandbox.submit(sandbox.request(job("A train")), key="k")
    assert listed(folder) == ["sandbox-k.json", "sandbox-k.mp4"]


async def test_a_job_is_found_by_its_key_and_never_made(sandbox: Sandbox, folder: Path) -> None:
    assert (await sandbox.find("conch-1"), await sandbox.find("../1")) == (None, None)
    assert await asyncio.to_thread(lambda: list(folder.iterdir())) == []
    made = await sandbox.submit(sandbox.request(job("A boat !never")), key="conch-1")
    found = await sandbox.find("conch-1")
    assert found
    assert found.job_id == made.job_id


async def test_progress_grows_until_the_delay_is_over(folder: Path, time: Time) -> None:
    sandbox = Sandbox(folder, clock=time, delay_seconds=20)
    await sandbox.submit(sandbox.request(job()), key="k")
    seen = []
    for _ in range(10):
        seen.append(await finished(sandbox, "sandbox-k"))
        time.now += 2_000
    assert {report.state for report in seen} == RUNNING
    shares = [report.progress or 0 for report in seen]
    assert shares == sorted(shares)
    assert 80 < shares[-1] < 100
    assert [report.state for report in seen] == sorted(
        (report.state for report in seen), key=[TaskState.QUEUED, TaskState.PROCESSING].index
    )
    assert (await sandbox.status("sandbox-k")).state is TaskState.SUCCEEDED


async def test_a_clock_set_back_is_survived(folder: Path, time: Time) -> None:
    sandbox = Sandbox(folder, clock=time, delay_seconds=20)
    await sandbox.submit(sandbox.request(job()), key="k")
    time.now -= 365 * 24 * HOUR
    assert (await finished(sandbox, "sandbox-k")).progress == 0


async def test_refuse(sandbox: Sandbox, folder: Path) -> None:
    with pytest.raises(ContentRefused, match="!refuse"):
        await sandbox.submit(sandbox.request(job("please !refuse this")), key="k")
    assert listed(folder) == []


async def test_fail(folder: Path, time: Time) -> None:
    sandbox = Sandbox(folder, clock=time, delay_seconds=5)
    assert (await sandbox.submit(sandbox.request(job("!fail")), key="k")).state in RUNNING
    time.now += 5_000
    report = await sandbox.status("sandbox-k")
    assert (report.state, report.reason) == (TaskState.FAILED, "The prompt contains !fail.")
    assert report.cost_micros == 0
    assert listed(folder) == ["sandbox-k.json"]


async def test_never(sandbox: Sandbox, time: Time) -> None:
    await sandbox.submit(sandbox.request(job("A boat, !never")), key="k")
    time.now += 1000 * HOUR
    assert (await sandbox.status("sandbox-k")).state is TaskState.PROCESSING
    assert not sandbox._painting


async def test_slow(sandbox: Sandbox, time: Time) -> None:
    await sandbox.submit(sandbox.request(job("!slow boat")), key="k")
    time.now += 29_999
    assert (await finished(sandbox, "sandbox-k")).state is TaskState.PROCESSING
    time.now += 1
    assert (await sandbox.status("sandbox-k")).state is TaskState.SUCCEEDED


@pytest.mark.parametrize("prompt", ["never fail", "wow!fail", "!failure", "! fail"])
async def test_other_words_steer_nothing(sandbox: Sandbox, prompt: str) -> None:
    await sandbox.submit(sandbox.request(job(prompt)), key="k")
    assert (await finished(sandbox, "sandbox-k")).state is TaskState.SUCCEEDED


async def test_a_restart_goes_on(folder: Path, time: Time) -> None:
    before = Sandbox(folder, clock=time)
    await before.submit(before.request(job()), key="k")
    await before.close()
    assert not children_left()
    assert listed(folder) == ["sandbox-k.json"]
    after = Sandbox(folder, clock=time)
    assert (await after.status("sandbox-k")).state in RUNNING
    assert (await finished(after, "sandbox-k")).state is TaskState.SUCCEEDED


async def test_closing_kills_what_is_being_painted(folder: Path, time: Time) -> None:
    sandbox = Sandbox(folder, clock=time)
    for key in ("a", "b", "c"):
        await sandbox.submit(sandbox.request(job()), key=key)
    await until(lambda: any(name.endswith(".part") for name in listed(folder)))
    await sandbox.close()
    assert not children_left()
    assert listed(folder) == ["sandbox-a.json", "sandbox-b.json", "sandbox-c.json"]


async def test_a_frame_that_is_gone_fails_once_and_for_all(sandbox: Sandbox, tmp_path: Path) -> None:
    await sandbox.submit(sandbox.request(job("A boat", Mode.IMAGE, tmp_path / "gone.jpg")), key="k")
    report = await finished(sandbox, "sandbox-k")
    assert report.state is TaskState.FAILED
    assert report.reason == "The sandbox could not paint the clip: the frame's file is gone."
    assert not sandbox._painting


@pytest.mark.parametrize(
    "job_id", ["sandbox-none", "", "none", "sandbox-../../etc/passwd", "sandbox-a/b", "sandbox-\0"]
)
async def test_unknown_jobs(sandbox: Sandbox, job_id: str) -> None:
    with pytest.raises(JobNotFound):
        await sandbox.status(job_id)
    with pytest.raises(JobNotFound):
        await sandbox.events(job_id)


async def test_a_damaged_record_is_an_unknown_job(sandbox: Sandbox, folder: Path) -> None:
    (folder / "sandbox-k.json").write_bytes(b"{")
    with pytest.raises(JobNotFound):
        await sandbox.status("sandbox-k")


@pytest.mark.parametrize("key", ["", "../up", "a/b", "a.b", "k" * 101, "a\n"])
async def test_keys_that_are_no_file_names(sandbox: Sandbox, folder: Path, key: str) -> None:
    with pytest.raises(JobRejected, match="takes keys"):
        await sandbox.submit(sandbox.request(job()), key=key)
    assert listed(folder) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"mode":"text"}',
        b'{"enhance":false,"first_frame":null,"format":"nonsense","last_frame":null,"mode":"text","prompt":"x"}',
        b'{"enhance":false,"first_frame":null,"format":"a/6/768p","last_frame":null,"mode":"image","prompt":"x"}',
        b'{"enhance":false,"first_frame":"x","format":"a/6/768p","last_frame":"y","mode":"text","prompt":"x"}',
    ],
)
async def test_bodies_that_are_no_request(sandbox: Sandbox, folder: Path, body: bytes) -> None:
    with pytest.raises(JobRejected, match="cannot read the request"):
        await sandbox.submit(body, key="k")
    assert listed(folder) == []


async def test_only_its_own_clips_are_downloaded(sandbox: Sandbox, folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "secret.mp4"
    outside.write_bytes(b"secret")
    (folder / "link.mp4").symlink_to(outside)
    (folder / "own.mp4").write_bytes(b"clip")
    (folder / "job.json").write_bytes(b"{}")
    target = tmp_path / "copy"
    for url in (
        outside.as_uri(),
        f"{folder.as_uri()}/../secret.mp4",
        f"{folder.as_uri()}/%2e%2e/secret.mp4",
        f"{folder.as_uri()}/link.mp4",
        f"{folder.as_uri()}/job.json",
        f"{folder.as_uri()}/gone.mp4",
        f"{folder.as_uri()}/%00.mp4",
        f"file://elsewhere{folder}/own.mp4",
        f"{folder.as_uri()}/own.mp4?a=b",
        f"{folder.as_uri()}/own.mp4#a",
        f"ftp://{folder}/own.mp4",
        str(folder / "own.mp4"),
        "http://127.0.0.1/clip.mp4",
        "file:",
        "file://[",
        "",
    ):
        with pytest.raises(NotAVideo):
            await sandbox.download(url, target)
    assert not target.exists()


async def test_old_files_go(folder: Path, time: Time) -> None:
    first = Sandbox(folder, clock=time)
    for key, prompt in (("done", "x"), ("failed", "!fail"), ("open", "!never")):
        await first.submit(first.request(job(prompt)), key=key)
    await finished(first, "sandbox-done")
    for stray in (".sandbox-x.mp4.0.part", "sandbox-x.mp4"):
        (folder / stray).write_bytes(b"left by a killed process")
        os.utime(folder / stray, (NOON / 1000, NOON / 1000))
    before = listed(folder)
    time.now += 24 * HOUR
    Sandbox(folder, clock=time)
    # An encoder may have outlived its bot: what it has not finished goes at once.
    assert listed(folder) == [name for name in before if not name.endswith(".part")]
    time.now += 1
    await first.submit(first.request(job("!never")), key="new")
    assert listed(folder) == ["sandbox-new.json", "sandbox-open.json"]
    with pytest.raises(JobNotFound):
        await first.status("sandbox-done")
    time.now += 8 * 24 * HOUR
    Sandbox(folder, clock=time)
    assert listed(folder) == []


async def test_events(sandbox: Sandbox) -> None:
    await sandbox.submit(sandbox.request(job("!never")), key="k")
    accepted, now = await sandbox.events("sandbox-k")
    assert (accepted.when, accepted.text) == ("2027-01-15T08:00:00+00:00", "accepted text hailuo-2.3/1/512p")
    assert now.text == "processing"


async def test_check_says_what_can_be_made(sandbox: Sandbox) -> None:
    assert "can encode H.264" in await sandbox.check()
