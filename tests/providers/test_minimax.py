"""MiniMax against its strict stand-in: what is sent, what each code means where, and the hop for the file."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from bot.domain.catalog import Mode, Offer
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
from bot.providers.downloads import LinkExpired
from bot.providers.minimax import LINK_LIFE, MAINLAND, MiniMax
from tests.providers.kit import CLIP, FRAME, NOW, Sleeper, job, offers, submitted, without_gaps
from tests.providers.minimax_standin import QUERY, RETRIEVE, SUBMIT, MiniMaxStandIn
from tests.providers.standin import REFUSALS, UNREAD, Fault, Hook, always, once, says


@pytest.fixture
async def standin() -> AsyncIterator[MiniMaxStandIn]:
    async with MiniMaxStandIn() as server:
        yield server


@pytest.fixture
def minimax(standin: MiniMaxStandIn, parts: dict[str, Any]) -> MiniMax:
    return MiniMax(**parts, clock=lambda: NOW, key=standin.key, base=standin.url)


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
    assert (provider.name, minimax.recovers) == ("minimax", False)
    assert (minimax.home, MAINLAND) == ("https://api.minimax.io", "https://api.minimaxi.com")


IDS = {
    "hailuo-02": "MiniMax-Hailuo-02",
    "hailuo-2.3": "MiniMax-Hailuo-2.3",
    "hailuo-2.3-fast": "MiniMax-Hailuo-2.3-Fast",
}


@offers("minimax")
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


async def test_callback_is_sent_along(minimax: MiniMax, standin: MiniMaxStandIn) -> None:
    await submitted(minimax, job(callback="https://bot.example/?s=1"))
    (sent,) = standin.jobs.values()
    assert sent.input["callback_url"] == "https://bot.example/?s=1"
    assert b"callback_url" not in minimax.request(job())


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


# Submits


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
        code(1008, task_id="176"),
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
async def test_code_nobody_documents_leaves_it_to_the_http_code(
    status: int, error: type[ProviderError], minimax: MiniMax, standin: MiniMaxStandIn
) -> None:
    standin.before = once(says(code(7777), status))
    with pytest.raises(error, match=str(status)):
        await submitted(minimax)
    assert (len(standin.requests), standin.charges) == (1, {})


async def test_retry_after_wins_over_our_own_number(
    minimax: MiniMax, standin: MiniMaxStandIn, sleeper: Sleeper
) -> None:
    standin.before = once(Fault(200, says(code(1002)).body, {"Retry-After": "3"}))
    await submitted(minimax)
    assert (len(standin.requests), len(standin.charges), sleeper.slept) == (2, 1, [3.0])


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
    standin.before = at(QUERY, says(without_gaps(view)))
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


# The hop for the file


@pytest.mark.parametrize("fault", [fault for fault in UNREAD if fault], ids=lambda fault: repr(fault)[:60])
async def test_lost_read_of_the_file_is_tried_again(
    fault: Fault, minimax: MiniMax, standin: MiniMaxStandIn
) -> None:
    job_id = await submitted(minimax)
    standin.finish(job_id)
    standin.before = at(RETRIEVE, fault, lasts=False)
    assert (await minimax.status(job_id)).state is TaskState.SUCCEEDED
    assert (len(standin.sent("GET", RETRIEVE)), len(standin.sent("POST", SUBMIT))) == (2, 1)


def file(**fields: object) -> dict[str, object]:
    view: dict[str, object] = {"download_url": "https://cdn.example/one.mp4"} | fields
    return code(0, file=without_gaps(view))


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
            await MiniMax(**parts, clock=lambda: NOW, key=key, base=standin.url).check()
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


async def test_key_is_hidden_in_its_own_errors(minimax: MiniMax, standin: MiniMaxStandIn) -> None:
    for number in (1004, 2049, 2013):
        standin.before = always(says(code(number, f"the key {standin.key} is wrong")))
        with pytest.raises(ProviderError, match="the key … is wrong") as caught:
            await minimax.status("176")
        assert standin.key not in str(caught.value)


async def test_nothing_is_published(minimax: MiniMax, standin: MiniMaxStandIn) -> None:
    notes = ("MiniMax publishes no price list or balance.",)
    assert await minimax.published() == Published(notes=notes)
    assert standin.requests == []


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
