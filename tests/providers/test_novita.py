"""Novita against its strict stand-in: what is sent, what answers mean, and that no submit is sent twice."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

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
from bot.domain.task import Frame, TaskState
from bot.providers.novita import Novita
from tests.providers.kit import CLIP, FRAME, NOW, URL, Sleeper, job, offers, submitted, without_gaps
from tests.providers.novita_standin import ASYNC, BALANCE, RESULT, NovitaStandIn
from tests.providers.standin import Fault, always, once, says


@pytest.fixture
async def standin() -> AsyncIterator[NovitaStandIn]:
    async with NovitaStandIn() as server:
        yield server


@pytest.fixture
async def newest() -> AsyncIterator[NovitaStandIn]:
    async with NovitaStandIn(image_field="image", webhooks=True) as server:
        yield server


Make = Callable[..., Novita]


@pytest.fixture
def make(parts: dict[str, Any]) -> Make:
    """Novita's class for a stand-in, by default of the oldest edition."""

    def made(standin: NovitaStandIn, **settings: Any) -> Novita:
        return Novita(**parts, clock=lambda: NOW, key=standin.key, base=standin.url, **settings)

    return made


@pytest.fixture
def novita(make: Make, standin: NovitaStandIn) -> Novita:
    return make(standin)


def sent(body: bytes) -> tuple[str, dict[str, object]]:
    """The endpoint and the body of a request."""
    endpoint, _, wish = body.partition(b"\n")
    found = json.loads(wish)
    assert isinstance(found, dict)
    return endpoint.decode(), found


# What is sent


def test_it_is_a_provider_that_does_not_recover(novita: Novita) -> None:
    provider: Provider = novita
    assert (provider.name, novita.recovers) == ("novita", False)


ENDPOINTS = {
    ("hailuo-02", Mode.TEXT): "minimax-hailuo-02",
    ("hailuo-02", Mode.IMAGE): "minimax-hailuo-02",
    ("hailuo-02", Mode.TRANSITION): "minimax-hailuo-02",
    ("hailuo-2.3", Mode.TEXT): "minimax-hailuo-2.3-t2v",
    ("hailuo-2.3", Mode.IMAGE): "minimax-hailuo-2.3-i2v",
    ("hailuo-2.3-fast", Mode.IMAGE): "minimax-hailuo-2.3-fast-i2v",
}


@pytest.mark.parametrize("hosted", [True, False])
@offers("novita")
async def test_every_offer_is_accepted_by_the_newest_edition(
    offer: Offer, mode: Mode, *, hosted: bool, make: Make, newest: NovitaStandIn, picture: Frame
) -> None:
    frame = FRAME if hosted else picture
    first = None if mode is Mode.TEXT else frame
    last = frame if mode is Mode.TRANSITION else None
    novita = make(newest, image_field="image")
    body = novita.request(job(offer.format.id, mode=mode, first=first, last=last))
    report = await novita.submit(body, key="conch-1")
    (made,) = newest.jobs.values()
    assert (newest.refused, report) == ([], Report(made.id, TaskState.QUEUED))
    assert made.model == ENDPOINTS[offer.model, mode]
    assert (made.input["duration"], made.input["resolution"]) == (offer.duration, offer.resolution.upper())
    assert ("image" in made.input, "end_image" in made.input) == (first is not None, last is not None)
    assert made.input["enable_prompt_expansion"] is False
    assert list(newest.charges.values()) == [made.price]


@offers("novita")
async def test_every_offer_but_transitions_is_accepted_by_the_oldest_edition(
    offer: Offer, mode: Mode, novita: Novita, standin: NovitaStandIn
) -> None:
    first = None if mode is Mode.TEXT else FRAME
    wish = job(offer.format.id, mode=mode, first=first, last=first if mode is Mode.TRANSITION else None)
    if mode is Mode.TRANSITION:
        with pytest.raises(JobRejected, match="NOVITA_IMAGE_FIELD=image"):
            novita.request(wish)
        return
    await submitted(novita, wish)
    (made,) = standin.jobs.values()
    field = "image_url" if offer.model == "hailuo-02" else "image"
    assert (standin.refused, made.input.get(field)) == ([], first and URL)


