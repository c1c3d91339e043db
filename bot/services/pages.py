"""A search among tasks, a page at a time."""

from dataclasses import dataclass

from bot.domain.search import Found, Search
from storage.searches import SearchStore
from storage.tasks import TaskStore

PAGE = 10


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what was found, the newest first, and whether there is more on either side."""

    found: list[Found]
    newer: bool
    older: bool


async def find(
    tasks: TaskStore, searches: SearchStore, search: Search, *, edge: str | None = None, newer: bool = False
) -> Page:
    """The newest page, or the one next to the task `edge`; an edge that the search could never find is none."""
    beside = await tasks.get(edge) if edge else None
    if (
        beside is None
        or beside.server_id != search.server_id
        or search.member_id not in {None, beside.member_id}
    ):
        found = await searches.older(search, None, limit=PAGE + 1)
        return Page(found[:PAGE], newer=False, older=len(found) > PAGE)
    if newer:
        found = await searches.newer(search, beside, limit=PAGE + 1)
        return Page(found[:PAGE][::-1], newer=len(found) > PAGE, older=True)
    found = await searches.older(search, beside, limit=PAGE + 1)
    return Page(found[:PAGE], newer=True, older=len(found) > PAGE)
