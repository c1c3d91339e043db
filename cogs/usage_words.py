"""`/usage` in words, and as a chart. Pure functions."""

from collections.abc import Sequence

from bot.domain.catalog import Catalog
from bot.domain.limits import FOREVER, Limit, name_of, stricter
from bot.domain.money import dollars
from bot.domain.spending import DaySpending, by_model
from bot.media.charts import Chart, Series
from bot.posting import texts
from bot.services.usage import MemberUsage
from storage.limits import Counted

#: Lines for models: a message has room for these and every limit.
_MODELS = 8


def words(usage: MemberUsage, catalog: Catalog, *, member_id: int | None = None) -> str:
    """For the member; or for an admin who asks about the member with this id."""
    clips = "your clips" if member_id is None else f"the clips of <@{member_id}>"
    lines = [f"What {clips} cost in this server, by the calendar of {texts.plain(usage.zone)}:"]
    if usage.this_month:
        lines += [
            f"**Today**: {_sums(usage.today)}",
            f"**This month**: {_sums(usage.this_month)}",
            *_models(usage.this_month, catalog),
        ]
    else:
        first = ". `/video text` makes the first clip" if member_id is None else ""
        lines.append(f"Nothing was spent this month{first}.")
    if usage.limits:
        personal_first = sorted(usage.limits, key=lambda one: not one.limit.personal)
        lines += [
            "**Limits**, of which the strictest decides",
            *(
                _limit(one, [other.limit for other in usage.limits], own=member_id is None)
                for one in personal_first
            ),
        ]
    else:
        lines.append("No limit of this server applies.")
    if member_id is not None:
        lines.append("-# The operator's limit counts in all servers: only the member is shown it.")
    return texts.cut("\n".join(lines))


def chart(usage: MemberUsage, catalog: Catalog) -> Chart:
    limit = usage.daily_limit
    amounts = by_model(usage.rows, usage.days, lambda row: row.borne)
    return Chart(
        "Spent and held in this server, last 30 days",
        usage.days,
        tuple(Series(catalog.model_label(model), micros) for model, micros in amounts.items()),
        limit,
        "" if limit is None else f"limit {dollars(limit)} a day",
    )


def _sums(rows: Sequence[DaySpending]) -> str:
    refunded = sum(row.refunded for row in rows)
    back = f", {dollars(refunded)} of it refunded" if refunded else ""
    return f"{dollars(sum(row.spent for row in rows))} spent{back}, {dollars(sum(row.held for row in rows))} held"


def _models(rows: Sequence[DaySpending], catalog: Catalog) -> list[str]:
    by_name: dict[str, list[DaySpending]] = {}
    for row in rows:
        by_name.setdefault(row.model, []).append(row)
    dearest = sorted(by_name, key=lambda name: -sum(row.paid for row in by_name[name]))
    lines = [f"- {catalog.model_label(name)}: {_sums(by_name[name])}" for name in dearest[:_MODELS]]
    if others := dearest[_MODELS:]:
        lines.append(f"- {len(others)} others: {_sums([row for name in others for row in by_name[name]])}")
    return lines


def _limit(one: Counted, others: Sequence[Limit], *, own: bool) -> str:
    limit, used = one.limit, one.usage.total
    name = name_of(limit, own=own)
    most = stricter(limit, others)
    but = f", but the operator allows only {dollars(most.micros)}" if most else ""
    anew = (
        "it never starts anew"
        if one.span.until >= FOREVER
        else f"it starts anew <t:{one.span.until // 1000}:R>"
    )
    return (
        f"- {name[0].upper()}{name[1:]}: {dollars(used)} used, {dollars(max(0, one.room))} left of "
        f"{dollars(limit.micros)}{but}; {anew}"
    )