def test_request_is_the_endpoint_and_a_canonical_body(novita: Novita) -> None:
    assert (
        novita.request(job("hailuo-2.3/10/768p", prompt="ein Boot · 船", enhance=True))
        == (
            "minimax-hailuo-2.3-t2v\n"
            '{"duration":10,"enable_prompt_expansion":true,"fast_pretreatment":false,'
            '"prompt":"ein Boot · 船","resolution":"768P"}'
        ).encode()
    )


async def test_body_arrives_as_it_was_kept(novita: Novita, standin: NovitaStandIn) -> None:
    body = novita.request(job(prompt="two\nlines"))
    await novita.submit(body, key="conch-1")
    (received,) = standin.sent("POST", f"{ASYNC}/minimax-hailuo-02")
    assert b"minimax-hailuo-02\n" + received.body == body


@pytest.mark.parametrize("body", [b"", b"{}", b"../v3/user\n{}", b"\xff\n{}"])
async def test_body_for_no_endpoint_is_not_sent(body: bytes, novita: Novita, standin: NovitaStandIn) -> None:
    with pytest.raises(JobRejected, match="names no endpoint"):
        await novita.submit(body, key="conch-1")
    assert standin.requests == []


def test_frame_is_an_address_where_it_has_one_and_data_otherwise(
    make: Make, newest: NovitaStandIn, picture: Frame
) -> None:
    novita = make(newest, image_field="image")
    _, wish = sent(novita.request(job(mode=Mode.TRANSITION, first=FRAME, last=picture)))
    data = base64.b64encode(Path(picture.path).read_bytes()).decode()
    assert (wish["image"], wish["end_image"]) == (URL, f"data:image/jpeg;base64,{data}")


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (job("hailuo-02/6/512p", first=FRAME), "does not make hailuo-02/6/512p"),
        (job("hailuo-02/5/768p"), "does not make"),
        (job("hailuo-2.3/10/1080p"), "does not make"),
        (job("hailuo-9/6/768p", first=FRAME), "does not make"),
        (job("hailuo-2.3-fast/6/768p"), "only from a first frame"),
        (job("hailuo-2.3/6/768p", first=FRAME, last=FRAME), "no last frame for hailuo-2.3"),
        (job(last=FRAME), "beside a first one"),
        (job(first=FRAME, last=FRAME), "NOVITA_IMAGE_FIELD=image"),
        (job(first=Frame("frame.jpg")), "NOVITA_IMAGE_FIELD=image"),
        (job("hailuo-2.3/6/768p", first=Frame("/nowhere/frame.jpg")), "no longer on this machine"),
    ],
)
def test_what_it_does_not_make_is_rejected(wish: Job, why: str, novita: Novita) -> None:
    with pytest.raises(JobRejected, match=why):
        novita.request(wish)


async def test_callback_is_sent_only_where_webhooks_are_switched_on(
    make: Make, newest: NovitaStandIn
) -> None:
    plain, wish = job(), job(callback="https://conch.example/hooks/novita/s3cret")
    assert "extra" not in sent(make(newest).request(wish))[1]
    calling = make(newest, webhooks=True)
    assert "extra" not in sent(calling.request(plain))[1]
    await submitted(calling, wish)
    (made,) = newest.jobs.values()
    assert made.input["extra"] == {"webhook": {"url": wish.callback}}
    assert newest.refused == []


# A life


async def test_a_job_from_submit_to_clip(novita: Novita, standin: NovitaStandIn, tmp_path: Path) -> None:
    job_id = await submitted(novita)
    standin.advance(job_id, "task_status_processing")
    assert await novita.status(job_id) == Report(job_id, TaskState.PROCESSING, progress=35)
    standin.finish(job_id, clip=CLIP)
    report = await novita.status(job_id)
    assert (report.state, report.cost_micros, report.reason) == (TaskState.SUCCEEDED, None, None)
    assert (report.clip_expires_at, report.progress) == (NOW + 3_600_000, 100)
    await novita.download(report.clip_url or "", tmp_path / "clip.mp4")
    assert (tmp_path / "clip.mp4").read_bytes() == CLIP
    assert standin.refused == []


