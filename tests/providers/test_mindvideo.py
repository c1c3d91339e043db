"""MindVideo against its strict stand-in: what is sent, what answers mean, and that nothing is charged twice."""

import base64
import json
import logging
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from bot.domain.catalog import Mode, Offer
from bot.domain.errors import (
    JobRejected,
    OutcomeUnknown,
    ProviderBusy,
)
from bot.domain.ports import Job, Provider, ProviderEvent, Report
from bot.domain.published import Published
from bot.domain.task import Frame, TaskState
from bot.providers.mindvideo import MindVideo
from tests.providers import kit
from tests.providers.kit import CLIP, ODD_IDS, offers, paths_asked, without_gaps
from tests.providers.mindvideo_standin import TASKS, MindVideoStandIn
from tests.providers.standin import Fault, Hook, always, once, says


@pytest.fixture
async def standin() -> AsyncIterator[MindVideoStandIn]:
    async with MindVideoStandIn() as server:
        yield server


@pytest.fixture
def mindvideo(standin: MindVideoStandIn, parts: dict[str, Any]) -> MindVideo:
    return MindVideo(**parts, key=standin.key, base=standin.url)


def job(text: str = "hailuo-02/5/768p", **wish: Any) -> Job:
    return kit.job(text, **wish)


async def submitted(mindvideo: MindVideo, key: str = "conch-1") -> str:
    return (await mindvideo.submit(mindvideo.request(job()), key=key)).job_id


def sent_input(body: bytes) -> dict[str, object]:
    wish = json.loads(body)["input"]
    assert isinstance(wish, dict)
    return wish


def test_it_is_a_provider(mindvideo: MindVideo) -> None:
    provider: Provider = mindvideo
    assert (provider.name, provider.recovers) == ("mindvideo", True)


@offers("mindvideo")
async def test_every_offer_is_accepted(
    offer: Offer, mode: Mode, mindvideo: MindVideo, standin: MindVideoStandIn, picture: Frame
) -> None:
    first = None if mode is Mode.TEXT else picture
    last = picture if mode is Mode.TRANSITION else None
    body = mindvideo.request(job(offer.format.id, mode=mode, first=first, last=last))
    report = await mindvideo.submit(body, key="conch-1")
    assert (standin.refused, report.state) == ([], TaskState.QUEUED)
    (made,) = standin.jobs.values()
    assert made.input["duration"] == offer.duration
    assert made.input["resolution"] == offer.resolution


def test_request_is_canonical(mindvideo: MindVideo) -> None:
    assert (
        mindvideo.request(job("hailuo-2.3/6/768p", prompt="ein Boot · 船", enhance=True))
        == (
            '{"input":{"duration":6,"fast_pretreatment":false,"prompt":"ein Boot · 船","prompt_optimizer":true,'
            '"resolution":"768p","watermark":false},"model":"minimax-hailuo-2-3"}'
        ).encode()
    )


def test_frame_is_an_address_where_it_has_one_and_data_otherwise(
    mindvideo: MindVideo, picture: Frame
) -> None:
    hosted = Frame("gone.jpg", "https://cdn.example/a.jpg?ex=1")
    wish = sent_input(mindvideo.request(job(mode=Mode.TRANSITION, first=hosted, last=picture)))
    assert wish["first_frame_image"] == "https://cdn.example/a.jpg?ex=1"
    data = base64.b64encode(Path(picture.path).read_bytes()).decode()
    assert wish["last_frame_image"] == f"data:image/jpeg;base64,{data}"


@pytest.mark.parametrize(
    "text", ["hailuo-02/6/768p", "hailuo-2.3/6/512p", "hailuo-2.3/5/768p", "hailuo-2.3-fast/6/768p"]
)
def test_format_it_does_not_have_is_rejected(text: str, mindvideo: MindVideo) -> None:
    with pytest.raises(JobRejected, match=f"does not make {text}"):
        mindvideo.request(job(text))


def test_last_frame_only_for_02(mindvideo: MindVideo, picture: Frame) -> None:
    with pytest.raises(JobRejected, match="no last frame"):
        mindvideo.request(job("hailuo-2.3/6/768p", first=picture, last=picture))


async def test_a_job_from_submit_to_clip(
    mindvideo: MindVideo, standin: MindVideoStandIn, tmp_path: Path
) -> None:
    job_id = await submitted(mindvideo)
    standin.advance(job_id, "PROCESSING")
    assert (await mindvideo.status(job_id)).state is TaskState.PROCESSING
    standin.finish(job_id, clip=CLIP, cost=Decimal("0.3294"))
    report = await mindvideo.status(job_id)
    assert (report.state, report.cost_micros) == (TaskState.SUCCEEDED, 329_400)
    assert report.clip_url
    await mindvideo.download(report.clip_url, tmp_path / "clip.mp4")
    assert (tmp_path / "clip.mp4").read_bytes() == CLIP
    assert standin.refused == []


