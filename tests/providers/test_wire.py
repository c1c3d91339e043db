"""The wire: outcomes become our errors, hostile answers are bounded, repeats happen only where they are safe."""

import asyncio
import json
import logging
import time
import traceback
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate

import httpx
import pytest

from bot.domain.errors import (
    BotError,
    ContentRefused,
    JobNotFound,
    JobRejected,
    OutcomeUnknown,
    ProviderBusy,
    ProviderClosed,
    ProviderError,
)
from bot.providers.answers import LARGEST_ANSWER, Answer, JobId, clean
from bot.providers.wire import Classifier, Heard, Timing, Verdict, Wire, bearer, open_client
from tests.providers.kit import Sleeper
from tests.providers.rawserver import TLS, Raw, RawServer, served

KEY = "sk_live_s3cret-marker"
NOW = 1_800_000_000.0


class Made(Answer):
    id: JobId
    status: str = ""


RIGHT = served(b'{"id": "1", "status": "queued"}')


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with RawServer() as server:
        yield server


Wiring = Callable[..., Wire]


@pytest.fixture
def wiring(server: RawServer, client: httpx.AsyncClient, sleeper: Sleeper) -> Wiring:
    def make(
        base: str | None = None,
        *,
        deadline: float = 10,
        chance: float = 0.0,
        classify: Classifier | None = None,
    ) -> Wire:
        timing = Timing(deadline=deadline, sleep=sleeper, chance=lambda: chance, now=lambda: NOW)
        base = base or server.at("127.0.0.1")
        return Wire(client, base, label="Acme", auth=bearer(KEY), classify=classify, timing=timing)

    return make


@pytest.fixture
def wire(wiring: Wiring) -> Wire:
    return wiring()


async def submit(wire: Wire, *, repeatable: bool = True) -> Made:
    return await wire.call(
        "POST",
        "/v1/jobs",
        model=Made,
        body=b'{"prompt":"x"}',
        headers={"Idempotency-Key": "conch-1"},
        spends=True,
        repeatable=repeatable,
    )


async def read(wire: Wire) -> Made:
    return await wire.call("GET", "/v1/jobs/1", model=Made)


# Requests