async def test_job_may_be_unknown_at_first(novita: Novita, standin: NovitaStandIn) -> None:
    standin.late = 2
    job_id = await submitted(novita)
    for _ in range(2):
        with pytest.raises(JobNotFound, match="TASK_NOT_FOUND"):
            await novita.status(job_id)
    assert (await novita.status(job_id)).state is TaskState.QUEUED
    assert (standin.refused, len(standin.charges)) == ([], 1)


# Lost answers


LIMIT = {"code": 429, "reason": "RATE_LIMIT_EXCEEDED", "message": "slow down", "metadata": {}}


@pytest.mark.parametrize("status", [429, 400, 403])
@pytest.mark.parametrize(("headers", "slept"), [({}, [0.0]), ({"Retry-After": "3"}, [3.0])])
async def test_rate_limit_is_waited_for(
    status: int,
    headers: Mapping[str, str],
    slept: list[float],
    novita: Novita,
    standin: NovitaStandIn,
    sleeper: Sleeper,
) -> None:
    standin.before = once(Fault(status, json.dumps(LIMIT).encode(), headers))
    await submitted(novita)
    assert (len(standin.sent("POST")), len(standin.charges), sleeper.slept) == (2, 1, slept)


# Its own errors


REASONS = [
    (400, "INVALID_REQUEST_BODY", "duration must be 6", JobRejected, JobRejected),
    (400, "INVALID_REQUEST_BODY", "blocked by the content filter", ContentRefused, ContentRefused),
    (400, "IMAGE_FILE_EXCEEDS_MAX_SIZE", "", JobRejected, JobRejected),
    (500, "INVALID_IMAGE_FORMAT", "", JobRejected, JobRejected),
    (400, "ILLEGAL_PROMPT", "", ContentRefused, ContentRefused),
    (500, "ILLEGAL_IMAGE_CONTENT", "", ContentRefused, ContentRefused),
    (400, "MISSING_API_KEY", "", ProviderClosed, ProviderClosed),
    (401, "MISSING_API_KEY", "", ProviderClosed, ProviderClosed),
    (403, "INVALID_API_KEY", "", ProviderClosed, ProviderClosed),
    (403, "FEATURE_NOT_ALLOWED", "", ProviderClosed, ProviderClosed),
    (400, "API_NOT_ALLOWED", "", ProviderClosed, ProviderClosed),
    (403, "NEED_REAL_NAME_VERIFY", "", ProviderClosed, ProviderClosed),
    (403, "BILLING_AUTH_FAILED", "", ProviderClosed, ProviderClosed),
    (400, "BILLING_BALANCE_NOT_ENOUGH", "", ProviderClosed, ProviderClosed),
    (400, "billing_balance_not_enough", "", ProviderClosed, ProviderClosed),
    (403, "BILLING_FROZEN", "", ProviderClosed, ProviderClosed),
    (500, "BILLING_FROZEN", "", OutcomeUnknown, ProviderBusy),
    (500, "BILLING_FAILED", "", OutcomeUnknown, ProviderBusy),
    (402, "BILLING_FAILED", "", OutcomeUnknown, ProviderBusy),
    (404, "API_NOT_FOUND", "", ProviderClosed, ProviderClosed),
    (404, "TASK_NOT_FOUND", "", JobNotFound, JobNotFound),
    (500, "CREATE_TASK_FAILED", "", OutcomeUnknown, ProviderBusy),
    (400, "CREATE_TASK_FAILED", "", OutcomeUnknown, ProviderBusy),
    (500, "GET_RESULT_FAILED", "", OutcomeUnknown, ProviderBusy),
    (400, "SOMETHING_NEW", "", JobRejected, JobRejected),
    (500, "SOMETHING_NEW", "", OutcomeUnknown, ProviderBusy),
    (403, None, "", ProviderClosed, ProviderClosed),
    (500, 17, "", OutcomeUnknown, ProviderBusy),
]


