"""The composition root: the one place that builds the parts and hands them to each other."""

import asyncio
import contextlib
import gc
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import discord
import httpx
from discord import app_commands
from filelock import FileLock
from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception_type, wait_exponential

from bot import catalog as catalogs
from bot import control, discord_setup, watchdog, web
from bot.client import PERMISSIONS, Conch, invite_link
from bot.domain import language
from bot.domain.catalog import Catalog
from bot.domain.errors import SetupError
from bot.domain.ports import Clock, NewId, Provider
from bot.domain.privacy import Keeping
from bot.domain.servers import zone_names
from bot.domain.task import Task
from bot.health import Health
from bot.metrics import Metrics
from bot.posting.board import Board
from bot.posting.moderation import Moderation
from bot.posting.reports import ReportWriter
from bot.providers import wire
from bot.providers.downloads import Downloads
from bot.providers.measured import Measured
from bot.providers.registry import PROVIDERS, Parts
from bot.services import notices as notice_parts
from bot.services.access import Access
from bot.services.approvals import Approvals
from bot.services.checkup import Checkup
from bot.services.clip_reports import ClipReports
from bot.services.delivering import Delivering
from bot.services.drafts import Drafts
from bot.services.engine import Engine, Stages
from bot.services.files import Files
from bot.services.forecast import REMEMBERED, Forecast, Kind
from bot.services.hooks import Hooks
from bot.services.limits import LimitRules
from bot.services.links import ClipLinks
from bot.services.moderators import Moderators
from bot.services.notices import Notices
from bot.services.oversight import Oversight
from bot.services.pace import Paces
from bot.services.packing import Packing
from bot.services.parked import Parked
from bot.services.privacy import Privacy
from bot.services.pulse import Pulse
from bot.services.reading import Reading
from bot.services.remakes import Remakes
from bot.services.removals import Removals
from bot.services.reports import Reports
from bot.services.requests import Requests
from bot.services.resealing import Resealing
from bot.services.retention import Retention
from bot.services.router import Router
from bot.services.signals import Signals
from bot.services.stories import Stories
from bot.services.submitting import Submitting
from bot.services.switches import Switches
from bot.services.timetable import Rules, Timetable
from bot.services.usage import Usages
from bot.settings import Settings
from bot.vault import Vault
from cogs import admin, animate, buttons, clips, modals, money, privacy, tasks, video
from cogs.removing import Removing
from cogs.reporting import Reporting
from cogs.stitching import Stitching
from storage import lock
from storage.access import AccessStore
from storage.alarms import AlarmStore
from storage.approvals import ApprovalStore
from storage.audit import AuditStore
from storage.clip_reports import ClipReportStore
from storage.database import Database, open_database
from storage.drafts import DraftStore
from storage.erasures import ErasureStore
from storage.figures import FigureStore
from storage.ledger import LedgerStore
from storage.limits import LimitStore
from storage.marks import MarkStore
from storage.privacy import PrivacyStore
from storage.refunds import RefundStore
from storage.removals import RemovalStore
from storage.reports import ReportStore
from storage.sealed import SealedStore
from storage.searches import SearchStore
from storage.servers import ServerStore
from storage.spending import SpendingStore
from storage.stories import StoryStore
from storage.tasks import TaskStore

log = logging.getLogger(__name__)

_ID_LETTERS = "abcdefghjkmnpqrstvwxyz23456789"
_ID_LENGTH = 16
_HOOKS_SIGNED_WITH = "hook secret"
_SIGN_OF_LIFE = "sign of life"
#: Seconds.
_LONGEST_LOGIN_PAUSE = 60
#: A login takes a tenth of a second.
_LOGIN_GRACE = 5.0
#: Milliseconds.
_DAY = 86_400_000


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """Sixteen letters and digits, 78 random bits: fits Discord's nonce, and nobody guesses or meets it twice."""
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))


@dataclass(frozen=True, slots=True)
class App:
    """Everything that runs, for `run` and for tests."""

    client: Conch
    engine: Engine
    board: Board
    notices: Notices
    drafts: Drafts
    retention: Retention
    database: Database
    tasks: TaskStore
    ledger: LedgerStore
    files: Files
    health: Health
    pulse: Pulse


