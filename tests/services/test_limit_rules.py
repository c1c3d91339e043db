"""Whom a proposed limit would stop, where many have spent; and two admins who set at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copy

import pytest

from bot.domain.errors import Refusal
from bot.domain.limits import Limit, Period, Scope
from bot.services.limits import LOOKED_UP, LimitRules
from storage.audit import AuditStore
from storage.database import Database, open_database
from storage.ledger import LedgerStore
from storage.limits import LimitStore
from storage.servers import ServerStore
from storage.tasks import TaskStore
from tests.storage.drafts import DAY, MIDNIGHT, NOON, PRICE, placed

SERVER = 50
CROWD = LOOKED_UP + 5
EACH = Limit(Scope.MEMBER, Period.DAY, PRICE, server_id=SERVER)
ROLE = Limit(Scope.ROLE, Period.DAY, PRICE, "8", server_id=SERVER)


@pytest.fixture
async def database(template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    copy(template, tmp_path / "conch.db")
    async with open_database(tmp_path / "conch.db") as database:
        yield database


@pytest.fixture
def rules(database: Database) -> LimitRules:
    return LimitRules(LimitStore(database), LedgerStore(database), ServerStore(database), lambda: NOON)


@pytest.fixture
async def crowd(database: Database) -> None:
    """Members 100, 101, … who each hold the price of one clip, the last of them of two."""
    store = TaskStore(database)
    for number in range(CROWD):
        await placed(store, number, member_id=100 + number)
    await placed(store, CROWD, member_id=99 + CROWD)


class Roles:
    """Says of everybody that they have role 8, and counts whom it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def __call__(self, member_id: int) -> frozenset[int]:
        self.asked.append(member_id)
        return frozenset({8})


async def test_without_limits_by_role_all_are_counted_and_nobody_is_asked_for(
    rules: LimitRules, crowd: None
) -> None:
    roles = Roles()
    found = await rules.propose(EACH, roles)
    assert (len(found.over), found.more, found.unseen) == (LOOKED_UP, CROWD - LOOKED_UP, 0)
    assert found.over[0].member_id == 99 + CROWD
    assert not roles.asked


async def test_of_a_crowd_only_those_who_spent_most_are_asked_for(rules: LimitRules, crowd: None) -> None:
    roles = Roles()
    found = await rules.propose(ROLE, roles)
    assert (len(found.over), found.more, found.unseen) == (LOOKED_UP, 0, CROWD - LOOKED_UP)
    assert len(roles.asked) == LOOKED_UP


async def test_a_limit_by_role_in_another_period_asks_for_nobody(
    rules: LimitRules, database: Database, crowd: None
) -> None:
    await rules.set(Limit(Scope.ROLE, Period.MONTH, 1, "8", server_id=SERVER), None, 7)
    roles = Roles()
    assert (await rules.propose(EACH, roles)).more == CROWD - LOOKED_UP
    assert not roles.asked


async def test_a_better_role_leaves_a_limit_for_each_member_without_effect(
    rules: LimitRules, crowd: None
) -> None:
    await rules.set(ROLE, None, 7)
    assert list((await rules.propose(EACH, Roles())).over) == []


async def test_what_was_held_outside_the_window_does_not_count(rules: LimitRules, database: Database) -> None:
    store = TaskStore(database)
    for number, moment in enumerate((NOON - DAY, MIDNIGHT - DAY - 1, MIDNIGHT)):
        await placed(store, number, member_id=100 + number, created_at=moment)
    assert list((await rules.propose(EACH, Roles())).over) == []


async def test_of_two_admins_at_once_one_is_told_what_the_other_set(
    rules: LimitRules, database: Database
) -> None:
    amounts = [1_000_000, 2_000_000]
    limits = [Limit(Scope.MEMBER, Period.DAY, micros, server_id=SERVER) for micros in amounts]
    outcomes = await asyncio.gather(*(rules.set(limit, None, 7) for limit in limits), return_exceptions=True)
    (refusal,) = [one for one in outcomes if isinstance(one, Refusal)]
    assert "was changed meanwhile: it is $1.00 a day now" in str(refusal)
    assert await LimitStore(database).of_server(SERVER) == limits[:1]
    assert len(await AuditStore(database).of_server(SERVER, limit=9)) == 1
