"""Searches: every task is met once, whichever way the pages are turned."""

import pytest

from bot.domain.search import Search
from storage.database import Database
from storage.searches import SearchStore
from storage.tasks import TaskStore
from tests.storage.drafts import NOON, draft

PAGE = 3


@pytest.fixture
async def clips(store: TaskStore) -> list[str]:
    """The ids of three commands of four clips each, all in the same millisecond, the newest first."""
    for number in (1, 2, 3):
        await store.place([draft(number, ordinal=ordinal) for ordinal in range(4)], server_name="Harbour")
    return [f"t{number}.{ordinal}" for number in (3, 2, 1) for ordinal in (3, 2, 1, 0)]


async def test_clips_of_one_moment_are_met_once_each(database: Database, clips: list[str]) -> None:
    searches, search = SearchStore(database), Search(50, NOON)
    met = await searches.older(search, None, limit=PAGE)
    while found := await searches.older(search, met[-1].task, limit=PAGE):
        met += found
    assert [one.task.id for one in met] == clips
    back = [met[-1]]
    while found := await searches.newer(search, back[-1].task, limit=PAGE):
        back += found
    assert [one.task.id for one in back] == clips[::-1]


async def test_the_search_ends_at_its_moment_and_its_server(database: Database, clips: list[str]) -> None:
    searches = SearchStore(database)
    assert await searches.older(Search(50, NOON - 1), None, limit=99) == []
    assert await searches.older(Search(51, NOON), None, limit=99) == []
