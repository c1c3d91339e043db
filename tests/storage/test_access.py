"""Access rules: kept for one server, over when their time is, and changed together with the record of who did."""

import asyncio
from collections.abc import Sequence

import pytest

from bot.domain.access import Kind, Rule, with_denied
from bot.domain.audit import Deed
from bot.domain.errors import Refusal
from storage.access import AccessStore
from storage.audit import AuditStore
from storage.database import Database
from tests.storage.drafts import NOON

HERE, THERE, ADMIN = 7, 8, 9
WORD = Rule(Kind.WORD, "bad", allowed=False)
BLOCK = Rule(Kind.MEMBER, "5", allowed=False, until=NOON + 1, reason="spam")


@pytest.fixture
def access(database: Database) -> AccessStore:
    return AccessStore(database)


@pytest.fixture
def audit(database: Database) -> AuditStore:
    return AuditStore(database)


async def make(access: AccessStore, *rules: Rule, server: int = HERE, at: int = NOON) -> list[Rule]:
    return await access.change(server, at, lambda _: (rules, [Deed(server, ADMIN, "access deny")]))


async def rows(database: Database) -> int:
    return len(await database.read("SELECT id FROM access_rules"))


async def test_rules_come_back_as_they_were_the_newest_first(access: AccessStore) -> None:
    role = Rule(Kind.ROLE, "3", allowed=True)
    assert await make(access, WORD, role, BLOCK) == [BLOCK, role, WORD]
    kept = await access.of_server(HERE, NOON)
    assert kept == [BLOCK, role, WORD]
    assert [rule.id for rule in kept] == sorted((rule.id for rule in kept), reverse=True)


async def test_what_did_not_change_keeps_its_id(access: AccessStore) -> None:
    (word,) = await make(access, WORD)
    block, same = await make(access, WORD, BLOCK)
    assert same.id == word.id != block.id


async def test_another_servers_rules_are_never_seen_or_touched(access: AccessStore) -> None:
    await make(access, WORD)
    assert await make(access, BLOCK, server=THERE) == [BLOCK]
    assert await make(access, server=THERE) == []
    assert await access.of_server(THERE, NOON) == []
    assert await access.of_server(HERE, NOON) == [WORD]
    assert await access.concerning(5, THERE, NOON) == []


async def test_only_ones_own_block_concerns_a_member(access: AccessStore) -> None:
    await make(access, WORD, BLOCK)
    assert await access.concerning(5, HERE, NOON) == [WORD, BLOCK]
    assert await access.concerning(6, HERE, NOON) == [WORD]


async def test_a_rule_whose_time_is_over_is_none_and_goes_with_the_next_change(
    access: AccessStore, database: Database
) -> None:
    await make(access, WORD, BLOCK)
    over = NOON + 1
    assert await access.of_server(HERE, over) == await access.concerning(5, HERE, over) == [WORD]
    await make(access, server=THERE, at=over)
    assert await rows(database) == 2
    assert await make(access, WORD, at=over) == [WORD]
    assert await rows(database) == 1


async def test_a_block_that_is_over_can_be_set_anew(access: AccessStore) -> None:
    await make(access, BLOCK)
    anew = Rule(Kind.MEMBER, "5", allowed=False)
    seen: list[Sequence[Rule]] = []

    def decide(rules: Sequence[Rule]) -> tuple[Sequence[Rule], Sequence[Deed]]:
        seen.append(rules)
        return [anew], []

    assert await access.change(HERE, NOON + 1, decide) == [anew]
    assert seen == [[]]


async def test_each_change_is_written_down(access: AccessStore, audit: AuditStore) -> None:
    await make(access, WORD)
    (entry,) = await audit.of_server(HERE, limit=9)
    assert (entry.at, entry.deed) == (NOON, Deed(HERE, ADMIN, "access deny"))


async def test_a_refused_change_leaves_everything_as_it_was(
    access: AccessStore, audit: AuditStore, database: Database
) -> None:
    await make(access, WORD, BLOCK)

    def refuse(_: Sequence[Rule]) -> tuple[Sequence[Rule], Sequence[Deed]]:
        raise Refusal("no")

    with pytest.raises(Refusal):
        await access.change(HERE, NOON + 1, refuse)
    assert await rows(database) == 2
    assert len(await audit.of_server(HERE, limit=9)) == 1


async def test_a_change_that_cannot_be_written_down_is_not_made(access: AccessStore) -> None:
    unwritable = Deed(HERE, ADMIN, None)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"audit\.action"):
        await access.change(HERE, NOON, lambda _: ([WORD], [unwritable]))
    assert await access.of_server(HERE, NOON) == []


async def test_changes_at_the_same_time_lose_nothing(access: AccessStore) -> None:
    async def deny(number: int) -> None:
        rule = Rule(Kind.WORD, f"w{number}", allowed=False)
        await access.change(HERE, NOON, lambda rules: (with_denied(rules, rule), []))

    await asyncio.gather(*map(deny, range(20)))
    assert len(await access.of_server(HERE, NOON)) == 20
