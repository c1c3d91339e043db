"""Commands: every refusal holds nothing and leaves nothing, and an interaction is placed once."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from PIL import Image

from bot.domain.catalog import Format, Mode
from bot.domain.errors import OverLimit, PictureRefused, Refusal, StorageError
from bot.domain.limits import Limit, Period, Scope
from bot.domain.ports import Posted
from bot.domain.task import Task, TaskState
from bot.providers.downloads import Downloads
from bot.services.requests import Attachment, Order, Requests
from bot.services.router import Router
from storage.tasks import Placed, TaskStore
from tests.fakes import START
from tests.services.world import CHANNEL, KEYED, PRICE, SERVER, World, catalog_with

LARGEST = 200_000
ORDER = Order(
    interaction_id=4711,
    server_id=SERVER,
    server_name="A server",
    channel_id=CHANNEL,
    member_id=1,
    mode=Mode.TEXT,
    prompt="a paper boat",
    format_id="hailuo-02/5/768p",
)
FORMAT_PRICE = 225_000


def picture(kind: str = "PNG", size: tuple[int, int] = (400, 320)) -> bytes:
    """A real picture with a place and a camera in its metadata."""
    exif = Image.Exif()
    exif[0x010F] = "SECRET CAMERA"
    exif.get_ifd(0x8825)[1] = "N"
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, kind, exif=exif)
    return file.getvalue()


def stripped(path: Path) -> bool:
    with Image.open(path) as image:
        pixels_alone = (image.format, image.size, dict(image.getexif())) == ("JPEG", (400, 320), {})
    return pixels_alone and b"SECRET" not in path.read_bytes()


class Cdn:
    """Attachments on a real loopback server; `inside` is one that no download may reach."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"a.png": picture(), "b.png": picture("JPEG")}
        self.asked: list[str] = []
        self.inside_asked = 0
        self.port = 0
        self.gate: asyncio.Event | None = None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.asked.append(name)
        if self.gate:
            await self.gate.wait()
        if name == "inside.png":
            raise web.HTTPFound(f"http://localhost:{self.port}/secret")
        if name not in self.files:
            raise web.HTTPNotFound
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        await answer.write(self.files[name])
        await answer.write_eof()
        return answer

    async def secret(self, _: web.Request) -> web.Response:
        self.inside_asked += 1
        return web.Response(body=picture())

    def attachment(self, name: str = "a.png", *, size: int = 1000) -> Attachment:
        return Attachment(name, f"http://127.0.0.1:{self.port}/{name}", size)


