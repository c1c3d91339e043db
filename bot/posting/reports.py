"""A report as people read it: words for a message, a chart of its days, and a table of every group."""

import asyncio
import logging
from collections.abc import Callable, Hashable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from bot.domain.catalog import Catalog
from bot.domain.language import tr, trn
from bot.domain.limits import FOREVER, Window
from bot.domain.money import dollars
from bot.domain.report import Group, Report, Result, Sums, name_of, start_of
from bot.domain.servers import Server
from bot.domain.spending import DaySpending, by_model, days_of
from bot.media import charts
from bot.media.charts import Chart, Series
from bot.media.child import ChildFailed
from bot.posting import notices, sheets, texts
from bot.posting.frames import noted
from bot.services.reports import Reports
from storage.limits import Counted

log = logging.getLogger(__name__)
K = TypeVar("K", bound=Hashable)

#: Lines of one dimension; the others are one line together.
_SHOWN = 8
#: Bytes. Discord takes ten million of any bot, and the chart is in the same message.
_LARGEST_CSV = 8_000_000
#: More bars than these are thinner than the eye sees.
_MOST_DAYS = 366
CSV_HEADER = (
    *("server_id", "member_id", "model", "format", "provider", "result", "clips"),
    *("spent_dollars", "held_dollars", "refunded_dollars", "released_dollars"),
    *("spent_micros", "held_micros", "refunded_micros", "released_micros"),
)


class ReportWriter:
    """Makes what is posted of a report, for whoever asks for it or in a month's turn. `cache` is `draw`'s."""

    def __init__(self, reports: Reports, catalog: Catalog, *, cache: Path) -> None:
        self._reports = reports
        self._catalog = catalog
        self._cache = cache

    async def write(self, server: Server, span: Window) -> tuple[str, list[tuple[str, bytes]]]:
        """The words, and the files by name: a chart and a CSV, as far as there is something in them."""
        report = await self._reports.of_server(server, span)
        budgets = await self._reports.budgets(server, span)
        # With many members these are too long for the event loop.
        ended = self._reports.ended(span)
        words = await asyncio.to_thread(report_words, report, server, self._catalog, budgets, ended=ended)
        if not report.groups:
            return words, []
        words, files = await self._with_picture(words, server, span)
        table = await asyncio.to_thread(report_csv, report)
        if len(table) > _LARGEST_CSV:
            return texts.cut(f"{words}\n{_too_large(server)}"), files
        return words, [*files, ("conch-report.csv", table)]

    async def _with_picture(
        self, words: str, server: Server, span: Window
    ) -> tuple[str, list[tuple[str, bytes]]]:
        """The words with what the chart's colours mean, and the chart; the words alone where there is none."""
        span = self._reports.so_far(span)
        daily = await self._reports.daily(server, span)
        budget = await self._reports.daily_budget(server)
        chart = await asyncio.to_thread(report_chart, daily, span, server, self._catalog, budget)
        if chart is None:
            return words, []
        try:
            picture = await charts.draw(chart, cache=self._cache)
        except ChildFailed as error:
            log.warning("the chart of server %d could not be drawn: %s", server.id, error)
            return words, []
        return noted(words, f"-# {charts.key(chart)}"), [("conch-report.png", picture)]


def report_chart(
    daily: Sequence[DaySpending], span: Window, server: Server, catalog: Catalog, budget: int | None
) -> Chart | None:
    """What counts against the server's daily `budget` (micros), by day and model; None where nothing does.

    Of a very long period its newest days.
    """
    paid = [row for row in daily if row.paid]
    if not paid:
        return None
    # A period without a beginning begins with its first clip.
    begin = span.since or start_of(paid[0].day, server.tz)
    end = span.until if span.until < FOREVER else start_of(paid[-1].day, server.tz) + 1
    days = days_of(Window(begin, end), server.tz)[-_MOST_DAYS:]
    shown = by_model([row for row in paid if row.day >= days[0]], days, lambda row: row.paid)
    return Chart(
        title=tr("Spent and held each day, {first} to {last}", first=days[0], last=days[-1]),
        days=days,
        series=tuple(Series(_model_name(name, catalog), micros) for name, micros in shown.items()),
        limit_micros=budget,
        limit_label="" if budget is None else tr("daily budget {amount}", amount=dollars(budget)),
    )