class _Stores:
    """All that is kept, in one database. What may read for seconds has a connection of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tasks = TaskStore(database)
        self.ledger = LedgerStore(database)
        self.limits = LimitStore(database)
        self.servers = ServerStore(database)
        self.marks = MarkStore(database)
        self.access = AccessStore(database)
        self.approvals = ApprovalStore(database)
        self.alarms = AlarmStore(database)
        self.refunds = RefundStore(database)
        self.audit = AuditStore(database)
        self.stories = StoryStore(database)
        self.removals = RemovalStore(database)
        self.clip_reports = ClipReportStore(database)
        self.reports = ReportStore(database.slow)
        self.spending = SpendingStore(database.slow)
        self.searches = SearchStore(database.slow)
        self.figures = FigureStore(database.slow)


@dataclass(frozen=True, slots=True)
class _Core:
    """What the engine, the moderators' desk and the commands are made of."""

    settings: Settings
    catalog: Catalog
    clock: Clock
    monotonic: Callable[[], float]
    stores: _Stores
    signals: Signals
    providers: Mapping[str, Provider]
    downloads: Downloads
    router: Router
    access: Access
    requests: Requests
    client: Conch
    timetable: Timetable
    paces: Paces
    board: Board
    files: Files
    packing: Packing
    drafts: Drafts
    metrics: Metrics
    pulse: Pulse
    vault: Vault

    @property
    def enabled(self) -> list[str]:
        return list(self.settings.providers)

    @property
    def cache(self) -> Path:
        return self.settings.data_dir / "cache"


_Commands = Sequence[app_commands.Command[Any, ..., None] | app_commands.Group]
_Buttons = Sequence[type[discord.ui.DynamicItem[Any]]]