@pytest.fixture
async def cdn() -> AsyncIterator[Cdn]:
    cdn = Cdn()
    app = web.Application()
    app.router.add_get("/secret", cdn.secret)
    app.router.add_get("/{name}", cdn.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    cdn.port = runner.addresses[0][1]
    yield cdn
    await runner.cleanup()


@dataclass
class Desk:
    """Requests on a real database, with the pictures' server."""

    world: World
    cdn: Cdn
    requests: Requests
    downloads: Downloads

    async def place(self, order: Order = ORDER) -> list[Task]:
        return (await self.requests.place(order)).tasks

    async def refused(self, order: Order) -> str:
        with pytest.raises(Refusal) as caught:
            await self.requests.place(order)
        self.untouched()
        return str(caught.value)

    def untouched(self) -> None:
        """Nothing was held, and no file is left."""
        assert self.world.rows("SELECT COUNT(*) FROM tasks") == [(0,)]
        assert self.world.rows("SELECT COUNT(*) FROM ledger") == [(0,)]
        assert self.world.files("frames") == []

    def with_frames(self, *attachments: Attachment) -> Order:
        mode = [Mode.TEXT, Mode.IMAGE, Mode.TRANSITION][len(attachments)]
        return replace(ORDER, mode=mode, attachments=attachments)


def requests_of(
    world: World, downloads: Downloads, *providers: str, router: Router | None = None
) -> Requests:
    return Requests(
        world.tasks,
        world.catalog,
        downloads,
        providers=providers,
        router=router or world.router_of(*providers),
        access=world.access,
        default_format=Format.parse("hailuo-2.3/6/768p"),
        frames=world.folder / "frames",
        clock=world.clock,
        new_id=world.ids,
    )


@pytest.fixture
async def desk(world: World, cdn: Cdn) -> AsyncIterator[Desk]:
    image = world.catalog.providers[KEYED].image.model_copy(update={"max_bytes": LARGEST})
    world.catalog = catalog_with(KEYED, prompt_limit=1990, image=image)
    async with Downloads(trusted_hosts=frozenset({"127.0.0.1"})) as downloads:
        yield Desk(world, cdn, requests_of(world, downloads, KEYED), downloads)


# --------------------------------------------------------------------------- placing


async def test_price_of_every_clip_is_held(desk: Desk) -> None:
    tasks = await desk.place(replace(ORDER, count=3))
    assert [task.ordinal for task in tasks] == [0, 1, 2]
    for task in tasks:
        stored = await desk.world.read(task)
        assert stored == task
        assert (stored.state, stored.due_at) == (TaskState.HELD, START + 20_000)
        assert await desk.world.booked(task) == [("hold", FORMAT_PRICE, 0)]


async def test_order_is_kept_as_it_was_given(desk: Desk) -> None:
    order = replace(ORDER, camera="Pan left", enhance=False, upload_limit=99, prompt="  boat\r\n\tred ")
    (task,) = await desk.place(order)
    assert (task.camera, task.enhance, task.upload_limit) == ("Pan left", False, 99)
    assert (task.prompt, task.format.id) == ("boat\n\tred", "hailuo-02/5/768p")
    assert (task.member_id, task.server_id, task.channel_id) == (1, SERVER, CHANNEL)


async def test_format_left_out_is_the_operators_default(desk: Desk) -> None:
    (task,) = await desk.place(replace(ORDER, format_id=None))
    assert task.format.id == "hailuo-2.3/6/768p"


async def test_cheapest_provider_of_a_format_gets_it(desk: Desk) -> None:
    both = requests_of(desk.world, desk.downloads, "minimax", KEYED, "sandbox")
    (task,) = (await both.place(ORDER)).tasks
    assert (task.provider, task.list_micros, task.price_micros) == ("sandbox", 0, FORMAT_PRICE)


async def test_words_for_nobody_are_taken_out_of_the_prompt(desk: Desk) -> None:
    (task,) = await desk.place(replace(ORDER, prompt="\x00a\ud800 bo\x1bat\x7f\u0085"))
    assert task.prompt == "a boat"


# ---------------------------------------------------------------------------- prompts


@pytest.mark.parametrize(
    "prompt",
    ["", "   \n\t", "\u200b\u200d\u2060", "\u3164\u2800\uffa0", "\u202e\u00ad", "\ud800", "\x00", "\u0301"],
    ids=ascii,
)
async def test_prompt_that_shows_nothing_is_refused(prompt: str, desk: Desk) -> None:
    assert "empty or has only invisible characters" in await desk.refused(replace(ORDER, prompt=prompt))


async def test_prompt_too_long_is_told_by_how_much(desk: Desk) -> None:
    said = await desk.refused(replace(ORDER, prompt="x" * 2011))
    assert "2,011 characters; at most 2,000 are allowed. Shorten it by 11." in said


async def test_camera_counts_in_the_providers_prompt_limit(desk: Desk) -> None:
    said = await desk.refused(replace(ORDER, prompt="x" * 1980, camera="Pan left"))
    assert "1,991 characters with its camera command; at most 1,990 are allowed. Shorten it by 1." in said
    (task,) = await desk.place(replace(ORDER, prompt="x" * 1990))
    assert len(task.prompt) == 1990


# ---------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format_id": "hailuo-9/6/768p"}, "There is no format `hailuo-9/6/768p` for text clips here"),
        ({"format_id": "`@everyone"}, "There is no format `'@everyone` for text clips"),
        ({"format_id": "hailuo-02/5/512p"}, "There is no format `hailuo-02/5/512p` for text clips"),
        ({"format_id": ""}, "Choose one of: `hailuo-2.3/6/768p`"),
        ({"camera": "Warp"}, "There is no camera command `Warp`. Choose one of: Truck left"),
        ({"count": 0}, "`count` was 0; it can be 1 to 4"),
        ({"count": 5}, "`count` was 5; it can be 1 to 4"),
        ({"mode": Mode.IMAGE}, "`/video image` takes 1 picture; 0 came"),
        (
            {"attachments": (Attachment("a", "http://127.0.0.1:1/a", 1),)},
            "`/video text` takes 0 pictures; 1 came",
        ),
    ],
)
async def test_option_that_cannot_be_is_refused(changes: dict[str, object], said: str, desk: Desk) -> None:
    assert said in await desk.refused(replace(ORDER, **changes))  # type: ignore[arg-type]
    assert desk.cdn.asked == []


