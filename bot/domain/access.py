"""Who may make clips in a server, where, and with which words: its admins' rules, and what they say to a member."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from bot.domain import words
from bot.domain.errors import Refusal
from bot.domain.plain import plain
from bot.domain.prose import sentence

MOST_WORDS = 500
WORD_LENGTH = 100
#: Characters of an admin's reason in a refusal: all 300 that may be given, with an escape before each.
REASON_SHOWN = 600
_OPENED = {
    "channel": "every other one would be open",
    "role": "members with any other or none could make clips",
}
#: Names in one sentence, so that it stays one.
_NAMED = 20


class Kind(StrEnum):
    CHANNEL = "channel"
    ROLE = "role"
    MEMBER = "member"
    WORD = "word"


@dataclass(frozen=True, slots=True)
class Rule:
    """`subject` is a Discord id, or a word as `words.folded` gives it; members and words can only be denied.

    A channel may be a category or a thread. `until` is when the rule ends by itself (milliseconds since 1970), None
    for never; `reason` is for the member. `id` is the stored rule's, 0 before it is stored.
    """

    kind: Kind
    subject: str
    allowed: bool
    until: int | None = None
    reason: str = ""
    id: int = field(default=0, compare=False)

    @property
    def key(self) -> tuple[Kind, str]:
        """A server has one rule at the most for each."""
        return self.kind, self.subject

    @property
    def name(self) -> str:
        """A Discord mention; of a word, the word as code."""
        match self.kind:
            case Kind.CHANNEL:
                return f"<#{self.subject}>"
            case Kind.ROLE:
                return f"<@&{self.subject}>"
            case Kind.MEMBER:
                return f"<@{self.subject}>"
            case Kind.WORD:
                shown = self.subject.replace("`", "'")
                return f"`{shown}`"

    @property
    def effect(self) -> str:
        """For the record: allowed, denied, or until when."""
        if self.until is None:
            return "allowed" if self.allowed else "denied"
        return f"denied until {datetime.fromtimestamp(self.until / 1000, UTC):%Y-%m-%d %H:%M} UTC"


# ------------------------------------------------------------------ changes


def with_denied(rules: Sequence[Rule], rule: Rule) -> list[Rule]:
    """The rules after a denial, whatever was said of its subject before.

    `Refusal` for the only channel or role that is allowed: its denial would open all the others.
    """
    others, allowed = _without(rules, rule.kind, rule.subject), _of(rules, rule.kind, allowed=True)
    if [one.key for one in allowed] == [rule.key]:
        raise Refusal(
            f"{rule.name} is the only {rule.kind} allowed; denied, {_OPENED[rule.kind]}. Allow another one first, or "
            "remove the rule in `/admin access list`. Nothing was changed."
        )
    return [*others, rule]


def with_allowed(rules: Sequence[Rule], kind: Kind, subject: str) -> list[Rule]:
    """The rules after somebody or something was allowed; `Refusal` where there is nothing to allow.

    A denial ends. A channel or role becomes one of the allowed, but not where a denial ended and no other is
    allowed: then all the others would be shut out, which is not what the end of a denial means.
    """
    others = _without(rules, kind, subject)
    denied = any(rule.key == (kind, subject) and not rule.allowed for rule in rules)
    rule = Rule(kind, subject, allowed=True)
    if kind in {Kind.MEMBER, Kind.WORD}:
        if not denied:
            raise Refusal(f"{rule.name} is not blocked here. `/admin access list` shows all rules.")
        return others
    if denied and not _of(others, kind, allowed=True):
        return others
    return [*others, rule]


def _without(rules: Sequence[Rule], kind: Kind, subject: str) -> list[Rule]:
    return [rule for rule in rules if rule.key != (kind, subject)]


# ------------------------------------------------------------------ what holds


def holds(rules: Sequence[Rule], kind: Kind) -> str:
    """In one sentence what the rules of a kind add up to, for the admin who changed them."""
    allowed, denied = _of(rules, kind, allowed=True), _of(rules, kind, allowed=False)
    match kind:
        case Kind.CHANNEL:
            return _channels_hold(allowed, denied)
        case Kind.ROLE:
            return _roles_hold(allowed, denied)
        case Kind.MEMBER:
            return f"Blocked members: {len(denied)}."
        case Kind.WORD:
            return f"Blocked words: {len(denied)} of at most {MOST_WORDS}."


def _channels_hold(allowed: Sequence[Rule], denied: Sequence[Rule]) -> str:
    if allowed:
        but = f", but not in {_listed(denied, 'or')}" if denied else ""
        return f"From now on clips can be made only in {_listed(allowed, 'and')} and {_inside(allowed)}{but}."
    if denied:
        return f"Clips can be made everywhere but in {_listed(denied, 'and')} and {_inside(denied)}."
    return "Clips can be made in every channel."


def _inside(channels: Sequence[Rule]) -> str:
    return f"what lies in {'it' if len(channels) == 1 else 'them'}"


def _roles_hold(allowed: Sequence[Rule], denied: Sequence[Rule]) -> str:
    if allowed:
        but = f", and nobody with {_listed(denied, 'or')}" if denied else ""
        return f"From now on only members with the role {_listed(allowed, 'or')} can make clips{but}."
    if denied:
        return f"Everybody can make clips but members with the role {_listed(denied, 'or')}."
    return "Members can make clips whatever their roles are."


# ------------------------------------------------------------------ the verdict


def verdict(
    rules: Sequence[Rule],
    *,
    member_id: int,
    role_ids: frozenset[int],
    channel_ids: Sequence[int],
    prompt: str,
) -> str | None:
    """Why a member may make no such clip under these rules, all of them in force; None where nothing is against it.

    `channel_ids` are the channel of the command and what it lies in, the nearest first. Of several reasons the most
    lasting is told: one cannot get rid of a block, but go elsewhere, or choose other words.
    """
    return (
        _of_member(rules, member_id)
        or _of_roles(rules, role_ids)
        or _of_channels(rules, channel_ids)
        or _of_words(rules, prompt)
    )


def _of_member(rules: Sequence[Rule], member_id: int) -> str | None:
    for rule in _of(rules, Kind.MEMBER, allowed=False):
        if int(rule.subject) == member_id:
            given = sentence(plain(rule.reason, length=REASON_SHOWN)) if rule.reason else ""
            reason = f" The reason: {given}" if given else ""
            if rule.until is None:
                return (
                    f"An admin has blocked you from making clips in this server.{reason} {_ask('to end it')}"
                )
            moment = rule.until // 1000
            return (
                f"An admin has blocked you from making clips in this server until <t:{moment}:f>.{reason} "
                f"It ends by itself <t:{moment}:R>; try again then."
            )
    return None


def _of_roles(rules: Sequence[Rule], role_ids: frozenset[int]) -> str | None:
    """A denied role refuses, whatever other roles there are; where roles are allowed, it takes one of them."""
    denied = [rule for rule in _of(rules, Kind.ROLE, allowed=False) if int(rule.subject) in role_ids]
    if denied:
        what = "role" if len(denied) == 1 else "roles"
        return f"With your {what} {_listed(denied, 'and')} you may make no clips in this server. {_ask('about it')}"
    allowed = _of(rules, Kind.ROLE, allowed=True)
    if allowed and not any(int(rule.subject) in role_ids for rule in allowed):
        if len(allowed) == 1:
            return (
                f"Making clips in this server takes the role {allowed[0].name}, which you do not have. "
                f"{_ask('for it')}"
            )
        return (
            f"Making clips in this server takes one of these roles: {_listed(allowed, 'or')}. You have none of them. "
            f"{_ask('for one')}"
        )
    return None


def _of_channels(rules: Sequence[Rule], channel_ids: Sequence[int]) -> str | None:
    """The nearest rule decides; where channels are allowed and none is near, that is a denial too."""
    allowed = _of(rules, Kind.CHANNEL, allowed=True)
    where = f"Use {_listed(allowed, 'or')}." if allowed else "Use another channel."
    by_id = {int(rule.subject): rule for rule in rules if rule.kind is Kind.CHANNEL}
    nearest = next((by_id[one] for one in channel_ids if one in by_id), None)
    if nearest is None:
        return f"No clips are made in this channel. {where}" if allowed else None
    if nearest.allowed:
        return None
    if int(nearest.subject) == channel_ids[0]:
        return f"No clips are made in this channel. {where}"
    return f"No clips are made in {nearest.name}, and this channel lies in it. {where}"


def _of_words(rules: Sequence[Rule], prompt: str) -> str | None:
    blocked = {rule.subject: rule for rule in _of(rules, Kind.WORD, allowed=False)}
    if found := [blocked[word] for word in words.found(blocked, prompt)]:
        what = "a word that is" if len(found) == 1 else "words that are"
        return (
            f"The prompt has {what} blocked in this server: {_listed(found, 'and')}. Say it in other words, then "
            "send it again."
        )
    return None


def _ask(what: str) -> str:
    return f"Ask an admin of this server {what}."


def _of(rules: Sequence[Rule], kind: Kind, *, allowed: bool) -> list[Rule]:
    return [rule for rule in rules if rule.kind is kind and rule.allowed is allowed]


def _listed(rules: Sequence[Rule], last: str) -> str:
    """A, B and C; the first of many."""
    names = [rule.name for rule in rules[:_NAMED]]
    if len(rules) > _NAMED:
        names.append(f"{len(rules) - _NAMED} more")
    return f"{', '.join(names[:-1])} {last} {names[-1]}" if len(names) > 1 else names[0]
