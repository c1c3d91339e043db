"""The HTTP listener over real sockets: health, and webhooks that are believed no further than a hint."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bot import web
from bot.domain.errors import SetupError, StorageError
from bot.metrics import Metrics
from bot.services.hooks import Hooks
from bot.services.links import ClipLinks
from storage.database import open_database
from storage.figures import FigureStore
from tests.fakes import FakeClock
from tests.patient import Patient

HOOKS = Hooks("https://bot.example/conch/", b"a secret")
TASK = "task000001"
PATH = HOOKS.address(TASK).removeprefix("https://bot.example/conch")


class Hints:
    """Stands for the engine's `hint`."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.fault: Exception | None = None

    async def __call__(self, task_id: str) -> None:
        if self.fault:
            raise self.fault
        self.heard.append(task_id)


@pytest.fixture
def hints() -> Hints:
    return Hints()


@pytest.fixture
def patient() -> Patient:
    return Patient()


@pytest.fixture
async def port(tmp_path: Path, hints: Hints, patient: Patient) -> AsyncIterator[int]:
    async with web.listening(0, tmp_path, HOOKS, hints, health=patient.health) as port:
        yield port


@pytest.fixture
async def client(port: int) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client


async def slow(port: int, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A POST that sends one byte of its ten."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST {path} HTTP/1.1\r\nHost: bot\r\nContent-Length: 10\r\n\r\n{{".encode())
    await writer.drain()
    return reader, writer


# ---------------------------------------------------------------------- health


async def test_health_is_200_while_all_parts_are_well_and_tells_each(
    client: httpx.AsyncClient, patient: Patient
) -> None:
    assert (await client.get("/health")).status_code == 503
    await patient.recover()
    answer = await client.get("/health")
    assert (answer.status_code, answer.text) == (200, "well")
    answer = await client.get("/healthz")
    parts = {"gateway": "well", "database": "well", "scheduler": "well"}
    assert (answer.status_code, answer.json()) == (200, {"status": "well", **parts})


async def test_each_part_alone_makes_it_503_and_is_named(client: httpx.AsyncClient, patient: Patient) -> None:
    for part, harm in patient.harms.items():
        await patient.recover()
        await harm()
        answer = await client.get("/healthz")
        said = answer.json()
        assert (answer.status_code, said.pop("status")) == (503, "unwell"), part
        assert [name for name, words in said.items() if words != "well"] == [part]
        answer = await client.get("/health")
        assert (answer.status_code, answer.text) == (503, f"{part}: {said[part]}")


async def test_asking_writes_nothing(client: httpx.AsyncClient, patient: Patient) -> None:
    await patient.recover()
    writes = patient.writes
    for _ in range(5):
        await client.get("/healthz")
    assert patient.writes == writes


# --------------------------------------------------------------------- metrics


async def test_metrics_are_for_those_who_know_the_token(tmp_path: Path, hints: Hints) -> None:
    async with open_database(tmp_path / "conch.db") as database:
        guarded = web.Guarded(Metrics(FigureStore(database.slow), lambda: True), "the-metrics-token")
        async with (
            web.listening(0, tmp_path, None, hints, health=Patient().health, guarded=guarded) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
        ):
            for said in (
                "",
                "Bearer",
                "Bearer the-metrics-toke",
                "Bearer the-metrics-token2",
                "the-metrics-token",
            ):
                answer = await client.get("/metrics", headers={"Authorization": said})
                assert (answer.status_code, b"conch" in answer.content) == (401, False), said
            answer = await client.get("/metrics", headers=[(b"Authorization", b"Bearer \xff\xfe")])
            assert answer.status_code == 401
            answer = await client.get("/metrics", headers={"Authorization": "Bearer the-metrics-token"})
            assert (answer.status_code, "conch_gateway_connected 1.0" in answer.text) == (200, True)
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "the-metrics-token" not in repr(guarded)


async def test_without_a_token_there_are_no_metrics(client: httpx.AsyncClient) -> None:
    assert (await client.get("/metrics")).status_code == 404