async def test_request_on_the_wire(server: RawServer, wire: Wire) -> None:
    server.answer = RIGHT
    assert await submit(wire) == Made(id="1", status="queued")
    head, body = server.requests[0].split(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/jobs HTTP/1.1"
    assert {line.split(":")[0].lower(): line.split(": ")[1] for line in lines[2:]} == {
        "accept": "application/json",
        "accept-encoding": "identity",
        "authorization": f"Bearer {KEY}",
        "connection": "keep-alive",
        "content-length": "14",
        "content-type": "application/json",
        "idempotency-key": "conch-1",
        "user-agent": "conch",
    }
    assert body == b'{"prompt":"x"}'


@pytest.mark.parametrize("base", ["", "/", "/prefix", "/prefix/"])
@pytest.mark.parametrize("path", ["v1/jobs", "/v1/jobs"])
async def test_base_may_have_a_path(base: str, path: str, server: RawServer, wiring: Wiring) -> None:
    server.answer = RIGHT
    await wiring(server.at("127.0.0.1", base)).call("GET", path, model=Made, query={"id": "a b&c"})
    expected = f"GET {base.rstrip('/')}/v1/jobs?id=a+b%26c HTTP/1.1"
    assert server.requests[0].decode().splitlines()[0].replace("%20", "+") == expected


async def test_cookies_are_not_kept(server: RawServer, wire: Wire) -> None:
    server.answer = served(RIGHT.body, headers={"Set-Cookie": "a=b"})
    await read(wire)
    await read(wire)
    assert b"cookie" not in server.requests[1].lower()


async def test_environment_names_no_proxy(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.answer = RIGHT
    async with open_client(TLS) as client:
        assert await read(Wire(client, server.at("127.0.0.1"), label="Acme", auth={}))


async def test_ten_requests_at_once(server: RawServer, wiring: Wiring) -> None:
    server.answer = served(RIGHT.body, stall="nothing")
    wire = wiring()
    calls = [asyncio.create_task(read(wire)) for _ in range(15)]
    for _ in range(10):
        await server.arrived.get()
    for _ in range(100):
        await asyncio.sleep(0)
    assert server.connections == 10
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


# Outcomes: (answer, error of a paid submit, error of a read)

TABLE: list[tuple[int, bytes, type[ProviderError], type[ProviderError]]] = [
    (400, b"", JobRejected, JobRejected),
    (422, b"", JobRejected, JobRejected),
    (413, b"", JobRejected, JobRejected),
    (400, b'{"error": {"code": "content_policy_violation"}}', ContentRefused, ContentRefused),
    (422, b'{"detail": [{"msg": "flagged by moderation"}]}', ContentRefused, ContentRefused),
    (400, b"Your prompt contains sensitive words", ContentRefused, ContentRefused),
    (422, b'{"detail": [{"msg": "bad", "input": "a safety officer"}]}', JobRejected, JobRejected),
    (401, b"", ProviderClosed, ProviderClosed),
    (402, b"", ProviderClosed, ProviderClosed),
    (403, b"", ProviderClosed, ProviderClosed),
    (404, b"", JobRejected, JobNotFound),
    (410, b"", JobRejected, JobNotFound),
    (405, b"", JobRejected, ProviderBusy),
    (409, b"", JobRejected, JobRejected),
    (408, b"", OutcomeUnknown, ProviderBusy),
    (429, b"", ProviderBusy, ProviderBusy),
    *((status, b"", OutcomeUnknown, ProviderBusy) for status in (500, 502, 503, 504, 599)),
    *((status, b'{"id": "1"}', OutcomeUnknown, ProviderBusy) for status in (301, 302, 303, 307, 308, 304)),
    (200, b"", OutcomeUnknown, ProviderBusy),
    (204, b"", OutcomeUnknown, ProviderBusy),
    (200, b"<html>hello</html>", OutcomeUnknown, ProviderBusy),
    (200, b'{"id": 1}', OutcomeUnknown, ProviderBusy),
    (200, b'{"status": "queued"}', OutcomeUnknown, ProviderBusy),
]


@pytest.mark.parametrize(("status", "body", "submitted", "reading"), TABLE)
async def test_every_answer_has_its_error(
    status: int,
    body: bytes,
    submitted: type[ProviderError],
    reading: type[ProviderError],
    server: RawServer,
    wire: Wire,
) -> None:
    server.answer = served(body, status=status)
    with pytest.raises(submitted, match="Acme") as caught:
        await submit(wire, repeatable=False)
    assert issubclass(type(caught.value), submitted)
    assert len(server.requests) == (3 if submitted is ProviderBusy else 1)
    with pytest.raises(reading, match="Acme"):
        await read(wire)


async def test_nobody_listens(wiring: Wiring) -> None:
    async with RawServer() as gone:
        wire = wiring(gone.at("127.0.0.1"))
    with pytest.raises(ProviderBusy, match=r"cannot be reached \(ConnectError\)"):
        await submit(wire)


async def test_host_without_an_address_took_nothing(wiring: Wiring, nameless: list[str]) -> None:
    with pytest.raises(ProviderBusy, match=r"cannot be reached \(ConnectError\)"):
        await submit(wiring("http://api.example"), repeatable=False)
    assert "api.example" in nameless


async def test_every_transport_error_of_httpx_is_mapped() -> None:
    certain = {"ConnectError", "ConnectTimeout", "PoolTimeout"}
    for kind in _subclasses(httpx.TransportError):

        def fail(_: httpx.Request, kind: type[httpx.TransportError] = kind) -> httpx.Response:
            raise kind("x")

        async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as client:
            wire = Wire(client, "http://acme", label="Acme", auth={}, timing=Timing(sleep=Sleeper()))
            with pytest.raises(ProviderBusy if kind.__name__ in certain else OutcomeUnknown):
                await submit(wire, repeatable=False)


def _subclasses(kind: type[httpx.TransportError]) -> Iterator[type[httpx.TransportError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)


# Words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            b'{"error": {"message": "duration must be 5", "code": "invalid"}}',
            ": duration must be 5 · invalid",
        ),
        (b'{"detail": [{"loc": ["body"], "msg": "extra", "input": "secret plan"}]}', ": extra"),
        (b'{"message": "line\\n\\u0000\\u202etwo"}', ": line two"),
        (b"plain words", ": plain words"),
        (b"\xff\xfe", ": ��"),
        (b"<html><body>Bad</body></html>", ""),
        (b'{"other": "x"}', ""),
        (b"[" * 15_000, ": " + "[" * 299 + "…"),
        (b'{"message": "' + b"y" * 20_000 + b'"}', ""),
        (b'{"message": "' + b"y" * 1000 + b'"}', ": " + "y" * 299 + "…"),
        (b'{"message": "no: https://x.example/a.jpg?sig=abc#d end"}', ": no: https://x.example/a.jpg end"),
        (b'{"message": "wrong key ' + KEY.encode() + b'"}', ": wrong key …"),
        (b"9" * 10_000, ": " + "9" * 299 + "…"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_words_of_the_provider(body: bytes, words: str, server: RawServer, wire: Wire) -> None:
    server.answer = served(body, status=400)
    with pytest.raises(JobRejected) as caught:
        await submit(wire)
    assert str(caught.value) == f"Acme refused the request (400{words})."


def test_clean_keeps_what_can_be_read() -> None:
    assert clean("ein\t Boot · 船 🐚\ud800\x1b[0m", 100) == "ein Boot · 船 🐚 [0m"


# Hostile answers: bounded in time and memory, and never accepted


def bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(1024 * 1024)) for _ in range(256)) + packer.flush()


def packed(body: bytes, coding: str, bits: int) -> Raw:
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    return served(packer.compress(body) + packer.flush(), headers={"Content-Encoding": coding})


def headed(head: bytes, body: bytes = b"", **more: object) -> Raw:
    return Raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + head, body, **more)  # type: ignore[arg-type]