@asynccontextmanager
async def build(
    settings: Settings,
    *,
    clock: Clock = now,
    monotonic: Callable[[], float] = time.monotonic,
    make_id: NewId = new_id,
) -> AsyncIterator[App]:
    """Open and connect everything; nothing runs yet. `SetupError` says what the operator must change."""
    catalog = catalogs.load(settings.catalog_file)
    # Read from disk once, before anybody waits for it.
    await asyncio.to_thread(zone_names)
    await asyncio.to_thread(language.load)
    discord_setup.prepare(settings)
    vault = settings.vault
    async with AsyncExitStack() as stack:
        database = await _open_database(stack, settings, vault)
        outbound = await open_outbound(stack, settings)
        providers = open_providers(stack, settings, catalog, clock, outbound)
        stores, signals = _Stores(database), Signals()
        await stores.limits.set_operators(settings.limits)
        router = Router(
            catalog,
            settings.providers,
            monotonic=monotonic,
            tell=lambda text: log.error("operator: %s", text),
        )
        access = Access(stores.access, stores.servers, clock)
        requests = Requests(
            stores.tasks,
            catalog,
            outbound.downloads,
            providers=settings.providers,
            router=router,
            access=access,
            default_format=settings.default_format,
            frames=settings.data_dir / "frames",
            clock=clock,
            new_id=make_id,
            vault=vault,
        )
        client = await stack.enter_async_context(
            Conch(stores.marks, monotonic, user_installs=settings.user_installs)
        )

        metrics = Metrics(stores.figures, lambda: client.connected, monotonic)
        measured = {name: Measured(one, metrics.called) for name, one in providers.items()}

        def under_clip(task: Task) -> Sequence[discord.ui.Item[Any]]:
            return clip_buttons.of(task)

        cancel_button = buttons.cancel_button(requests, signals.changed)
        timetable = Timetable(_rules(settings), clock, await _forecast(stores.tasks))
        paces = Paces(catalog, monotonic)
        board = Board(
            client,
            stores.tasks,
            catalog,
            cancel_button=cancel_button,
            clip_buttons=under_clip,
            timetable=timetable,
            monotonic=monotonic,
            vault=vault,
        )
        hooks, links = await _public(settings, stores.marks, clock)
        links_last = settings.clip_link_days * _DAY if links else 0
        files = Files(settings.data_dir, stores.tasks, links_last=links_last, keep=settings.keep, vault=vault)
        core = _Core(
            settings=settings,
            catalog=catalog,
            clock=clock,
            monotonic=monotonic,
            stores=stores,
            signals=signals,
            providers=measured,
            downloads=outbound.downloads,
            router=router,
            access=access,
            requests=requests,
            client=client,
            timetable=timetable,
            paces=paces,
            board=board,
            files=files,
            packing=Packing(stores.tasks, measured, files, links, timetable, paces),
            drafts=Drafts(DraftStore(database), requests.drafts, clock, vault),
            metrics=metrics,
            pulse=Pulse(monotonic),
            vault=vault,
        )
        engine = _engine(core, hooks)
        reports = Reports(stores.reports, stores.spending, stores.limits, stores.servers, clock)
        writer = ReportWriter(reports, catalog, cache=core.cache)
        notices, decide_buttons = _notices(core, writer)
        signals.listen(changed=board.changed, wake=engine.wake)
        signals.listen(changed=notices.changed, wake=notices.wake)
        own = _own_tasks(core)
        keeping = _keeping(settings)
        retention = Retention(ErasureStore(database), files, providers, keeping, clock, signals.changed)
        own_data = _own_data(core, retention, keeping)
        admins, admin_buttons = _admin(core, own, reports, writer, notices.look_again)
        placing = video.Video(
            requests,
            stores.tasks,
            board,
            signals.wake,
            clock,
            core.drafts,
            catalog,
            direct=settings.user_installs,
        )
        animating = _animating(core, placing)
        clip_buttons = _clip_buttons(core, placing)
        client.install(
            [admins, *_members(core, own, placing), privacy.group(own_data), animate.command(animating)],
            [
                cancel_button,
                placing.shapes.button,
                *clip_buttons.all,
                *decide_buttons,
                *admin_buttons,
                own.button,
                own_data.button,
            ],
        )
        client.add_listener(animating.submitted, "on_interaction")
        client.add_listener(modals.over, "on_interaction")
        health = Health(
            lambda: client.connected,
            lambda: stores.marks.set(_SIGN_OF_LIFE, str(clock())),
            core.pulse,
            monotonic,
        )
        if settings.http_port is not None:
            await stack.enter_async_context(
                web.listening(
                    settings.http_port,
                    settings.data_dir,
                    hooks,
                    engine.hint,
                    links,
                    health=health,
                    guarded=_guarded(settings, metrics),
                )
            )
        parked = Parked(stores.tasks, files, clock, signals.changed)
        await stack.enter_async_context(control.listening(settings.data_dir, parked, engine.wake))
        yield App(
            client=client,
            engine=engine,
            board=board,
            notices=notices,
            drafts=core.drafts,
            retention=retention,
            database=database,
            tasks=stores.tasks,
            ledger=stores.ledger,
            files=files,
            health=health,
            pulse=core.pulse,
        )


async def _open_database(stack: AsyncExitStack, settings: Settings, vault: Vault) -> Database:
    database = await stack.enter_async_context(open_database(settings.database, vault))
    stack.callback(_alone(settings.data_dir).release)
    await Resealing(SealedStore(database), settings.data_dir, vault).run()
    return database


def _guarded(settings: Settings, metrics: Metrics) -> web.Guarded | None:
    token = settings.metrics_token
    return web.Guarded(metrics, token.get_secret_value()) if token else None


async def _public(
    settings: Settings, marks: MarkStore, clock: Clock
) -> tuple[Hooks | None, ClipLinks | None]:
    """What stands at `PUBLIC_URL`, where there is one: addresses to call back, and links to clips."""
    if settings.public_url is None:
        return None, None
    secret = await _secret(marks)
    return Hooks(settings.public_url, secret), ClipLinks(
        settings.public_url, secret, days=settings.clip_link_days, clock=clock
    )


