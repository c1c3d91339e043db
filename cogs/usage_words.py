"""`/usage` in words, and as a chart. Pure functions."""

from collections.abc import Sequence

from bot.domain.catalog import Catalog
from bot.domain.language import tr, trn
from bot.domain.limits import FOREVER, Limit, name_of, stricter
from bot.domain.money import dollars
from bot.domain.prose import capitalised
from bot.domain.spending import DaySpending, by_model
from bot.media.charts import Chart, Series
from bot.posting import texts
from bot.services.usage import MemberUsage
from storage.limits import Counted

#: Lines for models: a message has room for these and every limit.
_MODELS = 8


def words(usage: MemberUsage, catalog: Catalog, *, member_id: int | None = None) -> str:
    """For the member; or for an admin who asks about the member with this id."""
    own, zone = member_id is None, texts.plain(usage.zone)
    if own:
        lines = [tr("What your clips cost here, by the calendar of {zone}:", zone=zone)]
    else:
        lines = [
            tr(
                "What the clips of {member} cost in this server, by the calendar of {zone}:",
                member=f"<@{member_id}>",
                zone=zone,
            )
        ]
    if usage.this_month:
        lines += [
            tr("**Today**: {sums}", sums=_sums(usage.today)),
            tr("**This month**: {sums}", sums=_sums(usage.this_month)),
            *_models(usage.this_month, catalog),
        ]
    elif own:
        lines.append(tr("Nothing was spent this month. `/video text` makes the first clip."))
    else:
        lines.append(tr("Nothing was spent this month."))
    if usage.limits:
        personal_first = sorted(usage.limits, key=lambda one: not one.limit.personal)
        lines += [
            tr("**Limits**, of which the strictest decides"),
            *(_limit(one, [other.limit for other in usage.limits], own=own) for one in personal_first),
        ]
    else:
        lines.append(tr("No limit applies here."))
    if not own:
        lines.append(tr("-# The operator's limit counts in all servers: only the member is shown it."))
    return texts.cut("\n".join(lines))


def chart(usage: MemberUsage, catalog: Catalog) -> Chart:
    limit = usage.daily_limit
    amounts = by_model(usage.rows, usage.days, lambda row: row.borne)
    return Chart(
        tr("Spent and held here, last 30 days"),
        usage.days,
        tuple(Series(catalog.model_label(model), micros) for model, micros in amounts.items()),
        limit,
        "" if limit is None else tr("limit {amount} a day", amount=dollars(limit)),
    )


def _sums(rows: Sequence[DaySpending]) -> str:
    spent, held = dollars(sum(row.spent for row in rows)), dollars(sum(row.held for row in rows))
    if refunded := sum(row.refunded for row in rows):
        return tr(
            "{spent} spent, {refunded} of it refunded, {held} held",
            spent=spent,
            refunded=dollars(refunded),
            held=held,
        )
    return tr("{spent} spent, {held} held", spent=spent, held=held)


def _models(rows: Sequence[DaySpending], catalog: Catalog) -> list[str]:
    by_name: dict[str, list[DaySpending]] = {}
    for row in rows:
        by_name.setdefault(row.model, []).append(row)
    dearest = sorted(by_name, key=lambda name: -sum(row.paid for row in by_name[name]))
    lines = [f"- {catalog.model_label(name)}: {_sums(by_name[name])}" for name in dearest[:_MODELS]]
    if others := dearest[_MODELS:]:
        sums = _sums([row for name in others for row in by_name[name]])
        lines.append(trn("- {number} other: {sums}", "- {number} others: {sums}", len(others), sums=sums))
    return lines


def _limit(one: Counted, others: Sequence[Limit], *, own: bool) -> str:
    values = {
        "limit": capitalised(name_of(one.limit, own=own)),
        "used": dollars(one.usage.total),
        "left": dollars(max(0, one.room)),
        "most": dollars(one.limit.micros),
    }
    if less := stricter(one.limit, others):
        line = tr(
            "- {limit}: {used} used, {left} left of {most}, but the operator allows only {less}",
            less=dollars(less.micros),
            **values,
        )
    else:
        line = tr("- {limit}: {used} used, {left} left of {most}", **values)
    if one.span.until >= FOREVER:
        anew = tr("it never starts anew")
    else:
        anew = tr("it starts anew {when}", when=f"<t:{one.span.until // 1000}:R>")
    return f"{line}; {anew}"