HOSTILE = {
    "trickled body": headed(b"Content-Length: 1000\r\n\r\n", b" " * 1000, every=0.05),
    "trickled headers": headed(b"", b"X-A: b\r\n" * 1000, every=0.05),
    "endless headers": headed(b"", b"X-A: b\r\n" * 1000, endless=True),
    "endless 100 continue": Raw(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, endless=True),
    "no answer": served(b"", stall="nothing"),
    "half a head": served(b"", stall="head"),
    "half a body": served(RIGHT.body, stall="body"),
    "gzip bomb": served(bomb(), headers={"Content-Encoding": "gzip"}),
    "endless body": served(bytes(65536), chunked=True, endless=True),
    "endless body behind gzip": headed(
        b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n",
        packed(RIGHT.body, "gzip", 31).body + bytes(65536),
        endless=True,
    ),
    "redirect": served(RIGHT.body, status=302, headers={"Location": "http://127.0.0.1:1/"}),
    "redirect to nonsense": served(RIGHT.body, status=302, headers={"Location": "http://[\xff:x"}),
    "redirect loop": served(RIGHT.body, status=302, headers={"Location": "/v1/jobs"}),
    "html": served(b"<html>502 Bad gateway</html>", headers={"Content-Type": "text/html"}),
    "wrong types": served(b'{"id": null, "status": 17, "cost": NaN}'),
    "deep nesting": served(b'{"a":' * 150_000 + b"1" + b"}" * 150_000),
    "long number": served(b'{"id": "1", "cost": ' + b"9" * 100_000 + b"}"),
    "truncated": served(b'{"id": "1"', headers={"Content-Length": "1000"}),
    "truncated gzip": served(packed(RIGHT.body, "gzip", 31).body[:20], headers={"Content-Encoding": "gzip"}),
    "false gzip": served(RIGHT.body, headers={"Content-Encoding": "gzip"}),
    "unknown coding": served(RIGHT.body, headers={"Content-Encoding": "br"}),
    "gzip under another name": packed(RIGHT.body, "br", 31),
    "dots for an id": served(b'{"id": ".."}'),
    "two codings": served(RIGHT.body, headers={"Content-Encoding": "gzip, gzip"}),
    "reset": served(b"", stall="reset"),
    "20,000 headers": headed(b"".join(b"X-%d: %s\r\n" % (n, b"y" * 400) for n in range(20_000)) + b"\r\n"),
    "no http": Raw(b"SSH-2.0-OpenSSH\r\n\r\n"),
    "one byte too long": served(b" " * (LARGEST_ANSWER - len(RIGHT.body) + 1) + RIGHT.body),
}


