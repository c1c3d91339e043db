"""GMI Cloud against its strict stand-in: what is sent, what answers mean, and that a lost submit is looked up."""

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
    JobRejected,
    OutcomeUnknown,
    ProviderBusy,
    ProviderClosed,
    ProviderError,
    SetupError,
)
from bot.domain.ports import Job, Provider, Report
from bot.domain.task import Frame, TaskState
from bot.providers.gmi import Gmi
from tests.providers.gmi_standin import FAST, REQUESTS, SLUG, GmiStandIn
from tests.providers.kit import (
    CLIP,
    FRAME,
    ODD_IDS,
    job,
    offers,
    paths_asked,
    submitted,
    without_gaps,
)
from tests.providers.standin import LOST, Fault, always, once, says


@pytest.fixture
async def standin() -> AsyncIterator[GmiStandIn]:
    async with GmiStandIn() as server:
        yield server


@pytest.fixture
def gmi(standin: GmiStandIn, parts: dict[str, Any]) -> Gmi:
    return Gmi(**parts, key=standin.key, base=standin.url)


def payload(body: bytes) -> dict[str, object]:
    found = json.loads(body)["payload"]
    assert isinstance(found, dict)
    return found


# What is sent


def test_it_is_a_provider_that_recovers(gmi: Gmi) -> None:
    provider: Provider = gmi
    assert (provider.name, gmi.recovers) == ("gmi", True)


def test_address_is_the_vendors() -> None:
    assert f"https://console.gmicloud.ai{GmiStandIn.prefix}" == Gmi.home


@offers("gmi")
async def test_every_offer_is_accepted(offer: Offer, mode: Mode, gmi: Gmi, standin: GmiStandIn) -> None:
    wish = job(offer.format.id, mode=mode, first=None if mode is Mode.TEXT else FRAME)
    report = await gmi.submit(gmi.request(wish), key="conch-1")
    assert (standin.refused, report.state) == ([], TaskState.QUEUED)
    (made,) = standin.jobs.values()
    assert made.model == {"hailuo-02": SLUG, "hailuo-2.3-fast": FAST}[offer.model]
    assert (made.input["duration"], made.input["resolution"]) == (offer.duration, offer.resolution.upper())
    assert made.input.get("first_frame_image") == (None if mode is Mode.TEXT else FRAME.url)
    assert list(standin.charges.values()) == [made.price]


def test_request_is_canonical(gmi: Gmi) -> None:
    assert (
        gmi.request(job("hailuo-02/10/768p", prompt="ein Boot · 船", enhance=True))
        == (
            '{"model":"Minimax-Hailuo-02","payload":{"duration":10,"fast_pretreatment":false,'
            '"prompt":"ein Boot · 船","prompt_optimizer":true,"resolution":"768P"}}'
        ).encode()
    )


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (job("hailuo-02/5/768p"), "does not make"),
        (job("hailuo-02/10/1080p"), "does not make"),
        (job("hailuo-2.3/6/768p"), "does not make"),
        (job("hailuo-2.3-fast/6/512p", first=FRAME), "does not make"),
        (job("hailuo-2.3-fast/6/768p"), "only from a first frame"),
        (job("hailuo-02/6/512p"), "only from a first frame"),
        (job(first=FRAME, last=FRAME), "no last frame"),
        (job(first=Frame("frame.jpg")), "public address, and this one has none"),
        (job(first=Frame("frame.jpg", "data:image/jpeg;base64,AA==")), "public address"),
    ],
)
def test_what_it_does_not_make_is_rejected(wish: Job, why: str, gmi: Gmi) -> None:
    with pytest.raises(JobRejected, match=why):
        gmi.request(wish)


async def test_organization_is_sent_with_every_call(standin: GmiStandIn, parts: dict[str, Any]) -> None:
    standin.organization = "org-77"

    def member(organization: str) -> Gmi:
        return Gmi(**parts, key=standin.key, base=standin.url, organization=organization)

    await member("org-77").check()
    assert standin.requests[0].headers["X-Organization-ID"] == "org-77"
    with pytest.raises(ProviderClosed, match="does not belong"):
        await member("org-other").check()
    with pytest.raises(SetupError, match="organization"):
        member("a\nb")