async def test_without_hooks_there_is_health_alone(tmp_path: Path, hints: Hints) -> None:
    async with (
        web.listening(0, tmp_path, None, hints, health=Patient().health) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        assert (await client.get("/health")).status_code == 503
        assert (await client.post(PATH)).status_code == 404
    assert hints.heard == []


async def test_a_port_that_is_taken_is_a_setup_error(port: int, tmp_path: Path, hints: Hints) -> None:
    with pytest.raises(SetupError, match=f"HTTP_PORT: port {port} cannot be listened on"):
        async with web.listening(port, tmp_path, HOOKS, hints, health=Patient().health):
            pass


# ----------------------------------------------------------------------- hooks


async def test_a_call_of_an_address_of_ours_is_a_hint_each_time(
    client: httpx.AsyncClient, hints: Hints
) -> None:
    for _ in range(3):
        answer = await client.post(PATH, json={"task_id": "17", "status": "success"})
        assert (answer.status_code, answer.content) == (204, b"")
    assert hints.heard == [TASK] * 3


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/hooks",
        "/metrics",
        "/health/",
        PATH[:-1],
        PATH + "0",
        PATH + "/more",
        PATH.upper().replace("/HOOKS", "/hooks").replace("TASK", "task"),
        PATH.replace("000001", "000002"),
        PATH.replace(TASK, TASK + "%2Fmore"),
        PATH.replace(TASK, "%ED%A0%80"),
        f"/hooks/{TASK}/",
        f"/hooks//{PATH.rpartition('/')[2]}",
        f"/hooks/{TASK}/schlüssel",
        f"/hooks/{TASK}/{Hooks('https://bot.example', b'another').address(TASK).rpartition('/')[2]}",
    ],
)
async def test_any_other_address_is_404(path: str, client: httpx.AsyncClient, hints: Hints) -> None:
    assert (await client.post(path, json={"challenge": "say this"})).status_code == 404
    assert hints.heard == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_a_hook_takes_a_post_alone(method: str, client: httpx.AsyncClient, hints: Hints) -> None:
    assert (await client.request(method, PATH)).status_code == 405
    assert hints.heard == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"status=success",
        b"\xff\xfe\x00",
        b"\xed\xa0\x80",
        b"[" * 60_000,
        b'{"challenge":' * 4_000,
        b"9" * 5_000,
        b"NaN",
        b'["challenge"]',
        b'{"challenge": 17}',
        b'{"challenge": null}',
        b'{"challenge": {"challenge": "x"}}',
        json.dumps({"challenge": "x" * 1001}).encode(),
    ],
    ids=lambda body: repr(body)[:30],
)
async def test_a_body_that_is_no_challenge_is_only_a_hint(
    body: bytes, client: httpx.AsyncClient, hints: Hints
) -> None:
    answer = await client.post(PATH, content=body)
    assert (answer.status_code, answer.content, hints.heard) == (204, b"", [TASK])


@pytest.mark.parametrize("words", ["a1b2", "", "x" * 1000, '"}\n海螺', "\ud800", "</script>"])
async def test_a_challenge_is_echoed_and_is_no_hint(
    words: str, client: httpx.AsyncClient, hints: Hints
) -> None:
    answer = await client.post(PATH, content=json.dumps({"challenge": words, "status": "success"}))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert json.loads(answer.content) == {"challenge": words}
    assert hints.heard == []


async def test_a_packed_body_is_not_unpacked(client: httpx.AsyncClient, hints: Hints) -> None:
    bomb = gzip.compress(bytes(40_000_000))
    answer = await client.post(PATH, content=bomb, headers={"Content-Encoding": "gzip"})
    assert (len(bomb) < 64_000, answer.status_code, hints.heard) == (True, 204, [TASK])


@pytest.mark.parametrize("path", [PATH, "/hooks/x/y"])
async def test_a_huge_body_is_refused(path: str, client: httpx.AsyncClient, hints: Hints) -> None:
    answer = await client.post(path, content=b" " * (64 * 1024 + 1))
    assert answer.status_code == (413 if path == PATH else 404)
    assert hints.heard == []