def _engine(core: _Core, hooks: Hooks | None) -> Engine:
    tasks, providers, board, timetable = core.stores.tasks, core.providers, core.board, core.timetable
    reading = Reading(tasks, providers, board, core.files, timetable)
    stages = Stages(
        Submitting(tasks, providers, board, reading, core.router, timetable, hooks, core.vault),
        reading,
        Delivering(
            tasks, providers, board, core.files, core.packing, timetable, core.paces, core.metrics.posted
        ),
        core.files,
    )
    return Engine(
        tasks,
        providers,
        board,
        core.catalog,
        stages=stages,
        paces=core.paces,
        timetable=timetable,
        pulse=core.pulse,
    )


def _notices(core: _Core, writer: ReportWriter) -> tuple[Notices, _Buttons]:
    """What tells moderators, and the buttons of what it asks them."""
    stores, signals = core.stores, core.signals
    approvals = Approvals(
        stores.approvals, core.files, core.clock, changed=signals.changed, wake=signals.wake
    )
    decide = admin.approvals.buttons(approvals)
    notices = Notices(
        notice_parts.Stores(stores.tasks, stores.ledger, stores.servers, stores.approvals, stores.alarms),
        approvals,
        Moderation(
            core.client,
            core.catalog,
            buttons=lambda question: [one(question) for one in decide],
            vault=core.vault,
        ),
        core.board,
        writer.write,
        core.clock,
        monotonic=core.monotonic,
    )
    return notices, decide


def _own_tasks(core: _Core) -> tasks.Tasks:
    return tasks.Tasks(
        core.stores.tasks,
        core.stores.ledger,
        core.stores.stories,
        core.requests,
        core.catalog,
        core.providers,
        searches=core.stores.searches,
        files=core.files,
        packing=core.packing,
        changed=core.signals.changed,
        clock=core.clock,
    )


def _own_data(core: _Core, retention: Retention, keeping: Keeping) -> privacy.OwnData:
    store = PrivacyStore(core.stores.database)
    return privacy.OwnData(
        Privacy(store, retention, keeping, folder=core.settings.data_dir, clock=core.clock, vault=core.vault)
    )


def _keeping(settings: Settings) -> Keeping:
    return Keeping(
        settings.keep_prompts_days,
        settings.keep_days,
        settings.keep_clips_days,
        settings.operator_contact,
    )


def _clip_buttons(core: _Core, placing: video.Video) -> clips.ClipButtons:
    stores, kept = core.stores, core.files.kept
    remakes = Remakes(core.catalog, core.downloads, kept, providers=core.enabled)
    clicked = clips.Clicked(stores.tasks, direct=core.settings.user_installs)
    ordering = clips.Ordering(clicked, remakes, placing, core.catalog, core.enabled)
    removals = Removals(stores.removals, stores.tasks, core.files, core.clock, core.signals.changed)
    reports = ClipReports(stores.clip_reports, stores.servers, core.clock)
    removing = Removing(stores.tasks, removals)
    reporting = Reporting(stores.tasks, reports, removals)
    stories = Stories(stores.stories, core.downloads, kept)
    return clips.ClipButtons(
        ordering=ordering.buttons,
        delete=removing.button,
        report=reporting.button,
        stitch=Stitching(clicked, stories).button,
        elsewhere=reporting.answers,
        direct=core.settings.user_installs,
    )


def _members(core: _Core, own: tasks.Tasks, placing: video.Video) -> _Commands:
    """What everybody may use."""
    usages = Usages(core.stores.spending, core.stores.limits, core.stores.servers, core.clock)
    return [
        video.group(placing, core.catalog, core.enabled),
        tasks.group(own),
        money.usage_command(usages, core.catalog, core.cache),
        money.formats_command(core.catalog, core.enabled, core.settings.default_format),
    ]


def _animating(core: _Core, placing: video.Video) -> animate.Animate:
    return animate.Animate(
        placing,
        core.drafts,
        core.catalog,
        core.enabled,
        core.settings.default_format,
        trusted=core.settings.trusted_hosts,
    )