def report_words(
    report: Report, server: Server, catalog: Catalog, budgets: Sequence[Counted] = (), *, ended: bool = False
) -> str:
    """The report of one server in one message at most; it names members as mentions, so it must be sent silent.

    `ended`: nothing of its period is yet to come.
    """
    period = name_of(report.span, server.tz)
    lines = [tr("**Report: {period}** ({zone})", period=period, zone=texts.plain(server.zone))]
    if report.groups:
        lines.append(_headline(report.total))
    else:
        lines.append(tr("No clip was asked for in this time, so there is nothing to count."))
    if report.groups or not ended:
        lines += [_budget(one, ended=ended) for one in budgets]
    if report.groups:
        lines += _part(
            tr("By member"), report.by(lambda group: group.member_id), lambda member: f"<@{member}>"
        )
        lines += _part(
            tr("By model"),
            report.by(lambda group: group.model),
            lambda name: texts.plain(_model_name(name, catalog)),
        )
        lines += _part(
            tr("By provider"), report.by(lambda group: group.provider), lambda name: _provider(name, catalog)
        )
        lines += _part(tr("By result"), report.by(lambda group: group.result), _result)
    return texts.cut("\n".join(lines))


def _headline(total: Sums) -> str:
    return trn(
        "**{spent} spent**, {held} held, {refunded} refunded, {released} given back unspent; {number:,} clip asked "
        "for",
        "**{spent} spent**, {held} held, {refunded} refunded, {released} given back unspent; {number:,} clips asked "
        "for",
        total.clips,
        spent=dollars(total.spent),
        held=dollars(total.held),
        refunded=dollars(total.refunded),
        released=dollars(total.released),
    )


def _budget(one: Counted, *, ended: bool) -> str:
    used = _used(one)
    if ended or one.span.until >= FOREVER:
        return used
    return tr("{budget}; it starts anew {when}", budget=used, when=f"<t:{one.span.until // 1000}:R>")


def _used(one: Counted) -> str:
    most, usage = one.limit.micros, one.usage
    numbers = {
        "budget": notices.budget(one.limit),
        "spent": dollars(usage.spent),
        "held": dollars(usage.held),
        "limit": dollars(most),
    }
    if not most:
        return tr("{budget}: used up, {spent} spent and {held} held of {limit}", **numbers)
    percent = usage.total * 100 // most
    return tr(
        "{budget}: {percent} % used, {spent} spent and {held} held of {limit}", percent=percent, **numbers
    )


def _part(title: str, sums: dict[K, Sums], label: Callable[[K], str]) -> list[str]:
    rows = list(sums.items())
    lines = [f"**{title}**", *(f"- {label(key)}: {_sums(one)}" for key, one in rows[:_SHOWN])]
    if others := rows[_SHOWN:]:
        rest = sum((one for _, one in others), Sums())
        lines.append(
            trn("- {number} other: {sums}", "- {number} others: {sums}", len(others), sums=_sums(rest))
        )
    return lines


def _sums(sums: Sums) -> str:
    parts = [trn("{number:,} clip", "{number:,} clips", sums.clips)]
    if sums.spent or not (sums.held or sums.refunded or sums.released):
        parts.append(tr("{amount} spent", amount=dollars(sums.spent)))
    if sums.held:
        parts.append(tr("{amount} held", amount=dollars(sums.held)))
    if sums.refunded:
        parts.append(tr("{amount} refunded", amount=dollars(sums.refunded)))
    if sums.released:
        parts.append(tr("{amount} given back unspent", amount=dollars(sums.released)))
    return ", ".join(parts)


def _result(result: Result) -> str:
    return {
        Result.DELIVERED: tr("delivered"),
        Result.READY: tr("ready"),
        Result.RUNNING: tr("running"),
        Result.WAITING: tr("waiting"),
        Result.PARKED: tr("parked"),
        Result.FAILED: tr("failed"),
        Result.CANCELLED: tr("cancelled"),
    }[result]


def _model_name(name: str, catalog: Catalog) -> str:
    known = catalog.models.get(name)
    return known.label if known else name


def _provider(name: str, catalog: Catalog) -> str:
    known = catalog.providers.get(name)
    return texts.plain(known.label if known else name)


def _too_large(server: Server) -> str:
    return tr(
        "The table of every group is too large for Discord. The operator can make it: "
        "`conch report --format csv --server {server}`.",
        server=server.id,
    )


def report_csv(report: Report) -> bytes:
    """Every group as a row, under a header. Amounts stand in dollars, and once more in whole micros."""
    return sheets.table(CSV_HEADER, map(csv_row, report.groups))


def csv_row(group: Group) -> list[sheets.Cell]:
    """The ids are text: as numbers a spreadsheet would round them."""
    sums = group.sums
    micros = (sums.spent, sums.held, sums.refunded, sums.released)
    named = [str(group.server_id), str(group.member_id), group.model, group.format, group.provider]
    return [*named, group.result.value, sums.clips, *(Decimal(one).scaleb(-6) for one in micros), *micros]