# A life


@pytest.mark.parametrize("newer", [False, True])
async def test_a_job_from_submit_to_clip(
    *, newer: bool, gmi: Gmi, standin: GmiStandIn, tmp_path: Path
) -> None:
    standin.newer = newer
    job_id = await submitted(gmi)
    standin.advance(job_id, "PROCESSING")
    assert (await gmi.status(job_id)).state is TaskState.PROCESSING
    standin.finish(job_id, clip=CLIP)
    report = await gmi.status(job_id)
    assert report == Report(job_id, TaskState.SUCCEEDED, clip_url=f"{standin.root}/clips/{job_id}.mp4")
    await gmi.download(report.clip_url or "", tmp_path / "clip.mp4")
    assert (tmp_path / "clip.mp4").read_bytes() == CLIP
    assert standin.refused == []


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("success", TaskState.SUCCEEDED),
        ("failed", TaskState.FAILED),
        ("cancelled", TaskState.CANCELLED),
        ("processing", TaskState.PROCESSING),
    ],
)
async def test_post_may_answer_with_the_end(
    word: str, state: TaskState, gmi: Gmi, standin: GmiStandIn
) -> None:
    standin.at_once = word
    report = await gmi.submit(gmi.request(job()), key="conch-1")
    assert (report.state, bool(report.clip_url)) == (state, state is TaskState.SUCCEEDED)
    ended = state in {TaskState.FAILED, TaskState.CANCELLED}
    assert report.reason == ("it ended at once" if ended else None)
    assert len(standin.jobs) == 1


async def test_accepted_job_that_ended_without_its_clip_is_not_lost(gmi: Gmi, standin: GmiStandIn) -> None:
    standin.after = once(says({"request_id": "r-9", "status": "success", "outcome": None}, 201))
    report = await gmi.submit(gmi.request(job()), key="conch-1")
    assert (report.job_id, report.state) == ("r-9", TaskState.PROCESSING)


# Lost answers


# Looking a lost submit up


async def lost(gmi: Gmi, standin: GmiStandIn, wish: Job | None = None) -> bytes:
    """A submit that made a job, whose answer was lost."""
    standin.after, body = once(Fault(drop=True)), gmi.request(wish or job())
    with pytest.raises(OutcomeUnknown):
        await gmi.submit(body, key="conch-1")
    standin.after = None
    return body


async def recovered(
    gmi: Gmi, standin: GmiStandIn, body: bytes, known: frozenset[str] = frozenset(), ago: int = 0
) -> Report:
    return await gmi.recover(body, key="conch-1", since=(standin.now - ago) * 1000, known=known)


async def test_lost_job_is_found_without_a_second_charge(gmi: Gmi, standin: GmiStandIn) -> None:
    body = await lost(gmi, standin)
    (job_id,) = standin.jobs
    assert await recovered(gmi, standin, body) == Report(job_id, TaskState.QUEUED)
    standin.finish(job_id)
    report = await recovered(gmi, standin, body)
    assert (report.state, bool(report.clip_url)) == (TaskState.SUCCEEDED, True)
    assert (len(standin.sent("POST")), len(standin.charges), standin.refused) == (1, 1, [])
    assert standin.requests[-1].query == {"model_id": SLUG}


async def test_job_that_failed_meanwhile_is_found(gmi: Gmi, standin: GmiStandIn) -> None:
    body = await lost(gmi, standin)
    standin.fail(next(iter(standin.jobs)), "no GPU")
    report = await recovered(gmi, standin, body)
    assert (report.state, report.reason) == (TaskState.FAILED, "no GPU")


async def test_miss_is_no_proof(gmi: Gmi, standin: GmiStandIn) -> None:
    with pytest.raises(OutcomeUnknown, match="does not prove"):
        await recovered(gmi, standin, gmi.request(job()))
    assert standin.charges == {}


async def test_two_candidates_are_told(gmi: Gmi, standin: GmiStandIn) -> None:
    await submitted(gmi)
    body = await lost(gmi, standin)
    with pytest.raises(OutcomeUnknown, match="2 jobs that may be this one"):
        await recovered(gmi, standin, body)
    first, second = standin.jobs
    assert (await recovered(gmi, standin, body, frozenset({first}))).job_id == second
    with pytest.raises(OutcomeUnknown, match="does not prove"):
        await recovered(gmi, standin, body, frozenset({first, second}))
    assert (len(standin.sent("POST")), len(standin.charges)) == (2, 2)


