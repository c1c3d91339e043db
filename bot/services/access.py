"""A server's access rules: looked at before anything is held or fetched, and changed by its admins."""

import asyncio
from collections.abc import Sequence

from bot.domain import access, words
from bot.domain.access import MOST_WORDS, REASON_SHOWN, WORD_LENGTH, Kind, Rule
from bot.domain.audit import Deed
from bot.domain.errors import Refusal
from bot.domain.language import kept, tr, trn
from bot.domain.money import dollars
from bot.domain.plain import plain
from bot.domain.ports import Clock
from bot.domain.prose import sentence, together
from storage.access import AccessStore
from storage.servers import ServerStore

_HOUR = 3_600_000
#: The longest block that ends by itself, in hours.
LONGEST = 30 * 24

#: What a rule is about, as an admin named it: a Discord id, or a word not folded yet.
Subject = tuple[Kind, str]


def paused(reason: str) -> str:
    """The refusal while an admin has switched new clips off."""
    return tr(
        "An admin of this server has paused new clips: {reason} Nothing was held. Clips that a provider has are "
        "still finished; those that wait stay held. Try again later.",
        reason=sentence(plain(reason, length=REASON_SHOWN)),
    )


class Access:
    """Remembers nothing: a rule holds from the moment its change is on disk.

    What changes rules returns words for the admin: what was done, and what holds now.
    """

    def __init__(self, store: AccessStore, servers: ServerStore, clock: Clock) -> None:
        self._store = store
        self._servers = servers
        self._clock = clock

    async def check(
        self,
        server_id: int,
        *,
        member_id: int,
        role_ids: frozenset[int],
        channel_ids: Sequence[int],
        prompt: str,
    ) -> None:
        """`Refusal` where the server is paused or a rule is against it; `channel_ids` as in `access.verdict`."""
        server = await self._servers.get(server_id)
        if server.pause_reason is not None:
            raise Refusal(paused(server.pause_reason))
        rules = await self._store.concerning(member_id, server_id, self._clock())
        if not rules:
            return
        # In a thread: a prompt may fold to 36,000 signs, in which 500 words are looked for.
        reason = await asyncio.to_thread(
            access.verdict,
            rules,
            member_id=member_id,
            role_ids=role_ids,
            channel_ids=channel_ids,
            prompt=prompt,
        )
        if reason:
            nothing = tr("Nothing was held.")
            raise Refusal(together(reason, nothing))

    async def rules(self, server_id: int) -> list[Rule]:
        """Those in force, the newest first."""
        return await self._store.of_server(server_id, self._clock())

    async def allow(self, server_id: int, actor_id: int, subjects: Sequence[Subject]) -> str:
        """Allow all of these, or none where one cannot be."""
        asked = [_checked(server_id, subject) for subject in subjects]

        def decide(rules: Sequence[Rule]) -> tuple[Sequence[Rule], Sequence[Deed]]:
            after = list(rules)
            for kind, subject in asked:
                after = access.with_allowed(after, kind, subject)
            return after, [_deed(server_id, actor_id, "allow", subject, rules, after) for subject in asked]

        rules = await self._store.change(server_id, self._clock(), decide)
        allowed = [Rule(*subject, allowed=True) for subject in asked]
        return _with_what_holds(tr("Allowed: {rules}.", rules=_listed(allowed)), allowed, rules)

    async def deny(
        self,
        server_id: int,
        actor_id: int,
        subjects: Sequence[Subject],
        *,
        hours: int | None = None,
        reason: str = "",
    ) -> str:
        """Deny all of these, or none where one cannot be. `hours` and `reason` are for a member."""
        asked = [_checked(server_id, subject) for subject in subjects]
        if (hours is not None or reason) and Kind.MEMBER not in {kind for kind, _ in asked}:
            raise Refusal(
                tr("`for` and `reason` go with a `member`: rules for all else hold until they are removed.")
            )
        if hours is not None and not 1 <= hours <= LONGEST:
            raise Refusal(
                trn(
                    "`for` was {number} hour; it can be 1 to {most}. Left out, the block is for ever.",
                    "`for` was {number} hours; it can be 1 to {most}. Left out, the block is for ever.",
                    hours,
                    most=LONGEST,
                )
            )
        at, explained = self._clock(), " ".join(reason.split())
        until = None if hours is None else at + hours * _HOUR
        denials = [
            Rule(kind, subject, allowed=False, until=until, reason=explained)
            if kind is Kind.MEMBER
            else Rule(kind, subject, allowed=False)
            for kind, subject in asked
        ]

        def decide(rules: Sequence[Rule]) -> tuple[Sequence[Rule], Sequence[Deed]]:
            after = list(rules)
            for rule in denials:
                after = access.with_denied(after, rule)
            if sum(rule.kind is Kind.WORD for rule in after) > MOST_WORDS:
                raise Refusal(
                    tr(
                        "{most} words are blocked here, and more cannot be. Remove one that is no longer needed.",
                        most=MOST_WORDS,
                    )
                )
            return after, [_deed(server_id, actor_id, "deny", rule.key, rules, after) for rule in denials]

        rules = await self._store.change(server_id, at, decide)
        lines = [_with_what_holds(tr("Denied: {rules}.", rules=_listed(denials)), denials, rules)]
        if Kind.WORD in {kind for kind, _ in asked}:
            lines.append(tr("Whole words only: nude does not block nudes."))
        lines += [await self._waiting(server_id, subject) for kind, subject in asked if kind is Kind.MEMBER]
        return "\n".join(filter(None, lines))

    async def _waiting(self, server_id: int, member_id: str) -> str:
        """A block holds for new clips alone: what of the member's was held before; "" for nothing."""
        clips, micros = await self._store.waiting(server_id, int(member_id))
        if not clips:
            return ""
        return trn(
            "{number} clip of theirs still waits ({price}): `/admin tasks find member:` shows it, `/admin tasks "
            "cancel` gives the hold back.",
            "{number} clips of theirs still wait ({price}): `/admin tasks find member:` shows them, `/admin tasks "
            "cancel` gives the hold back.",
            clips,
            price=dollars(micros),
        )

    async def remove(self, server_id: int, actor_id: int, rule_id: int) -> str:
        """Take one rule of the server away, by its stored id."""
        rule = next((rule for rule in await self.rules(server_id) if rule.id == rule_id), None)
        if rule is None:
            raise Refusal(_no_rule())

        def decide(rules: Sequence[Rule]) -> tuple[Sequence[Rule], Sequence[Deed]]:
            if rule not in rules:
                raise Refusal(_no_rule())
            after = [other for other in rules if other.id != rule_id]
            return after, [_deed(server_id, actor_id, "remove", rule.key, rules, after)]

        rules = await self._store.change(server_id, self._clock(), decide)
        return _with_what_holds(tr("Removed: {rules}.", rules=_listed([rule])), [rule], rules)


