"""The size ladder: the file itself, a smaller one, an own link, the provider's; and one message, whatever happens."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bot.domain.errors import DeliveryError, ProviderBusy, TooLarge
from bot.domain.parcel import Change, Link, Parcel
from bot.domain.task import Task, TaskState
from bot.media import clips, fit
from bot.media.clips import ClipInfo
from bot.services import files
from bot.services.files import Files
from bot.services.links import ClipLinks
from tests.fakes import After, Silence
from tests.media.glance import glance
from tests.media.reaping import until
from tests.services.test_engine_delivery import finished
from tests.services.world import LINKS_LAST, World

HEAD = b"\0\0\0\x18ftypmp42"
DAY = 86_400


class Encoder:
    """Stands for `fit.fit`, which has tests of its own: a file of exactly the limit, or what it is told to raise."""

    def __init__(self) -> None:
        self.limits: list[int] = []
        self.error: BaseException | None = None
        self.hangs = False
        self.reached = asyncio.Event()

    async def __call__(self, source: Path, info: ClipInfo, target: Path, *, limit: int) -> int:
        self.limits.append(limit)
        self.reached.set()
        if self.hangs:
            await asyncio.Event().wait()
        if self.error:
            raise self.error
        await asyncio.to_thread(target.write_bytes, HEAD + bytes(limit - len(HEAD)))
        return limit


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> Encoder:
    encoder = Encoder()
    monkeypatch.setattr(fit, "fit", encoder)
    return encoder


@pytest.fixture
async def hosting(make_world: Callable[[], World], quick_probe: None) -> World:
    """A bot that can be reached from outside."""
    world = make_world()
    world.links = ClipLinks("https://bot.example", b"secret", days=7, clock=world.clock)
    return await world.open()


def too_large(limit: int = 100) -> TooLarge:
    return TooLarge("Discord takes no file of this size there", limit=limit)


def sent(world: World) -> Parcel:
    """What the only message carries."""
    assert [len(posts) for posts in world.announcer.clips.values()] == [1]
    return world.announcer.parcels[-1]


def played(monkeypatch: pytest.MonkeyPatch, **found: object) -> None:
    """Clips are found to be like this."""

    async def probe(path: Path) -> ClipInfo:
        return replace(await glance(path), **found)  # type: ignore[arg-type]

    monkeypatch.setattr(clips, "probe", probe)


async def delivered(world: World) -> Task:
    task = await finished(world)
    await world.turn()
    assert await world.state(task) is TaskState.DELIVERED
    return await world.read(task)


# --------------------------------------------------------------------------- files


async def test_a_clip_that_fits_is_posted_untouched(
    world: World, encoder: Encoder, clip_bytes: bytes
) -> None:
    world.announcer.limit = len(clip_bytes)
    task = await delivered(world)
    assert sent(world) == Parcel(world.folder / "clips" / f"{task.id}.mp4")
    assert (encoder.limits, world.files("clips")) == ([], [])


async def test_a_clip_above_the_limit_is_made_smaller_and_leads_to_the_original(
    world: World, encoder: Encoder, clip_bytes: bytes
) -> None:
    world.announcer.limit = len(clip_bytes) - 1
    task = await delivered(world)
    link = Link(task.clip_url or "", None, own=False)
    fitted = world.folder / "clips" / f"{task.id}.fit.mp4"
    assert sent(world) == Parcel(fitted, Change.SMALLER, link)
    assert (encoder.limits, world.files("clips")) == ([len(clip_bytes) - 1], [])
    assert [event.note for event in await world.tasks.events(task.id)][-1] == "posted, made smaller to fit"


async def test_a_size_that_discord_refuses_is_made_smaller_and_posted_once(
    world: World, encoder: Encoder
) -> None:
    world.announcer.faults.append(too_large(100))
    task = await delivered(world)
    assert (sent(world).change, encoder.limits) == (Change.SMALLER, [100])
    assert world.announcer.asked == [(task.id, False), (task.id, False)]


async def test_a_smaller_file_that_is_refused_too_becomes_a_link(world: World, encoder: Encoder) -> None:
    world.announcer.faults.extend([too_large(100), too_large(50)])
    task = await delivered(world)
    assert sent(world) == Parcel(None, link=Link(task.clip_url or "", None, own=False))
    assert encoder.limits == [100]


async def test_an_index_at_the_end_is_mended_without_a_word(
    world: World, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, faststart=False)
    task = await delivered(world)
    assert sent(world) == Parcel(world.folder / "clips" / f"{task.id}.fit.mp4")


async def test_a_clip_that_few_devices_play_is_converted_although_it_fits(
    world: World, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, codec="hevc")
    await delivered(world)
    assert (sent(world).change, encoder.limits) == (Change.CONVERTED, [world.announcer.limit])


@pytest.mark.parametrize("found", [{"codec": "av1"}, {"container": "mov"}])
async def test_what_cannot_be_converted_is_posted_as_it_came(
    world: World, encoder: Encoder, monkeypatch: pytest.MonkeyPatch, found: dict[str, object]
) -> None:
    played(monkeypatch, **found)
    encoder.error = fit.CannotFit("it crashed")
    task = await delivered(world)
    assert sent(world) == Parcel(world.folder / "clips" / f"{task.id}.mp4")


# --------------------------------------------------------------------------- links


async def test_what_cannot_be_made_small_enough_comes_as_the_providers_link(
    world: World, encoder: Encoder
) -> None:
    world.announcer.limit, encoder.error = 100, fit.CannotFit("no")
    task = await delivered(world)
    assert sent(world) == Parcel(None, link=Link(task.clip_url or "", None, own=False))
    assert world.files("clips") == []


async def fetched(world: World, url: str, *, seconds: float) -> Task:
    """A clip too large, on the disk already, whose link lives that much longer."""
    task = await finished(world)
    await world.tasks.new_link(task, url, world.clock() + round(seconds * 1000))
    (world.folder / "clips").mkdir(exist_ok=True)
    (world.folder / "clips" / f"{task.id}.mp4").write_bytes(HEAD + bytes(200))
    return task


async def dying(world: World, *, seconds: float) -> Task:
    return await fetched(world, "https://cdn.example/old", seconds=seconds)


async def test_without_any_link_the_clip_is_kept_and_offered(world: World, encoder: Encoder) -> None:
    world.announcer.limit, encoder.error = 100, fit.CannotFit("no")
    task = await fetched(world, "file:///clip.mp4", seconds=3600)
    await world.turn()
    kept = await world.read(task)
    assert (kept.state, kept.due_at, world.announcer.asked) == (TaskState.SUCCEEDED, None, [])
    assert "too large for Discord and its provider has no link" in (kept.problem or "")
    assert world.files("clips") == [f"{task.id}.mp4"]


@pytest.mark.parametrize(("seconds", "fresh"), [(-1, True), (1, True), (1799, True), (1900, False)])
async def test_a_link_is_renewed_before_it_dies(
    world: World, encoder: Encoder, seconds: int, *, fresh: bool
) -> None:
    world.announcer.limit, encoder.error = 100, fit.CannotFit("no")
    task = await dying(world, seconds=seconds)
    before = world.paces.of(task.provider).available()
    await world.turn()
    link = sent(world).link
    assert link is not None
    assert link.url == (world.keyed.job(task).url if fresh else "https://cdn.example/old")
    assert world.paces.of(task.provider).available() == before - fresh


@pytest.mark.parametrize(("seconds", "posted"), [(600, True), (-1, False)])
async def test_a_busy_provider_holds_up_only_a_clip_whose_link_is_dead(
    world: World, encoder: Encoder, seconds: int, *, posted: bool
) -> None:
    world.announcer.limit, encoder.error = 100, fit.CannotFit("no")
    task = await dying(world, seconds=seconds)
    world.keyed.status_answers.append(ProviderBusy("down (503)"))
    await world.turn()
    assert (await world.state(task) is TaskState.DELIVERED) is posted
    await world.turn(5)
    assert await world.state(task) is TaskState.DELIVERED


async def test_the_original_of_a_smaller_clip_is_not_asked_for_where_its_link_is_dead(world: World) -> None:
    world.announcer.limit = 100
    task = await dying(world, seconds=-1)
    await world.turn()
    assert (sent(world).link, len(world.keyed.reads)) == (None, 1)
    assert await world.state(task) is TaskState.DELIVERED


# ----------------------------------------------------------------------- own links


async def test_an_own_link_comes_before_the_providers_and_keeps_the_original(
    hosting: World, encoder: Encoder
) -> None:
    hosting.announcer.limit, encoder.error = 100, fit.CannotFit("no")
    task = await delivered(hosting)
    link = sent(hosting).link
    assert link is not None
    assert link.url.startswith(f"https://bot.example/clips/{task.id}/")
    assert (link.own, link.expires_at) == (True, hosting.clock() // 1000 * 1000 + LINKS_LAST)
    assert hosting.files("clips") == [f"{task.id}.mp4"]


async def test_a_smaller_clip_leads_to_the_original_here(hosting: World) -> None:
    hosting.announcer.limit = 100
    task = await delivered(hosting)
    assert sent(hosting).file is not None
    assert (sent(hosting).link or Link("", None, own=False)).own
    assert hosting.files("clips") == [f"{task.id}.mp4"]


async def test_a_clip_that_fits_is_not_kept_for_anybody(hosting: World) -> None:
    await delivered(hosting)
    assert (sent(hosting).link, hosting.files("clips")) == (None, [])


async def test_an_original_is_kept_until_its_link_is_over(hosting: World) -> None:
    hosting.announcer.limit = 100
    task = await delivered(hosting)
    hosting.clock.set_ahead(7 * DAY - 1)
    await hosting.restart()
    assert hosting.files("clips") == [f"{task.id}.mp4"]
    hosting.clock.set_ahead(1)
    await hosting.restart()
    assert hosting.files("clips") == []


async def test_originals_go_at_a_start_without_an_outside(hosting: World) -> None:
    hosting.announcer.limit = 100
    await delivered(hosting)
    hosting.links = None
    await hosting.restart()
    assert hosting.files("clips") == []


async def test_the_daily_round_removes_what_is_over_and_nothing_on_its_way(
    hosting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosting.announcer.limit = 100
    over = await delivered(hosting)
    hosting.clock.set_ahead(5 * DAY)
    lasting = await finished(hosting)
    await hosting.turn()
    waiting = await finished(hosting)
    names = [f".{waiting.id}.fit.mp4.0.part", f"{waiting.id}.mp4", f"{waiting.id}.part.mp4"]
    for name in names:
        (hosting.folder / "clips" / name).write_bytes(HEAD)
    hosting.clock.set_ahead(2 * DAY)
    monkeypatch.setattr(files, "_DAY_SECONDS", 0)
    rounds = asyncio.create_task(
        Files(hosting.folder, hosting.tasks, links_last=LINKS_LAST).sweep_daily(hosting.clock)
    )
    await until(lambda: f"{over.id}.mp4" not in hosting.files("clips"))
    # This one goes in a later round: the first one has ended by then.
    (hosting.folder / "clips" / "stranger.mp4").touch()
    await until(lambda: "stranger.mp4" not in hosting.files("clips"))
    rounds.cancel()
    assert hosting.files("clips") == sorted([*names, f"{lasting.id}.mp4"])


# -------------------------------------------------------------------------- crashes


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_between_encoding_and_recording_encodes_and_posts_once(
    world: World, encoder: Encoder, *, after: bool
) -> None:
    world.announcer.limit = 100
    task = await finished(world)
    world.announcer.faults.append(Silence(after=after))
    await world.engine.step()
    await world.announcer.silent.wait()
    assert world.files("clips") == [f"{task.id}.fit.mp4", f"{task.id}.mp4"]
    await world.restart()
    await world.turn()
    assert (await world.state(task), sent(world).change) == (TaskState.DELIVERED, Change.SMALLER)
    assert (encoder.limits, world.files("clips")) == ([100], [])


async def test_a_crash_while_encoding_begins_it_anew(world: World, encoder: Encoder) -> None:
    world.announcer.limit, encoder.hangs = 100, True
    task = await finished(world)
    await world.engine.step()
    await encoder.reached.wait()
    await world.restart()
    encoder.hangs = False
    await world.turn()
    assert (await world.state(task), encoder.limits) == (TaskState.DELIVERED, [100, 100])
    assert len(world.keyed.downloads) == 1


async def test_a_file_of_an_earlier_try_that_is_too_large_now_is_made_anew(
    world: World, encoder: Encoder
) -> None:
    world.announcer.limit = 100
    task = await finished(world)
    world.announcer.faults.append(DeliveryError("Discord answered 500"))
    await world.turn()
    world.announcer.limit = 60
    await world.turn(5)
    assert (await world.state(task), encoder.limits) == (TaskState.DELIVERED, [100, 60])


async def test_a_message_from_before_a_crash_keeps_the_original_that_it_may_lead_to(hosting: World) -> None:
    task = await finished(hosting)
    hosting.announcer.faults.extend([too_large(100), After(DeliveryError("lost after posting"))])
    await hosting.turn()
    await hosting.turn(5)
    assert (await hosting.state(task), len(hosting.announcer.clips[task.id])) == (TaskState.DELIVERED, 1)
    assert hosting.files("clips") == [f"{task.id}.mp4"]
