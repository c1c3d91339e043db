"""Runware against its strict stand-in: what is sent, what answers mean, and that a lost submit is looked up."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
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
    SetupError,
)
from bot.domain.ports import Job, Provider, Report
from bot.domain.task import Frame, TaskState
from bot.providers.runware import Runware
from tests.providers.kit import CLIP, FRAME, KEY, NOW, job, offers, submitted, without_gaps
from tests.providers.runware_standin import LARGEST_BATCH, V1, RunwareStandIn
from tests.providers.standin import Fault, Hook, says

#: What the key gives, on every machine and for ever.
UUID = "52597214-816f-4eb0-ba97-415beb0ff585"
OTHER = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
async def standin() -> AsyncIterator[RunwareStandIn]:
    async with RunwareStandIn() as server:
        yield server


@pytest.fixture
def make(standin: RunwareStandIn, parts: dict[str, Any]) -> Callable[..., Runware]:
    def made(**settings: Any) -> Runware:
        return Runware(**parts, clock=lambda: NOW, key=standin.key, base=standin.url, **settings)

    return made


@pytest.fixture
def runware(make: Callable[..., Runware]) -> Runware:
    return make()


def only(body: bytes) -> dict[str, Any]:
    (task,) = json.loads(body)
    assert isinstance(task, dict)
    return task


async def types(standin: RunwareStandIn) -> list[str]:
    return [json.loads(one.body)[0]["taskType"] for one in standin.sent("POST", V1)]


def plays(task_type: str, *faults: Fault | None, lasts: bool = False) -> Hook:
    """A hook for requests of one task type: each fault in turn (None never answers), the last for ever if asked."""
    left = list(faults)

    async def hook(request: web.Request) -> Fault | None:
        if not left or json.loads(await request.read())[0]["taskType"] != task_type:
            return None
        chosen = left[0] if lasts and len(left) == 1 else left.pop(0)
        if chosen is None:
            await asyncio.Event().wait()
        return chosen

    return hook


# What is sent


def test_it_is_a_provider_that_recovers(runware: Runware) -> None:
    provider: Provider = runware
    assert (provider.name, runware.recovers) == ("runware", True)
    assert (runware.batch, runware.home) == (LARGEST_BATCH, "https://api.runware.ai")


IDS = {"hailuo-02": "minimax:3@1", "hailuo-2.3": "minimax:4@1", "hailuo-2.3-fast": "minimax:4@2"}


@offers("runware")
async def test_every_offer_is_accepted(
    offer: Offer, mode: Mode, runware: Runware, standin: RunwareStandIn
) -> None:
    first = None if mode is Mode.TEXT else FRAME
    last = FRAME if mode is Mode.TRANSITION else None
    wish = job(offer.format.id, mode=mode, first=first, last=last)
    report = await runware.submit(runware.request(wish), key=KEY)
    assert (standin.refused, report) == ([], Report(UUID, TaskState.QUEUED))
    (made,) = standin.jobs.values()
    assert (made.id, made.model, made.input["duration"]) == (UUID, IDS[offer.model], offer.duration)
    assert (made.input["width"], made.input["height"]) == (
        (1366, 768) if offer.resolution == "768p" else (1920, 1080)
    )
    frames = made.input.get("inputs", {}).get("frameImages", [])
    assert [frame["frame"] for frame in frames] == ["first", "last"][
        : len([one for one in (first, last) if one])
    ]
    assert list(standin.charges.values()) == [made.price]


def test_request_is_canonical(runware: Runware) -> None:
    assert (
        runware.request(job("hailuo-2.3/10/768p", prompt="ein Boot · 船", enhance=True))
        == (
            '[{"deliveryMethod":"async","duration":10,"height":768,"includeCost":true,"model":"minimax:4@1",'
            '"numberResults":1,"outputFormat":"MP4","outputType":"URL","positivePrompt":"ein Boot · 船",'
            '"providerSettings":{"minimax":{"promptOptimizer":true}},"taskType":"videoInference",'
            f'"taskUUID":"{UUID}","ttl":86400,"width":1366}}]'
        ).encode()
    )


def test_task_id_follows_from_the_key_alone(runware: Runware) -> None:
    ids = {only(runware.request(job(task_id=f"t{number}", prompt="ab")))["taskUUID"] for number in range(200)}
    assert len(ids) == 200
    assert all(
        re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one)
        for one in ids
    )
    assert only(runware.request(job(enhance=True, prompt="cd")))["taskUUID"] == UUID


def test_frame_is_an_address_where_it_has_one_and_data_otherwise(runware: Runware, tmp_path: Path) -> None:
    path = tmp_path / "frame.jpg"
    path.write_bytes(b"\xff\xd8 pixels")
    task = only(runware.request(job(first=FRAME, last=Frame(str(path)))))
    data = base64.b64encode(path.read_bytes()).decode()
    assert task["inputs"]["frameImages"] == [
        {"image": FRAME.url, "frame": "first"},
        {"image": f"data:image/jpeg;base64,{data}", "frame": "last"},
    ]


def test_callback_is_sent_along(runware: Runware) -> None:
    wish = job(callback="https://bot.example/?s=1")
    assert only(runware.request(wish))["webhookURL"] == "https://bot.example/?s=1"
    assert "webhookURL" not in only(runware.request(job()))


async def test_safety_and_ttl_are_the_operators(
    standin: RunwareStandIn, make: Callable[..., Runware]
) -> None:
    runware = make(safety=True, ttl=60)
    await submitted(runware)
    (made,) = standin.jobs.values()
    assert (made.input["safety"], made.input["ttl"]) == ({"checkContent": True, "mode": "fast"}, 60)
    assert standin.refused == []
    standin.finish(UUID)
    report = await runware.status(UUID)
    assert (report.state, report.clip_expires_at) == (TaskState.SUCCEEDED, NOW + 60_000)
    standin.unsafe = True
    report = await runware.status(UUID)
    assert (report.state, report.content_refused, report.cost_micros) == (TaskState.FAILED, True, 280_000)
    with pytest.raises(SetupError, match="60 s at least"):
        make(ttl=59)


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (job("hailuo-02/5/768p"), "does not make hailuo-02/5/768p"),
        (job("hailuo-02/6/512p", first=FRAME), "does not make"),
        (job("hailuo-02/10/1080p"), "does not make"),
        (job("hailuo-01/6/768p"), "does not make"),
        (job("hailuo-2.3-fast/6/768p"), "only from a first frame"),
        (job("hailuo-2.3-fast/6/768p", first=FRAME, last=FRAME), "no last frame for"),
        (job("hailuo-2.3/6/768p", first=FRAME, last=FRAME), "no last frame for"),
        (job(last=FRAME), "only beside a first"),
        (job(prompt="x"), "2 to 2000"),
        (job(prompt="x" * 2001), "2 to 2000"),
        (job(first=Frame("/nowhere/gone.jpg")), "no longer on this machine"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.format.id,
)
def test_what_it_does_not_make_is_rejected(wish: Job, why: str, runware: Runware) -> None:
    with pytest.raises(JobRejected, match=why):
        runware.request(wish)


# A life


async def test_a_job_from_submit_to_clip(runware: Runware, standin: RunwareStandIn, tmp_path: Path) -> None:
    job_id = await submitted(runware)
    assert await runware.status(job_id) == Report(UUID, TaskState.PROCESSING)
    standin.advance(job_id, "processing")
    assert (await runware.status(job_id)).state is TaskState.PROCESSING
    standin.finish(job_id, clip=CLIP, cost=Decimal("0.2314159"))
    report = await runware.status(job_id)
    url = f"{standin.root}/clips/{UUID}.mp4"
    expires = NOW + 86_400_000
    assert report == Report(
        UUID, TaskState.SUCCEEDED, clip_url=url, clip_expires_at=expires, cost_micros=231_416
    )
    await runware.download(url, tmp_path / "clip.mp4")
    assert (tmp_path / "clip.mp4").read_bytes() == CLIP
    assert (standin.refused, len(standin.charges)) == ([], 1)


@pytest.mark.parametrize("error_status", [200, 400])
@pytest.mark.parametrize(
    ("code", "state", "refused"),
    [
        ("inferenceError", TaskState.FAILED, False),
        ("timeoutProvider", TaskState.FAILED, False),
        ("providerRateLimitExceeded", TaskState.FAILED, False),
        ("noAvailableServer", TaskState.FAILED, False),
        ("invalidFrameImages", TaskState.FAILED, False),
        ("somethingNew", TaskState.FAILED, False),
        ("providerContentPolicyViolation", TaskState.FAILED, True),
        ("invalidProviderContent", TaskState.FAILED, True),
        ("nsfwContentDetected", TaskState.FAILED, True),
        ("moderationFailed", TaskState.FAILED, True),
        ("taskCancelled", TaskState.CANCELLED, False),
    ],
)
async def test_ends_without_a_clip(
    code: str,
    state: TaskState,
    *,
    refused: bool,
    error_status: int,
    runware: Runware,
    standin: RunwareStandIn,
) -> None:
    standin.error_status = error_status
    job_id = await submitted(runware)
    standin.fail(job_id, "it did not work", code=code)
    report = await runware.status(job_id)
    assert report == Report(job_id, state, reason=f"{code}: it did not work", content_refused=refused)
    assert standin.refused == []


# Submits: lost, refused, waited for


def problem(code: str, **more: object) -> dict[str, object]:
    entry: dict[str, object] = {"code": code, "message": "no", "taskUUID": UUID, "taskType": "videoInference"}
    return without_gaps(entry | more)


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (problem("contentPolicyViolation"), ContentRefused),
        (problem("invalidProviderContent"), ContentRefused),
        (problem("invalidPositivePrompt"), JobRejected),
        (problem("invalidInput", message="flagged by our content policy"), ContentRefused),
        (problem("missingDuration"), JobRejected),
        (problem("unsupportedDimensions"), JobRejected),
        (problem("duplicateFrameImages"), JobRejected),
        (problem("modelNotFound"), JobRejected),
        (problem("mediaExpired"), JobRejected),
        (problem("invalidApiKey", taskUUID=...), ProviderClosed),
        (problem("missingApiKey"), ProviderClosed),
        (problem("tokenExpired"), ProviderClosed),
        (problem("insufficientCredits"), ProviderClosed),
        (problem("videoInferenceInsufficientCredits"), ProviderClosed),
        (problem("quotaExceeded"), ProviderClosed),
        (problem("paymentRequired"), ProviderClosed),
        (problem("rateLimitExceeded"), ProviderBusy),
        (problem("rateLimitExceeded", taskUUID=None), ProviderBusy),
        (problem("serverError"), OutcomeUnknown),
        (problem("internalServerError"), OutcomeUnknown),
        (problem("somethingNew"), OutcomeUnknown),
        (problem("timeoutProvider", taskUUID=...), OutcomeUnknown),
        (problem("taskCancelled", taskUUID=...), OutcomeUnknown),
        (problem("contentPolicyViolation", taskUUID=OTHER), OutcomeUnknown),
        (problem("invalidPositivePrompt", taskUUID=OTHER), OutcomeUnknown),
        (problem(..., message=...), OutcomeUnknown),  # type: ignore[arg-type]  # a field that is missing
        (problem(17, message=[1], parameter=17), OutcomeUnknown),  # type: ignore[arg-type]  # mistyped
    ],
    ids=str,
)
async def test_errors_of_a_submit(
    entry: dict[str, object],
    error: type[ProviderError],
    status: int,
    runware: Runware,
    standin: RunwareStandIn,
) -> None:
    for view in (
        {"errors": [entry]},
        {"data": [], "errors": [entry]},
        {"error": entry},
        {"errors": [17, entry]},
    ):
        standin.before = plays("videoInference", says(view, status))
        with pytest.raises(ProviderError) as caught:
            await submitted(runware)
        assert type(caught.value) is error
    assert (len(standin.requests), standin.charges) == (4, {})


async def test_errors_tell_the_operator_what_to_do(runware: Runware, standin: RunwareStandIn) -> None:
    standin.balance = Decimal(0)
    with pytest.raises(ProviderClosed, match=r"insufficientCredits: top up first.*balance in the Runware"):
        await submitted(runware)


@pytest.mark.parametrize(
    "entry",
    [
        problem("conflictTaskUUID"),
        problem("duplicateTaskUUID"),
        problem("duplicateTaskUuid", taskUUID=...),
        problem("duplicateParameter", parameter="taskUUID"),
        problem("conflictingValue", parameter=["taskUUID"], taskUUID=UUID.upper()),
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [200, 400, 409])
async def test_duplicate_id_means_accepted(
    entry: dict[str, object], status: int, runware: Runware, standin: RunwareStandIn
) -> None:
    view = {"errors": [problem("invalidPositivePrompt"), entry]}
    standin.before = plays("videoInference", says(view, status))
    assert await runware.submit(runware.request(job()), key=KEY) == Report(UUID, TaskState.QUEUED)


async def test_second_submit_is_refused_by_the_stand_in_and_makes_no_job(
    runware: Runware, standin: RunwareStandIn
) -> None:
    for _ in range(3):
        assert await submitted(runware) == UUID
    assert (len(standin.jobs), list(standin.charges.values())) == (1, [Decimal("0.28")])


@pytest.mark.parametrize(
    ("entry", "state", "refused"),
    [
        (problem("timeoutProvider"), TaskState.FAILED, False),
        (problem("providerInternalError", message="flagged as sensitive"), TaskState.FAILED, True),
        (problem("taskCancelled"), TaskState.CANCELLED, False),
    ],
    ids=str,
)
async def test_job_that_ends_at_once(
    entry: dict[str, object], state: TaskState, *, refused: bool, runware: Runware, standin: RunwareStandIn
) -> None:
    standin.after = plays("videoInference", says({"errors": [entry]}))
    report = await runware.submit(runware.request(job()), key=KEY)
    assert (report.job_id, report.state, report.content_refused) == (UUID, state, refused)


@pytest.mark.parametrize(
    ("item", "state"),
    [
        ({}, TaskState.QUEUED),
        ({"status": "processing"}, TaskState.PROCESSING),
        ({"status": 17, "cost": [], "progress": "x"}, TaskState.QUEUED),
        ({"status": "success"}, TaskState.PROCESSING),
        ({"status": "success", "videoURL": "https://cdn.example/a.mp4"}, TaskState.SUCCEEDED),
        ({"videoURL": "https://cdn.example/a.mp4"}, TaskState.SUCCEEDED),
        ({"status": "error", "error": {"message": "no GPU"}}, TaskState.FAILED),
    ],
    ids=str,
)
async def test_acknowledged_job_is_never_lost(
    item: dict[str, object], state: TaskState, runware: Runware, standin: RunwareStandIn
) -> None:
    view = {
        "data": [17, {"taskUUID": OTHER, "status": "error"}, {"taskUUID": UUID} | item],
        "errors": [problem("serverError"), problem("timeoutProvider", taskUUID=OTHER)],
    }
    standin.after = plays("videoInference", says(view))
    report = await runware.submit(runware.request(job()), key=KEY)
    assert (report.job_id, report.state) == (UUID, state)


@pytest.mark.parametrize(
    "view",
    [{"data": []}, {"data": [{"taskUUID": OTHER}]}, {"data": None}, {"errors": []}, {"data": {}}],
    ids=str,
)
async def test_answer_that_says_nothing_of_a_submit(
    view: object, runware: Runware, standin: RunwareStandIn
) -> None:
    standin.after = plays("videoInference", says(view))
    with pytest.raises(OutcomeUnknown):
        await submitted(runware)
    assert len(standin.requests) == 1


# Looking a lost submit up


async def test_lost_job_is_found_at_any_stage(runware: Runware, standin: RunwareStandIn) -> None:
    body = runware.request(job())
    await runware.submit(body, key=KEY)
    found = []
    for status in ("queued", "processing", "success", "error"):
        standin.advance(UUID, status)
        found.append((await runware.recover(body, key=KEY, since=0, known=frozenset({OTHER}))).state)
    assert found == [TaskState.PROCESSING, TaskState.PROCESSING, TaskState.SUCCEEDED, TaskState.FAILED]
    assert (await types(standin)).count("videoInference") == 1


async def test_job_is_found_by_its_key_alone_and_silence_names_none(
    runware: Runware, standin: RunwareStandIn
) -> None:
    assert await runware.find(KEY) is None
    await submitted(runware)
    with pytest.raises(ProviderBusy, match="Runware said nothing of this job"):
        await runware.find(KEY)
    standin.advance(UUID, "success")
    found = await runware.find(KEY)
    assert found
    assert (found.job_id, found.state) == (UUID, TaskState.SUCCEEDED)
    assert (await types(standin)).count("videoInference") == 1


@pytest.mark.parametrize("error_status", [200, 400, 404])
async def test_unknown_job_is_submitted_once_under_the_same_id(
    error_status: int, runware: Runware, standin: RunwareStandIn
) -> None:
    standin.error_status = error_status
    body = runware.request(job())
    assert await runware.recover(body, key=KEY, since=0, known=frozenset()) == Report(UUID, TaskState.QUEUED)
    assert await runware.recover(body, key=KEY, since=0, known=frozenset()) == Report(
        UUID, TaskState.PROCESSING
    )
    assert await types(standin) == ["getResponse", "videoInference", "getResponse"]
    assert (standin.requests[1].body, list(standin.charges), standin.refused) == (body, [UUID], [])


async def test_job_that_shows_itself_after_the_look_up_is_not_charged_twice(
    runware: Runware, standin: RunwareStandIn
) -> None:
    body = runware.request(job())
    await runware.submit(body, key=KEY)
    standin.before = plays("getResponse", says({"errors": [problem("taskFailedOrNotFound")]}))
    assert await runware.recover(body, key=KEY, since=0, known=frozenset()) == Report(UUID, TaskState.QUEUED)
    assert ((await types(standin)).count("videoInference"), len(standin.charges)) == (2, 1)


@pytest.mark.parametrize(("when", "again"), [("before", ["videoInference"]), ("after", [])])
async def test_lost_submit_is_looked_up_first(
    when: str, again: list[str], runware: Runware, standin: RunwareStandIn
) -> None:
    setattr(standin, when, plays("videoInference", Fault(drop=True)))
    body = runware.request(job())
    with pytest.raises(OutcomeUnknown, match="Runware"):
        await runware.submit(body, key=KEY)
    report = await runware.recover(body, key=KEY, since=0, known=frozenset())
    assert (report.job_id, list(standin.jobs), list(standin.charges)) == (UUID, [UUID], [UUID])
    assert await types(standin) == ["videoInference", "getResponse", *again]
    assert standin.refused == []


async def test_task_that_is_both_there_and_unknown_is_not_submitted_again(
    runware: Runware, standin: RunwareStandIn
) -> None:
    item = {"taskUUID": UUID, "status": "processing"}
    view = {"data": [item], "errors": [problem("taskFailedOrNotFound")]}
    standin.before = plays("getResponse", says(view))
    with pytest.raises(OutcomeUnknown, match="does not tell"):
        await runware.recover(runware.request(job()), key=KEY, since=0, known=frozenset())
    assert await types(standin) == ["getResponse"]


async def test_second_submit_may_be_lost_too(runware: Runware, standin: RunwareStandIn) -> None:
    body = runware.request(job())
    standin.after = plays("videoInference", Fault(drop=True))
    with pytest.raises(OutcomeUnknown):
        await runware.recover(body, key=KEY, since=0, known=frozenset())
    assert (await runware.recover(body, key=KEY, since=0, known=frozenset())).state is TaskState.PROCESSING
    assert list(standin.charges) == [UUID]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(503), ProviderBusy),
        (Fault(drop=True), ProviderBusy),
        (Fault(429, b"", {"Retry-After": "60"}), ProviderBusy),
        (Fault(401), ProviderClosed),
        (says({"errors": [problem("insufficientCredits")]}), ProviderClosed),
        (says({"errors": [problem("serverError", taskUUID=...)]}), ProviderBusy),
        (Fault(404, b"<html>"), OutcomeUnknown),
        (Fault(400), OutcomeUnknown),
        (says({"errors": [problem("taskExpired")]}), OutcomeUnknown),
        (says({"errors": [problem("taskNotFound", taskUUID=OTHER)]}, 404), None),
    ],
    ids=str,
)
async def test_look_up_that_fails_never_submits(
    fault: Fault, error: type[ProviderError] | None, runware: Runware, standin: RunwareStandIn
) -> None:
    standin.before = plays("getResponse", fault, lasts=True)
    body = runware.request(job())
    if error:
        with pytest.raises(error) as caught:
            await runware.recover(body, key=KEY, since=0, known=frozenset())
        assert type(caught.value) is error
    else:
        assert (
            await runware.recover(body, key=KEY, since=0, known=frozenset())
        ).state is TaskState.PROCESSING
    assert ("videoInference" in await types(standin), standin.charges) == (False, {})


# Reads


async def test_many_jobs_are_read_twenty_at_a_time(runware: Runware, standin: RunwareStandIn) -> None:
    ids = [await submitted(runware, job(task_id=f"t{number}")) for number in range(45)]
    for job_id in ids[:10]:
        standin.finish(job_id)
    for job_id in ids[30:35]:
        standin.fail(job_id, "no GPU")
    standin.oddly = True
    standin.requests.clear()
    outcomes = await runware.statuses([*ids, ids[0], OTHER, "no id", ""])
    states = [one.state if isinstance(one, Report) else type(one) for one in map(outcomes.__getitem__, ids)]
    under_way = [TaskState.PROCESSING]
    assert states == [TaskState.SUCCEEDED] * 10 + under_way * 20 + [TaskState.FAILED] * 5 + under_way * 10
    assert outcomes.keys() == {*ids, OTHER, "no id", ""}
    assert all(isinstance(outcomes[one], JobNotFound) for one in (OTHER, "no id", ""))
    asked = [[task["taskUUID"] for task in json.loads(one.body)] for one in standin.requests]
    assert [len(chunk) for chunk in asked] == [20, 20, 6]
    assert [job_id for chunk in asked for job_id in chunk] == [*ids, OTHER]
    assert standin.refused == []


async def test_forty_five_jobs_take_three_posts_and_one_that_fails_takes_only_its_own(
    runware: Runware, standin: RunwareStandIn
) -> None:
    ids = [await submitted(runware, job(task_id=f"t{number}")) for number in range(45)]
    standin.requests.clear()
    standin.before = plays("getResponse", says({"data": []}), Fault(400))
    outcomes = await runware.statuses(ids)
    assert len(standin.requests) == 3
    kinds = [isinstance(outcomes[job_id], ProviderError) for job_id in ids]
    assert kinds == [False] * 20 + [True] * 20 + [False] * 5
    assert await runware.statuses([]) == {}


async def told(runware: Runware, standin: RunwareStandIn, *errors: object, **fields: object) -> Report:
    """The report on a job that succeeded, but for these fields and errors; a field set to `...` is missing."""
    job_id = await submitted(runware)
    item: dict[str, object] = {"taskUUID": job_id, "status": "success", "cost": 0.28}
    item |= {"videoURL": "https://cdn.example/one.mp4"} | fields
    item = without_gaps(item)
    view = {"data": [item] if item else [], "errors": list(errors)}
    standin.before = plays("getResponse", says(view), lasts=True)
    return await runware.status(job_id)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("queued", TaskState.QUEUED),
        ("Pending", TaskState.QUEUED),
        ("scheduled", TaskState.QUEUED),
        ("waiting", TaskState.QUEUED),
        (" PROCESSING ", TaskState.PROCESSING),
        ("Success", TaskState.SUCCEEDED),
        ("ERROR", TaskState.FAILED),
        ("rendering", TaskState.PROCESSING),
        ("", TaskState.PROCESSING),
    ],
)
async def test_status_words(word: str, state: TaskState, runware: Runware, standin: RunwareStandIn) -> None:
    report = await told(runware, standin, status=word)
    assert (report.state, bool(report.clip_url)) == (state, state is TaskState.SUCCEEDED)


ODD_COSTS: list[object] = [..., None, -0.1, float("nan"), float("inf"), True, "free", [0.3], {}, 1e300]


@pytest.mark.parametrize(
    ("cost", "micros"),
    [(0.28, 280_000), (0.49, 490_000), (1e-7, 0), (0, 0), (5, 5_000_000), ("0.2314", 231_400)]
    + [(odd, None) for odd in ODD_COSTS],
    ids=repr,
)
async def test_cost_is_whole_micros_or_unknown(
    cost: object, micros: int | None, runware: Runware, standin: RunwareStandIn
) -> None:
    report = await told(runware, standin, cost=cost)
    assert (report.state, report.cost_micros) == (TaskState.SUCCEEDED, micros)
    assert report.clip_url == "https://cdn.example/one.mp4"


@pytest.mark.parametrize("cost", [Decimal("0.01"), Decimal("9.99")])
async def test_cost_above_and_below_the_price_is_what_was_charged(
    cost: Decimal, runware: Runware, standin: RunwareStandIn
) -> None:
    standin.finish(await submitted(runware), cost=cost)
    assert (await runware.status(UUID)).cost_micros == int(cost * 1_000_000)


@pytest.mark.parametrize(
    "url",
    [
        ...,
        None,
        17,
        "",
        "javascript:alert(1)",
        "ftp://x/",
        ["https://x"],
        "https://a b",
        "https://x/" + "y" * 5000,
    ],
    ids=lambda url: str(url)[:40],
)
async def test_success_without_a_clip_is_asked_about_again(
    url: object, runware: Runware, standin: RunwareStandIn
) -> None:
    with pytest.raises(ProviderBusy, match="names no clip"):
        await told(runware, standin, videoURL=url)


@pytest.mark.parametrize(
    ("errors", "fields", "state"),
    [
        # The clip counts, whatever else is said.
        ([problem("timeoutProvider")], {}, TaskState.SUCCEEDED),
        ([problem("taskFailedOrNotFound"), "x", 17, {}], {}, TaskState.SUCCEEDED),
        # An error is the end of a job that has none.
        ([problem("timeoutProvider")], {"status": "processing"}, TaskState.FAILED),
        ([problem("timeoutProvider")], {"videoURL": ...}, TaskState.FAILED),
        # What is said of others, or of nobody, is no end of this one.
        ([problem("timeoutProvider", taskUUID=OTHER)], {"status": "processing"}, TaskState.PROCESSING),
        ([problem("timeoutProvider", taskUUID=...)], {"status": "processing"}, TaskState.PROCESSING),
        ([], {"taskUUID": OTHER}, TaskState.PROCESSING),
        ([], {"taskUUID": 17}, TaskState.PROCESSING),
        ([], {"taskUUID": ...}, TaskState.PROCESSING),
        ([], {"taskUUID": UUID.upper()}, TaskState.SUCCEEDED),
        ([], {"unknown": {"field": 1}, "progress": 101, "NSFWContent": "x"}, TaskState.SUCCEEDED),
        ([], {"NSFWContent": True}, TaskState.SUCCEEDED),
    ],
    ids=str,
)
async def test_items_and_errors_mixed(
    errors: list[object],
    fields: dict[str, object],
    state: TaskState,
    runware: Runware,
    standin: RunwareStandIn,
) -> None:
    report = await told(runware, standin, *errors, **fields)
    assert (report.job_id, report.state) == (UUID, state)
    assert bool(report.clip_url) == (state is TaskState.SUCCEEDED)


async def test_best_of_several_items_counts(runware: Runware, standin: RunwareStandIn) -> None:
    await submitted(runware)
    item = {"taskUUID": UUID, "status": "success", "videoURL": "https://cdn.example/one.mp4", "progress": 100}
    items = [{"taskUUID": UUID, "status": word} for word in ("processing", "error", "success")]
    standin.before = plays("getResponse", says({"data": [items[0], item, *items[1:]]}))
    report = await runware.status(UUID)
    assert (report.state, report.progress, bool(report.clip_url)) == (TaskState.SUCCEEDED, 100, True)


@pytest.mark.parametrize("status", [200, 400, 404])
@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (problem("taskFailedOrNotFound", taskType="getResponse"), JobNotFound),
        (problem("taskNotFound"), JobNotFound),
        (problem("resultExpired"), JobNotFound),
        (problem("insufficientCredits"), ProviderClosed),
        (problem("invalidApiKey", taskUUID=...), ProviderClosed),
        (problem("rateLimitExceeded"), ProviderBusy),
        (problem("serverError"), ProviderBusy),
        (problem("timeoutProvider", taskUUID=...), ProviderBusy),
        (problem("invalidTaskUUID", taskType="getResponse"), ProviderBusy),
        (problem("somethingNew", taskType="getResponse"), ProviderBusy),
        (problem("conflictTaskUUID", taskType="getResponse"), ProviderBusy),
    ],
    ids=str,
)
async def test_errors_that_are_no_end_of_a_job(
    entry: dict[str, object],
    error: type[ProviderError],
    status: int,
    runware: Runware,
    standin: RunwareStandIn,
) -> None:
    await submitted(runware)
    standin.before = plays("getResponse", says({"errors": [entry]}, status))
    with pytest.raises(error):
        await runware.status(UUID)


@pytest.mark.parametrize("status", [500, 503])
async def test_server_in_trouble_never_ends_a_job(
    status: int, runware: Runware, standin: RunwareStandIn
) -> None:
    await submitted(runware)
    standin.before = plays("getResponse", says({"errors": [problem("timeoutProvider")]}, status), lasts=True)
    with pytest.raises(ProviderBusy):
        await runware.status(UUID)


@pytest.mark.parametrize(
    ("fields", "reason", "refused"),
    [
        ({"error": "no GPU"}, "no GPU", False),
        ({"error": {"code": "E1", "message": "no GPU"}}, "no GPU · E1", False),
        ({"message": "no\x07\u202eGPU"}, "no GPU", False),
        ({"error": "see https://x.example/a?sig=s3cret"}, "see https://x.example/a", False),
        ({"error": "rejected by our content policy"}, "rejected by our content policy", True),
        ({"message": "x" * 1000}, "x" * 299 + "…", False),
        ({}, None, False),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_reason_of_an_item_that_failed(
    fields: dict[str, object], reason: str | None, *, refused: bool, runware: Runware, standin: RunwareStandIn
) -> None:
    report = await told(runware, standin, status="error", cost=0, **fields)
    assert report == Report(UUID, TaskState.FAILED, cost_micros=0, reason=reason, content_refused=refused)


@pytest.mark.parametrize("job_id", ["..", "", "a b", "r-1", UUID.upper(), UUID + "\n", f'{UUID}"'])
async def test_odd_job_id_is_not_asked_about(job_id: str, runware: Runware, standin: RunwareStandIn) -> None:
    with pytest.raises(JobNotFound):
        await runware.status(job_id)
    assert standin.requests == []
    assert await runware.events(job_id) == []


# Account, key, secrets


async def test_address_that_is_not_there_is_no_lost_job(runware: Runware, standin: RunwareStandIn) -> None:
    standin.before = plays("getResponse", Fault(404, b"<html>"))
    with pytest.raises(JobRejected, match=r"refused the request \(404\)"):
        await runware.status(UUID)


@pytest.mark.parametrize("status", [200, 400, 401])
async def test_key_is_hidden_in_its_own_errors(
    status: int, runware: Runware, standin: RunwareStandIn
) -> None:
    entry = {"code": "invalidApiKey", "message": f"key {standin.key} is wrong"}
    standin.before = plays("accountManagement", says({"errors": [entry]}, status))
    with pytest.raises(ProviderClosed, match="key … is wrong") as closed:
        await runware.check()
    assert standin.key not in str(closed.value)


@pytest.mark.parametrize("wallet", [False, True])
async def test_check_and_published_read_the_balance(
    *, wallet: bool, runware: Runware, standin: RunwareStandIn
) -> None:
    standin.wallet, standin.balance = wallet, Decimal("12.3456789")
    assert await runware.check() == "Runware accepts the key; the balance is $12.345679."
    published = await runware.published()
    assert (published.balance_micros, published.prices, len(published.notes)) == (12_345_679, {}, 1)
    assert (standin.refused, standin.charges) == ([], {})


@pytest.mark.parametrize("balance", ["lots", None, {"freeBalance": 1}, float("nan"), -1])
async def test_odd_balance_still_proves_the_key(
    balance: object, runware: Runware, standin: RunwareStandIn
) -> None:
    async def hook(request: web.Request) -> Fault:
        (task,) = json.loads(await request.read())
        return says({"data": [task | {"balance": balance}]})

    standin.before = hook
    assert await runware.check() == "Runware accepts the key, but names no balance."


@pytest.mark.parametrize(
    ("view", "error"),
    [
        ({"data": [{"taskUUID": OTHER, "balance": 5}]}, ProviderBusy),
        ({"errors": [{"code": "serverError"}]}, ProviderBusy),
        ({"errors": [{"code": "invalidApiKey"}]}, ProviderClosed),
    ],
    ids=str,
)
async def test_check_that_fails(
    view: object, error: type[ProviderError], runware: Runware, standin: RunwareStandIn
) -> None:
    standin.before = plays("accountManagement", says(view))
    with pytest.raises(error):
        await runware.check()


# The stand-in itself

RIGHT: dict[str, object] = {
    "taskType": "videoInference",
    "taskUUID": OTHER,
    "model": "minimax:3@1",
    "positivePrompt": "a boat",
    "width": 1366,
    "height": 768,
    "duration": 6,
}
PICTURE = {"image": "https://x.example/a.jpg", "frame": "first"}


@pytest.mark.parametrize(
    ("change", "right"),
    [
        ({}, True),
        ({"fps": 25, "outputQuality": 95, "ttl": 60, "safety": {"mode": "full"}}, True),
        ({"inputs": {"frameImages": ["https://x.example/a.jpg", "data:image/png;base64,AAAA"]}}, True),
        ({"model": "minimax:4@1", "inputs": {"frameImages": [PICTURE]}}, True),
        ({"model": "minimax:4@2", "inputs": {"frameImages": [PICTURE | {"frame": 0}]}}, True),
        ({"model": "minimax:4@2"}, False),
        ({"model": "minimax:4@1", "inputs": {"frameImages": [PICTURE | {"frame": "last"}]}}, False),
        ({"inputs": {"frameImages": [PICTURE, PICTURE]}}, False),
        ({"inputs": {"frameImages": [PICTURE | {"frame": -1}]}}, False),
        ({"inputs": {"frameImages": ["data:image/png;base64,A"]}}, False),
        ({"inputs": {"frameImages": [{"inputImage": "https://x.example/a.jpg"}]}}, False),
        ({"frameImages": [PICTURE]}, False),
        ({"model": "minimax:03@1"}, False),
        ({"width": 1366, "height": 1080}, False),
        ({"width": 1920, "height": 1080, "duration": 10}, False),
        ({"duration": 5}, False),
        ({"duration": 6.0}, False),
        ({"duration": "6"}, False),
        ({"fps": 24}, False),
        ({"positivePrompt": "x"}, False),
        ({"ttl": 59}, False),
        ({"providerSettings": {"miniMax": {"promptOptimizer": True}}}, False),
        ({"providerSettings": {"minimax": {"promptOptimizer": 1}}}, False),
        ({"deliveryMethod": "sync"}, False),
        ({"seed": 1}, False),
        ({"taskUUID": "11111111-1111-1111-8111-111111111111"}, False),
        ({"taskUUID": OTHER.upper().replace("1", "A")}, False),
        ({"taskType": "imageInference"}, False),
    ],
    ids=str,
)
async def test_stand_in_is_strict(
    change: dict[str, object], *, right: bool, standin: RunwareStandIn, client: httpx.AsyncClient
) -> None:
    headers = {"Authorization": f"Bearer {standin.key}"}
    answer = await client.post(standin.url + V1, json=[RIGHT | change], headers=headers)
    assert (answer.status_code == 200, len(standin.charges), len(standin.refused)) == (
        right,
        right,
        not right,
    )


@pytest.mark.parametrize(
    ("body", "headers", "path"),
    [
        ([RIGHT], {"Authorization": "Bearer other"}, V1),
        ([RIGHT], {"Content-Type": "text/plain"}, V1),
        ([RIGHT], {}, "/v1/"),
        ([RIGHT], {}, "/v1?a=1"),
        (RIGHT, {}, V1),
        ([], {}, V1),
        ([RIGHT, RIGHT], {}, V1),
        ([RIGHT, 17], {}, V1),
        ([RIGHT | {"taskUUID": f"{number:08}-1111-4111-8111-111111111111"} for number in range(21)], {}, V1),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_stand_in_refuses_what_is_around_the_task(
    body: object, headers: dict[str, str], path: str, standin: RunwareStandIn, client: httpx.AsyncClient
) -> None:
    headers = {"Authorization": f"Bearer {standin.key}", "Content-Type": "application/json"} | headers
    answer = await client.post(standin.url + path, content=json.dumps(body), headers=headers)
    assert (answer.is_error, len(standin.refused), standin.charges) == (True, 1, {})


async def test_stand_in_answers_task_by_task(standin: RunwareStandIn, client: httpx.AsyncClient) -> None:
    wrong = RIGHT | {"taskUUID": "22222222-2222-4222-8222-222222222222", "duration": 7}
    headers = {"Authorization": f"Bearer {standin.key}"}
    answer = await client.post(standin.url + V1, json=[wrong, RIGHT], headers=headers)
    assert answer.status_code == 200
    assert [item["taskUUID"] for item in answer.json()["data"]] == [OTHER]
    assert [entry["taskUUID"] for entry in answer.json()["errors"]] == [wrong["taskUUID"]]