async def test_older_job_with_the_same_prompt_is_another_one(gmi: Gmi, standin: GmiStandIn) -> None:
    await submitted(gmi)
    standin.now += 61
    with pytest.raises(OutcomeUnknown, match="does not prove"):
        await recovered(gmi, standin, gmi.request(job()))
    body = await lost(gmi, standin)
    _, second = standin.jobs
    assert (await recovered(gmi, standin, body)).job_id == second


async def test_their_clock_may_be_a_minute_behind(gmi: Gmi, standin: GmiStandIn) -> None:
    body = await lost(gmi, standin)
    assert (await recovered(gmi, standin, body, ago=-60)).job_id in standin.jobs


@pytest.mark.parametrize(
    "other",
    [
        job(prompt="another"),
        job("hailuo-02/10/768p"),
        job("hailuo-02/6/1080p"),
        job(enhance=True),
        job(mode=Mode.IMAGE, first=FRAME),
        job("hailuo-2.3-fast/6/768p", mode=Mode.IMAGE, first=FRAME),
    ],
    ids=lambda other: f"{other.format.id} {other.prompt} {other.enhance} {other.mode}",
)
async def test_other_wish_is_no_candidate(other: Job, gmi: Gmi, standin: GmiStandIn) -> None:
    await submitted(gmi, other)
    with pytest.raises(OutcomeUnknown, match="does not prove"):
        await recovered(gmi, standin, gmi.request(job()))


@pytest.mark.parametrize(
    ("echo", "found"),
    [({"prompt"}, True), ({"prompt", "duration"}, True), ({"duration"}, False), (set(), False)],
)
async def test_incomplete_echo(echo: set[str], *, found: bool, gmi: Gmi, standin: GmiStandIn) -> None:
    standin.echo = echo
    body = await lost(gmi, standin)
    if found:
        assert (await recovered(gmi, standin, body)).job_id in standin.jobs
    else:
        with pytest.raises(OutcomeUnknown, match="does not prove"):
            await recovered(gmi, standin, body)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, True),
        ({"created_at": 1_760_000_000.5}, True),
        ({"model": None}, True),
        ({"model": SLUG.upper()}, True),
        ({"model": FAST}, False),
        ({"created_at": None}, False),
        ({"created_at": "1760000000"}, False),
        ({"created_at": 1_760_000_000_000}, False),
        ({"payload": None}, False),
        ({"payload": "a paper boat [Pan left]"}, False),
        ({"request_id": 17}, False),
        ({"status": None}, False),
    ],
    ids=str,
)
async def test_odd_entries_of_the_list(
    change: dict[str, object], *, found: bool, gmi: Gmi, standin: GmiStandIn
) -> None:
    body = gmi.request(job())
    right = {"request_id": "r-9", "model": SLUG, "status": "queued", "created_at": standin.now}
    entry = right | {"payload": payload(body)} | change
    standin.before = always(says({"requests": [None, 17, {}, {"request_id": "r-8"}, entry, entry]}))
    if found:
        assert (await recovered(gmi, standin, body)).job_id == "r-9"
    else:
        with pytest.raises(OutcomeUnknown, match="does not prove"):
            await recovered(gmi, standin, body)


@pytest.mark.parametrize("fault", [*LOST[:8], says({"requests": None}), says({"requests": {}})], ids=str)
async def test_list_that_cannot_be_read_may_be_asked_for_again(
    fault: Fault, gmi: Gmi, standin: GmiStandIn
) -> None:
    body = await lost(gmi, standin)
    standin.before = always(fault)
    with pytest.raises(ProviderBusy):
        await recovered(gmi, standin, body)
    assert (len(standin.sent("POST")), len(standin.charges)) == (1, 1)


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_refused_list_says_nothing_of_the_job(status: int, gmi: Gmi, standin: GmiStandIn) -> None:
    body = await lost(gmi, standin)
    standin.before = always(Fault(status))
    with pytest.raises(OutcomeUnknown, match="no list to look in"):
        await recovered(gmi, standin, body)