@contextmanager
def bounded(seconds: float, megabytes: float) -> Iterator[None]:
    tracemalloc.start()
    started = time.perf_counter()
    try:
        yield
        assert time.perf_counter() - started < seconds
        assert tracemalloc.get_traced_memory()[1] < megabytes * 1e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
async def test_hostile_answer_is_bounded_and_not_accepted(
    raw: Raw, server: RawServer, wiring: Wiring
) -> None:
    server.answer = raw
    with bounded(seconds=0.3 + 1, megabytes=10), pytest.raises(OutcomeUnknown):
        await submit(wiring(deadline=0.3), repeatable=False)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "raw",
    [
        packed(RIGHT.body, "gzip", 31),
        packed(RIGHT.body, "GZIP", 31),
        packed(RIGHT.body, "deflate", 15),
        served(RIGHT.body, chunked=True),
        served(b" " * (LARGEST_ANSWER - len(RIGHT.body)) + RIGHT.body),
        served(RIGHT.body, status=202),
        served(RIGHT.body, headers={"Content-Type": "text/plain"}),
    ],
)
async def test_right_answer_in_other_clothes(raw: Raw, server: RawServer, wiring: Wiring) -> None:
    server.answer = raw
    assert (await submit(wiring())).id == "1"


# Retries


@pytest.mark.parametrize("raw", [served(b"", status=status) for status in (429, 500, 503, 408)], ids=str)
async def test_read_is_tried_three_times(
    raw: Raw, server: RawServer, wiring: Wiring, sleeper: Sleeper
) -> None:
    server.answer = raw
    with pytest.raises(ProviderBusy):
        await read(wiring(chance=1.0))
    assert (len(server.requests), sleeper.slept) == (3, [0.5, 1.0])


async def test_second_try_may_be_right(server: RawServer, wire: Wire) -> None:
    server.answers, server.answer = [served(b"", status=500)], RIGHT
    assert (await read(wire)).id == "1"


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 422])
async def test_definite_answer_is_not_asked_for_again(status: int, server: RawServer, wire: Wire) -> None:
    server.answer = served(b"", status=status)
    with pytest.raises(ProviderError):
        await submit(wire)
    with pytest.raises(ProviderError):
        await read(wire)
    assert len(server.requests) == 2


async def test_repeatable_submit_sends_the_same_bytes(server: RawServer, wire: Wire) -> None:
    server.answers, server.answer = [served(b"", status=502), served(b"", stall="reset")], RIGHT
    assert (await submit(wire)).id == "1"
    assert len(server.requests) == 3
    assert len(set(server.requests)) == 1


async def test_other_submit_is_repeated_only_when_nothing_was_accepted(server: RawServer, wire: Wire) -> None:
    server.answers, server.answer = [served(b"", status=429)], RIGHT
    assert (await submit(wire, repeatable=False)).id == "1"
    server.answers, server.answer = [served(b"", status=502)], RIGHT
    with pytest.raises(OutcomeUnknown):
        await submit(wire, repeatable=False)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("later", "error"),
    [
        (429, OutcomeUnknown),
        (401, OutcomeUnknown),
        (404, OutcomeUnknown),
        (409, OutcomeUnknown),
        (422, JobRejected),
    ],
)
async def test_lost_answer_is_not_forgotten(
    later: int, error: type[BotError], server: RawServer, wire: Wire
) -> None:
    server.answers, server.answer = [served(b"", status=502)], served(b"", status=later)
    with pytest.raises(error, match=str(later)):
        await submit(wire)


RETRY_AFTER = [
    ("7", 7.0),
    ("1.5", 1.5),
    ("60", 60.0),
    ("120", 120.0),
    ("3600", 120.0),
    (formatdate(NOW + 30, usegmt=True), 30.0),
    (formatdate(NOW + 3600, usegmt=True), 120.0),
    (formatdate(NOW - 30, usegmt=True), None),
    *(
        (odd, None)
        for odd in ("", "-1", "0", "1000000000", "9" * 300, "1e3", "nan", "inf", "soon", "٣", "Mon, 99")
    ),
    ("Mon, 01 Jan 99999 00:00:00 GMT", None),
]