async def test_replay_shows_a_later_status(mindvideo: MindVideo, standin: MindVideoStandIn) -> None:
    standin.finish(await submitted(mindvideo), clip=CLIP)
    report = await mindvideo.submit(mindvideo.request(job()), key="conch-1")
    assert (report.state, report.cost_micros) == (TaskState.SUCCEEDED, 225_000)
    assert len(standin.charges) == 1


# Lost answers


async def test_lost_answer_is_asked_for_again_with_the_same_key(
    mindvideo: MindVideo, standin: MindVideoStandIn
) -> None:
    standin.after = once(Fault(drop=True))
    body = mindvideo.request(job())
    report = await mindvideo.submit(body, key="conch-1")
    first, second = standin.sent("POST", TASKS)
    assert first.body == second.body == body
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] == "conch-1"
    assert list(standin.charges) == [report.job_id]


async def test_answer_lost_every_time_is_unknown(mindvideo: MindVideo, standin: MindVideoStandIn) -> None:
    async def drop(_: web.Request) -> Fault:
        return Fault(drop=True)

    standin.after = drop
    with pytest.raises(OutcomeUnknown):
        await submitted(mindvideo)
    assert (len(standin.sent("POST")), len(standin.charges)) == (3, 1)


@pytest.mark.parametrize("last", [429, 401, 402, 403, 404, 409])
async def test_answer_lost_first_stays_unknown(
    last: int, mindvideo: MindVideo, standin: MindVideoStandIn
) -> None:
    statuses = [500, last, last]

    async def fail(_: web.Request) -> Fault:
        return Fault(statuses.pop(0))

    standin.after = fail
    with pytest.raises(OutcomeUnknown, match=str(last)):
        await submitted(mindvideo)
    assert len(standin.charges) == 1


async def test_key_used_for_other_bytes_is_a_bug_of_ours(
    mindvideo: MindVideo, standin: MindVideoStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    await submitted(mindvideo)
    with pytest.raises(JobRejected, match="409"):
        await mindvideo.submit(mindvideo.request(job(prompt="another")), key="conch-1")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert (len(standin.charges), len(standin.refused)) == (1, 1)


# What answers mean


def tells(view: object, part: str = "") -> Hook:
    """A hook that answers reads of a job, or of its events, with this."""

    async def hook(request: web.Request) -> Fault | None:
        if request.method == "POST" or request.path.endswith("/events") != (part == "events"):
            return None
        return says(view)

    return hook


async def told(mindvideo: MindVideo, standin: MindVideoStandIn, **fields: object) -> Report:
    """The report on a job that succeeded, but for these fields; one set to `...` is missing."""
    job_id = await submitted(mindvideo)
    view: dict[str, object] = {
        "request_id": "r",
        "task_id": job_id,
        "status": "succeeded",
        "cost_actual": 0.3,
    }
    view |= {"output": {"videos": [{"url": "https://cdn.example/one.mp4"}]}} | fields
    standin.before = tells(without_gaps(view))
    return await mindvideo.status(job_id)


@pytest.mark.parametrize(
    "cost",
    [..., None, -0.1, float("nan"), float("inf"), True, "free", [0.3], {}, 1e300, "1e999999"],
    ids=repr,
)
async def test_odd_cost_does_not_lose_the_clip(
    cost: object, mindvideo: MindVideo, standin: MindVideoStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    report = await told(mindvideo, standin, cost_actual=cost, cost_estimate=cost)
    assert (report.state, report.cost_micros) == (TaskState.SUCCEEDED, None)
    assert report.clip_url == "https://cdn.example/one.mp4"
    assert any(record.levelno == logging.WARNING for record in caplog.records)


@pytest.mark.parametrize(
    ("cost", "micros"), [(0.3294, 329_400), ("0.3294", 329_400), (0, 0), (1, 1_000_000), (1e-7, 0)]
)
async def test_cost_is_whole_micros(
    cost: object, micros: int, mindvideo: MindVideo, standin: MindVideoStandIn
) -> None:
    assert (await told(mindvideo, standin, cost_actual=cost)).cost_micros == micros


async def test_estimate_stands_in_for_a_missing_cost_of_a_clip_only(
    mindvideo: MindVideo, standin: MindVideoStandIn
) -> None:
    report = await told(mindvideo, standin, cost_actual=None, cost_estimate=0.225)
    assert report.cost_micros == 225_000
    report = await told(mindvideo, standin, cost_actual=None, cost_estimate=0.225, status="failed")
    assert report.cost_micros is None


@pytest.mark.parametrize(
    "output",
    [..., None, "x", {}, {"videos": []}, {"videos": [{}]}, {"videos": [{"url": None}]}]
    + [{"videos": [{"url": url}]} for url in ("", "javascript:alert(1)", "ftp://x/", ["https://x"])]
    + [{"videos": [{"url": "https://cdn.example/" + "x" * 5000}]}, {"videos": [{"url": "https://a b"}]}],
    ids=lambda output: repr(output)[:50],
)
async def test_success_without_a_clip_is_asked_about_again(
    output: object, mindvideo: MindVideo, standin: MindVideoStandIn
) -> None:
    with pytest.raises(ProviderBusy, match="names no clip"):
        await told(mindvideo, standin, output=output)


async def test_accepted_job_that_replays_without_its_clip_is_not_lost(
    mindvideo: MindVideo, standin: MindVideoStandIn
) -> None:
    async def hook(_: web.Request) -> Fault:
        return Fault(200, b'{"task_id": "task_9", "status": "succeeded"}')

    standin.before = hook
    report = await mindvideo.submit(mindvideo.request(job()), key="conch-1")
    assert (report.job_id, report.state) == ("task_9", TaskState.PROCESSING)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("QUEUED", TaskState.QUEUED),
        ("Processing", TaskState.PROCESSING),
        ("Succeeded", TaskState.SUCCEEDED),
        ("FAILED", TaskState.FAILED),
        ("Cancelled", TaskState.CANCELLED),
        ("rendering", TaskState.PROCESSING),
        ("", TaskState.PROCESSING),
    ],
)
async def test_status_words(
    word: str, state: TaskState, mindvideo: MindVideo, standin: MindVideoStandIn
) -> None:
    report = await told(mindvideo, standin, status=word)
    assert (report.state, bool(report.clip_url)) == (state, state is TaskState.SUCCEEDED)