async def test_mode_that_nobody_makes_is_refused(desk: Desk) -> None:
    desk.requests = requests_of(desk.world, desk.downloads)
    assert "No provider that is switched on makes text clips" in await desk.refused(
        replace(ORDER, format_id=None)
    )


# ------------------------------------------------------------------------------ limits


async def test_limit_refuses_all_clips_and_removes_the_pictures(desk: Desk) -> None:
    await desk.world.limited(Limit(Scope.MEMBER, Period.DAY, 2 * FORMAT_PRICE))
    order = replace(desk.with_frames(desk.cdn.attachment()), count=3)
    with pytest.raises(
        OverLimit, match=r"costs \$0\.675, and your limit for one day over all servers is \$0\.45"
    ):
        await desk.requests.place(order)
    desk.untouched()


async def test_failing_database_removes_the_pictures(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise StorageError("disk full")

    monkeypatch.setattr(TaskStore, "place", broken)
    with pytest.raises(StorageError):
        await desk.requests.place(desk.with_frames(desk.cdn.attachment()))
    desk.untouched()


async def test_pictures_stay_when_the_caller_is_cut_off_while_the_hold_is_placed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TaskStore.place

    async def cut_off(store: TaskStore, tasks: list[Task], **more: Any) -> Placed:
        await real(store, tasks, **more)
        raise asyncio.CancelledError

    monkeypatch.setattr(TaskStore, "place", cut_off)
    with pytest.raises(asyncio.CancelledError):
        await desk.requests.place(desk.with_frames(desk.cdn.attachment()))
    assert desk.world.rows("SELECT state FROM tasks") == [("held",)]
    assert desk.world.files("frames") == ["4711-first.jpg"]


# ---------------------------------------------------------------------------- pictures


async def test_pictures_are_stripped_to_their_pixels(desk: Desk) -> None:
    order = desk.with_frames(desk.cdn.attachment("a.png"), desk.cdn.attachment("b.png"))
    (task,) = await desk.place(order)
    assert desk.world.files("frames") == ["4711-first.jpg", "4711-last.jpg"]
    for frame in (task.first_frame, task.last_frame):
        assert frame is not None
        assert stripped(Path(frame.path))


async def test_clips_of_one_command_share_its_pictures(desk: Desk) -> None:
    order = replace(desk.with_frames(desk.cdn.attachment()), count=4)
    tasks = await desk.place(order)
    assert {task.first_frame for task in tasks} == {tasks[0].first_frame}
    assert desk.cdn.asked == ["a.png"]


async def test_picture_too_large_by_its_word_is_not_downloaded(desk: Desk) -> None:
    said = await desk.refused(desk.with_frames(desk.cdn.attachment(size=LARGEST + 100_000)))
    assert "`a.png` has 0.3 MB; at most" in said
    assert desk.cdn.asked == []


async def test_picture_larger_than_its_word_is_told_what_is_allowed(desk: Desk) -> None:
    desk.cdn.files["a.png"] += bytes(LARGEST)
    said = await desk.refused(desk.with_frames(desk.cdn.attachment(size=1000)))
    assert "more than 0.2 MB" in said
    assert "at most 0.2 MB" in said


async def test_page_instead_of_a_picture_is_told_as_such(desk: Desk) -> None:
    desk.cdn.files["a.png"] = b"<!doctype html><p>hello"
    said = await desk.refused(desk.with_frames(desk.cdn.attachment()))
    assert "`a.png` is an HTML page; only PNG, JPEG and WEBP pictures are allowed" in said


async def test_picture_too_small_is_told_what_was_found(desk: Desk) -> None:
    desk.cdn.files["a.png"] = picture(size=(200, 200))
    assert "200" in await desk.refused(desk.with_frames(desk.cdn.attachment()))


async def test_picture_that_is_gone_is_told_as_such(desk: Desk) -> None:
    said = await desk.refused(desk.with_frames(desk.cdn.attachment("gone.png")))
    assert "`gone.png` could not be read from Discord" in said
    assert "404" in said


async def test_redirect_into_the_private_network_is_not_followed(desk: Desk) -> None:
    said = await desk.refused(desk.with_frames(desk.cdn.attachment("inside.png")))
    assert "refused" in said
    assert desk.cdn.inside_asked == 0


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/a.png", "https://10.0.0.1/a.png", "file:///etc/passwd", "x"]
)
async def test_address_that_is_no_public_one_is_not_asked(url: str, desk: Desk) -> None:
    with pytest.raises(PictureRefused):
        await desk.requests.place(desk.with_frames(Attachment("a.png", url, 1000)))
    desk.untouched()