@pytest.mark.parametrize(("status", "reason", "message", "submitting", "reading"), REASONS)
async def test_reason_decides_before_the_code(
    status: int,
    reason: object,
    message: str,
    submitting: type[ProviderError],
    reading: type[ProviderError],
    novita: Novita,
    standin: NovitaStandIn,
) -> None:
    fault = says({"code": status, "reason": reason, "message": message, "metadata": {}}, status)
    standin.before = always(fault, "POST")
    with pytest.raises(submitting) as caught:
        await submitted(novita)
    assert type(caught.value) is submitting
    assert (len(standin.requests), standin.charges) == (1, {})
    standin.before = always(fault)
    with pytest.raises(reading):
        await novita.status("t-1")


@pytest.mark.parametrize(
    ("reason", "fix"),
    [
        ("INVALID_API_KEY", "put it in NOVITA_API_KEY"),
        ("BILLING_BALANCE_NOT_ENOUGH", "Top up the balance"),
        ("NEED_REAL_NAME_VERIFY", "Verify your name"),
        ("API_NOT_ALLOWED", "what the account may use"),
        ("API_NOT_FOUND", "Check NOVITA_API_URL"),
    ],
)
async def test_operator_is_told_the_fix(
    reason: str, fix: str, novita: Novita, standin: NovitaStandIn
) -> None:
    standin.before = once(says({"code": 400, "reason": reason, "message": "no"}, 400))
    with pytest.raises(ProviderClosed, match=fix):
        await submitted(novita)


async def test_its_own_refusals(novita: Novita, standin: NovitaStandIn) -> None:
    with pytest.raises(ContentRefused, match="the prompt is not allowed"):
        await submitted(novita, job(prompt="a forbidden boat"))
    standin.balance = 2000
    with pytest.raises(ProviderClosed, match="top up first"):
        await submitted(novita)
    assert (len(standin.requests), standin.charges) == (2, {})


async def test_failed_job_told_as_an_error(novita: Novita, standin: NovitaStandIn) -> None:
    job_id = await submitted(novita)
    failed = says({"code": 500, "reason": "TASK_FAILED", "message": "no GPU", "metadata": {}}, 500)
    standin.before = always(failed)
    assert await novita.status(job_id) == Report(job_id, TaskState.FAILED, reason="TASK_FAILED: no GPU")
    standin.before = always(failed, "POST")
    with pytest.raises(OutcomeUnknown, match="no GPU"):
        await submitted(novita)
    assert (len(standin.sent("POST")), len(standin.charges)) == (2, 1)


@pytest.mark.parametrize(
    "view",
    [{"reason": "SOMETHING_NEW"}, {"reason": "RATE_LIMIT_EXCEEDED", "message": "no"}, {"message": "no"}],
    ids=str,
)
async def test_error_told_as_a_success_ends_no_job(
    view: object, novita: Novita, standin: NovitaStandIn
) -> None:
    job_id = await submitted(novita)
    standin.before = always(says(view))
    with pytest.raises(ProviderBusy):
        await novita.status(job_id)


# What answers mean


def result(job_id: object, **task: object) -> dict[str, object]:
    """A task-result that succeeded, but for these fields; one set to `...` is missing."""
    fields: dict[str, object] = {"task_id": job_id, "status": "TASK_STATUS_SUCCEED", "reason": ""} | task
    return {
        "task": {name: value for name, value in fields.items() if value is not ...},
        "videos": [
            {"video_url": "https://cdn.example/one.mp4", "video_url_ttl": "3600", "video_type": "mp4"}
        ],
    }