@pytest.mark.parametrize(
    "fields",
    [{"task_id": other} for other in (..., None, 17, "task_other", "", "x" * 201, "a\nb", "..")]
    + [{"status": status} for status in (..., None, 17, ["succeeded"], "x" * 41)],
    ids=str,
)
async def test_answer_about_another_job_or_none_is_not_accepted(
    fields: dict[str, object], mindvideo: MindVideo, standin: MindVideoStandIn
) -> None:
    with pytest.raises(ProviderBusy):
        await told(mindvideo, standin, **fields)


@pytest.mark.parametrize(
    ("fields", "reason", "refused"),
    [
        ({"error": "no GPU"}, "no GPU", False),
        ({"error": {"code": "E1", "message": "no GPU"}}, "E1: no GPU", False),
        ({"error": {"code": 17, "message": "no GPU"}}, "no GPU", False),
        ({"error": None, "message": "no GPU"}, "no GPU", False),
        ({"error": [1], "message": "no\x07\u202eGPU"}, "no GPU", False),
        ({"error": "see https://x.example/a?sig=s3cret"}, "see https://x.example/a", False),
        ({"error": {"code": "content_policy_violation"}}, "content_policy_violation", True),
        ({"message": "The prompt was flagged as sensitive."}, "The prompt was flagged as sensitive.", True),
        ({"message": "this field is case sensitive"}, "this field is case sensitive", False),
        ({"message": "x" * 1000}, "x" * 299 + "…", False),
        ({}, "queued: now queued", False),
    ],
)
async def test_reason_of_a_failure(
    fields: dict[str, object],
    reason: str,
    *,
    refused: bool,
    mindvideo: MindVideo,
    standin: MindVideoStandIn,
) -> None:
    report = await told(mindvideo, standin, status="failed", output=None, cost_actual=0, **fields)
    assert (report.state, report.reason, report.content_refused) == (TaskState.FAILED, reason, refused)
    assert report.cost_micros == 0


async def test_events_of_the_stand_in(mindvideo: MindVideo, standin: MindVideoStandIn) -> None:
    job_id = await submitted(mindvideo)
    standin.fail(job_id, "no GPU")
    assert await mindvideo.events(job_id) == [
        ProviderEvent("step 1", "queued: now queued"),
        ProviderEvent("step 2", "failed: now failed"),
    ]


