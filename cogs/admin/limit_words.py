"""What `/admin limits` says. Pure functions; members and roles are named by mentions that reach nobody."""

from collections.abc import Container, Sequence

from bot.domain.language import tr, trn
from bot.domain.limits import FOREVER, OPERATOR, Limit, Period, Scope, Spender, Usage, rate, stricter, whom
from bot.domain.money import dollars
from bot.domain.prose import together
from bot.posting import texts
from bot.services.limits import Calendar, Cleared, Overview, Preview
from storage.limits import Counted

_NAMED = 10


def preview(found: Preview) -> str:
    """What a limit would be, what it is, and whom it would stop at once."""
    before = tr("no such limit") if found.before is None else dollars(found.before)
    lines = [tr("**{rule}** (until now: {before})", rule=_rule(found.limit), before=before)]
    if found.limit.micros < (found.cheapest or 1):
        lines.append(_stops_all(found.limit, found.cheapest))
    elif found.usage is not None:
        lines.append(_budget(found.limit, found.usage, found.until))
    elif found.over or found.more or found.unseen:
        lines += _stopped(found)
    else:
        lines.append(tr("Nobody is above it."))
    lines.append(tr("Nothing is changed yet."))
    return "\n".join(lines)


def _stops_all(limit: Limit, cheapest: int | None) -> str:
    match limit.scope:
        case Scope.SERVER:
            stops = tr("This stops everybody at once.")
        case Scope.ROLE:
            stops = tr(
                "This stops everybody with {role} whom no other limit lets, their own or another role's, at once.",
                role=whom(limit),
            )
        case _ if limit.subject:
            stops = tr("This stops {member} at once.", member=whom(limit))
        case _:
            stops = tr("This stops every member whom no other limit lets, their own or a role's, at once.")
    if cheapest and limit.micros:
        costs = tr("The cheapest clip here costs {price}.", price=dollars(cheapest))
        return together(costs, stops)
    return stops


def _budget(limit: Limit, usage: Usage, until: int) -> str:
    spent, held, ends = dollars(usage.spent), dollars(usage.held), _at(until)
    if usage.total >= limit.micros and until >= FOREVER:
        return tr(
            "{spent} is spent already and {held} held, so nobody could make anything until an admin raises it.",
            spent=spent,
            held=held,
        )
    if usage.total >= limit.micros:
        return tr(
            "{spent} is spent already and {held} held, so nobody could make anything until {until}.",
            spent=spent,
            held=held,
            until=ends,
        )
    left = dollars(limit.micros - usage.total)
    if until >= FOREVER:
        return tr(
            "{spent} is spent already and {held} held, so {left} would be left.",
            spent=spent,
            held=held,
            left=left,
        )
    return tr(
        "{spent} is spent already and {held} held, so {left} would be left until {until}.",
        spent=spent,
        held=held,
        left=left,
        until=ends,
    )


def _stopped(found: Preview) -> list[str]:
    lines = []
    if count := len(found.over) + found.more:
        lines.append(_could_make_nothing(count, found.until))
        lines += [f"- {_spender(one)}" for one in found.over[:_NAMED]]
        if count > _NAMED:
            lines.append(trn("- and {number} more", "- and {number} more", count - _NAMED))
    else:
        lines.append(tr("Nobody of those who spent most is above it."))
    if found.unseen:
        lines.append(
            trn(
                "{number} more used that much in this server; whether it decides for them was not looked up.",
                "{number} more used that much in this server; whether it decides for them was not looked up.",
                found.unseen,
            )
        )
    return lines


def _could_make_nothing(members: int, until: int) -> str:
    if until >= FOREVER:
        return trn(
            "{number} member has used that much or more and could make nothing until an admin raises it:",
            "{number} members have used that much or more and could make nothing until an admin raises it:",
            members,
        )
    return trn(
        "{number} member has used that much or more and could make nothing until {until}:",
        "{number} members have used that much or more and could make nothing until {until}:",
        members,
        until=_at(until),
    )


