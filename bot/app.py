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
from discord import app_commands
from filelock import FileLock
from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception_type, wait_exponential

from bot import catalog as catalogs
from bot import control, discord_setup, health, web
from bot.client import Conch
from bot.domain.catalog import Catalog
from bot.domain.errors import SetupError
from bot.domain.ports import Clock, NewId, Provider
from bot.domain.task import Task
from bot.posting.board import Board
from bot.providers import wire
from bot.providers.downloads import Downloads
from bot.providers.registry import PROVIDERS, Parts
from bot.services.delivering import Delivering
from bot.services.engine import Engine, Stages
from bot.services.files import Files
from bot.services.forecast import REMEMBERED, Forecast, Kind
from bot.services.hooks import Hooks
from bot.services.links import ClipLinks
from bot.services.pace import Paces
from bot.services.packing import Packing
from bot.services.parked import Parked
from bot.services.reading import Reading
from bot.services.requests import Requests
from bot.services.router import Router
from bot.services.submitting import Submitting
from bot.services.switches import Switches
from bot.services.timetable import Rules, Timetable
from bot.settings import Settings
from cogs import buttons, money, tasks, video
from cogs.admin import pause, rights
from storage import lock
from storage.database import Database, open_database
from storage.ledger import LedgerStore
from storage.limits import LimitStore
from storage.marks import MarkStore
from storage.servers import ServerStore
from storage.tasks import TaskStore

log = logging.getLogger(__name__)

_ID_LETTERS = "abcdefghjkmnpqrstvwxyz23456789"
_ID_LENGTH = 16
_HOOKS_SIGNED_WITH = "hook secret"
#: Seconds.
_LONGEST_LOGIN_PAUSE = 60
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
    database: Database
    tasks: TaskStore
    ledger: LedgerStore
    files: Files


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
        providers = await open_providers(stack, settings, catalog, clock)
        enabled = list(settings.providers)
        downloads = await stack.enter_async_context(Downloads(trusted_hosts=settings.trusted_hosts))
        task_store, ledger, limits = TaskStore(database), LedgerStore(database), LimitStore(database)
        marks, servers = MarkStore(database), ServerStore(database)
        await limits.set_operators(settings.limits)
        router = Router(
            catalog, enabled, monotonic=monotonic, tell=lambda text: log.error("operator: %s", text)
        )
        requests = Requests(
            task_store,
            catalog,
            downloads,
            providers=enabled,
            router=router,
            default_format=settings.default_format,
            frames=settings.data_dir / "frames",
            clock=clock,
            new_id=make_id,
        )
        client = await stack.enter_async_context(Conch(marks))

        def redraw(task: Task) -> None:
            board.changed(task)

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
        hooks = links = None
        if settings.public_url:
            secret = await _secret(marks)
            hooks = Hooks(settings.public_url, secret)
            links = ClipLinks(settings.public_url, secret, days=settings.clip_link_days, clock=clock)
        paces = Paces(catalog, monotonic)
        links_last = settings.clip_link_days * _DAY if links else 0
        files = Files(settings.data_dir, task_store, links_last=links_last)
        packing = Packing(task_store, providers, files, links, timetable, paces)
        reading = Reading(task_store, providers, board, files, timetable)
        stages = Stages(
            Submitting(task_store, providers, board, reading, router, timetable, hooks),
            reading,
            Delivering(task_store, providers, board, files, packing, timetable, paces),
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
            user_concurrency=settings.user_concurrency,
        )
        task_commands = tasks.Tasks(
            task_store,
            ledger,
            requests,
            catalog,
            providers,
            files=files,
            packing=packing,
            changed=board.changed,
            clock=clock,
        )
        client.install(
            [
                _admin(pause.commands(Switches(servers, clock, engine.wake))),
                video.group(video.Video(requests, task_store, board, engine, clock), catalog, enabled),
                tasks.group(task_commands),
                money.usage_command(ledger, limits, clock),
                money.formats_command(catalog, enabled, settings.default_format),
            ],
            [cancel_button],
        )
        if settings.http_port is not None:
            await stack.enter_async_context(
                web.listening(settings.http_port, settings.data_dir, hooks, engine.hint, links)
            )
        parked = Parked(task_store, files, clock, board.changed)
        await stack.enter_async_context(control.listening(settings.data_dir, parked, engine.wake))
        yield App(client, engine, board, database, task_store, ledger, files)


def _admin(*parts: Sequence[app_commands.Command[Any, ..., None] | app_commands.Group]) -> app_commands.Group:
    """`/admin`, of the commands of all its files."""
    group = app_commands.Group(
        name=rights.NAME,
        description="Limits, access, spending and switches of this server",
        guild_only=True,
        default_permissions=rights.NEEDED,
    )
    for command in (command for part in parts for command in part):
        group.add_command(command)
    return group


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
        group.create_task(app.files.sweep_daily(now))
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
    """Signs the addresses of webhooks and clips; kept, so that those given before a restart still work."""
    kept = await marks.get(_HOOKS_SIGNED_WITH)
    if kept is None:
        kept = secrets.token_hex(32)
        await marks.set(_HOOKS_SIGNED_WITH, kept)
    return bytes.fromhex(kept)


async def open_providers(
    stack: AsyncExitStack, settings: Settings, catalog: Catalog, clock: Clock
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
        client=await stack.enter_async_context(wire.open_client()),
        downloads=await stack.enter_async_context(Downloads(trusted_hosts=settings.trusted_hosts)),
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