@pytest.mark.parametrize(("value", "seconds"), RETRY_AFTER)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after(
    value: str, seconds: float | None, status: int, server: RawServer, wiring: Wiring, sleeper: Sleeper
) -> None:
    raw = served(b"", status=status)
    server.answer = Raw(raw.head.replace(b"\r\n", f"\r\nRetry-After: {value}\r\n".encode(), 1))
    with pytest.raises(ProviderBusy) as caught:
        await read(wiring(chance=0.5))
    assert caught.value.retry_after == seconds
    waited = [0.25 + (seconds or 0), 0.5 + (seconds or 0)]
    assert sleeper.slept == (waited if (seconds or 0) <= 10 else [])


async def test_budget_ends_retries_in_an_outage(server: RawServer, wire: Wire) -> None:
    server.answer = served(b"", status=503)
    for _ in range(100):
        with pytest.raises(ProviderBusy):
            await read(wire)
    assert len(server.requests) == 110
    server.answer = RIGHT
    for _ in range(10):
        await read(wire)
    server.answers = [served(b"", status=503)]
    assert (await read(wire)).id == "1"


async def test_one_provider_does_not_use_up_the_budget_of_another(server: RawServer, wiring: Wiring) -> None:
    server.answer, tired = served(b"", status=503), wiring()
    for _ in range(10):
        with pytest.raises(ProviderBusy):
            await read(tired)
    server.answers, server.answer = [served(b"", status=503)], RIGHT
    assert (await read(wiring())).id == "1"


async def test_cancelled_call_is_not_repeated(server: RawServer, wiring: Wiring) -> None:
    server.answer = served(b"", stall="nothing")
    call = asyncio.create_task(submit(wiring()))
    await server.arrived.get()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(server.requests) == 1


# A provider's own error classes


async def test_classifier_looks_at_every_answer_first(server: RawServer, wiring: Wiring) -> None:
    def classify(heard: Heard) -> ProviderError | None:
        code = json.loads(heard.body).get("code") if heard.body.startswith(b"{") else None
        kinds = {1: ContentRefused, 2: ProviderBusy, 3: OutcomeUnknown, 4: JobNotFound}
        return kinds[code](f"code {code} for {KEY} ({heard.status})") if code else None

    wire = wiring(classify=classify)
    for code, submitted, reading in [
        (1, ContentRefused, ContentRefused),
        (2, ProviderBusy, ProviderBusy),
        (3, OutcomeUnknown, ProviderBusy),
        (4, JobNotFound, JobNotFound),
    ]:
        server.answer = served(b'{"id": "1", "code": %d}' % code)
        with pytest.raises(submitted, match=rf"code {code} for … \(200\)"):
            await submit(wire, repeatable=False)
        with pytest.raises(reading, match=f"code {code}"):
            await read(wire)
    server.answer = served(b"x", status=402)
    with pytest.raises(ProviderClosed):
        await read(wire)


async def test_classifier_hears_the_whole_answer_but_not_the_key(server: RawServer, wiring: Wiring) -> None:
    heard: list[Heard] = []
    wire = wiring(classify=heard.append)
    server.answer = served(b'{"id": "1", "status": "%s"}' % KEY.encode(), headers={"X-Code": "17"})
    assert (await submit(wire)).status == KEY
    await read(wire)
    assert [(one.status, one.headers["X-Code"], one.spends) for one in heard] == [
        (200, "17", True),
        (200, "17", False),
    ]
    assert {one.body for one in heard} == {'{"id": "1", "status": "…"}'.encode()}


@pytest.mark.parametrize(("headers", "seconds"), [({}, 5.0), ({"Retry-After": "7"}, 7.0)])
async def test_retry_after_wins_over_the_classifiers_number(
    headers: dict[str, str], seconds: float, server: RawServer, wiring: Wiring, sleeper: Sleeper
) -> None:
    server.answer = served(b"{}", headers=headers)
    with pytest.raises(ProviderBusy) as caught:
        await read(wiring(classify=lambda _: ProviderBusy("wait", retry_after=5.0)))
    assert (caught.value.retry_after, sleeper.slept) == (seconds, [seconds, seconds])