def _no_rule() -> str:
    return tr("There is no such rule in this server any more. `/admin access list` shows those there are.")


def _checked(server_id: int, subject: Subject) -> Subject:
    """What a rule may be about, as it is stored."""
    kind, text = subject
    if kind is Kind.ROLE and text == str(server_id):
        raise Refusal(
            tr(
                "@everyone is no role of its own here: `/admin pause` stops all clips, and without rules for roles "
                "everybody may make them. `/admin access list` shows and removes rules."
            )
        )
    if kind is not Kind.WORD:
        return subject
    word = words.folded(text)
    if not word:
        raise Refusal(
            tr("The `word` has nothing in it that could be found in a prompt. Use letters, digits or emoji.")
        )
    if len(word) > WORD_LENGTH:
        raise Refusal(
            tr(
                "The `word` has {found} characters as it is compared; at most {most} are allowed. Shorten it.",
                found=f"{len(word):,}",
                most=WORD_LENGTH,
            )
        )
    return kind, word


def _listed(rules: Sequence[Rule]) -> str:
    return ", ".join(
        tr("{rule} (until {until})", rule=rule.name, until=f"<t:{rule.until // 1000}:f>")
        if rule.until
        else rule.name
        for rule in rules
    )


def _with_what_holds(done: str, changed: Sequence[Rule], rules: Sequence[Rule]) -> str:
    kinds = dict.fromkeys(rule.kind for rule in changed)
    return "\n".join([done, *(access.holds(rules, kind) for kind in kinds)])


def _deed(
    server_id: int, actor_id: int, verb: str, subject: Subject, before: Sequence[Rule], after: Sequence[Rule]
) -> Deed:
    old, new = ({rule.key: rule for rule in rules}.get(subject) for rules in (before, after))
    rule = new or old or Rule(*subject, allowed=False)
    return Deed(
        server_id,
        actor_id,
        f"access {verb}",
        subject=rule.name if rule.kind is not Kind.WORD else kept("the word {word}", word=rule.name),
        before=old.effect if old else "",
        after=new.effect if new else "",
        reason=new.reason if new else "",
    )