# What answers mean


async def told(gmi: Gmi, standin: GmiStandIn, **fields: object) -> Report:
    """The report on a job that succeeded, but for these fields; one set to `...` is missing."""
    job_id = await submitted(gmi)
    view: dict[str, object] = {"request_id": job_id, "status": "success"}
    view |= {"outcome": {"video_url": "https://cdn.example/one.mp4"}} | fields
    standin.before = always(says(without_gaps(view)))
    return await gmi.status(job_id)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("created", TaskState.QUEUED),
        ("dispatched", TaskState.QUEUED),
        ("Queued", TaskState.QUEUED),
        (" PROCESSING ", TaskState.PROCESSING),
        ("Success", TaskState.SUCCEEDED),
        ("FAILED", TaskState.FAILED),
        ("Cancelled", TaskState.CANCELLED),
        ("rendering", TaskState.PROCESSING),
        ("", TaskState.PROCESSING),
    ],
)
async def test_status_words(word: str, state: TaskState, gmi: Gmi, standin: GmiStandIn) -> None:
    report = await told(gmi, standin, status=word)
    assert (report.state, bool(report.clip_url)) == (state, state is TaskState.SUCCEEDED)


A, B, STILL = "https://cdn.example/a.mp4", "https://cdn.example/b.mp4", "https://cdn.example/t.jpg"