def _spender(one: Spender) -> str:
    words = f"<@{one.member_id}>: {dollars(one.usage.total)}"
    if not one.usage.held:
        return words
    return tr("{spent}, {held} of it held", spent=words, held=dollars(one.usage.held))


def was_set(limit: Limit, before: int | None) -> str:
    rule, holds = _rule(limit), tr("It holds for every clip from now on.")
    was = (
        tr("Set: {rule} (there was no such limit before).", rule=rule)
        if before is None
        else tr("Set: {rule} (it was {amount} before).", rule=rule, amount=dollars(before))
    )
    return together(was, holds)


def cleared(done: Cleared) -> str:
    words = [tr("Cleared: {rate} for {whom}.", rate=rate(done.limit), whom=whom(done.limit)), *_instead(done)]
    if done.above:
        limits = "; ".join(map(_entry, done.above))
        words.append(tr("What the operator allows is as before: {limits}.", limits=limits))
    return together(*words)


def _instead(done: Cleared) -> list[str]:
    limit, instead = done.limit, done.instead
    if instead is not None and limit.scope is Scope.ROLE:
        return [
            tr(
                "Now {rate} for {whom} decides, unless an own limit or another role's does.",
                rate=rate(instead),
                whom=whom(instead),
            )
        ]
    if instead is not None:
        return [tr("Now {rate} for {whom} decides.", rate=rate(instead), whom=whom(instead))]
    if limit.scope is Scope.SERVER:
        return [_no_budget(limit.period)]
    if limit.subject:
        return [_no_other(limit.period)]
    return [_no_other(limit.period), tr("The limits of roles and single members stay.")]


def _no_budget(period: Period) -> str:
    match period:
        case Period.DAY:
            return tr("This server has no daily budget of its own any more.")
        case Period.MONTH:
            return tr("This server has no monthly budget of its own any more.")
        case Period.TOTAL:
            return tr("This server has no total budget of its own any more.")


def _no_other(period: Period) -> str:
    match period:
        case Period.DAY:
            return tr("This server has no other daily limit in its place.")
        case Period.MONTH:
            return tr("This server has no other monthly limit in its place.")
        case Period.TOTAL:
            return tr("This server has no other total limit in its place.")


def overview(found: Overview, *, gone: Container[str] = (), before: str = "") -> tuple[str, str | None]:
    """All limits as one message, and as a file's text where they are too many for one.

    `gone` are the subjects whose role was deleted; `before` stands above the list.
    """
    title = tr("Limits of this server (days and months begin at midnight in {zone})", zone=found.zone)
    head = f"**{title}**"
    if not found.limits:
        head = tr(
            "**This server has set no limits** (its time zone is {zone}): what the operator allows holds.",
            zone=found.zone,
        )
    head = before + head
    foot = [
        tr("**What the operator allows** (days and months in UTC)")
        if found.above
        else tr("**What the operator allows**: everything"),
        *(_line(_entry(one), found.budgets.get(one)) for one in found.above),
        f"-# {_precedence()}",
    ]
    lines = [_line(_effective(one, found.above, gone), found.budgets.get(one)) for one in found.limits]
    shown = _that_fit(lines, texts.MESSAGE_LENGTH - sum(len(line) + 1 for line in [head, *foot]))
    if len(shown) == len(lines):
        return "\n".join([head, *lines, *foot]), None
    more = _not_shown(len(lines) - len(shown), len(lines))
    return "\n".join([head, *shown, more, *foot]), "\n".join(
        [title, *(label(one, gone) for one in found.limits), ""]
    )


def _precedence() -> str:
    return tr(
        "For each period a member's own limit decides, else the highest of their roles', else the one for each "
        "member. Budgets and the operator's limits hold beside it: the strictest decides."
    )


def _not_shown(number: int, total: int) -> str:
    return trn(
        "- … {number} more; all {all} are in the file",
        "- … {number} more; all {all} are in the file",
        number,
        all=total,
    )


