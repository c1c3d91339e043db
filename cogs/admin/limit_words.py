"""What `/admin limits` says. Pure functions; members and roles are named by mentions that reach nobody."""

from collections.abc import Container, Sequence

from bot.domain.limits import FOREVER, OPERATOR, Limit, Period, Scope, Spender, Usage, rate, stricter, whom
from bot.domain.money import dollars
from bot.posting import texts
from bot.services.limits import Calendar, Cleared, Overview, Preview
from storage.limits import Counted

_NAMED = 10
#: For the line that counts what is not shown.
_COUNTING = 60
_RATES = {Period.DAY: "daily", Period.MONTH: "monthly", Period.TOTAL: "total"}
_PRECEDENCE = (
    "For each period a member's own limit decides, else the highest of their roles', else the one for each member. "
    "Budgets and the operator's limits hold beside it: the strictest decides."
)


def preview(found: Preview) -> str:
    """What a limit would be, what it is, and whom it would stop at once."""
    before = "no such limit" if found.before is None else dollars(found.before)
    lines = [f"**{_capital(_rule(found.limit))}** (until now: {before})"]
    if found.limit.micros < (found.cheapest or 1):
        lines.append(_stops_all(found.limit, found.cheapest))
    elif found.usage is not None:
        lines.append(_budget(found.limit, found.usage, found.until))
    elif found.over or found.more or found.unseen:
        lines += _stopped(found)
    else:
        lines.append("Nobody is above it.")
    lines.append("Nothing is changed yet.")
    return "\n".join(lines)


def _stops_all(limit: Limit, cheapest: int | None) -> str:
    why = (
        f"The cheapest clip here costs {dollars(cheapest)}, so this" if cheapest and limit.micros else "This"
    )
    match limit.scope:
        case Scope.SERVER:
            who = "everybody"
        case Scope.ROLE:
            who = f"everybody with {whom(limit)} whom no other limit lets, their own or another role's,"
        case _:
            who = (
                whom(limit)
                if limit.subject
                else "every member whom no other limit lets, their own or a role's,"
            )
    return f"{why} stops {who} at once."


def _budget(limit: Limit, usage: Usage, until: int) -> str:
    used = f"{dollars(usage.spent)} is spent already and {dollars(usage.held)} held"
    if usage.total >= limit.micros:
        return f"{used}, so nobody could make anything{_until(until)}."
    return f"{used}, so {dollars(limit.micros - usage.total)} would be left{_by(until)}."


def _stopped(found: Preview) -> list[str]:
    lines = []
    if count := len(found.over) + found.more:
        have = "1 member has" if count == 1 else f"{count} members have"
        lines.append(f"{have} used that much or more and could make nothing{_until(found.until)}:")
        lines += [f"- {_spender(one)}" for one in found.over[:_NAMED]]
        if count > _NAMED:
            lines.append(f"- and {count - _NAMED} more")
    else:
        lines.append("Nobody of those who spent most is above it.")
    if found.unseen:
        lines.append(
            f"{found.unseen} more used that much in this server; whether it decides for them was not looked up."
        )
    return lines


def _spender(one: Spender) -> str:
    held = f", {dollars(one.usage.held)} of it held" if one.usage.held else ""
    return f"<@{one.member_id}>: {dollars(one.usage.total)}{held}"


def was_set(limit: Limit, before: int | None) -> str:
    was = "there was no such limit" if before is None else f"it was {dollars(before)}"
    return f"Set: {_rule(limit)}; {was} before. It holds for every clip from now on."


def cleared(done: Cleared) -> str:
    limit, instead = done.limit, done.instead
    words = [f"Cleared: {rate(limit)} for {whom(limit)}."]
    if instead is not None:
        closer = ", unless an own limit or another role's does" if limit.scope is Scope.ROLE else ""
        words.append(f"Now {rate(instead)} for {whom(instead)} decides{closer}.")
    elif limit.scope is Scope.SERVER:
        words.append(f"This server has no {_RATES[limit.period]} budget of its own any more.")
    else:
        stay = "" if limit.subject else "; the limits of roles and single members stay"
        words.append(f"This server has no other {_RATES[limit.period]} limit in its place{stay}.")
    if done.above:
        words.append(f"What the operator allows is as before: {'; '.join(map(_entry, done.above))}.")
    return " ".join(words)