@pytest.mark.parametrize(
    ("outcome", "url"),
    [
        ({"media_urls": [{"id": "1", "url": A}], "video_url": B}, A),
        ({"media_urls": [{"id": "1", "url": A}, {"id": "2", "url": B}]}, A),
        ({"media_urls": [], "video_url": B}, B),
        ({"media_urls": None, "video_url": B}, B),
        ({"media_urls": [{"id": "1"}], "video_url": B}, B),
        ({"media_urls": [{"url": "javascript:alert(1)"}], "video_url": B}, B),
        ({"media_urls": [{"url": STILL}], "video_url": B, "thumbnail_image_url": STILL}, B),
        ({"video_url": B, "thumbnail_image_url": 17, "more": [1]}, B),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_place_of_the_clip(outcome: dict[str, object], url: str, gmi: Gmi, standin: GmiStandIn) -> None:
    assert (await told(gmi, standin, outcome=outcome)).clip_url == url


@pytest.mark.parametrize(
    "outcome",
    [..., None, "https://cdn.example/a.mp4", [], {}, {"thumbnail_image_url": STILL}]
    + [{"video_url": STILL, "thumbnail_image_url": STILL}]
    + [{"video_url": url} for url in (None, 17, "", "ftp://x/", "https://a b", "https://x/" + "y" * 5000)],
    ids=lambda outcome: str(outcome)[:60],
)
async def test_success_without_a_clip_is_asked_about_again(
    outcome: object, gmi: Gmi, standin: GmiStandIn
) -> None:
    with pytest.raises(ProviderBusy, match="names no clip"):
        await told(gmi, standin, outcome=outcome)


@pytest.mark.parametrize(
    "fields",
    [{"request_id": other} for other in (..., None, 17, "r-other", "", "x" * 201, "a\nb", "..")]
    + [{"status": status} for status in (..., None, 17, ["success"], "x" * 41)],
    ids=str,
)
async def test_answer_about_another_job_or_none_is_not_accepted(
    fields: dict[str, object], gmi: Gmi, standin: GmiStandIn
) -> None:
    with pytest.raises(ProviderBusy):
        await told(gmi, standin, **fields)


@pytest.mark.parametrize(
    ("fields", "reason", "refused"),
    [
        ({"outcome": {"error": "no GPU"}}, "no GPU", False),
        ({"outcome": {"error": {"code": "E1", "message": "no GPU"}}}, "no GPU · E1", False),
        ({"outcome": "no GPU"}, "no GPU", False),
        ({"reason": "no GPU", "outcome": None}, "no GPU", False),
        ({"reason": {"message": "no\x07\u202eGPU"}}, "no GPU", False),
        ({"error": "see https://x.example/a?sig=s3cret"}, "see https://x.example/a", False),
        ({"outcome": {"reason": "rejected by our content policy"}}, "rejected by our content policy", True),
        ({"reason": "x" * 1000}, "x" * 299 + "…", False),
        ({"outcome": {"prompt": "a safety officer"}}, None, False),
        ({"outcome": ..., "reason": 17}, None, False),
    ],
    ids=str,
)
async def test_reason_of_a_failure(
    fields: dict[str, object], reason: str | None, *, refused: bool, gmi: Gmi, standin: GmiStandIn
) -> None:
    report = await told(gmi, standin, status="failed", **({"outcome": None} | fields))
    assert report == Report(report.job_id, TaskState.FAILED, reason=reason, content_refused=refused)


async def test_cancelled_job_is_no_content_refusal(gmi: Gmi, standin: GmiStandIn) -> None:
    report = await told(gmi, standin, status="cancelled", outcome=None, reason="by the safety officer")
    assert (report.state, report.content_refused) == (TaskState.CANCELLED, False)


async def test_submit_refused_for_its_content(gmi: Gmi, standin: GmiStandIn) -> None:
    with pytest.raises(ContentRefused, match="violates our content policy"):
        await submitted(gmi, job(prompt="a forbidden boat"))
    assert standin.charges == {}


@pytest.mark.parametrize(
    ("status", "view", "error"),
    [
        (400, {"detail": "Flagged by safety checks"}, ContentRefused),
        (400, {"message": "duration must be 6"}, JobRejected),
        (403, {"error": "violates content policy"}, ContentRefused),
        (403, {"error": "no right"}, ProviderClosed),
        (404, {"error": "you do not have access"}, JobRejected),
        (500, {"error": "Backend error (400): prompt too long"}, JobRejected),
        (500, {"error": "backend error (400): sensitive content"}, ContentRefused),
        (500, {"error": "Backend error (500): oops"}, OutcomeUnknown),
        (500, {"prompt": "Backend error (400)"}, OutcomeUnknown),
        (503, {"error": "Backend error (400)"}, OutcomeUnknown),
    ],
    ids=str,
)
async def test_its_own_errors(
    status: int, view: object, error: type[ProviderError], gmi: Gmi, standin: GmiStandIn
) -> None:
    standin.before = once(says(view, status))
    with pytest.raises(error) as caught:
        await submitted(gmi)
    assert (type(caught.value) is ContentRefused) == (error is ContentRefused)
    assert (len(standin.requests), standin.charges) == (1, {})


async def test_vendor_behind_it_refuses(gmi: Gmi, standin: GmiStandIn) -> None:
    with pytest.raises(JobRejected, match=r"\(500: Backend error \(400\): the input cannot be used\)"):
        await submitted(gmi, job(prompt="an unmakeable boat"))
    assert (len(standin.sent("POST")), standin.charges) == (1, {})


@ODD_IDS
async def test_job_id_cannot_lead_elsewhere(
    job_id: str, segment: str | None, gmi: Gmi, standin: GmiStandIn
) -> None:
    asked = await paths_asked(gmi, standin, job_id)
    assert asked == ({f"{standin.prefix}{REQUESTS}/{segment}"} if segment else set())


# Key, models, prices


@pytest.mark.parametrize("status", [404, 410])
async def test_lost_list_of_models_is_no_lost_job(status: int, gmi: Gmi, standin: GmiStandIn) -> None:
    standin.before = always(Fault(status))
    for asked in (gmi.check, gmi.published):
        with pytest.raises(JobRejected, match=rf"refused the request \({status}\)"):
            await asked()


async def test_check_accepts_the_key(gmi: Gmi, standin: GmiStandIn) -> None:
    assert await gmi.check() == "GMI Cloud accepts the key."
    assert (standin.refused, standin.charges) == ([], {})


async def test_check_names_what_is_not_listed(gmi: Gmi, standin: GmiStandIn) -> None:
    standin.models = {SLUG.lower(): None}
    assert await gmi.check() == (
        "GMI Cloud accepts the key. It does not list Minimax-Hailuo-02, but minimax-hailuo-02. "
        "It does not list Minimax-Hailuo-2.3-Fast; this account may not use it."
    )


@pytest.mark.parametrize("view", [{}, {"model_ids": None}, {"model_ids": [17]}, []], ids=str)
async def test_list_of_models_that_cannot_be_read(view: object, gmi: Gmi, standin: GmiStandIn) -> None:
    standin.before = always(says(view))
    with pytest.raises(ProviderBusy):
        await gmi.check()


async def test_published_prices(gmi: Gmi, standin: GmiStandIn) -> None:
    published = await gmi.published()
    assert (published.balance_micros, published.prices) == (None, {SLUG: 280_000, FAST: 190_000})
    assert published.notes[0] == "Minimax-Hailuo-02: $0.28 (per_video video)."
    assert (standin.refused, standin.charges) == ([], {})


@pytest.mark.parametrize(
    ("info", "micros"),
    [
        ({"price": 0.28}, 280_000),
        ({"price": "0.28", "unit": 17}, 280_000),
        ({"price": -1}, None),
        ({"price": "free"}, None),
        ({"unit": "video"}, None),
        ([0.28], None),
        (None, None),
    ],
    ids=str,
)
async def test_odd_prices(info: object, micros: int | None, gmi: Gmi, standin: GmiStandIn) -> None:
    standin.models = {SLUG: info}
    published = await gmi.published()
    assert published.prices == ({} if micros is None else {SLUG: micros})
    assert any("does not list Minimax-Hailuo-2.3-Fast" in note for note in published.notes)
    assert any("names no price" in note for note in published.notes) == (micros is None)


async def test_listed_model_may_be_closed_to_the_account(gmi: Gmi, standin: GmiStandIn) -> None:
    async def hide(request: web.Request) -> Fault | None:
        return Fault(404) if request.path.endswith(SLUG) else None

    standin.before = hide
    published = await gmi.published()
    assert published.prices == {FAST: 190_000}
    assert "GMI Cloud names no price of Minimax-Hailuo-02." in published.notes


# The stand-in itself


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 201),
        ({"duration": 10, "resolution": "768P", "prompt_optimizer": True}, 201),
        ({"resolution": "512P", "first_frame_image": "https://x.example/a.jpg"}, 201),
        ({"resolution": "512P"}, 400),
        ({"duration": 10, "resolution": "1080P"}, 400),
        ({"duration": 5}, 400),
        ({"duration": "6"}, 400),
        ({"duration": 6.0}, 400),
        ({"duration": True}, 400),
        ({"resolution": "768p"}, 400),
        ({"prompt": ""}, 400),
        ({"prompt": "x" * 2001}, 400),
        ({"prompt_optimizer": 1}, 400),
        ({"first_frame_image": "data:image/jpeg;base64,AA=="}, 400),
        ({"last_frame_image": "https://x.example/a.jpg"}, 400),
        ({"seed": 1}, 400),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_stand_in_is_strict(
    change: dict[str, object], status: int, standin: GmiStandIn, client: httpx.AsyncClient
) -> None:
    body = {"model": SLUG, "payload": {"prompt": "x"} | change}
    headers = {"Authorization": f"Bearer {standin.key}"}
    answer = await client.post(standin.url + REQUESTS, json=body, headers=headers)
    assert (answer.status_code, len(standin.refused)) == (status, int(status != 201))


@pytest.mark.parametrize(
    ("body", "headers", "query", "status"),
    [
        ({}, {"Authorization": "Bearer other"}, "", 401),
        ({}, {"X-Organization-ID": "org-other"}, "", 403),
        ({}, {"Content-Type": "text/plain"}, "", 415),
        ({}, {}, "?model_id=x", 400),
        ({"more": 1}, {}, "", 400),
        ({"model": SLUG.lower()}, {}, "", 404),
        ({"model": FAST}, {}, "", 400),
    ],
)
async def test_stand_in_refuses_what_is_around_the_payload(
    body: dict[str, object],
    headers: dict[str, str],
    query: str,
    status: int,
    standin: GmiStandIn,
    client: httpx.AsyncClient,
) -> None:
    headers = {"Authorization": f"Bearer {standin.key}", "Content-Type": "application/json"} | headers
    content = json.dumps({"model": SLUG, "payload": {"prompt": "x"}} | body)
    answer = await client.post(standin.url + REQUESTS + query, content=content, headers=headers)
    assert (answer.status_code, len(standin.refused), standin.charges) == (status, 1, {})