def _that_fit(lines: Sequence[str], room: int) -> Sequence[str]:
    """All lines where they have room together, else the first of them beside one that counts the rest."""
    if sum(len(line) + 1 for line in lines) <= room:
        return lines
    left, kept = room - len(_not_shown(len(lines), len(lines))), 0
    while kept < len(lines) and len(lines[kept]) < left:
        left -= len(lines[kept]) + 1
        kept += 1
    return lines[:kept]


def label(limit: Limit, gone: Container[str] = (), *, name: str = "") -> str:
    """For a menu or a file, which show no mentions; `name` is the member's or role's, "" where it is not known."""
    if not limit.subject or limit.subject in gone:
        return _entry(limit, gone)
    if limit.scope is Scope.ROLE:
        return tr("role {name}: {rate}", name=name or limit.subject, rate=rate(limit))
    return tr("member {name}: {rate}", name=name or limit.subject, rate=rate(limit))


def _entry(limit: Limit, gone: Container[str] = ()) -> str:
    if limit.scope is Scope.SERVER and limit.server_id == OPERATOR:
        return tr("the operator's budget for this server: {rate}", rate=rate(limit))
    if limit.scope is Scope.SERVER:
        return tr("this server's budget: {rate}", rate=rate(limit))
    if limit.subject in gone:
        return tr("deleted role {id}: {rate}", id=limit.subject, rate=rate(limit))
    return f"{whom(limit)}: {rate(limit)}"


def _effective(limit: Limit, operators: Sequence[Limit], gone: Container[str]) -> str:
    """With the operator's limit where that allows less."""
    entry, most = _entry(limit, gone), stricter(limit, operators)
    if most is None:
        return entry
    return tr("{limit}, but the operator allows only {most}", limit=entry, most=dollars(most.micros))


def _line(words: str, counted: Counted | None) -> str:
    return f"- {words}" if counted is None else f"- {words} · {_used(counted)}"


def _used(counted: Counted) -> str:
    spent, held = dollars(counted.usage.spent), dollars(counted.usage.held)
    left, until = dollars(max(0, counted.room)), counted.span.until
    if until >= FOREVER:
        return tr("{spent} spent, {held} held, {left} left", spent=spent, held=held, left=left)
    return tr(
        "{spent} spent, {held} held, {left} left until {until}",
        spent=spent,
        held=held,
        left=left,
        until=_at(until),
    )


def zone_chosen(now: Calendar) -> str:
    return tr(
        "Days and months of this server now begin at midnight in {zone}: today began {day_begin} and ends {day_end}, "
        "this month began {month_begin} and ends {month_end}. What was spent counts where it falls now. The "
        "operator's limits stay with UTC.",
        zone=now.zone,
        day_begin=_at(now.day.since),
        day_end=_at(now.day.until),
        month_begin=_at(now.month.since),
        month_end=_at(now.month.until),
    )


def _rule(limit: Limit) -> str:
    """A sentence without its full stop."""
    return _nothing(limit) if limit.micros == 0 else _at_most(limit)


def _nothing(limit: Limit) -> str:
    match limit.scope:
        case Scope.SERVER:
            return tr("The whole server may make nothing that costs anything ({rate})", rate=rate(limit))
        case Scope.ROLE:
            return tr(
                "Members with {role} may each make nothing that costs anything ({rate})",
                role=whom(limit),
                rate=rate(limit),
            )
        case _ if limit.subject:
            return tr(
                "{member} may make nothing that costs anything ({rate})", member=whom(limit), rate=rate(limit)
            )
        case _:
            return tr("Each member may make nothing that costs anything ({rate})", rate=rate(limit))


def _at_most(limit: Limit) -> str:
    match limit.scope:
        case Scope.SERVER:
            return tr("The whole server may spend at most {rate}", rate=rate(limit))
        case Scope.ROLE:
            return tr("Members with {role} may each spend at most {rate}", role=whom(limit), rate=rate(limit))
        case _ if limit.subject:
            return tr("{member} may spend at most {rate}", member=whom(limit), rate=rate(limit))
        case _:
            return tr("Each member may spend at most {rate}", rate=rate(limit))


def _at(moment: int) -> str:
    return f"<t:{moment // 1000}:f>"
