"""`conch tasks`, `catalog`, `backup` and `restore`: what the operator looks up and decides on the shell."""

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from bot import app, catalog, control
from bot.domain.catalog import Catalog, Offer
from bot.domain.errors import BotError, Refusal, SetupError
from bot.domain.money import dollars, parse_dollars
from bot.domain.published import Published
from bot.services.files import Files
from bot.services.parked import Parked
from bot.settings import Settings
from storage.backup import take
from storage.database import open_database
from storage.restore import restore as put_back
from storage.tasks import TaskStore

Say = Callable[[str], object]


async def tasks(settings: Settings, request: control.Request, say: Say) -> None:
    """List the parked tasks, or end one; `Refusal` says why it cannot be done."""

    async def alone(asked: control.Request) -> control.Answer:
        if not os.access(settings.database, os.R_OK | os.W_OK):
            raise SetupError(
                f"DATABASE_URL: this user has no {settings.database}: no bot has run with it yet, or another user's."
            )
        async with open_database(settings.database, settings.vault) as database:
            store = TaskStore(database)
            parked = Parked(
                store, Files(settings.data_dir, store, keep=settings.keep), app.now, lambda _: None
            )
            return await control.answer(parked, asked)

    said = await control.ask_or_do(settings.data_dir, request, alone)
    if refused := said.get("refused"):
        raise Refusal(refused)
    if not said["tasks"]:
        say("No task is parked: every outcome is known.")
    for task in said["tasks"]:
        made = datetime.fromtimestamp(task["created_at"] / 1000, UTC)
        say(
            f"{task['task']}  {task['state']}  {_money(request, task['held_micros'])}  {task['provider']}  "
            f"{task['format']}  member {task['member']}  {made:%Y-%m-%d %H:%M} UTC  job {task['job'] or 'unknown'}"
        )
        say(f"    {task['problem'] or 'no reason noted'}")


def _money(request: control.Request, held_micros: int) -> str:
    """What became of a hold by what was decided."""
    match request["do"]:
        case "settle":
            return f"booked {dollars(parse_dollars(request['cost']))}"
        case "release":
            return f"{dollars(held_micros)} given back"
    return f"{dollars(held_micros)} held"


async def backup(settings: Settings, folder: Path | None, say: Say, *, keep: int) -> None:
    """Back the database up, also beside a running bot; `folder` is DATA_DIR's own where none is named."""
    made = await take(settings.database, folder or settings.data_dir / "backups", app.now(), keep=keep)
    say(f"{made} is whole and checked. The newest {keep} of its folder stay.")


async def restore(settings: Settings, file: Path, say: Say) -> None:
    """Put a backup in the database's place while no bot runs; what is open in it is never ordered again."""
    done = await put_back(file, settings.database, app.now(), settings.vault)
    made = datetime.fromtimestamp(done.taken_at / 1000, UTC)
    say(f"{settings.database} is as it was on {made:%Y-%m-%d %H:%M:%S} UTC.")
    if done.kept:
        say(f"The former one is kept as {done.kept}.")
    if done.parked:
        say(
            f"Parked: {done.parked} that waited for a provider or its answer, and may have been made since. The next "
            "start looks up those it can; of the others ask the provider, then end them with `conch tasks`."
        )
    if done.open:
        say(
            f"Open besides: {done.open}. The next start asks how they ended and posts what the channel does not "
            "carry."
        )


async def offers(settings: Settings, say: Say, *, live: bool) -> bool:
    """Print every offer with its price and source; with `live` what the providers publish, False where it differs."""
    known = catalog.load(settings.catalog_file)
    for offer in known.offers:
        enabled = "on " if offer.provider in settings.providers else "off"
        assumed = "assumed" if offer.assumed else "       "
        modes = ", ".join(offer.modes)
        say(
            f"{enabled} {offer.provider:9} {offer.format.id:24} {dollars(offer.micros):>9} {assumed} "
            f"{modes} · {offer.source}, {offer.date}"
        )
    return await _published(settings, known, say) if live else True


async def _published(settings: Settings, known: Catalog, say: Say) -> bool:
    same = True
    async with AsyncExitStack() as stack:
        outbound = await app.open_outbound(stack, settings)
        providers = app.open_providers(stack, settings, known, app.now, outbound)
        asked = [name for name in settings.providers if name in providers]
        answers = await asyncio.gather(
            *(providers[name].published() for name in asked), return_exceptions=True
        )
    for name, told in zip(asked, answers, strict=True):
        match told:
            case Published():
                same = _compared(name, told, known.offers, say) and same
            case BotError():
                say(f"{name}: {told}")
                same = False
            case BaseException():
                raise told
    return same


def _compared(name: str, told: Published, known: list[Offer], say: Say) -> bool:
    if told.balance_micros is not None:
        say(f"{name}: balance {dollars(told.balance_micros)}")
    for note in told.notes:
        say(f"{name}: {note}")
    same = True
    for what, micros in told.prices.items():
        ours = sorted({offer.micros for offer in known if offer.provider == name and _is(what, offer)})
        if not ours:
            say(f"{name}: publishes {dollars(micros)} for {what}")
        elif micros not in ours:
            same = False
            say(f"{name}: {what} is {dollars(micros)} there, {', '.join(map(dollars, ours))} in the catalog")
    return same


def _is(what: str, offer: Offer) -> bool:
    """Whether a published price is of this offer: named by its format, or by the provider's word for its model.

    Such a word ends as ours does (`Minimax-Hailuo-02`), and the price is that of one of its formats.
    """
    return what == offer.format.id or what.lower().endswith(f"-{offer.model}")
