"""`conch report`: what a period cost, and whether the books agree. Only reads, also beside a running bot."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import tzinfo

from bot.domain.books import disagreements
from bot.domain.errors import Refusal
from bot.domain.money import dollars
from bot.domain.report import Group, Span, Sums, asked_for, name_of
from bot.domain.servers import DEFAULT_ZONE, NO_SERVER, zone
from bot.posting.reports import CSV_HEADER, csv_row
from bot.posting.sheets import line
from bot.settings import Settings
from storage.books import BookStore
from storage.database import open_reader
from storage.reports import ReportStore

Say = Callable[[str], object]

_HEAD = (
    f"  {'member':20} {'format':24} {'provider':10} {'result':10} {'clips':>7} {'spent':>14} {'held':>14} "
    f"{'refunded':>14} {'released':>14}"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the operator asks for; `first` and `last` are days as written, and replace `period`."""

    period: str = Span.MONTH.value
    first: str | None = None
    last: str | None = None
    zone: str = DEFAULT_ZONE
    server_id: int | None = None
    form: str = "table"


async def report(settings: Settings, wanted: Wanted, at: int, say: Say) -> None:
    """Print a report made at the moment `at` (milliseconds since 1970), group by group: however many there are."""
    calendar = _zone(wanted.zone)
    span = asked_for(wanted.period, at, calendar, first=wanted.first, last=wanted.last)
    async with open_reader(settings.database) as database:
        store = ReportStore(database)
        groups = store.groups(span, server_id=wanted.server_id)
        match wanted.form:
            case "csv":
                await _print_csv(groups, say)
            case "json":
                await _print_json(groups, name_of(span, calendar), wanted.zone, say)
            case _:
                say(f"{name_of(span, calendar)} ({wanted.zone})")
                await _print_table(groups, store, say)


def _zone(name: str) -> tzinfo:
    try:
        return zone(name)
    except ValueError as error:
        raise Refusal(f"--zone: {error}.") from None


async def _titled(store: ReportStore, server_id: int) -> str:
    if server_id == NO_SERVER:
        return "outside servers"
    # The name is a stranger's: it may not steer the terminal.
    name = await store.server_name(server_id)
    return f"server {server_id} {''.join(letter if letter.isprintable() else '?' for letter in name)}"


async def _print_table(groups: AsyncIterator[Group], store: ReportStore, say: Say) -> None:
    """For people: the groups of each server under its name, with sums."""
    total, of_server, server_id = Sums(), Sums(), None
    async for group in groups:
        if group.server_id != server_id:
            if server_id is not None:
                say(_row("this server", "", "", "", of_server))
            server_id, of_server = group.server_id, Sums()
            say(f"\n{await _titled(store, server_id)}\n{_HEAD}")
        say(_row(str(group.member_id), group.format, group.provider, group.result.value, group.sums))
        of_server, total = of_server + group.sums, total + group.sums
    if server_id is None:
        say("No clip was asked for in this time.")
        return
    say(_row("this server", "", "", "", of_server))
    say(f"\n{_row('all together', '', '', '', total)}")


def _row(member: str, chosen: str, provider: str, result: str, sums: Sums) -> str:
    amounts = "".join(f" {dollars(one):>14}" for one in (sums.spent, sums.held, sums.refunded, sums.released))
    return f"  {member:20} {chosen:24} {provider:10} {result:10} {sums.clips:>7}{amounts}"


async def _print_csv(groups: AsyncIterator[Group], say: Say) -> None:
    """For spreadsheets: the same columns as in Discord."""
    say(line(CSV_HEADER).rstrip("\n"))
    async for group in groups:
        say(line(csv_row(group)).rstrip("\n"))


async def _print_json(groups: AsyncIterator[Group], period: str, zone_name: str, say: Say) -> None:
    """For programs: one object, a group a line. Amounts are micros; ids are text, being too long for a float."""
    say(f'{{"period": {json.dumps(period)}, "zone": {json.dumps(zone_name)}, "groups": [')
    total, comma = Sums(), ""
    async for group in groups:
        names = {
            "server_id": str(group.server_id),
            "member_id": str(group.member_id),
            "model": group.model,
            "format": group.format,
            "provider": group.provider,
            "result": group.result.value,
        }
        say(f"{comma}{json.dumps({**names, **_micros(group.sums)})}")
        total, comma = total + group.sums, ","
    say(f'], "total": {json.dumps(_micros(total))}}}')


def _micros(sums: Sums) -> dict[str, int]:
    return {
        "clips": sums.clips,
        "spent_micros": sums.spent,
        "held_micros": sums.held,
        "refunded_micros": sums.refunded,
        "released_micros": sums.released,
    }


async def check(settings: Settings, say: Say) -> bool:
    """Add up the entries of every task anew and say what disagrees; whether all agree.

    What a provider says that it charged is told apart: it may differ without anything being wrong with the books.
    """
    async with open_reader(settings.database) as database:
        books = BookStore(database)
        tasks = entries = wrong = 0
        async for one in books.tasks():
            tasks, entries = tasks + 1, entries + one.entries
            for clause in disagreements(one):
                wrong += 1
                say(f"task {one.task_id} ({one.state}): {clause}")
        async for stray in books.strays():
            wrong, entries = wrong + 1, entries + 1
            say(stray)
        verdict = f"{wrong:,} disagree, see above" if wrong else "all agree"
        say(f"{tasks:,} tasks and {entries:,} entries checked: {verdict}.")
        await _compare(books, say)
    return not wrong


async def _compare(books: BookStore, say: Say) -> None:
    """What providers themselves said of their charges, where it is not what was booked or what the catalog says."""
    differing = 0
    async for charge in books.charges():
        if not differing:
            say("The provider's own figure differs from what was booked:")
        differing += 1
        say(
            f"  task {charge.task_id} ({charge.state}): {charge.provider} charged {dollars(charge.charged_micros)}, "
            f"booked {dollars(charge.booked_micros)}"
        )
    gaps = 0
    async for gap in books.price_gaps():
        if not gaps:
            say("The provider's own figure differs from the catalog's price; correct it in CATALOG_FILE:")
        gaps += 1
        say(
            f"  {gap.provider} {gap.format}: list {dollars(gap.list_micros)}, charged {dollars(gap.charged_micros)}, "
            f"{gap.clips:,} {'clip' if gap.clips == 1 else 'clips'}"
        )
    if not differing and not gaps:
        say("No provider gave a figure of its own that differs.")
