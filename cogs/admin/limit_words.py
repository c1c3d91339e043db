"""What `/admin limits` says. Pure functions; members and roles are named by mentions that reach nobody."""

from collections.abc import Callable, Sequence

from bot.domain.limits import FOREVER, Limit, Period, Scope, Spender, Usage, rate, whom
from bot.domain.money import dollars
from bot.posting import texts
from bot.services.limits import Calendar, Cleared, Overview, Preview
from storage.limits import Counted

_NAMED = 10
#: For the line that counts what is not shown.
_COUNTING = 60
_SPANS = {Period.DAY: "for a day", Period.MONTH: "for a month", Period.TOTAL: "in total"}
_PRECEDENCE = (
    "For each period a member's own limit decides, else the highest of their roles', else the one for each member. "
    "Budgets and the operator's limits hold beside it: the strictest decides."
)


def preview(found: Preview) -> str:
    """What a limit would be, what it is, and whom it would stop at once."""
    before = "no such limit" if found.before is None else dollars(found.before)
    lines = [f"**{_capital(_rule(found.limit))}** (until now: {before})"]
    if found.usage is not None:
        lines.append(_budget(found.limit, found.usage, found.until))
    elif found.over or found.more or found.unseen:
        lines += _stopped(found)
    else:
        lines.append("Nobody is above it.")
    lines.append("Nothing is changed yet.")
    return "\n".join(lines)


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
        words.append(f"This server has no budget of its own {_SPANS[limit.period]} any more.")
    else:
        stay = "" if limit.subject else "; the limits of roles and single members stay"
        words.append(f"This server has no other limit {_SPANS[limit.period]} in its place{stay}.")
    if done.above:
        words.append(f"What the operator allows is as before: {'; '.join(map(_operators, done.above))}.")
    return " ".join(words)


def overview(found: Overview) -> tuple[str, str | None]:
    """All limits as one message, and as a file's text where they are too many for one."""
    title = f"Limits of this server (days and months begin at midnight in {found.zone})"
    head = f"**{title}**"
    if not found.limits:
        head = f"**This server has set no limits** (its time zone is {found.zone}): what the operator allows holds."
    foot = [
        f"**What the operator allows**{' (days and months in UTC)' if found.above else ': everything'}",
        *(_line(one, found.budgets.get(one), _operators) for one in found.above),
        f"-# {_PRECEDENCE}",
    ]
    lines = [_line(one, found.budgets.get(one)) for one in found.limits]
    shown = _that_fit(lines, texts.MESSAGE_LENGTH - sum(len(line) + 1 for line in [head, *foot]))
    if len(shown) == len(lines):
        return "\n".join([head, *lines, *foot]), None
    more = f"- … {len(lines) - len(shown)} more; all {len(lines)} are in the file"
    return "\n".join([head, *shown, more, *foot]), "\n".join([title, *map(_in_file, found.limits), ""])


def _that_fit(lines: Sequence[str], room: int) -> Sequence[str]:
    """All lines where they have room together, else the first of them beside one that counts the rest."""
    if sum(len(line) + 1 for line in lines) <= room:
        return lines
    left, kept = room - _COUNTING, 0
    while kept < len(lines) and len(lines[kept]) < left:
        left -= len(lines[kept]) + 1
        kept += 1
    return lines[:kept]


def _own(limit: Limit) -> str:
    return f"{whom(limit)}: {rate(limit)}"


def _operators(limit: Limit) -> str:
    over = " over all servers" if limit.scope is Scope.MEMBER else ""
    return f"{whom(limit)}{over}: {rate(limit)}"


def _in_file(limit: Limit) -> str:
    """Without Discord's mentions, which a file shows as they are written."""
    return f"{limit.scope} {limit.subject}: {rate(limit)}" if limit.subject else _own(limit)


def _line(limit: Limit, counted: Counted | None, words: Callable[[Limit], str] = _own) -> str:
    line = f"- {words(limit)}"
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
