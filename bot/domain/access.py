"""Who may make clips in a server, where, and with which words: its admins' rules, and what they say to a member."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from bot.domain import words
from bot.domain.errors import Refusal
from bot.domain.language import kept, tr, trn
from bot.domain.plain import plain
from bot.domain.prose import sentence, together

MOST_WORDS = 500
WORD_LENGTH = 100
#: Characters of an admin's reason in a refusal: all 300 that may be given, with an escape before each.
REASON_SHOWN = 600
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
            return kept("allowed") if self.allowed else kept("denied")
        until = datetime.fromtimestamp(self.until / 1000, UTC)
        return kept("denied until {moment} UTC", moment=f"{until:%Y-%m-%d %H:%M}")


# ------------------------------------------------------------------ changes


def with_denied(rules: Sequence[Rule], rule: Rule) -> list[Rule]:
    """The rules after a denial, whatever was said of its subject before.

    `Refusal` for the only channel or role that is allowed: its denial would open all the others.
    """
    others, allowed = _without(rules, rule.kind, rule.subject), _of(rules, rule.kind, allowed=True)
    if [one.key for one in allowed] == [rule.key]:
        raise Refusal(_only_one(rule))
    return [*others, rule]


def _only_one(rule: Rule) -> str:
    if rule.kind is Kind.CHANNEL:
        return tr(
            "{channel} is the only channel allowed; denied, every other one would be open. Allow another one first, "
            "or remove the rule in `/admin access list`. Nothing was changed.",
            channel=rule.name,
        )
    return tr(
        "{role} is the only role allowed; denied, members with any other or none could make clips. Allow another one "
        "first, or remove the rule in `/admin access list`. Nothing was changed.",
        role=rule.name,
    )


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
            raise Refusal(
                tr("{rule} is not blocked here. `/admin access list` shows all rules.", rule=rule.name)
            )
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
            return tr("Blocked members: {number}.", number=len(denied))
        case Kind.WORD:
            return tr("Blocked words: {number} of at most {most}.", number=len(denied), most=MOST_WORDS)


def _channels_hold(allowed: Sequence[Rule], denied: Sequence[Rule]) -> str:
    if allowed and denied:
        return trn(
            "From now on clips can be made only in {channels} and what lies in it, but not in {others}.",
            "From now on clips can be made only in {channels} and what lies in them, but not in {others}.",
            len(allowed),
            channels=_all_of(allowed),
            others=_one_of(denied),
        )
    if allowed:
        return trn(
            "From now on clips can be made only in {channels} and what lies in it.",
            "From now on clips can be made only in {channels} and what lies in them.",
            len(allowed),
            channels=_all_of(allowed),
        )
    if denied:
        return trn(
            "Clips can be made everywhere but in {channels} and what lies in it.",
            "Clips can be made everywhere but in {channels} and what lies in them.",
            len(denied),
            channels=_all_of(denied),
        )
    return tr("Clips can be made in every channel.")


def _roles_hold(allowed: Sequence[Rule], denied: Sequence[Rule]) -> str:
    if allowed and denied:
        return tr(
            "From now on only members with the role {roles} can make clips, and nobody with {others}.",
            roles=_one_of(allowed),
            others=_one_of(denied),
        )
    if allowed:
        return tr(
            "From now on only members with the role {roles} can make clips.",
            roles=_one_of(allowed),
        )
    if denied:
        return tr("Everybody can make clips but members with the role {roles}.", roles=_one_of(denied))
    return tr("Members can make clips whatever their roles are.")


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
            return " ".join(_blocked(rule))
    return None


def _blocked(rule: Rule) -> Iterator[str]:
    moment = None if rule.until is None else rule.until // 1000
    if moment is None:
        yield tr("An admin has blocked you from making clips in this server.")
    else:
        until = f"<t:{moment}:f>"
        yield tr("An admin has blocked you from making clips in this server until {until}.", until=until)
    if reason := plain(rule.reason, length=REASON_SHOWN):
        yield tr("The reason: {reason}", reason=sentence(reason))
    if moment is None:
        yield tr("Ask an admin of this server to end it.")
    else:
        yield tr("It ends by itself {when}; try again then.", when=f"<t:{moment}:R>")


def _of_roles(rules: Sequence[Rule], role_ids: frozenset[int]) -> str | None:
    """A denied role refuses, whatever other roles there are; where roles are allowed, it takes one of them."""
    denied = [rule for rule in _of(rules, Kind.ROLE, allowed=False) if int(rule.subject) in role_ids]
    if denied:
        return trn(
            "With your role {roles} you may make no clips in this server. Ask an admin of this server about it.",
            "With your roles {roles} you may make no clips in this server. Ask an admin of this server about it.",
            len(denied),
            roles=_all_of(denied),
        )
    allowed = _of(rules, Kind.ROLE, allowed=True)
    if allowed and not any(int(rule.subject) in role_ids for rule in allowed):
        return trn(
            "Making clips in this server takes the role {roles}, which you do not have. Ask an admin of this server "
            "for it.",
            "Making clips in this server takes one of these roles: {roles}. You have none of them. Ask an admin of "
            "this server for one.",
            len(allowed),
            roles=_one_of(allowed),
        )
    return None


def _of_channels(rules: Sequence[Rule], channel_ids: Sequence[int]) -> str | None:
    """The nearest rule decides; where channels are allowed and none is near, that is a denial too."""
    allowed = _of(rules, Kind.CHANNEL, allowed=True)
    by_id = {int(rule.subject): rule for rule in rules if rule.kind is Kind.CHANNEL}
    nearest = next((by_id[one] for one in channel_ids if one in by_id), None)
    if nearest is None and not allowed:
        return None
    if nearest is not None and nearest.allowed:
        return None
    if nearest is None or int(nearest.subject) == channel_ids[0]:
        why = tr("No clips are made in this channel.")
    else:
        why = tr("No clips are made in {channel}, and this channel lies in it.", channel=nearest.name)
    where = tr("Use {channels}.", channels=_one_of(allowed)) if allowed else tr("Use another channel.")
    return together(why, where)


def _of_words(rules: Sequence[Rule], prompt: str) -> str | None:
    blocked = {rule.subject: rule for rule in _of(rules, Kind.WORD, allowed=False)}
    if found := [blocked[word] for word in words.found(blocked, prompt)]:
        return trn(
            "The prompt has a word that is blocked in this server: {words}. Say it in other words, then send it "
            "again.",
            "The prompt has words that are blocked in this server: {words}. Say it in other words, then send it "
            "again.",
            len(found),
            words=_all_of(found),
        )
    return None


def _of(rules: Sequence[Rule], kind: Kind, *, allowed: bool) -> list[Rule]:
    return [rule for rule in rules if rule.kind is kind and rule.allowed is allowed]


def _all_of(rules: Sequence[Rule]) -> str:
    """A, B and C; the first of many."""
    *names, last = [rule.name for rule in rules]
    if len(rules) > _NAMED:
        shown = ", ".join(names[:_NAMED])
        return trn("{names} and {number} more", "{names} and {number} more", len(rules) - _NAMED, names=shown)
    return tr("{names} and {last}", names=", ".join(names), last=last) if names else last


def _one_of(rules: Sequence[Rule]) -> str:
    """A, B or C; the first of many."""
    *names, last = [rule.name for rule in rules]
    if len(rules) > _NAMED:
        shown = ", ".join(names[:_NAMED])
        return trn("{names} or {number} more", "{names} or {number} more", len(rules) - _NAMED, names=shown)
    return tr("{names} or {last}", names=", ".join(names), last=last) if names else last