@pytest.mark.parametrize(
    ("history", "events"),
    [
        (["made", "done"], [("", "made"), ("", "done")]),
        ({"data": [{"timestamp": 17, "status": "queued"}]}, [("17", "queued")]),
        ({"events": [{"created_at": "now", "event": "x", "type": "x"}]}, [("now", "x")]),
        ([{"message": "a\nb " + "c" * 200}], [("", "a b " + "c" * 115 + "…")]),
        ([{"message": True}, None, 17, [], {}, {"at": "now"}], []),
        ([str(number) for number in range(30)], [("", str(number)) for number in range(10, 30)]),
        ("text", []),
        ({"events": "text"}, []),
        (17, []),
        (b"<html>", []),
        (b"[" * 200_000, []),
        (b'["' + b"x" * 2_000_000 + b'"]', []),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_events_of_any_shape(
    history: object, events: list[tuple[str, str]], mindvideo: MindVideo, standin: MindVideoStandIn
) -> None:
    job_id = await submitted(mindvideo)
    standin.before = tells(history, "events")
    assert await mindvideo.events(job_id) == [ProviderEvent(*event) for event in events]


async def test_events_that_cannot_be_had(mindvideo: MindVideo, standin: MindVideoStandIn) -> None:
    assert await mindvideo.events("task_unknown") == []
    assert await mindvideo.events("..") == []


@ODD_IDS
async def test_job_id_cannot_lead_elsewhere(
    job_id: str, segment: str | None, mindvideo: MindVideo, standin: MindVideoStandIn
) -> None:
    asked = await paths_asked(mindvideo, standin, job_id)
    assert asked == ({f"{TASKS}/{segment}"} if segment else set())


async def test_events_do_not_tell_the_key(mindvideo: MindVideo, standin: MindVideoStandIn) -> None:
    standin.before = tells([{"at": standin.key, "message": f"{standin.key} is wrong"}, standin.key], "events")
    assert await mindvideo.events("task_1") == [ProviderEvent("…", "… is wrong"), ProviderEvent("", "…")]


# Recovering, key


@pytest.mark.parametrize("last", [400, 404, 409, 422])
async def test_refused_repetition_says_nothing_of_the_first_try(
    last: int, mindvideo: MindVideo, standin: MindVideoStandIn
) -> None:
    body = mindvideo.request(job())
    standin.after = always(Fault(drop=True), "POST")
    with pytest.raises(OutcomeUnknown):
        await mindvideo.submit(body, key="conch-1")
    standin.after = always(Fault(last), "POST")
    with pytest.raises(OutcomeUnknown, match=f"nothing of the first try.*{last}"):
        await mindvideo.recover(body, key="conch-1", since=0, known=frozenset())
    standin.after = None
    report = await mindvideo.recover(body, key="conch-1", since=0, known=frozenset())
    assert list(standin.charges) == [report.job_id]


async def test_check_accepts_the_key(mindvideo: MindVideo, standin: MindVideoStandIn) -> None:
    assert await mindvideo.check() == "MindVideo accepts the key."
    assert (standin.refused, standin.charges) == ([], {})


async def test_nothing_is_published(mindvideo: MindVideo) -> None:
    notes = ("MindVideo publishes no price list or balance.",)
    assert await mindvideo.published() == Published(notes=notes)


# The stand-in itself

RIGHT = {"model": "minimax-hailuo-2-3", "input": {"prompt": "x"}}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 201),
        ({"duration": 6, "resolution": "1080p", "prompt_optimizer": True, "watermark": False}, 201),
        ({"duration": 5}, 422),
        ({"duration": "6"}, 422),
        ({"duration": 6.0}, 400),
        ({"duration": True}, 422),
        ({"resolution": "768P"}, 422),
        ({"resolution": "512p"}, 422),
        ({"prompt": ""}, 422),
        ({"prompt_optimizer": 1}, 422),
        ({"last_frame_image": "https://x"}, 422),
        ({"first_frame_image": "file:///x"}, 422),
        ({"seed": 1}, 422),
    ],
    ids=str,
)
async def test_stand_in_is_strict(
    change: dict[str, object], status: int, standin: MindVideoStandIn, client: httpx.AsyncClient
) -> None:
    body = {"model": RIGHT["model"], "input": {"prompt": "x"} | change}
    headers = {"Authorization": f"Bearer {standin.key}"}
    answer = await client.post(standin.url + TASKS, json=body, headers=headers)
    assert (answer.status_code, len(standin.refused)) == (status, int(status != 201))


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (RIGHT, {"Authorization": "Bearer other"}, 401),
        (RIGHT, {"Content-Type": "text/plain"}, 415),
        (RIGHT | {"more": 1}, {}, 422),
        (RIGHT | {"model": "minimax-hailuo-03"}, {}, 404),
        ([], {}, 422),
    ],
)
async def test_stand_in_refuses_what_is_around_the_input(
    body: object, headers: dict[str, str], status: int, standin: MindVideoStandIn, client: httpx.AsyncClient
) -> None:
    headers = {"Authorization": f"Bearer {standin.key}", "Content-Type": "application/json"} | headers
    answer = await client.post(standin.url + TASKS, content=json.dumps(body), headers=headers)
    assert (answer.status_code, len(standin.refused), standin.charges) == (status, 1, {})
