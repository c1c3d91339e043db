"""The composition root: the one place that builds the parts and hands them to each other."""

import asyncio
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
from bot import control, discord_setup, health, web
from bot.client import PERMISSIONS, Conch, invite_link
from bot.domain.catalog import Catalog
from bot.domain.errors import SetupError
from bot.domain.ports import Clock, NewId, Provider
from bot.domain.task import Task
from bot.posting.board import Board
from bot.posting.moderation import Moderation
from bot.posting.reports import ReportWriter
from bot.providers import wire
from bot.providers.downloads import Downloads
from bot.providers.registry import PROVIDERS, Parts
from bot.services.access import Access
from bot.services.approvals import Approvals
from bot.services.checkup import Checkup
from bot.services.delivering import Delivering
from bot.services.engine import Engine, Stages
from bot.services.files import Files
from bot.services.forecast import REMEMBERED, Forecast, Kind
from bot.services.hooks import Hooks
from bot.services.limits import LimitRules
from bot.services.moderators import Moderators
from bot.services.notices import Notices, Stores
from bot.services.oversight import Oversight
from bot.services.pace import Paces
from bot.services.parked import Parked
from bot.services.reading import Reading
from bot.services.reports import Reports
from bot.services.requests import Requests
from bot.services.router import Router
from bot.services.submitting import Submitting
from bot.services.switches import Switches
from bot.services.timetable import Rules, Timetable
from bot.services.usage import Usages
from bot.settings import Settings
from cogs import admin, buttons, money, tasks, video
from storage import lock
from storage.access import AccessStore
from storage.alarms import AlarmStore
from storage.approvals import ApprovalStore
from storage.audit import AuditStore
from storage.database import Database, open_database
from storage.ledger import LedgerStore
from storage.limits import LimitStore
from storage.marks import MarkStore
from storage.refunds import RefundStore
from storage.reports import ReportStore
from storage.searches import SearchStore
from storage.servers import ServerStore
from storage.spending import SpendingStore
from storage.tasks import TaskStore

log = logging.getLogger(__name__)

_ID_LETTERS = "abcdefghjkmnpqrstvwxyz23456789"
_ID_LENGTH = 16
_HOOKS_SIGNED_WITH = "hook secret"
#: Seconds.
_LONGEST_LOGIN_PAUSE = 60


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
    database: Database
    tasks: TaskStore
    ledger: LedgerStore


@dataclass(frozen=True, slots=True)
class _Core:
    """What commands are made of. `redraw` tells of a changed task, `wake` that something may be due."""

    settings: Settings
    catalog: Catalog
    clock: Clock
    database: Database
    tasks: TaskStore
    ledger: LedgerStore
    limits: LimitStore
    servers: ServerStore
    marks: MarkStore
    providers: Mapping[str, Provider]
    router: Router
    access: Access
    requests: Requests
    client: Conch
    board: Board
    files: Files
    redraw: Callable[[Task], None]
    wake: Callable[[], None]

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
    discord_setup.prepare(settings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings.database))
        stack.callback(_alone(settings.data_dir).release)
        outbound = await open_outbound(stack, settings)
        providers = open_providers(stack, settings, catalog, clock, outbound)
        enabled = list(settings.providers)
        task_store, ledger, limits = TaskStore(database), LedgerStore(database), LimitStore(database)
        marks, servers = MarkStore(database), ServerStore(database)
        await limits.set_operators(settings.limits)
        router = Router(
            catalog, enabled, monotonic=monotonic, tell=lambda text: log.error("operator: %s", text)
        )
        access = Access(AccessStore(database), servers, clock)
        requests = Requests(
            task_store,
            catalog,
            outbound.downloads,
            providers=enabled,
            router=router,
            access=access,
            default_format=settings.default_format,
            frames=settings.data_dir / "frames",
            clock=clock,
            new_id=make_id,
        )
        client = await stack.enter_async_context(Conch(marks, monotonic))

        def redraw(task: Task) -> None:
            board.changed(task)
            notices.changed(task)

        def wake() -> None:
            engine.wake()
            notices.wake()

        cancel_button = buttons.cancel_button(requests, redraw)
        timetable = Timetable(_rules(settings), clock, await _forecast(task_store))
        board = Board(
            client,
            task_store,
            catalog,
            cancel_button=cancel_button,
            ready_at=timetable.ready_at,
            monotonic=monotonic,
        )
        hooks = Hooks(settings.public_url, await _secret(marks)) if settings.public_url else None
        paces = Paces(catalog, monotonic)
        files = Files(settings.data_dir, task_store)
        reading = Reading(task_store, providers, board, files, timetable)
        stages = Stages(
            Submitting(task_store, providers, board, reading, router, timetable, hooks),
            reading,
            Delivering(task_store, providers, board, files, timetable, paces),
            files,
        )
        engine = Engine(
            task_store,
            providers,
            board,
            catalog,
            stages=stages,
            paces=paces,
            timetable=timetable,
        )
        core = _Core(
            settings=settings,
            catalog=catalog,
            clock=clock,
            database=database,
            tasks=task_store,
            ledger=ledger,
            limits=limits,
            servers=servers,
            marks=marks,
            providers=providers,
            router=router,
            access=access,
            requests=requests,
            client=client,
            board=board,
            files=files,
            redraw=redraw,
            wake=wake,
        )
        reports = Reports(ReportStore(database), SpendingStore(database), limits, servers, clock)
        writer = ReportWriter(reports, catalog, cache=core.cache)
        questions = ApprovalStore(database)
        deciding = Approvals(questions, files, clock, changed=redraw, wake=wake)
        decide_buttons = admin.approvals.buttons(deciding)
        notices = Notices(
            Stores(task_store, ledger, servers, questions, AlarmStore(database)),
            deciding,
            Moderation(client, catalog, buttons=lambda question: [one(question) for one in decide_buttons]),
            board,
            writer.write,
            clock,
            monotonic=monotonic,
        )
        own = _own_tasks(core)
        admins, admin_buttons = _admin(core, own, reports, writer)
        client.install([admins, *_members(core, own)], [cancel_button, *decide_buttons, *admin_buttons])
        if settings.http_port is not None:
            await stack.enter_async_context(
                web.listening(settings.http_port, settings.data_dir, hooks, engine.hint)
            )
        parked = Parked(task_store, files, clock, board.changed)
        await stack.enter_async_context(control.listening(settings.data_dir, parked, engine.wake))
        yield App(client, engine, board, notices, database, task_store, ledger)