async def told(novita: Novita, standin: NovitaStandIn, view: dict[str, object]) -> Report:
    standin.before = always(says(without_gaps(view)))
    return await novita.status("t-1")


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("task_status_queued", TaskState.QUEUED),
        ("Task_Status_Processing", TaskState.PROCESSING),
        (" TASK_STATUS_SUCCEED ", TaskState.SUCCEEDED),
        ("TASK_STATUS_FAILED", TaskState.FAILED),
        ("TASK_STATUS_UNKNOWN", TaskState.PROCESSING),
        ("TASK_STATUS_CANCELED", TaskState.PROCESSING),
        ("", TaskState.PROCESSING),
    ],
)
async def test_status_words(word: str, state: TaskState, novita: Novita, standin: NovitaStandIn) -> None:
    report = await told(novita, standin, result("t-1", status=word))
    assert (report.state, bool(report.clip_url)) == (state, state is TaskState.SUCCEEDED)


@pytest.mark.parametrize(
    ("ttl", "milliseconds"),
    [("3600", 3_600_000), (60, 60_000), ("1", 1000)]
    + [(odd, None) for odd in (..., None, "", "0", "-5", "1e3", "soon", 3600.5, [3600], "9" * 30)],
    ids=str,
)
async def test_life_of_a_link(
    ttl: object, milliseconds: int | None, novita: Novita, standin: NovitaStandIn
) -> None:
    video = {"video_url": "https://cdn.example/one.mp4"} | ({} if ttl is ... else {"video_url_ttl": ttl})
    report = await told(novita, standin, result("t-1") | {"videos": [video]})
    assert report.clip_url == "https://cdn.example/one.mp4"
    assert report.clip_expires_at == (None if milliseconds is None else NOW + milliseconds)


@pytest.mark.parametrize(
    ("found", "progress"),
    [(0, 0), (35, 35), (100, 100)] + [(odd, None) for odd in (..., None, -1, 101, "35", 3.5, True)],
    ids=str,
)
async def test_progress(found: object, progress: int | None, novita: Novita, standin: NovitaStandIn) -> None:
    view = result("t-1", status="TASK_STATUS_PROCESSING", progress_percent=found)
    assert await told(novita, standin, view) == Report("t-1", TaskState.PROCESSING, progress=progress)


@pytest.mark.parametrize(
    "videos",
    [..., None, [], {}, [{}], [{"video_url": None}], ["https://x.example/a.mp4"]]
    + [[{"video_url": url}] for url in ("", "ftp://x/", "https://a b", "https://x/" + "y" * 5000)],
    ids=lambda value: str(value)[:50],
)
async def test_success_without_a_clip_is_asked_about_again(
    videos: object, novita: Novita, standin: NovitaStandIn
) -> None:
    with pytest.raises(ProviderBusy, match="names no clip"):
        await told(novita, standin, result("t-1") | {"videos": videos})


@pytest.mark.parametrize(
    "view",
    [result(other) for other in (..., None, 17, "t-other", "", "x" * 201, "a\nb", "..")]
    + [result("t-1", status=status) for status in (..., None, 17, ["x"], "x" * 41)]
    + [{"task": None}, {"task": []}, {}],
    ids=lambda view: str(view)[:70],
)
async def test_answer_about_another_job_or_none_is_not_accepted(
    view: dict[str, object], novita: Novita, standin: NovitaStandIn
) -> None:
    with pytest.raises(ProviderBusy):
        await told(novita, standin, view)