def _admin(
    core: _Core, own: tasks.Tasks, reports: Reports, writer: ReportWriter, look_again: Callable[[int], None]
) -> tuple[app_commands.Group, _Buttons]:
    """`/admin`, of the commands of all its files, and what is clicked in its answers."""
    stores, signals, clock = core.stores, core.signals, core.clock
    cheapest = core.catalog.cheapest(core.enabled)
    limit_rules = LimitRules(stores.limits, stores.ledger, stores.servers, clock, cheapest=cheapest)
    limit_menu = admin.limit_list.clear_menu(limit_rules)
    set_limit = admin.limits.set_button(limit_rules)
    rule_menu = admin.access.rule_menu(core.access)
    oversight = Oversight(
        stores.tasks, stores.searches, stores.refunds, core.files, clock=clock, changed=signals.changed
    )
    all_tasks = admin.tasks.ServerTasks(oversight, own, core.catalog, clock)
    switches = Switches(stores.servers, stores.tasks, clock, signals.wake, core.board.changed)
    moderators = Moderators(stores.servers, clock, look_again)
    checkup = Checkup(
        stores.servers,
        stores.limits,
        stores.marks,
        core.router,
        core.catalog,
        providers=core.enabled,
        clock=clock,
    )
    installed = admin.doctor.Installed(PERMISSIONS, invite_link, core.client.in_sync)
    group = app_commands.Group(
        name=admin.rights.NAME,
        description="Limits, access, spending and switches of this server",
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False),
        allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
        default_permissions=admin.rights.NEEDED,
    )
    parts: Sequence[_Commands] = [
        [admin.limits.group(limit_rules, set_limit, limit_menu)],
        admin.report.commands(reports, writer),
        admin.tasks.commands(all_tasks),
        admin.access.commands(core.access, rule_menu),
        admin.pause.commands(switches),
        admin.approvals.commands(moderators),
        admin.notices.commands(moderators),
        admin.audit.commands(stores.audit),
        admin.doctor.commands(checkup, moderators, installed),
    ]
    for command in (command for part in parts for command in part):
        group.add_command(command)
    return group, [set_limit, admin.limits.LeaveButton, limit_menu, rule_menu, all_tasks.button]


def _alone(folder: Path) -> FileLock:
    """The clips and pictures in it belong to one database: another bot would sweep them away."""
    try:
        return lock.hold(folder / "conch.lock", serves=folder, setting="DATA_DIR")
    except OSError as error:
        raise SetupError(
            f"DATA_DIR: {folder} cannot be written to ({error.strerror}). Make it writable for this user."
        ) from error


async def run(settings: Settings) -> None:
    """Run until cancelled. What ends any part by itself ends all, loudly."""
    if settings.discord_token is None:
        raise SetupError(
            "DISCORD_TOKEN is not set. Make a bot in Discord's developer portal and put its token there."
        )
    async with build(settings) as app, watchdog.watching(app.pulse), asyncio.TaskGroup() as group:
        _keep_for_good()
        logged_in = asyncio.Event()
        group.create_task(_work(app.engine, logged_in))
        group.create_task(app.board.run())
        group.create_task(app.notices.run())
        group.create_task(app.drafts.run())
        group.create_task(app.files.sweep_daily(now))
        group.create_task(app.retention.run())
        group.create_task(app.health.beat(settings.data_dir))
        group.create_task(_connect(app.client, settings.discord_token.get_secret_value(), logged_in))


def _keep_for_good() -> None:
    """What is built by now stays until the end: each search of it for garbage would stop the event loop for 70 ms."""
    gc.collect()
    gc.freeze()


async def _work(engine: Engine, logged_in: asyncio.Event) -> None:
    """The engine needs no Discord: jobs are read and clips fetched while it cannot be reached.

    It waits a moment all the same, so that what a crash left without a progress message gets one.
    """
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(logged_in.wait(), _LOGIN_GRACE)
    await engine.run()