def _own_tasks(core: _Core) -> tasks.Tasks:
    return tasks.Tasks(
        core.tasks,
        core.ledger,
        core.requests,
        core.catalog,
        core.providers,
        clips=core.settings.data_dir / "clips",
        changed=core.redraw,
        clock=core.clock,
    )


def _members(core: _Core, own: tasks.Tasks) -> _Commands:
    """What everybody may use."""
    spending = SpendingStore(core.database)
    usages = Usages(spending, core.limits, core.servers, core.clock)
    placing = video.Video(core.requests, core.tasks, core.board, core.wake, core.clock)
    return [
        video.group(placing, core.catalog, core.enabled),
        tasks.group(own),
        money.usage_command(usages, core.catalog, core.cache),
        money.formats_command(core.catalog, core.enabled, core.settings.default_format),
    ]


def _admin(
    core: _Core, own: tasks.Tasks, reports: Reports, writer: ReportWriter
) -> tuple[app_commands.Group, _Buttons]:
    """`/admin`, of the commands of all its files, and what is clicked in its answers."""
    limit_rules = LimitRules(core.limits, core.ledger, core.servers, core.clock)
    set_limit = admin.limits.set_button(limit_rules)
    rule_menu = admin.access.rule_menu(core.access)
    searches, refunds = SearchStore(core.database), RefundStore(core.database)
    oversight = Oversight(core.tasks, searches, refunds, core.files, clock=core.clock, changed=core.redraw)
    all_tasks = admin.tasks.ServerTasks(oversight, own, core.catalog, core.clock)
    switches = Switches(core.servers, core.tasks, core.clock, core.wake, core.board.changed)
    moderators = Moderators(core.servers, core.clock, core.wake)
    checkup = Checkup(
        core.servers,
        core.limits,
        core.marks,
        core.router,
        core.catalog,
        providers=core.enabled,
        clock=core.clock,
    )
    installed = admin.doctor.Installed(PERMISSIONS, invite_link, core.client.in_sync)
    group = app_commands.Group(
        name=admin.rights.NAME,
        description="Limits, access, spending and switches of this server",
        guild_only=True,
        default_permissions=admin.rights.NEEDED,
    )
    parts: Sequence[_Commands] = [
        [admin.limits.group(limit_rules, set_limit)],
        admin.report.commands(reports, writer),
        admin.tasks.commands(all_tasks),
        admin.access.commands(core.access, rule_menu),
        admin.pause.commands(switches),
        admin.approvals.commands(moderators),
        admin.notices.commands(moderators),
        admin.audit.commands(AuditStore(core.database)),
        admin.doctor.commands(checkup, installed),
    ]
    for command in (command for part in parts for command in part):
        group.add_command(command)
    return group, [set_limit, admin.limits.LeaveButton, rule_menu, all_tasks.button]


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
    async with build(settings) as app, asyncio.TaskGroup() as group:
        # The engine needs no Discord: jobs are read and clips fetched while it cannot be reached.
        group.create_task(app.engine.run())
        group.create_task(app.board.run())
        group.create_task(app.notices.run())
        group.create_task(health.beat(settings.data_dir, app.client, app.tasks))
        group.create_task(_connect(app.client, settings.discord_token.get_secret_value()))


async def _connect(client: Conch, token: str) -> None:
    """Log in, again and again while Discord cannot be reached; `SetupError` where it never will take us."""
    retrying = AsyncRetrying(
        retry=retry_if_exception_type((aiohttp.ClientError, OSError, discord.HTTPException)),
        wait=wait_exponential(max=_LONGEST_LOGIN_PAUSE),
        before_sleep=before_sleep_log(log, logging.WARNING),
    )
    try:
        await retrying(_log_in, client, token)
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
    """Signs the addresses of webhooks; kept, so that those given before a restart still work."""
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