async def test_body_of_a_refusal_may_be_the_answer(server: RawServer, wiring: Wiring) -> None:
    wire = wiring(classify=lambda heard: Verdict.ANSWER if heard.status == 400 else None)
    server.answer = served(RIGHT.body, status=400)
    assert await submit(wire) == await read(wire) == Made(id="1", status="queued")
    server.answer = served(b"{}", status=400)
    with pytest.raises(OutcomeUnknown):
        await submit(wire, repeatable=False)
    server.answer = served(RIGHT.body, status=422)
    with pytest.raises(JobRejected):
        await submit(wire)


@pytest.mark.parametrize("status", [404, 410])
async def test_list_that_is_not_there_is_no_lost_job(status: int, server: RawServer, wire: Wire) -> None:
    server.answer = served(b"", status=status)
    with pytest.raises(JobRejected, match=rf"Acme refused the request \({status}\)"):
        await wire.call("GET", "/v1/jobs", model=Made, about_job=False)
    with pytest.raises(JobNotFound):
        await read(wire)
    assert len(server.requests) == 2


def test_reasons_are_clean(wiring: Wiring) -> None:
    wire = wiring()
    assert wire.hide(f"Bearer {KEY}, {KEY}") == "Bearer …, …"
    assert (
        wire.reason(f"{KEY} at https://x.example/a?sig=b\n\x00 is  wrong")
        == "… at https://x.example/a is wrong"
    )
    assert wire.reason("x" * 295 + KEY) == "x" * 295 + "…"
    assert wire.reason(" \n") is None


# Kept connections


@pytest.mark.parametrize("connections", [1, 3])
async def test_paid_submit_that_may_not_be_repeated_meets_no_closed_connection(
    connections: int, server: RawServer, wire: Wire
) -> None:
    body = RIGHT.body
    server.answer = served(body, headers={"Connection": "keep-alive"})
    server.keeps = True
    await asyncio.gather(*(read(wire) for _ in range(connections)))
    for _ in range(3):
        assert (await submit(wire, repeatable=False)).id == "1"
    assert [request.split(b" ")[0] for request in server.requests] == [b"GET"] * connections + [b"POST"] * 3
    assert (server.connections, server.unread) == (connections + 3, 0)


async def test_other_calls_meet_it_and_are_sent_again(server: RawServer, wire: Wire) -> None:
    server.answer = served(RIGHT.body, headers={"Connection": "keep-alive"})
    server.keeps = True
    await read(wire)
    assert (await submit(wire)).id == "1"
    assert (await read(wire)).id == "1"
    assert [request.split(b" ")[0] for request in server.requests] == [b"GET", b"POST", b"GET"]
    assert server.unread == 2


# Secrets


async def test_no_secret_in_logs_and_errors(
    server: RawServer, wiring: Wiring, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = KEY.encode()
    texts = [repr(wiring())]
    for raw in [
        served(b"", stall="reset"),
        served(echo, status=401),
        served(b'{"id": "' + echo + b' "}'),
        served(b'{"message": "' + echo + b'"}', status=400),
        served(b"", status=302, headers={"Location": f"/?key={KEY[:3]}"}),
    ]:
        server.answer = raw
        with pytest.raises(ProviderError) as caught:
            await submit(wiring())
        texts += traceback.format_exception(caught.value)
    assert len(server.requests) == 1 * 3 + 1 + 3 + 1 + 3
    assert KEY not in "".join(texts) + caplog.text


async def test_log_line_names_method_path_status_and_time(
    server: RawServer, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "bot.providers.wire")
    server.answer = RIGHT
    await wire.call("GET", "/v1/jobs/1", model=Made, query={"sig": "s3cret"})
    (line,) = [r.getMessage() for r in caplog.records if r.name == "bot.providers.wire"]
    assert line.startswith("GET /v1/jobs/1 answered 200 in ")