async def test_refused_last_picture_removes_the_first(desk: Desk) -> None:
    desk.cdn.files["b.png"] = b"GIF89a"
    said = await desk.refused(desk.with_frames(desk.cdn.attachment(), desk.cdn.attachment("b.png")))
    assert "`b.png` is a GIF" in said


async def test_command_cut_off_while_its_picture_comes_leaves_nothing(desk: Desk) -> None:
    desk.cdn.gate = asyncio.Event()
    placing = asyncio.create_task(desk.requests.place(desk.with_frames(desk.cdn.attachment())))
    async with asyncio.timeout(5):
        while not desk.cdn.asked:
            await asyncio.wait([placing], timeout=0.001)
    placing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await placing
    desk.cdn.gate.set()
    desk.untouched()


# ------------------------------------------------------------------- delivered twice


async def test_interaction_delivered_twice_at_once_is_placed_once(desk: Desk) -> None:
    order = desk.with_frames(desk.cdn.attachment())
    first, second = await asyncio.gather(desk.requests.place(order), desk.requests.place(order))
    assert (first.again, second) == (False, Placed([], again=True))
    assert desk.world.rows("SELECT COUNT(*) FROM tasks") == [(1,)]
    assert desk.world.files("frames") == ["4711-first.jpg"]


async def test_interaction_delivered_later_finds_its_tasks(desk: Desk) -> None:
    tasks = await desk.place(desk.with_frames(desk.cdn.attachment()))
    desk.world.clock.advance(60)
    again = await desk.requests.place(desk.with_frames(desk.cdn.attachment()))
    assert again == Placed(tasks, again=True)
    assert desk.cdn.asked == ["a.png"]


async def test_interaction_delivered_after_a_restart_finds_its_tasks_whatever_is_allowed_now(
    desk: Desk,
) -> None:
    tasks = await desk.place()
    await desk.world.restart()
    await desk.world.limited(Limit(Scope.MEMBER, Period.DAY, 0))
    later = requests_of(desk.world, desk.downloads)
    assert await later.place(replace(ORDER, prompt="")) == Placed(tasks, again=True)


async def test_interaction_may_be_sent_again_after_a_refusal(desk: Desk) -> None:
    await desk.refused(replace(ORDER, count=9))
    assert len(await desk.place()) == 1


# -------------------------------------------------------------------------- cancelling


