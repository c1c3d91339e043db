"""What holds for every provider: nothing is charged twice, no answer is trusted, no key is told."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

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
from bot.providers.base import Hosted
from bot.providers.bodies import LARGEST_FRAME
from bot.providers.downloads import LinkExpired
from bot.providers.registry import PROVIDERS
from tests.providers import kit
from tests.providers.cases import CASES, Case
from tests.providers.kit import CLIP, KEY, Sleeper, submitted
from tests.providers.standin import LOST, REFUSALS, UNREAD, Fault, StandIn, always, once, says


@pytest.fixture(params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def case(name: str) -> Case:
    return CASES[name]


@pytest.fixture
async def standin(case: Case) -> AsyncIterator[StandIn]:
    async with case.standin() as server:
        yield server


Make = Callable[..., Hosted]


@pytest.fixture
def make(case: Case, parts: dict[str, Any]) -> Make:
    """The provider for a stand-in, with another key where given."""

    def made(standin: StandIn, key: str | None = None) -> Hosted:
        key = standin.key if key is None else key
        return case.provider(**parts, **case.settings, key=key, base=standin.url)

    return made


@pytest.fixture
def provider(make: Make, standin: StandIn) -> Hosted:
    return make(standin)


@pytest.fixture
def wish(case: Case) -> Job:
    return kit.job(case.text)


def bodies(standin: StandIn) -> list[bytes]:
    return [one.body for one in standin.sent("POST")]


def test_all_are_tested_here(provider: Hosted, case: Case, name: str) -> None:
    known: Provider = provider
    assert (known.name, known.recovers or not case.keyed) == (name, True)
    assert provider.home.startswith("https://")
    assert set(PROVIDERS) == {*CASES, "sandbox"}


# What is sent


def test_lone_surrogate_does_not_crash(provider: Hosted, case: Case) -> None:
    body = provider.request(kit.job(case.text, prompt="a \ud800 b · 船"))
    assert "a ? b · 船" in body.decode()


@pytest.mark.parametrize(("size", "fits"), [(LARGEST_FRAME, True), (LARGEST_FRAME + 1, False)])
async def test_picture_as_data_has_a_largest_size(
    size: int, *, fits: bool, provider: Hosted, standin: StandIn, case: Case, tmp_path: Path
) -> None:
    picture = Frame(str(tmp_path / "frame.jpg"))
    (tmp_path / "frame.jpg").write_bytes(bytes(size))
    if case.framed is None:
        with pytest.raises(JobRejected, match="only by its public address"):
            provider.request(kit.job(case.text, first=picture))
    elif fits:
        assert (await submitted(provider, kit.job(case.framed, first=picture))) in standin.jobs
        assert standin.refused == []
    else:
        with pytest.raises(JobRejected, match=f"more than the 3 MB that {provider.label} takes"):
            provider.request(kit.job(case.framed, first=picture))


def test_missing_picture_is_told(provider: Hosted, case: Case) -> None:
    why = "no longer on this machine" if case.framed else "only by its public address"
    with pytest.raises(JobRejected, match=why):
        provider.request(kit.job(case.framed or case.text, first=Frame("/nowhere/gone.jpg")))


# A life


async def test_a_job_that_moves_at_each_read(
    provider: Hosted, standin: StandIn, wish: Job, tmp_path: Path
) -> None:
    standin.auto, standin.clip = True, CLIP
    job_id = await submitted(provider, wish)
    states = [(await provider.status(job_id)).state for _ in range(5)]
    order = [TaskState.QUEUED, TaskState.PROCESSING, TaskState.SUCCEEDED]
    assert states == sorted(states, key=order.index)
    assert (states[-2:], TaskState.PROCESSING in states) == ([TaskState.SUCCEEDED] * 2, True)
    await provider.download((await provider.status(job_id)).clip_url or "", tmp_path / "clip.mp4")
    assert (tmp_path / "clip.mp4").read_bytes() == CLIP
    assert (standin.refused, len(standin.charges)) == ([], 1)


async def test_job_that_never_finishes_never_ends(provider: Hosted, standin: StandIn, wish: Job) -> None:
    job_id = await submitted(provider, wish)
    states = {(await provider.status(job_id)).state for _ in range(30)}
    assert states <= {TaskState.QUEUED, TaskState.PROCESSING}


async def test_statuses_tell_of_each_what_status_does(
    provider: Hosted, standin: StandIn, case: Case, wish: Job
) -> None:
    job_id = await submitted(provider, wish)
    standin.finish(job_id)
    outcomes = await provider.statuses([job_id, case.nobody, job_id])
    assert list(outcomes) == [job_id, case.nobody]
    found = outcomes[job_id]
    assert isinstance(found, Report)
    assert found.state is TaskState.SUCCEEDED
    assert isinstance(outcomes[case.nobody], JobNotFound)
    assert await provider.statuses([]) == {}


async def test_stand_in_wakes_whoever_waits(provider: Hosted, standin: StandIn, wish: Job) -> None:
    waiting = asyncio.create_task(standin.until(lambda: bool(standin.charges)))
    await submitted(provider, wish)
    await waiting
    with pytest.raises(TimeoutError):
        await standin.until(lambda: False, seconds=0.01)


# Submits: lost, refused, waited for


@pytest.mark.parametrize(("when", "jobs"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("fault", LOST, ids=lambda fault: repr(fault)[:60])
async def test_lost_submit_is_charged_once(
    fault: Fault | None, when: str, jobs: int, provider: Hosted, standin: StandIn, case: Case, wish: Job
) -> None:
    setattr(standin, when, once(fault))
    body = provider.request(wish)
    if case.keyed:
        report = await provider.submit(body, key=KEY)
        assert bodies(standin) == [body, body]
        assert (list(standin.jobs), list(standin.charges)) == ([report.job_id], [report.job_id])
    else:
        with pytest.raises(OutcomeUnknown, match=provider.label):
            await provider.submit(body, key=KEY)
        assert (len(standin.requests), len(standin.jobs), len(standin.charges)) == (1, jobs, jobs)
    assert standin.refused == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fault", LOST, ids=lambda fault: repr(fault)[:60])
async def test_lost_submit_is_recovered_without_a_second_charge(
    fault: Fault | None, when: str, provider: Hosted, standin: StandIn, case: Case, wish: Job
) -> None:
    body = provider.request(wish)
    if case.keyed:
        setattr(standin, when, always(fault or Fault(503), "POST"))
    else:
        setattr(standin, when, once(fault))
    with pytest.raises(OutcomeUnknown):
        await provider.submit(body, key=KEY)
    standin.before = standin.after = None
    made, asked = list(standin.jobs), len(standin.requests)
    since = standin.now * 1000
    if not provider.recovers:
        with pytest.raises(OutcomeUnknown, match=f"{provider.label} has no way to ask"):
            await provider.recover(body, key=KEY, since=since, known=frozenset())
        assert len(standin.requests) == asked
    elif made:
        report = await provider.recover(body, key=KEY, since=since, known=frozenset())
        assert made == [report.job_id]
    else:
        try:
            report = await provider.recover(body, key=KEY, since=since, known=frozenset())
        except OutcomeUnknown:
            assert standin.jobs == {}
        else:
            assert list(standin.jobs) == [report.job_id]
    assert list(standin.charges) == list(standin.jobs)
    assert (len(standin.charges) <= 1, standin.refused) == (True, [])


async def test_finding_by_key_makes_no_job(provider: Hosted, standin: StandIn, wish: Job) -> None:
    assert await provider.find(KEY) is None
    assert standin.jobs == standin.charges == {}
    made = await provider.submit(provider.request(wish), key=KEY)
    with contextlib.suppress(ProviderBusy):
        found = await provider.find(KEY)
        assert found is None or found.job_id == made.job_id
    assert (len(standin.jobs), len(standin.charges)) == (1, 1)


@pytest.mark.parametrize(("status", "error"), REFUSALS)
async def test_refused_submit_is_definite(
    status: int, error: type[ProviderError], provider: Hosted, standin: StandIn, wish: Job
) -> None:
    standin.before = once(says({"message": "no", "error": "no"}, status))
    with pytest.raises(error, match=str(status)) as caught:
        await submitted(provider, wish)
    assert type(caught.value) is error
    assert (len(standin.requests), standin.charges) == (1, {})


async def test_submit_refused_for_its_content(provider: Hosted, standin: StandIn, case: Case) -> None:
    with pytest.raises(ContentRefused, match=f"{provider.label} refused the request"):
        await submitted(provider, kit.job(case.text, prompt="a forbidden boat"))
    assert (len(standin.requests), standin.charges) == (1, {})


@pytest.mark.parametrize(("headers", "slept"), [({}, [0.0]), ({"Retry-After": "3"}, [3.0])])
async def test_429_is_waited_for(
    headers: Mapping[str, str],
    slept: list[float],
    provider: Hosted,
    standin: StandIn,
    wish: Job,
    sleeper: Sleeper,
) -> None:
    standin.before = once(Fault(429, b"", headers))
    await submitted(provider, wish)
    assert (len(standin.requests), len(standin.charges), sleeper.slept) == (2, 1, slept)


async def test_429_that_lasts_is_left_to_the_caller(provider: Hosted, standin: StandIn, wish: Job) -> None:
    standin.before = once(Fault(429, b"", {"Retry-After": "60"}))
    with pytest.raises(ProviderBusy) as caught:
        await submitted(provider, wish)
    assert (caught.value.retry_after, len(standin.requests), standin.charges) == (60.0, 1, {})


async def test_connection_never_made_is_safe(make: Make, case: Case, wish: Job) -> None:
    async with case.standin() as gone:
        provider = make(gone)
    with pytest.raises(ProviderBusy, match="cannot be reached"):
        await submitted(provider, wish)


async def test_submit_that_may_not_be_repeated_has_a_connection_of_its_own(
    provider: Hosted, standin: StandIn, case: Case, wish: Job
) -> None:
    body = provider.request(wish)
    for _ in range(2):
        await provider.check()
        await provider.status((await provider.submit(body, key=KEY)).job_id)
    ports = [one.port for one in standin.requests]
    paid = [one.port for one in standin.requests if one.body and body.endswith(one.body)]
    assert len(paid) == 2
    if case.keyed:
        assert len(set(ports)) == 1
    else:
        assert (len(set(paid)), [ports.count(port) for port in paid]) == (2, [1, 1])
        assert len(set(ports)) == 3


# Reads


@pytest.mark.parametrize("fault", UNREAD, ids=lambda fault: repr(fault)[:60])
async def test_lost_read_is_tried_again(
    fault: Fault | None, provider: Hosted, standin: StandIn, case: Case, wish: Job
) -> None:
    job_id = await submitted(provider, wish)
    asked = len(standin.requests)
    standin.before = once(fault, case.reads)
    assert (await provider.status(job_id)).state in {TaskState.QUEUED, TaskState.PROCESSING}
    assert (len(standin.requests) - asked, len(standin.charges)) == (2, 1)


async def test_unknown_job(provider: Hosted, standin: StandIn, case: Case) -> None:
    with pytest.raises(JobNotFound, match=f"{provider.label} does not know this job"):
        await provider.status(case.nobody)
    assert await provider.events(case.nobody) == []
    assert standin.refused == []


async def test_expired_link_is_told_apart(provider: Hosted, standin: StandIn, tmp_path: Path) -> None:
    with pytest.raises(LinkExpired):
        await provider.download(f"{standin.root}/clips/gone.mp4", tmp_path / "clip.mp4")


# Key and secrets


async def test_check_and_published_cost_nothing(provider: Hosted, standin: StandIn) -> None:
    assert (await provider.check()).startswith(f"{provider.label} accepts the key")
    published = await provider.published()
    assert published.notes or published.balance_micros is not None
    assert (standin.refused, standin.charges) == ([], {})


async def test_check_tells_what_to_do_about_a_wrong_key(make: Make, standin: StandIn, name: str) -> None:
    with pytest.raises(ProviderClosed, match=f"{name.upper()}_API_KEY") as caught:
        await make(standin, "a-wrong-key").check()
    assert "a-wrong-key" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "schlüssel"])
def test_key_that_cannot_be_one_is_a_setup_error(key: str, make: Make, case: Case) -> None:
    with pytest.raises(SetupError, match="copy it again"):
        make(case.standin(), key)


@pytest.mark.parametrize("before", [0, 290])
async def test_reason_of_a_failure_does_not_tell_the_key(
    before: int, provider: Hosted, standin: StandIn, wish: Job
) -> None:
    job_id = await submitted(provider, wish)
    standin.fail(job_id, "x" * before + f" the key {standin.key} is wrong")
    report = await provider.status(job_id)
    assert report.state is TaskState.FAILED
    assert report.reason
    assert ("…" in report.reason, standin.key[:8] in report.reason) == (True, False)


@pytest.mark.parametrize("before", [0, 290])
async def test_refusal_does_not_tell_the_key(
    before: int, provider: Hosted, standin: StandIn, wish: Job
) -> None:
    said = "x" * before + f" the key {standin.key} is wrong"
    for status in (200, 400, 401, 500):
        standin.before = always(says({"error": said, "message": said, "reason": "INVALID_X"}, status), "POST")
        with pytest.raises(ProviderError) as caught:
            await submitted(provider, wish)
        assert standin.key[:8] not in str(caught.value)


async def test_no_secret_in_any_log_line(
    provider: Hosted,
    standin: StandIn,
    case: Case,
    wish: Job,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    standin.auto = True
    job_id = await submitted(provider, wish)
    echo = Fault(500, standin.key.encode(), {"X-Echo": standin.key[:3]})
    standin.after = once(echo, case.reads)
    while not (url := (await provider.status(job_id)).clip_url):
        pass
    await provider.download(url, tmp_path / "clip.mp4")
    standin.after = always(echo, "POST")
    with pytest.raises(OutcomeUnknown) as lost:
        await provider.submit(provider.request(wish), key=KEY)
    standin.before = always(says({"error": f"key {standin.key} is wrong"}, 401), None)
    with pytest.raises(ProviderClosed) as closed:
        await provider.check()
    assert {"bot.providers.wire", "httpx", "httpcore.http11"} <= {record.name for record in caplog.records}
    assert standin.key not in caplog.text + str(lost.value) + str(closed.value)