async def _connect(client: Conch, token: str, logged_in: asyncio.Event) -> None:
    """Log in, again and again while Discord cannot be reached; `SetupError` where it never will take us."""
    retrying = AsyncRetrying(
        retry=retry_if_exception_type((aiohttp.ClientError, OSError, discord.HTTPException)),
        wait=wait_exponential(max=_LONGEST_LOGIN_PAUSE),
        before_sleep=before_sleep_log(log, logging.WARNING),
    )
    try:
        await retrying(_log_in, client, token)
        logged_in.set()
        await client.connect()
    except discord.LoginFailure as error:
        raise SetupError(
            "DISCORD_TOKEN is not accepted by Discord. Reset it in the developer portal and set the new one."
        ) from error
    except (discord.ConnectionClosed, discord.PrivilegedIntentsRequired) as error:
        raise SetupError(
            f"Discord ended the connection for good ({error}). Is the token still the bot's own?"
        ) from error
    raise SetupError("The connection to Discord was closed for good; the log above says why.")


async def _log_in(client: Conch, token: str) -> None:
    try:
        await client.login(token)
    except BaseException:
        # Another try opens another session; discord.py closes neither the old one nor its connector.
        await client.http.close()
        client.http.connector = discord.utils.MISSING
        raise


def _rules(settings: Settings) -> Rules:
    return Rules(
        poll_seconds=settings.poll_seconds,
        deadline_minutes=settings.task_deadline_minutes,
        user_concurrency=settings.user_concurrency,
    )


async def _forecast(task_store: TaskStore) -> Forecast:
    forecast = Forecast()
    for task, took in await task_store.durations(each=REMEMBERED):
        forecast.learn(Kind.of(task), [took])
    return forecast


async def _secret(marks: MarkStore) -> bytes:
    """Signs the addresses of webhooks and clips; kept, so that those given before a restart still work."""
    kept = await marks.get(_HOOKS_SIGNED_WITH)
    if kept is None:
        kept = secrets.token_hex(32)
        await marks.set(_HOOKS_SIGNED_WITH, kept)
    return bytes.fromhex(kept)


@dataclass(frozen=True, slots=True)
class Outbound:
    """The two ways to other servers: with a provider's key, and to addresses that strangers chose."""

    client: httpx.AsyncClient
    downloads: Downloads


async def open_outbound(stack: AsyncExitStack, settings: Settings) -> Outbound:
    """Both with the same certificates: loading them takes 15 ms."""
    tls = httpx.create_ssl_context(trust_env=False)
    return Outbound(
        await stack.enter_async_context(wire.open_client(tls)),
        await stack.enter_async_context(Downloads(trusted_hosts=settings.trusted_hosts, tls=tls)),
    )


def open_providers(
    stack: AsyncExitStack, settings: Settings, catalog: Catalog, clock: Clock, outbound: Outbound
) -> Mapping[str, Provider]:
    """Every provider with a key, not only those enabled: unfinished tasks stay with theirs."""
    names = {*settings.keys, *settings.providers}
    for name in settings.providers:
        if name not in catalog.providers:
            raise SetupError(
                f"CATALOG_FILE: there is no [providers.{name}] in it, but {name} is switched on."
            )
    if not settings.providers:
        raise SetupError(
            "No provider is switched on. Set MINDVIDEO_API_KEY, or PROVIDERS=sandbox to try it for free."
        )
    parts = Parts(
        client=outbound.client,
        downloads=outbound.downloads,
        keys={name: key.get_secret_value() for name, key in settings.keys.items()},
        urls=settings.api_urls,
        folder=settings.data_dir,
        clock=clock,
        sandbox_seconds=settings.sandbox_seconds,
        vault=settings.vault,
        gmi_organization=settings.gmi_organization,
        novita_image_field=settings.novita_image_field,
        novita_webhooks=settings.novita_webhooks,
        runware_safety=settings.runware_safety,
    )
    try:
        providers = {
            name: make(parts) for name, make in PROVIDERS.items() if name in names or name == "sandbox"
        }
    except OSError as error:
        raise SetupError(
            f"DATA_DIR: {settings.data_dir} cannot be written to ({error.strerror}). "
            "Make the folder writable for this user."
        ) from error
    for provider in providers.values():
        if close := getattr(provider, "close", None):
            stack.push_async_callback(close)
    return providers