async def test_owner_cancels_a_held_task_for_free(desk: Desk) -> None:
    (task,) = await desk.place(desk.with_frames(desk.cdn.attachment()))
    cancelled = await desk.requests.cancel(task.id, member_id=1, server_id=SERVER)
    assert (cancelled.state, cancelled.problem) == (TaskState.CANCELLED, "cancelled by the member")
    assert (await desk.world.booked(task))[1:] == [("release", -FORMAT_PRICE, 0)]
    assert desk.world.files("frames") == []


async def test_pictures_stay_for_the_clips_that_were_not_cancelled(desk: Desk) -> None:
    first, second = await desk.place(replace(desk.with_frames(desk.cdn.attachment()), count=2))
    await desk.requests.cancel(first.id, member_id=1, server_id=SERVER)
    assert desk.world.files("frames") == ["4711-first.jpg"]
    await desk.requests.cancel(second.id, member_id=1, server_id=SERVER)
    assert desk.world.files("frames") == []


@pytest.mark.parametrize(("member", "server"), [(2, SERVER), (1, SERVER + 1)], ids=["member", "server"])
async def test_nobody_else_cancels_a_task(member: int, server: int, desk: Desk) -> None:
    (task,) = await desk.place()
    with pytest.raises(Refusal, match="no such task of yours"):
        await desk.requests.cancel(task.id, member_id=member, server_id=server)
    assert await desk.world.state(task) is TaskState.HELD


async def test_unknown_task_is_told_like_a_strangers(desk: Desk) -> None:
    with pytest.raises(Refusal, match="no such task of yours"):
        await desk.requests.cancel("nothing", member_id=1, server_id=SERVER)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("submitting", "already with its provider, which cannot stop it"),
        ("queued", "already with its provider, which cannot stop it"),
        ("processing", "already with its provider, which cannot stop it"),
        ("parked", "already with its provider, which cannot stop it"),
        ("succeeded", "already finished and paid"),
        ("delivered", "already finished and paid"),
        ("failed", "has already ended"),
        ("cancelled", "has already ended"),
    ],
)
async def test_task_in_another_state_is_not_cancelled(state: str, said: str, world: World) -> None:
    async with Downloads() as downloads:
        task = await world.hold_one()
        await brought_to(world, task, state)
        before = (await world.read(task), await world.booked(task))
        with pytest.raises(Refusal, match=said):
            await requests_of(world, downloads, KEYED).cancel(task.id, member_id=1, server_id=SERVER)
        assert (await world.read(task), await world.booked(task)) == before


async def brought_to(world: World, task: Task, state: str) -> None:
    if state == "submitting":
        world.keyed.submit_answers.append(asyncio.CancelledError())
    await world.turn()
    if state in {"processing", "succeeded", "delivered", "failed", "cancelled"}:
        world.keyed.job(task).state = TaskState("succeeded" if state == "delivered" else state)
        await world.quiet_turn(5)
    if state == "delivered":
        await world.turn()
    if state == "parked":
        await world.turn(3601)
    assert await world.state(task) == state


async def test_cancel_that_comes_with_the_submit_costs_nothing_or_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Downloads() as downloads:
        requests = requests_of(world, downloads, KEYED)
        task = await world.hold_one()
        real = TaskStore.end

        async def late(store: TaskStore, *arguments: str, **named: str) -> None:
            await world.turn()
            await real(store, *arguments, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(TaskStore, "end", late)
        with pytest.raises(Refusal, match="already with its provider, which cannot stop it"):
            await requests.cancel(task.id, member_id=1, server_id=SERVER)
        assert (await world.state(task), await world.booked(task)) == (
            TaskState.QUEUED,
            [("hold", PRICE, 0)],
        )


async def test_task_cancelled_while_it_starts_is_never_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Downloads() as downloads:
        requests = requests_of(world, downloads, KEYED)
        (task,) = await world.hold_unannounced()
        real = world.announcer.announce

        async def announce(tasks: list[Task]) -> Posted:
            await requests.cancel(task.id, member_id=1, server_id=SERVER)
            return await real(tasks)

        monkeypatch.setattr(world.announcer, "announce", announce)
        await world.turns(3, 20)
        assert (await world.state(task), world.keyed.submits) == (TaskState.CANCELLED, [])
