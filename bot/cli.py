"""The command line: reads the environment, sets up logging, runs one command."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from bot import logs
from bot.domain.errors import Refusal, SetupError, StorageError
from bot.domain.language import ENGLISH, LANGUAGES
from bot.domain.report import Span
from bot.domain.servers import DEFAULT_ZONE
from bot.settings import Settings, read_settings
from bot.vault import new_key

OK, FAILED, BAD_SETUP = 0, 1, 2
_ENV_FILE = Path(".env")


def main(arguments: list[str]) -> int:
    """Run a command; 0 when it went well, 1 when it did not, 2 when settings or database must be mended first."""
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.command == "demo":
            return _run(_demo(chosen.folder, shown=not chosen.quiet, language=chosen.language))
        if chosen.command == "key":
            print(new_key())  # noqa: T201 - the command line's own voice
            return OK
        settings = _settings(Path(chosen.env_file))
        if chosen.command == "health":
            return _health(settings)
        logs.set_up(style=settings.log_format, level=settings.log_level, secrets=settings.secrets)
        return _run(_chosen(chosen, settings))
    except (SetupError, StorageError) as error:
        return _complain(error, BAD_SETUP)
    except Refusal as error:
        return _complain(error, FAILED)


def _complain(error: Exception, code: int) -> int:
    print(f"conch: {error}", file=sys.stderr)  # noqa: T201 - the command line's own voice
    return code


def _chosen(  # noqa: PLR0911 - one for each command
    chosen: argparse.Namespace, settings: Settings
) -> Coroutine[Any, Any, int]:
    match chosen.command:
        case "doctor":
            return _doctor(settings)
        case "tasks":
            return _tasks(settings, vars(chosen))
        case "catalog":
            return _catalog(settings, live=chosen.live)
        case "report":
            return _report(settings, chosen)
        case "backup":
            return _backup(settings, chosen.to, keep=chosen.keep)
        case "restore":
            return _restore(settings, chosen.file)
    return _bot(settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="conch", description="A Discord bot that makes MiniMax Hailuo videos."
    )
    parser.add_argument(
        "--env-file", default=str(_ENV_FILE), help="settings file (default: .env; the environment wins)"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the bot")
    commands.add_parser("doctor", help="check the settings, Discord, providers, database and disk")
    commands.add_parser("health", help="whether a running bot is well, for health checks")
    commands.add_parser("key", help="make a DATA_KEY, which seals prompts and pictures on disk")
    prices = commands.add_parser("catalog", help="offers and prices")
    prices.add_argument("--live", action="store_true", help="ask the providers what they publish, for free")
    _add_tasks(commands.add_parser("tasks", help="list parked tasks, and end them with a reason"))
    _add_report(commands.add_parser("report", help="what a period cost, and whether the books agree"))
    backup = commands.add_parser("backup", help="copy the database, also while the bot runs")
    backup.add_argument("--to", type=Path, help="folder (default: backups in DATA_DIR)")
    backup.add_argument("--keep", type=_at_least_one, default=7, help="how many there stay (default: 7)")
    restore = commands.add_parser("restore", help="put a backup in the database's place, while no bot runs")
    restore.add_argument("file", type=Path, help="the backup")
    demo = commands.add_parser("demo", help="show it all on this machine: no account, no network, no cost")
    demo.add_argument("--folder", type=Path, default=Path("conch-demo"), help="where the clips go")
    demo.add_argument(
        "--language", choices=LANGUAGES, default=ENGLISH, help="what the member's Discord is set to"
    )
    demo.add_argument("--quiet", action="store_true", help="print only the paths of the clips")
    return parser


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, need a whole number of at least 1")
    return int(text)


def _add_tasks(parser: argparse.ArgumentParser) -> None:
    """What an operator who asked the provider can say of a task whose outcome is unknown."""
    deeds = parser.add_subparsers(dest="do", required=False)
    deeds.add_parser("list", help="the parked tasks")
    attach = deeds.add_parser("attach", help="the provider has it as this job: deliver its clip")
    attach.add_argument("--job", required=True, help="the provider's id of the job")
    settle = deeds.add_parser("settle", help="the provider charged for it, and there is no clip to be had")
    settle.add_argument("--cost", required=True, help="dollars, such as 0.28")
    release = deeds.add_parser("release", help="the provider took nothing: give the hold back")
    for deed in (attach, settle, release):
        deed.add_argument("task", help="the task's id")
        deed.add_argument("--reason", required=True, help="why, for the task's history")


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--period", choices=[span.value for span in Span], default=Span.MONTH.value, help="default: month"
    )
    parser.add_argument("--from", dest="first", help="first day instead of a period, such as 2026-11-01")
    parser.add_argument("--to", dest="last", help="last day (default: today)")
    parser.add_argument(
        "--zone", default=DEFAULT_ZONE, help="whose days, such as Europe/Berlin (default: UTC)"
    )
    parser.add_argument("--server", type=int, help="one server's id (default: all servers)")
    parser.add_argument("--format", choices=["table", "csv", "json"], default="table", help="default: table")
    parser.add_argument(
        "--check",
        action="store_true",
        help="instead of a report: add up every task's entries anew and say what disagrees (exit code 1)",
    )


def _settings(env_file: Path) -> Settings:
    """The environment over the file: `.env` only fills what is not set."""
    if env_file != _ENV_FILE and not env_file.exists():
        raise SetupError(f"--env-file: there is no {env_file}.")
    try:
        file = {name: value for name, value in dotenv_values(env_file).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{env_file} cannot be read ({error}). It must be a text file in UTF-8.") from error
    return read_settings({**file, **os.environ})


def _run(command: Coroutine[Any, Any, int]) -> int:
    """Run to the end; SIGTERM and SIGINT end it gracefully."""

    async def stoppable() -> int:
        task = asyncio.ensure_future(command)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return OK

    try:
        return asyncio.run(stoppable())
    except* (SetupError, Refusal, StorageError) as group:
        raise group.exceptions[0] from None


# Each command imports only what it needs, so that a wrong setting is told at once.
def _health(settings: Settings) -> int:
    from bot import health  # noqa: PLC0415

    problem = health.problem(settings.data_dir, settings.http_port)
    print(f"conch: {problem or 'well'}", file=sys.stderr if problem else sys.stdout)
    return FAILED if problem else OK


async def _bot(settings: Settings) -> int:
    from bot import app, sentry  # noqa: PLC0415

    if settings.sentry_dsn:
        sentry.set_up(settings.sentry_dsn.get_secret_value(), logs.Redaction(settings.secrets))
    await app.run(settings)
    return OK


async def _doctor(settings: Settings) -> int:
    from bot import doctor  # noqa: PLC0415

    return OK if await doctor.examine(settings, print) else FAILED


async def _tasks(settings: Settings, request: dict[str, Any]) -> int:
    from bot import shell  # noqa: PLC0415

    asked: dict[str, Any] = {"do": request["do"] or "list"}
    asked |= {name: request[name] for name in ("task", "job", "cost", "reason") if name in request}
    await shell.tasks(settings, asked, print)
    return OK


async def _catalog(settings: Settings, *, live: bool) -> int:
    from bot import shell  # noqa: PLC0415

    return OK if await shell.offers(settings, print, live=live) else FAILED


async def _report(settings: Settings, chosen: argparse.Namespace) -> int:
    from bot import app, reporting  # noqa: PLC0415

    if chosen.check:
        return OK if await reporting.check(settings, print) else FAILED
    wanted = reporting.Wanted(
        period=chosen.period,
        first=chosen.first,
        last=chosen.last,
        zone=chosen.zone,
        server_id=chosen.server,
        form=chosen.format,
    )
    await reporting.report(settings, wanted, app.now(), print)
    return OK


async def _backup(settings: Settings, folder: Path | None, *, keep: int) -> int:
    from bot import shell  # noqa: PLC0415

    await shell.backup(settings, folder, print, keep=keep)
    return OK


async def _restore(settings: Settings, file: Path) -> int:
    from bot import shell  # noqa: PLC0415

    await shell.restore(settings, file, print)
    return OK


async def _demo(folder: Path, *, shown: bool, language: str) -> int:
    from bot.demo import show  # noqa: PLC0415

    return OK if await show.run(folder, print, shown=shown, language=language) else FAILED