async def test_a_slow_body_times_out(port: int, hints: Hints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_BODY_SECONDS", 0.02)
    reader, writer = await slow(port, PATH)
    assert (await reader.readline()).startswith(b"HTTP/1.1 408")
    writer.close()
    assert hints.heard == []


async def test_slow_bodies_hold_up_nobody_else(port: int, client: httpx.AsyncClient, hints: Hints) -> None:
    writers = [(await slow(port, PATH))[1] for _ in range(20)]
    assert (await client.post(PATH)).status_code == 204
    assert (await client.get("/health")).status_code == 503
    for writer in writers:
        writer.close()
    assert hints.heard == [TASK]


async def test_a_hint_that_the_database_does_not_take_is_503_without_a_traceback(
    client: httpx.AsyncClient, hints: Hints, caplog: pytest.LogCaptureFixture
) -> None:
    hints.fault = StorageError("the disk is full")
    assert (await client.post(PATH)).status_code == 503
    assert "the disk is full" in caplog.text
    assert "Traceback" not in caplog.text


# ----------------------------------------------------------------------- clips

CLIP = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def clips(
    tmp_path: Path, hints: Hints, clock: FakeClock
) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """A client, and the path of a clip's link."""
    links = ClipLinks("", b"a secret", days=7, clock=clock)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / f"{TASK}.mp4").write_bytes(CLIP)
    (tmp_path / "conch.db").write_bytes(b"the books")
    async with (
        web.listening(0, tmp_path, HOOKS, hints, links, health=Patient().health) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        yield client, links.new(TASK).url


Fetch = tuple[httpx.AsyncClient, str]


async def test_a_link_gives_the_whole_clip_to_be_played_in_place(clips: Fetch) -> None:
    client, path = clips
    answer = await client.get(path)
    assert (answer.status_code, answer.content) == (200, CLIP)
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Content-Disposition"] == f'inline; filename="conch-{TASK}.mp4"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_head_tells_the_size_and_sends_nothing(clips: Fetch) -> None:
    client, path = clips
    answer = await client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert (answer.headers["Content-Length"], answer.headers["Accept-Ranges"]) == (str(len(CLIP)), "bytes")


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-1", slice(0, 2)),
        ("bytes=5000-", slice(5000, None)),
        ("bytes=-10", slice(-10, None)),
        ("bytes=10000-99999", slice(10_000, None)),
    ],
)
async def test_a_player_can_seek(clips: Fetch, asked: str, part: slice) -> None:
    client, path = clips
    answer = await client.get(path, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, CLIP[part])
    start = part.indices(len(CLIP))[0]
    assert answer.headers["Content-Range"].startswith(f"bytes {start}-")
    assert answer.headers["Content-Range"].endswith(f"/{len(CLIP)}")


async def test_a_range_behind_the_end_is_416(clips: Fetch) -> None:
    client, path = clips
    answer = await client.get(path, headers={"Range": "bytes=999999-"})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{len(CLIP)}")


async def test_an_expired_link_is_410_and_says_how_long_clips_are_kept(
    clips: Fetch, clock: FakeClock
) -> None:
    client, path = clips
    clock.set_ahead(7 * 86_400 - 1)
    assert (await client.get(path)).status_code == 200
    clock.set_ahead(1)
    answer = await client.get(path)
    assert (answer.status_code, answer.text) == (
        410,
        "This link has expired: clips are kept here for 7 days.",
    )


async def test_a_clip_that_was_removed_is_404(clips: Fetch, tmp_path: Path) -> None:
    client, path = clips
    (tmp_path / "clips" / f"{TASK}.mp4").unlink()
    answer = await client.get(path)
    assert (answer.status_code, answer.text) == (404, "This clip is not kept here any more.")


async def test_forged_links_and_ways_out_of_the_folder_are_404(clips: Fetch) -> None:
    client, path = clips
    _, _, _, expires, signature = path.split("/")
    for forged in (
        path[:-1],
        path + "0",
        path.replace(TASK, "task000002"),
        path.replace(expires, str(int(expires) + 1)),
        path.replace(TASK, "..%2Fconch"),
        path.replace(TASK, "%2e%2e%2fconch.db%00"),
        f"/clips/{TASK}/{expires}/",
        f"/clips/{TASK}/{expires}/schlüssel",
        f"/clips/{TASK}/x/{signature}",
        f"/clips/{TASK}.mp4",
        "/clips/../conch.db",
        "/clips/",
    ):
        answer = await client.get(forged)
        assert (answer.status_code, b"books" in answer.content) == (404, False), forged


async def test_a_clip_is_only_read(clips: Fetch) -> None:
    client, path = clips
    assert (await client.post(path)).status_code == 405
    assert (await client.delete(path)).status_code == 405


async def test_without_a_public_address_no_clip_is_served(
    client: httpx.AsyncClient, clock: FakeClock
) -> None:
    path = ClipLinks("", b"a secret", days=7, clock=clock).new(TASK).url
    assert (await client.get(path)).status_code == 404


# ------------------------------------------------------------------- addresses


def test_an_address_leads_back_to_its_task_and_no_other() -> None:
    assert HOOKS.address(TASK).startswith(f"https://bot.example/conch/hooks/{TASK}/")
    assert HOOKS.task_of(PATH) == TASK
    assert HOOKS.task_of(PATH.removeprefix("/hooks/")) is None


def test_an_address_works_after_a_restart_and_not_with_another_secret() -> None:
    assert Hooks("http://elsewhere", b"a secret").task_of(PATH) == TASK
    assert Hooks("https://bot.example/conch", b"another").task_of(PATH) is None
