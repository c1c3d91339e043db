"""No answer of a provider, however wrong, is more than an error in our words: no crash, no made-up job, no secret."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import example

from bot.domain.errors import OutcomeUnknown, ProviderBusy, ProviderClosed, ProviderError
from bot.domain.ports import Report
from bot.domain.task import TaskState
from bot.providers.base import Hosted
from tests.fuzz.answers import KEY, SIGNATURE, Wrong, wrongs
from tests.fuzz.examples import fuzz
from tests.providers import kit
from tests.providers.cases import CASES
from tests.providers.rawserver import RawServer, served


@dataclass
class Stage:
    """A provider that talks to a server which answers as it is told; `right` are answers of an honest one."""

    provider: Hosted
    server: RawServer
    body: bytes
    job_id: str
    right: dict[str, bytes] = field(default_factory=dict)

    async def heard(self, wrong: Wrong, call: str) -> bytes:
        body = wrong.body(self.right[call])
        self.server.answer = served(body, status=wrong.status, headers=wrong.headers)
        self.server.requests.clear()
        while not self.server.arrived.empty():
            self.server.arrived.get_nowait()
        self.provider._wire._budget = 100
        return body


class Recording(httpx.AsyncHTTPTransport):
    """Keeps every body."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        self.heard.append(await answer.aread())
        await answer.aclose()
        stream = httpx.ByteStream(self.heard[-1])
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)


@pytest.fixture(params=CASES)
async def stage(request: pytest.FixtureRequest, parts: dict[str, Any]) -> AsyncIterator[Stage]:
    case = CASES[request.param]
    recording = Recording()
    heard = recording.heard
    async with (
        case.standin(key=KEY, clip=b"a clip") as honest,
        RawServer() as server,
        httpx.AsyncClient(transport=recording) as client,
    ):
        asked = case.provider(**{**parts, "client": client}, **case.settings, key=KEY, base=honest.url)
        wish = kit.job(case.text)
        body = asked.request(wish)
        job_id = (await asked.submit(body, key=kit.KEY)).job_id
        right = {"submit": heard[-1]}
        honest.finish(job_id)
        before = len(heard)
        await asked.status(job_id)
        right["status"] = heard[before]
        with contextlib.suppress(ProviderError):
            await asked.recover(body, key=kit.KEY, since=honest.now * 1000, known=frozenset())
        right["recover"] = heard[-1]
        await asked.check()
        right["check"] = heard[-1]
        provider = case.provider(**parts, **case.settings, key=KEY, base=server.at("127.0.0.1"))
        yield Stage(provider, server, body, job_id, right)


async def outcome(call: Awaitable[Any], caplog: pytest.LogCaptureFixture) -> Any:
    """What comes of it, with nothing secret in its words."""
    caplog.clear()
    try:
        found = await call
    except ProviderError as error:
        found = error
    told = [
        str(found) if isinstance(found, ProviderError) else str(getattr(found, "reason", found)),
        caplog.text,
    ]
    for words in told:
        assert KEY[:8] not in words
        assert SIGNATURE not in words
    return found


def possible(report: Report, wrong: Wrong, body: bytes) -> None:
    """A report says nothing that the answer did not."""
    said = body.decode("utf-8", "replace")
    assert report.state in {
        TaskState.QUEUED,
        TaskState.PROCESSING,
        TaskState.SUCCEEDED,
        TaskState.FAILED,
        TaskState.CANCELLED,
    }
    assert (report.clip_url is None) == (report.state is not TaskState.SUCCEEDED)
    assert report.clip_url is None or json.dumps(report.clip_url)[1:-1] in said
    assert report.cost_micros is None or 0 <= report.cost_micros <= 10**11
    assert report.progress is None or 0 <= report.progress <= 100
    assert report.state is not TaskState.SUCCEEDED or wrong.status < 300


@example(wrong=Wrong(instead=json.dumps({"task_id": KEY}).encode()))
@example(wrong=Wrong(302, {"Location": "//xn--/"}))
@example(wrong=Wrong(302, {"Location": "A:0"}))
@example(wrong=Wrong(400, instead=f"HTTPS://cdn.example/a.mp4?sig={SIGNATURE}".encode()))
@example(wrong=Wrong(400, instead=f"https://cdn.example/a\u200b.mp4?sig={SIGNATURE}".encode()))
@fuzz(30, wrong=wrongs)
async def test_wrong_answer_to_a_paid_submit(
    wrong: Wrong, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    body = await stage.heard(wrong, "submit")
    found = await outcome(stage.provider.submit(stage.body, key=kit.KEY), caplog)
    if isinstance(found, Report):
        possible(found, wrong, body)
        assert found.job_id.encode() in body.lower() or found.job_id.encode() in body
    elif wrong.status < 300 and (stage.job_id.encode() in body or not _refuses(body)):
        # Whoever names the job has it, whatever else is said.
        assert type(found) is OutcomeUnknown
    elif not _is_json(body) and not 400 <= wrong.status < 500:
        assert type(found) is OutcomeUnknown


@fuzz(30, wrong=wrongs)
async def test_wrong_answer_to_a_read(wrong: Wrong, stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    body = await stage.heard(wrong, "status")
    found = await outcome(stage.provider.status(stage.job_id), caplog)
    assert not isinstance(found, OutcomeUnknown)
    if isinstance(found, Report):
        assert found.job_id == stage.job_id
        possible(found, wrong, body)
    elif not _is_json(body) and (wrong.status < 400 or wrong.status >= 500):
        assert type(found) is ProviderBusy


@fuzz(20, wrong=wrongs)
async def test_wrong_answer_to_the_look_up_of_a_lost_submit(
    wrong: Wrong, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    body = await stage.heard(wrong, "recover")
    found = await outcome(
        stage.provider.recover(stage.body, key=kit.KEY, since=0, known=frozenset({"another"})), caplog
    )
    if isinstance(found, Report):
        possible(found, wrong, body)
        assert found.job_id != "another"
    elif not _refuses(body):
        assert isinstance(found, OutcomeUnknown | ProviderBusy | ProviderClosed)


@fuzz(15, wrong=wrongs)
async def test_wrong_answer_to_all_else(wrong: Wrong, stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    await stage.heard(wrong, "check")
    await outcome(stage.provider.check(), caplog)
    await outcome(stage.provider.published(), caplog)
    for event in await stage.provider.events(stage.job_id):
        assert KEY[:8] not in event.when + event.text
        assert SIGNATURE not in event.when + event.text


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _refuses(body: bytes) -> bool:
    """Whether a provider that says how it went in the body may have refused there."""
    return b"error" in body or b"status_code" in body
