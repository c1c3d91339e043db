"""MiniMax against its strict stand-in: what is sent, what each code means where, and the hop for the file."""

import base64
import json
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

import bot.catalog
from bot.domain.catalog import Format, Mode, Offer
from bot.domain.errors import (
    ContentRefused,
    JobNotFound,
    JobRejected,
    OutcomeUnknown,
    ProviderBusy,
    ProviderClosed,
    ProviderError,
)
from bot.domain.ports import Job, Provider, Report
from bot.domain.published import Published
from bot.domain.task import Frame, TaskState
from bot.providers.downloads import Downloads, LinkExpired
from bot.providers.minimax import BASE, LARGEST_FRAME, LINK_LIFE, MiniMax
from bot.providers.wire import Timing, open_client
from tests.providers.minimax_standin import QUERY, RETRIEVE, SUBMIT, MiniMaxStandIn
from tests.providers.rawserver import TLS
from tests.providers.standin import LOST, REFUSALS, Fault, Hook, always, once, says

CLIP = b"a clip" * 1000
FRAME = Frame("frame.jpg", "https://cdn.example/a.jpg?ex=1")
NOW = 1_760_000_000_000


class Sleeper:
    """Sleeps no time and remembers how long it should have been."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
async def standin() -> AsyncIterator[MiniMaxStandIn]:
    async with MiniMaxStandIn() as server:
        yield server


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(TLS) as client:
        yield client


@pytest.fixture
async def downloads() -> AsyncIterator[Downloads]:
    async with Downloads(trusted_hosts=frozenset({"127.0.0.1"}), tls=TLS) as downloads:
        yield downloads


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


@pytest.fixture
def parts(client: httpx.AsyncClient, downloads: Downloads, sleeper: Sleeper) -> dict[str, Any]:
    timing = Timing(deadline=0.3, sleep=sleeper, chance=lambda: 0.0)
    return {"client": client, "downloads": downloads, "clock": lambda: NOW, "timing": timing}


@pytest.fixture
def minimax(standin: MiniMaxStandIn, parts: dict[str, Any]) -> MiniMax:
    return MiniMax(**parts, key=standin.key, base=standin.url)


def job(
    text: str = "hailuo-02/6/768p",
    *,
    mode: Mode = Mode.TEXT,
    prompt: str = "a paper boat [Pan left]",
    enhance: bool = False,
    first: Frame | None = None,
    last: Frame | None = None,
) -> Job:
    return Job("t1", mode, Format.parse(text), prompt, enhance, first, last)


async def submitted(minimax: MiniMax, wish: Job | None = None) -> str:
    return (await minimax.submit(minimax.request(wish or job()), key="conch-1")).job_id


def at(path: str, fault: Fault | None, *, lasts: bool = True) -> Hook:
    """A hook that goes wrong at one path."""
    left = [fault]

    async def hook(request: web.Request) -> Fault | None:
        if request.path != path or not left:
            return None
        return left[0] if lasts else left.pop()

    return hook


def code(number: object, words: object = "no", **more: object) -> dict[str, object]:
    return {"base_resp": {"status_code": number, "status_msg": words}} | more


# What is sent


def test_it_is_a_provider_that_cannot_look_up(minimax: MiniMax) -> None:
    provider: Provider = minimax
    assert (provider.name, provider.idempotent, minimax.recovers) == ("minimax", False, False)
    assert BASE == "https://api.minimax.io"


OFFERS = [
    (offer, Mode(mode))
    for offer in bot.catalog.load().offers
    if offer.provider == "minimax"
    for mode in offer.modes
]
IDS = {
    "hailuo-02": "MiniMax-Hailuo-02",
    "hailuo-2.3": "MiniMax-Hailuo-2.3",
    "hailuo-2.3-fast": "MiniMax-Hailuo-2.3-Fast",
}


@pytest.mark.parametrize(
    ("offer", "mode"), OFFERS, ids=[f"{offer.format.id}-{mode}" for offer, mode in OFFERS]
)
async def test_every_offer_is_accepted(
    offer: Offer, mode: Mode, minimax: MiniMax, standin: MiniMaxStandIn
) -> None:
    first = None if mode is Mode.TEXT else FRAME
    last = FRAME if mode is Mode.TRANSITION else None
    report = await minimax.submit(
        minimax.request(job(offer.format.id, mode=mode, first=first, last=last)), key="conch-1"
    )
    (made,) = standin.jobs.values()
    assert (standin.refused, report) == ([], Report(made.id, TaskState.QUEUED))
    assert (made.model, made.input["duration"]) == (IDS[offer.model], offer.duration)
    assert made.input["resolution"] == offer.resolution.upper()
    assert made.input.get("fast_pretreatment") is (None if last else False)
    # The catalog's prices are those of MiniMax's list.
    assert list(standin.charges.values()) == [made.price]
    assert made.price * 1_000_000 == offer.micros


def test_request_is_canonical(minimax: MiniMax) -> None:
    assert (
        minimax.request(job("hailuo-2.3/10/768p", prompt="ein Boot · 船", enhance=True))
        == (
            '{"duration":10,"fast_pretreatment":false,"model":"MiniMax-Hailuo-2.3","prompt":"ein Boot · 船",'
            '"prompt_optimizer":true,"resolution":"768P"}'
        ).encode()
    )


def test_frame_is_an_address_where_it_has_one_and_data_otherwise(minimax: MiniMax, tmp_path: Path) -> None:
    path = tmp_path / "frame.jpg"
    path.write_bytes(b"\xff\xd8 pixels")
    wish = json.loads(minimax.request(job(first=FRAME, last=Frame(str(path)))))
    data = base64.b64encode(path.read_bytes()).decode()
    assert wish["first_frame_image"] == FRAME.url
    assert wish["last_frame_image"] == f"data:image/jpeg;base64,{data}"
    assert "fast_pretreatment" not in wish


@pytest.mark.parametrize(("size", "fits"), [(LARGEST_FRAME, True), (LARGEST_FRAME + 1, False)])
async def test_data_frame_has_a_largest_size(
    size: int, *, fits: bool, minimax: MiniMax, standin: MiniMaxStandIn, tmp_path: Path
) -> None:
    path = tmp_path / "frame.jpg"
    path.write_bytes(bytes(size))
    wish = job("hailuo-02/6/512p", mode=Mode.IMAGE, first=Frame(str(path)))
    if fits:
        assert (await submitted(minimax, wish) in standin.jobs, standin.refused) == (True, [])
    else:
        with pytest.raises(JobRejected, match="3 MB"):
            minimax.request(wish)


@dataclass(frozen=True)
class CalledBack(Job):
    callback: str | None = None


async def test_callback_is_sent_along(minimax: MiniMax, standin: MiniMaxStandIn) -> None:
    made = job()
    wish = CalledBack(
        "t1", made.mode, made.format, made.prompt, enhance=False, callback="https://bot.example/?s=1"
    )
    await submitted(minimax, wish)
    (sent,) = standin.jobs.values()
    assert sent.input["callback_url"] == "https://bot.example/?s=1"
    assert b"callback_url" not in minimax.request(made)


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (job("hailuo-02/5/768p"), "does not make hailuo-02/5/768p"),
        (job("hailuo-02/10/1080p"), "does not make"),
        (job("hailuo-01/6/768p"), "does not make"),
        (job("hailuo-2.3/6/512p", first=FRAME), "does not make"),
        (job("hailuo-02/6/512p"), "from these frames"),
        (job("hailuo-02/6/512p", first=FRAME, last=FRAME), "from these frames"),
        (job("hailuo-2.3-fast/6/768p"), "from these frames"),
        (job("hailuo-2.3/6/768p", first=FRAME, last=FRAME), "from these frames"),
        (job("hailuo-2.3-fast/6/768p", first=FRAME, last=FRAME), "from these frames"),
        (job(last=FRAME), "only beside a first"),
        (job(first=Frame("/nowhere/gone.jpg")), "no longer on this machine"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.format.id,
)
def test_what_it_does_not_make_is_rejected(wish: Job, why: str, minimax: MiniMax) -> None:
    with pytest.raises(JobRejected, match=why):
        minimax.request(wish)


def test_lone_surrogate_does_not_crash(minimax: MiniMax) -> None:
    assert json.loads(minimax.request(job(prompt="a \ud800 b")))["prompt"] == "a ? b"


# A life


async def test_a_job_from_submit_to_clip(minimax: MiniMax, standin: MiniMaxStandIn, tmp_path: Path) -> None:
    job_id = await submitted(minimax)
    standin.advance(job_id, "Processing")
    assert await minimax.status(job_id) == Report(job_id, TaskState.PROCESSING)
    standin.finish(job_id, clip=CLIP)
    report = await minimax.status(job_id)
    url = f"{standin.root}/clips/{job_id}.mp4?link=1"
    assert report == Report(job_id, TaskState.SUCCEEDED, clip_url=url, clip_expires_at=NOW + LINK_LIFE)
    await minimax.download(url, tmp_path / "clip.mp4")
    assert (tmp_path / "clip.mp4").read_bytes() == CLIP
    assert standin.sent("GET", RETRIEVE)[0].query == {"file_id": str(standin.file_id(job_id))}
    assert (standin.refused, len(standin.charges)) == ([], 1)


async def test_expired_link_is_renewed_by_the_next_read(
    minimax: MiniMax, standin: MiniMaxStandIn, tmp_path: Path
) -> None:
    job_id = await submitted(minimax)
    standin.finish(job_id, clip=CLIP)
    first = (await minimax.status(job_id)).clip_url or ""
    standin.expire()
    with pytest.raises(LinkExpired):
        await minimax.download(first, tmp_path / "clip.mp4")
    second = (await minimax.status(job_id)).clip_url or ""
    await minimax.download(second, tmp_path / "clip.mp4")
    assert (tmp_path / "clip.mp4").read_bytes() == CLIP


async def test_auto_mode_moves_a_job_at_each_read(minimax: MiniMax, standin: MiniMaxStandIn) -> None:
    standin.auto = True
    job_id = await submitted(minimax)
    states = [(await minimax.status(job_id)).state for _ in range(4)]
    assert states == [TaskState.QUEUED, TaskState.PROCESSING, TaskState.SUCCEEDED, TaskState.SUCCEEDED]


async def test_job_that_never_finishes_stays_queued(minimax: MiniMax, standin: MiniMaxStandIn) -> None:
    job_id = await submitted(minimax)
    assert {(await minimax.status(job_id)).state for _ in range(30)} == {TaskState.QUEUED}


# Submits


@pytest.mark.parametrize(("when", "jobs"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("fault", LOST, ids=lambda fault: repr(fault)[:60])
async def test_lost_submit_is_unknown_and_never_sent_again(
    fault: Fault | None, when: str, jobs: int, minimax: MiniMax, standin: MiniMaxStandIn
) -> None:
    setattr(standin, when, once(fault))
    body = minimax.request(job())
    with pytest.raises(OutcomeUnknown, match="MiniMax"):
        await minimax.submit(body, key="conch-1")
    with pytest.raises(OutcomeUnknown, match="no way to ask"):
        await minimax.recover(body, key="conch-1", since=0, known=frozenset())
    assert (len(standin.requests), len(standin.jobs), len(standin.charges)) == (1, jobs, jobs)
    assert standin.refused == []


@pytest.mark.parametrize(
    "view",
    [
        {"task_id": "176"},
        {"task_id": "176", "base_resp": None},
        {"task_id": "176", "base_resp": "ok"},
        {"task_id": "176", "base_resp": {"status_msg": "success"}},
        code("0", task_id="176"),
        code(None, task_id="176"),
        code([0], task_id="176"),
        code(0),
        code(0, task_id=""),
        code(0, task_id=None),
        code(0, task_id=["176"]),
        code(0, task_id=".."),
        code(1026, task_id="176"),
        code(1002, task_id="176"),
        code(2013, task_id="176"),
        code(7777),
        code(-1),
        code(10**30),
    ],
    ids=str,
)
async def test_unclear_answer_to_a_submit_is_unknown(
    view: dict[str, object], minimax: MiniMax, standin: MiniMaxStandIn
) -> None:
    standin.after = once(says(view))
    with pytest.raises(OutcomeUnknown):
        await submitted(minimax)
    assert (len(standin.requests), len(standin.charges)) == (1, 1)


@pytest.mark.parametrize(
    "view",
    [code(0, task_id="176"), code(0, None, task_id="176"), code(0, task_id=176, trace={"a": 1})],
    ids=str,
)
async def test_clear_answer_to_a_submit(view: object, minimax: MiniMax, standin: MiniMaxStandIn) -> None:
    standin.after = once(says(view))
    assert await minimax.submit(minimax.request(job()), key="k") == Report("176", TaskState.QUEUED)


SUBMIT_CODES: list[tuple[int, type[ProviderError], str]] = [
    *((number, OutcomeUnknown, str(number)) for number in (1000, 1001, 1013, 1024, 1033)),
    *((number, ProviderBusy, "asks us to wait") for number in (1002, 1039, 1041, 2045)),
    (1008, ProviderClosed, "Top up"),
    (2056, ProviderClosed, "larger plan"),
    *(
        (number, ProviderClosed, "https://api.minimax.io, mainland.*api.minimaxi.com")
        for number in (1004, 2049)
    ),
    *((number, ContentRefused, str(number)) for number in (1026, 1027)),
    *((number, JobRejected, str(number)) for number in (1042, 2013)),
]


@pytest.mark.parametrize("status", [200, 400, 429, 500])
@pytest.mark.parametrize(("number", "error", "why"), SUBMIT_CODES)
async def test_codes_of_a_submit(
    number: int,
    error: type[ProviderError],
    why: str,
    status: int,
    minimax: MiniMax,
    standin: MiniMaxStandIn,
) -> None:
    standin.before = once(says(code(number, task_id=""), status))
    with pytest.raises(error, match=why) as caught:
        await submitted(minimax)
    assert isinstance(caught.value, ContentRefused) == (error is ContentRefused)
    assert (len(standin.requests), standin.charges) == (1, {})


async def test_rates_are_left_to_the_callers_scheduler(minimax: MiniMax, standin: MiniMaxStandIn) -> None:
    waits = []
    for number in (1002, 1039, 1041, 2045):
        standin.before = once(says(code(number)))
        with pytest.raises(ProviderBusy) as caught:
            await submitted(minimax)
        waits.append(caught.value.retry_after)
    assert waits == [15.0, 15.0, 15.0, 60.0]
    assert standin.charges == {}


@pytest.mark.parametrize(("status", "error"), REFUSALS)
async def test_refused_submit_is_definite(
    status: int, error: type[ProviderError], minimax: MiniMax, standin: MiniMaxStandIn
) -> None:
    for view in ({"error": "no"}, code(7777)):
        standin.before = once(says(view, status))
        with pytest.raises(error, match=str(status)):
            await submitted(minimax)
    assert (len(standin.requests), standin.charges) == (2, {})


@pytest.mark.parametrize(("headers", "slept"), [({}, [0.0]), ({"Retry-After": "3"}, [3.0])])
async def test_429_is_waited_for(
    headers: Mapping[str, str],
    slept: list[float],
    minimax: MiniMax,
    standin: MiniMaxStandIn,
    sleeper: Sleeper,
) -> None:
    standin.before = once(Fault(429, b"", headers))
    await submitted(minimax)
    assert (len(standin.requests), len(standin.charges), sleeper.slept) == (2, 1, slept)


async def test_connection_never_made_is_safe(parts: dict[str, Any]) -> None:
    async with MiniMaxStandIn() as gone:
        minimax = MiniMax(**parts, key=gone.key, base=gone.url)
    with pytest.raises(ProviderBusy, match="cannot be reached"):
        await submitted(minimax)


async def test_prompt_refused_for_its_content(minimax: MiniMax, standin: MiniMaxStandIn) -> None:
    with pytest.raises(ContentRefused, match="1026: the prompt is sensitive"):
        await submitted(minimax, job(prompt="a forbidden boat"))
    assert standin.charges == {}


# Reads


async def told(minimax: MiniMax, standin: MiniMaxStandIn, **fields: object) -> Report:
    """The report on a job that succeeded, but for these fields; one set to `...` is missing."""
    job_id = await submitted(minimax)
    standin.finish(job_id)
    view = standin.view(standin.jobs[job_id]) | fields
    standin.before = at(QUERY, says({name: value for name, value in view.items() if value is not ...}))
    return await minimax.status(job_id)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("Preparing", TaskState.QUEUED),
        ("QUEUEING", TaskState.QUEUED),
        (" processing ", TaskState.PROCESSING),
        ("success", TaskState.SUCCEEDED),
        ("Success", TaskState.SUCCEEDED),
        ("fail", TaskState.FAILED),
        ("FAILED", TaskState.FAILED),
        ("rendering", TaskState.PROCESSING),
        ("", TaskState.PROCESSING),
    ],
)
async def test_status_words(word: str, state: TaskState, minimax: MiniMax, standin: MiniMaxStandIn) -> None:
    report = await told(minimax, standin, status=word)
    assert (report.state, bool(report.clip_url)) == (state, state is TaskState.SUCCEEDED)
    assert len(standin.sent("GET", RETRIEVE)) == int(state is TaskState.SUCCEEDED)


@pytest.mark.parametrize(
    "fields",
    [{"task_id": other} for other in (..., None, 17, True, "other", "", "x" * 201, "a\nb", "..")]
    + [{"status": status} for status in (..., None, 17, ["Success"], "x" * 41)]
    + [{"file_id": other} for other in (..., None, "", "a b", ["1"], 1.5, "x" * 201)],
    ids=str,
)
async def test_unusable_answer_to_a_query_is_no_end(
    fields: dict[str, object], minimax: MiniMax, standin: MiniMaxStandIn
) -> None:
    with pytest.raises(ProviderBusy):
        await told(minimax, standin, **fields)


@pytest.mark.parametrize(
    "fields",
    [{"base_resp": other} for other in (..., None, 17, {}, {"status_code": "0"})]
    + [{"video_width": "wide", "more": [1]}],
    ids=str,
)
async def test_what_is_beside_the_status_is_not_needed(
    fields: dict[str, object], minimax: MiniMax, standin: MiniMaxStandIn
) -> None:
    assert (await told(minimax, standin, **fields)).state is TaskState.SUCCEEDED


async def test_ids_may_be_numbers(minimax: MiniMax, standin: MiniMaxStandIn) -> None:
    job_id = await submitted(minimax)
    standin.finish(job_id)
    view = standin.view(standin.jobs[job_id])
    numbers = {"task_id": int(job_id), "file_id": standin.file_id(job_id)}
    standin.before = at(QUERY, says(view | numbers))
    assert (await minimax.status(job_id)).state is TaskState.SUCCEEDED


@pytest.mark.parametrize(
    ("number", "words", "more", "reason", "refused"),
    [
        (0, "success", {}, None, False),
        (0, "no GPU", {}, "no GPU", False),
        (0, "success", {"error": {"message": "no GPU"}}, "no GPU", False),
        (0, "success", {"message": "see https://x.example/a?sig=s3cret"}, "see https://x.example/a", False),
        (0, "success", {"reason": "rejected by our content policy"}, "rejected by our content policy", True),
        (0, "no\x07\u202eGPU", {}, "no GPU", False),
        (0, "x" * 1000, {}, "x" * 299 + "…", False),
        (0, 17, {}, None, False),
        (1026, "sensitive", {}, "sensitive", True),
        (1027, "output is bad", {}, "output is bad", True),
        (1033, "downstream", {}, "downstream", False),
        (2013, "bad picture", {}, "bad picture", False),
        (7777, "who knows", {}, "who knows", False),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_reason_of_a_failure(
    number: int,
    words: object,
    more: dict[str, object],
    reason: str | None,
    *,
    refused: bool,
    minimax: MiniMax,
    standin: MiniMaxStandIn,
) -> None:
    report = await told(minimax, standin, status="Fail", **code(number, words, **more))
    assert report == Report(report.job_id, TaskState.FAILED, reason=reason, content_refused=refused)


async def test_failed_jobs_of_the_stand_in(minimax: MiniMax, standin: MiniMaxStandIn) -> None:
    job_id = await submitted(minimax)
    standin.codes[job_id] = 1027
    standin.fail(job_id, "the output is sensitive")
    report = await minimax.status(job_id)
    assert (report.state, report.reason, report.content_refused) == (
        TaskState.FAILED,
        "the output is sensitive",
        True,
    )
    assert (sum(standin.charges.values()), standin.refused) == (0, [])


@pytest.mark.parametrize(
    "fault", [(200, {}), (200, {"status": ""}), (400, {}), (400, {"status": "Fail"})], ids=str
)
async def test_output_refused_in_other_words(
    fault: tuple[int, dict[str, object]], minimax: MiniMax, standin: MiniMaxStandIn
) -> None:
    job_id = await submitted(minimax)
    status, more = fault
    standin.before = at(QUERY, says(code(1027, "the output is sensitive", **more), status))
    report = await minimax.status(job_id)
    assert (report.state, report.content_refused) == (TaskState.FAILED, True)
    assert "1027: the output is sensitive" in (report.reason or "")


@pytest.mark.parametrize(
    ("view", "error"),
    [
        *((code(number), ProviderBusy) for number in (1000, 1001, 1013, 1024, 1033, 7777)),
        *((code(number), ProviderBusy) for number in (1002, 1039, 1041, 2045)),
        *((code(number), ProviderClosed) for number in (1004, 2049, 1008, 2056)),
        *((code(number, status="Fail"), ProviderClosed) for number in (1004, 1008)),
        (code(1002, status="Fail"), ProviderBusy),
        (code(1027, status="Processing"), ProviderBusy),
        (code(1027, status="Success"), ProviderBusy),
        (code(1000, status="Success"), ProviderBusy),
        (code(2013), JobNotFound),
        (code(2013, status="", task_id="0"), JobNotFound),
        (code(2013, task_id="176"), ProviderBusy),
        (code(1042), JobRejected),
    ],
    ids=str,
)
async def test_codes_of_a_query_are_no_end_of_a_job(
    view: dict[str, object], error: type[ProviderError], minimax: MiniMax, standin: MiniMaxStandIn
) -> None:
    job_id = await submitted(minimax)
    standin.finish(job_id)
    standin.before = at(QUERY, says(view))
    with pytest.raises(error):
        await minimax.status(job_id)


@pytest.mark.parametrize("status", [400, 403, 404, 422, 500])
async def test_proxy_that_speaks_of_content_ends_no_job(
    status: int, minimax: MiniMax, standin: MiniMaxStandIn
) -> None:
    job_id = await submitted(minimax)
    standin.before = at(QUERY, says({"status": "Fail", "error": "content policy"}, status))
    with pytest.raises(ProviderError):
        await minimax.status(job_id)


async def test_unknown_job(minimax: MiniMax, standin: MiniMaxStandIn) -> None:
    with pytest.raises(JobNotFound, match="does not know this job"):
        await minimax.status("17")
    assert await minimax.events("17") == []


@pytest.mark.parametrize(
    ("job_id", "asked"),
    [("a&status=Success", True), ("a/../b?c#d", True), ("..", False), ("", False), ("a b", False)],
)
async def test_job_id_cannot_lead_elsewhere(
    job_id: str, *, asked: bool, minimax: MiniMax, standin: MiniMaxStandIn
) -> None:
    with pytest.raises(JobNotFound):
        await minimax.status(job_id)
    assert [one.query for one in standin.requests] == ([{"task_id": job_id}] if asked else [])


#: One of the faults is an answer to a query, about another job.
UNREADABLE = [fault for fault in LOST if fault and b'"task_id": 17' not in fault.body]


@pytest.mark.parametrize("path", [QUERY, RETRIEVE])
@pytest.mark.parametrize("fault", UNREADABLE, ids=lambda fault: repr(fault)[:60])
async def test_lost_read_is_tried_again(
    fault: Fault, path: str, minimax: MiniMax, standin: MiniMaxStandIn
) -> None:
    job_id = await submitted(minimax)
    standin.finish(job_id)
    standin.before = at(path, fault, lasts=False)
    assert (await minimax.status(job_id)).state is TaskState.SUCCEEDED
    assert (len(standin.sent("GET", path)), len(standin.sent("POST", SUBMIT))) == (2, 1)


# The hop for the file


def file(**fields: object) -> dict[str, object]:
    view: dict[str, object] = {"download_url": "https://cdn.example/one.mp4"} | fields
    return code(0, file={name: value for name, value in view.items() if value is not ...})


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault(status) for status in (400, 404, 410, 429, 500, 503)),
        *(says(code(number)) for number in (1000, 1002, 1013, 1026, 1027, 1042, 2013, 7777)),
        *(says(file(download_url=url)) for url in (..., None, 17, "", "ftp://x/", "https://a b", "x")),
        says(file(file_id="17")),
        says(code(0)),
        says(code(0, file=None)),
        says(b"<html>"),
    ],
    ids=lambda fault: f"{fault.status} {fault.body[:80]!r}",
)
async def test_file_that_cannot_be_had_is_no_failed_job(
    fault: Fault, minimax: MiniMax, standin: MiniMaxStandIn
) -> None:
    job_id = await submitted(minimax)
    standin.finish(job_id)
    standin.before = at(RETRIEVE, fault)
    with pytest.raises(ProviderBusy):
        await minimax.status(job_id)
    standin.before = None
    assert (await minimax.status(job_id)).state is TaskState.SUCCEEDED
    assert len(standin.charges) == 1


@pytest.mark.parametrize("fault", [Fault(401), says(code(1004))], ids=str)
async def test_key_refused_at_the_file_is_the_operators(
    fault: Fault, minimax: MiniMax, standin: MiniMaxStandIn
) -> None:
    job_id = await submitted(minimax)
    standin.finish(job_id)
    standin.before = at(RETRIEVE, fault)
    with pytest.raises(ProviderClosed):
        await minimax.status(job_id)


@pytest.mark.parametrize("file_id", [..., None, "", ["1"]], ids=str)
async def test_file_that_does_not_name_itself_is_taken(
    file_id: object, minimax: MiniMax, standin: MiniMaxStandIn
) -> None:
    job_id = await submitted(minimax)
    standin.finish(job_id)
    standin.before = at(RETRIEVE, says(file(file_id=file_id)))
    assert (await minimax.status(job_id)).clip_url == "https://cdn.example/one.mp4"


# Key, region, secrets


async def test_check_accepts_the_key(minimax: MiniMax, standin: MiniMaxStandIn) -> None:
    assert await minimax.check() == "MiniMax accepts the key."
    standin.before = always(says(code(0, status="", task_id="0")))
    assert await minimax.check() == "MiniMax accepts the key."
    assert (standin.refused, standin.charges) == ([], {})


@pytest.mark.parametrize("status", [200, 401])
async def test_check_names_both_regions_for_a_wrong_key(
    status: int, standin: MiniMaxStandIn, parts: dict[str, Any]
) -> None:
    standin.error_status = status
    for fault in (None, Fault(401), Fault(403)):
        standin.before = always(fault) if fault else None
        key = standin.key if fault else "mm-wrong-key"
        with pytest.raises(ProviderClosed) as caught:
            await MiniMax(**parts, key=key, base=standin.url).check()
        for word in (
            "MINIMAX_API_KEY",
            "https://api.minimax.io",
            "https://api.minimaxi.com",
            "MINIMAX_API_URL",
        ):
            assert word in str(caught.value)
        assert key not in str(caught.value)


@pytest.mark.parametrize(
    "fault", [Fault(404), says({}), says({"hello": 1}), says(b"<html>"), says(code(1000))], ids=str
)
async def test_check_of_something_else(fault: Fault, minimax: MiniMax, standin: MiniMaxStandIn) -> None:
    standin.before = always(fault)
    with pytest.raises(ProviderBusy):
        await minimax.check()


async def test_nothing_is_published(minimax: MiniMax, standin: MiniMaxStandIn) -> None:
    notes = ("MiniMax tells neither balance nor prices to a program.",)
    assert await minimax.published() == Published(notes=notes)
    assert standin.requests == []


async def test_no_secret_in_any_log_line(
    minimax: MiniMax, standin: MiniMaxStandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    standin.auto = True
    job_id = await submitted(minimax)
    standin.after = once(Fault(500, standin.key.encode(), {"X-Echo": standin.key[:3]}), "GET")
    while not (url := (await minimax.status(job_id)).clip_url):
        pass
    await minimax.download(url, tmp_path / "clip.mp4")
    said = []
    for number in (1004, 2049, 2013):
        standin.before = always(says(code(number, f"the key {standin.key} is wrong")))
        with pytest.raises(ProviderError) as caught:
            await minimax.status(job_id)
        said.append(str(caught.value))
    assert {"bot.providers.wire", "httpx", "httpcore.http11"} <= {record.name for record in caplog.records}
    assert standin.key not in caplog.text + "".join(said)


# The stand-in itself

PICTURE = "https://x.example/a.jpg"


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({}, 0),
        ({"model": "MiniMax-Hailuo-02", "duration": 10, "resolution": "768P", "prompt_optimizer": True}, 0),
        ({"model": "MiniMax-Hailuo-02", "first_frame_image": PICTURE, "resolution": "512P"}, 0),
        ({"model": "MiniMax-Hailuo-02", "first_frame_image": PICTURE, "last_frame_image": PICTURE}, 0),
        ({"first_frame_image": "data:image/jpg;base64,AAAA"}, 0),
        ({"first_frame_image": "data:image/jpg;base64,A"}, 2013),
        ({"first_frame_image": "AAAA"}, 2013),
        ({"first_frame_image": PICTURE, "last_frame_image": PICTURE}, 2013),
        ({"first_frame_image": PICTURE, "resolution": "512P"}, 2013),
        ({"model": "MiniMax-Hailuo-02", "resolution": "512P"}, 2013),
        ({"model": "MiniMax-Hailuo-02", "last_frame_image": PICTURE}, 2013),
        (
            {
                "model": "MiniMax-Hailuo-02",
                "first_frame_image": PICTURE,
                "last_frame_image": PICTURE,
                "fast_pretreatment": False,
            },
            2013,
        ),
        ({"model": "MiniMax-Hailuo-2.3-Fast"}, 2013),
        ({"model": "minimax-hailuo-2.3"}, 2013),
        ({"duration": 10, "resolution": "1080P"}, 2013),
        ({"duration": 5}, 2013),
        ({"duration": "6"}, 2013),
        ({"duration": 6.0}, 2013),
        ({"duration": True}, 2013),
        ({"resolution": "768p"}, 2013),
        ({"prompt": ""}, 2013),
        ({"prompt": "x" * 2001}, 2013),
        ({"prompt_optimizer": 1}, 2013),
        ({"callback_url": "bot.example"}, 2013),
        ({"seed": 1}, 2013),
        ({"prompt": "a forbidden boat"}, 1026),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_stand_in_is_strict(
    change: dict[str, object], number: int, standin: MiniMaxStandIn, client: httpx.AsyncClient
) -> None:
    headers = {"Authorization": f"Bearer {standin.key}"}
    body = {"model": "MiniMax-Hailuo-2.3", "prompt": "x"} | change
    answer = await client.post(standin.url + SUBMIT, json=body, headers=headers)
    assert answer.json()["base_resp"]["status_code"] == number
    assert (answer.status_code, len(standin.refused)) == (200, int(number != 0))
    assert len(standin.charges) == int(number == 0)


@pytest.mark.parametrize(
    ("headers", "path", "number"),
    [
        ({"Authorization": "Bearer other"}, f"{QUERY}?task_id=1", 1004),
        ({}, QUERY, 2013),
        ({}, f"{QUERY}?task_id=1&more=1", 2013),
        ({}, f"{RETRIEVE}?file_id=17", 2013),
        ({}, f"{RETRIEVE}?task_id=17", 2013),
        ({}, f"{SUBMIT}?task_id=17", 2013),
    ],
)
async def test_stand_in_refuses_other_reads(
    headers: dict[str, str], path: str, number: int, standin: MiniMaxStandIn, client: httpx.AsyncClient
) -> None:
    headers = {"Authorization": f"Bearer {standin.key}"} | headers
    answer = await client.get(standin.url + path, headers=headers)
    assert answer.json()["base_resp"]["status_code"] == number
    assert len(standin.refused) == 1