@pytest.mark.parametrize(
    ("said", "reason", "refused"),
    [
        ("no GPU", "no GPU", False),
        ("", None, False),
        (..., None, False),
        (None, None, False),
        (17, None, False),
        ("no\x07\u202eGPU", "no GPU", False),
        ("see https://x.example/a?sig=s3cret", "see https://x.example/a", False),
        ("rejected by moderation", "rejected by moderation", True),
        ("illegal_prompt", "illegal_prompt", True),
        ("x" * 1000, "x" * 299 + "…", False),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_reason_of_a_failure(
    said: object, reason: str | None, *, refused: bool, novita: Novita, standin: NovitaStandIn
) -> None:
    view = result("t-1", status="TASK_STATUS_FAILED", reason=said) | {"videos": []}
    failed = Report("t-1", TaskState.FAILED, reason=reason, content_refused=refused)
    assert await told(novita, standin, view) == failed


async def test_failure_at_the_stand_in(novita: Novita, standin: NovitaStandIn) -> None:
    job_id = await submitted(novita)
    standin.fail(job_id, "no GPU")
    assert await novita.status(job_id) == Report(job_id, TaskState.FAILED, reason="no GPU")
    assert standin.charges == {job_id: 0}


@pytest.mark.parametrize("job_id", ["a/../b", "a?b#c", "a%2e", "a&task_id=b", "a+b"])
async def test_odd_job_id_arrives_whole(job_id: str, novita: Novita, standin: NovitaStandIn) -> None:
    with pytest.raises(JobNotFound):
        await novita.status(job_id)
    assert [(one.path, one.query) for one in standin.requests] == [(RESULT, {"task_id": job_id})]


@pytest.mark.parametrize("job_id", ["..", "", "a b", "a\nb", "x" * 201])
async def test_what_is_no_job_id_is_not_asked_for(
    job_id: str, novita: Novita, standin: NovitaStandIn
) -> None:
    with pytest.raises(JobNotFound):
        await novita.status(job_id)
    assert standin.requests == []


# Key and balance


async def test_key_is_hidden_in_its_own_errors(novita: Novita, standin: NovitaStandIn) -> None:
    standin.before = always(says({"reason": "INVALID_API_KEY", "message": f"{standin.key} is wrong"}, 403))
    with pytest.raises(ProviderClosed, match="… is wrong") as closed:
        await novita.check()
    assert standin.key not in str(closed.value)


async def test_balance_that_is_not_there_is_no_lost_job(novita: Novita, standin: NovitaStandIn) -> None:
    standin.before = always(Fault(404))
    with pytest.raises(JobRejected, match=r"refused the request \(404\)"):
        await novita.check()


async def test_check_tells_the_balance(novita: Novita, standin: NovitaStandIn) -> None:
    standin.balance = 10_000
    await submitted(novita)
    assert await novita.check() == "Novita accepts the key; the balance is $0.72."
    assert (standin.refused, len(standin.charges)) == ([], 1)


@pytest.mark.parametrize(
    ("found", "micros"),
    [
        ("10000", 1_000_000),
        ("1", 100),
        ("0", 0),
        ("-2500", -250_000),
        (10_000, 1_000_000),
        ("12.5", 1250),
        *((odd, None) for odd in (..., None, "", "much", "NaN", "Infinity", [1], "1" + "0" * 30)),
    ],
    ids=str,
)
async def test_balance_is_whole_micros(
    found: object, micros: int | None, novita: Novita, standin: NovitaStandIn
) -> None:
    view = {} if found is ... else {"availableBalance": found}
    standin.before = always(says(view))
    assert (await novita.published()).balance_micros == micros
    assert (await novita.check() == "Novita accepts the key, but names no balance.") == (micros is None)


async def test_published_notes(novita: Novita, standin: NovitaStandIn) -> None:
    published = await novita.published()
    assert (published.balance_micros, published.prices, published.notes) == (100_000_000, {}, ())
    view = {"availableBalance": "5", "creditLimit": "20000", "pendingCharges": "100", "more": 1}
    standin.before = always(says(view))
    published = await novita.published()
    assert published.notes == ("Credit limit: $2.00.", "Not yet paid: $0.01.")
    assert len(standin.sent("GET", BALANCE)) == 2


# The stand-in itself

DATA = "data:image/jpeg;base64,AAAA"


@pytest.mark.parametrize(
    ("endpoint", "change", "oldest", "youngest"),
    [
        ("02", {}, 200, 200),
        ("02", {"duration": 10, "resolution": "768P", "enable_prompt_expansion": True}, 200, 200),
        ("02", {"image_url": URL}, 200, 400),
        ("02", {"image_url": DATA}, 400, 400),
        ("02", {"image": URL, "end_image": DATA}, 400, 200),
        ("02", {"end_image": URL}, 400, 400),
        ("02", {"image": "data:image/jpeg;base64,A"}, 400, 400),
        ("02", {"image": "data:text/html;base64,AAAA"}, 400, 400),
        ("02", {"fast_pretreatment": False}, 400, 200),
        ("02", {"duration": 10, "resolution": "1080P"}, 400, 400),
        ("02", {"duration": 5}, 400, 400),
        ("02", {"duration": "6"}, 400, 400),
        ("02", {"duration": 6.0}, 400, 400),
        ("02", {"resolution": "512P"}, 400, 400),
        ("02", {"resolution": "768p"}, 400, 400),
        ("02", {"prompt": ""}, 400, 400),
        ("02", {"prompt": "x" * 2001}, 400, 400),
        ("02", {"enable_prompt_expansion": 1}, 400, 400),
        ("02", {"extra": {"webhook": {"url": URL}}}, 400, 200),
        ("02", {"extra": {"webhook": {}}}, 400, 400),
        ("02", {"seed": 1}, 400, 400),
        ("2.3-t2v", {"fast_pretreatment": False}, 200, 200),
        ("2.3-t2v", {"image": URL}, 400, 400),
        ("2.3-i2v", {"image": URL, "fast_pretreatment": False}, 200, 200),
        ("2.3-i2v", {}, 400, 400),
        ("2.3-i2v", {"image": URL, "end_image": URL}, 400, 400),
        ("2.3-fast-i2v", {"image": DATA}, 200, 200),
        ("2.3-fast-i2v", {"image": URL, "fast_pretreatment": False}, 400, 400),
        ("2.3-fast-i2v", {"image_url": URL}, 400, 400),
        ("03", {}, 404, 404),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_stand_in_is_strict(
    endpoint: str,
    change: dict[str, object],
    oldest: int,
    youngest: int,
    standin: NovitaStandIn,
    newest: NovitaStandIn,
    client: httpx.AsyncClient,
) -> None:
    for server, status in [(standin, oldest), (newest, youngest)]:
        headers = {"Authorization": f"Bearer {server.key}"}
        url = f"{server.url}{ASYNC}/minimax-hailuo-{endpoint}"
        answer = await client.post(url, json={"prompt": "x"} | change, headers=headers)
        assert (answer.status_code, len(server.refused)) == (status, int(status != 200))


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "reason"),
    [
        ("GET", f"{RESULT}?task_id=1", {"Authorization": "Bearer other"}, 403, "INVALID_API_KEY"),
        ("GET", RESULT, {}, 400, "INVALID_REQUEST_BODY"),
        ("GET", f"{RESULT}?task_id=1&task_id=2", {}, 400, "INVALID_REQUEST_BODY"),
        ("GET", f"{BALANCE}?more=1", {}, 400, "INVALID_REQUEST_BODY"),
        ("GET", "/v3/nothing", {}, 404, "API_NOT_FOUND"),
        ("POST", f"{ASYNC}/minimax-hailuo-02", {"Content-Type": "text/plain"}, 415, "INVALID_REQUEST_BODY"),
    ],
)
async def test_stand_in_refuses_what_is_around_the_wish(
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
    reason: str,
    standin: NovitaStandIn,
    client: httpx.AsyncClient,
) -> None:
    headers = {"Authorization": f"Bearer {standin.key}", "Content-Type": "application/json"} | headers
    content = b'{"prompt": "x"}' if method == "POST" else b""
    answer = await client.request(method, standin.url + path, content=content, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert (len(standin.refused), standin.charges) == (1, {})


async def test_stand_in_wants_a_key(standin: NovitaStandIn, client: httpx.AsyncClient) -> None:
    assert (await client.get(standin.url + BALANCE)).json()["reason"] == "MISSING_API_KEY"