def overview(found: Overview, *, gone: Container[str] = (), before: str = "") -> tuple[str, str | None]:
    """All limits as one message, and as a file's text where they are too many for one.

    `gone` are the subjects whose role was deleted; `before` stands above the list.
    """
    title = f"Limits of this server (days and months begin at midnight in {found.zone})"
    head = f"**{title}**"
    if not found.limits:
        head = f"**This server has set no limits** (its time zone is {found.zone}): what the operator allows holds."
    head = before + head
    foot = [
        f"**What the operator allows**{' (days and months in UTC)' if found.above else ': everything'}",
        *(_line(_entry(one), found.budgets.get(one)) for one in found.above),
        f"-# {_PRECEDENCE}",
    ]
    lines = [
        _line(f"{_entry(one, gone)}{_but(one, found.above)}", found.budgets.get(one)) for one in found.limits
    ]
    shown = _that_fit(lines, texts.MESSAGE_LENGTH - sum(len(line) + 1 for line in [head, *foot]))
    if len(shown) == len(lines):
        return "\n".join([head, *lines, *foot]), None
    more = f"- … {len(lines) - len(shown)} more; all {len(lines)} are in the file"
    return "\n".join([head, *shown, more, *foot]), "\n".join(
        [title, *(label(one, gone) for one in found.limits), ""]
    )


def _that_fit(lines: Sequence[str], room: int) -> Sequence[str]:
    """All lines where they have room together, else the first of them beside one that counts the rest."""
    if sum(len(line) + 1 for line in lines) <= room:
        return lines
    left, kept = room - _COUNTING, 0
    while kept < len(lines) and len(lines[kept]) < left:
        left -= len(lines[kept]) + 1
        kept += 1
    return lines[:kept]


def label(limit: Limit, gone: Container[str] = (), *, name: str = "") -> str:
    """For a menu or a file, which show no mentions; `name` is the member's or role's, "" where it is not known."""
    if not limit.subject or limit.subject in gone:
        return _entry(limit, gone)
    return f"{limit.scope} {name or limit.subject}: {rate(limit)}"


def _entry(limit: Limit, gone: Container[str] = ()) -> str:
    if limit.scope is Scope.SERVER:
        name = (
            "the operator's budget for this server" if limit.server_id == OPERATOR else "this server's budget"
        )
    else:
        name = f"deleted role {limit.subject}" if limit.subject in gone else whom(limit)
    return f"{name}: {rate(limit)}"


def _but(limit: Limit, operators: Sequence[Limit]) -> str:
    most = stricter(limit, operators)
    return f", but the operator allows only {dollars(most.micros)}" if most else ""


def _line(words: str, counted: Counted | None) -> str:
    line = f"- {words}"
    if counted is None:
        return line
    usage = counted.usage
    return (
        f"{line} · {dollars(usage.spent)} spent, {dollars(usage.held)} held, {dollars(max(0, counted.room))} left"
        f"{_by(counted.span.until)}"
    )


def zone_chosen(now: Calendar) -> str:
    return (
        f"Days and months of this server now begin at midnight in {now.zone}: today began {_at(now.day.since)} "
        f"and ends {_at(now.day.until)}, this month began {_at(now.month.since)} and ends {_at(now.month.until)}. "
        "What was spent counts where it falls now. The operator's limits stay with UTC."
    )


def _rule(limit: Limit) -> str:
    who = f"members with {whom(limit)} may each" if limit.scope is Scope.ROLE else f"{whom(limit)} may"
    if limit.micros == 0:
        return f"{who} make nothing that costs anything ({rate(limit)})"
    return f"{who} spend at most {rate(limit)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _until(moment: int) -> str:
    return _by(moment) or " until an admin raises it"


def _by(moment: int) -> str:
    """The end of a window; nothing where it never ends."""
    return "" if moment >= FOREVER else f" until {_at(moment)}"


def _at(moment: int) -> str:
    return f"<t:{moment // 1000}:f>"
