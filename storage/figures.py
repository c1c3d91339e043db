"""What the whole bot does and spent, for the operator's graphs: counts and sums, of nobody in particular."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from storage.database import Reads

_STATES = "SELECT state, COUNT(*) AS number FROM tasks GROUP BY state"
_WAITING = """
SELECT COUNT(*) AS number FROM tasks WHERE state = 'held' AND due_at IS NOT NULL
  AND server_id NOT IN (SELECT id FROM servers WHERE pause_reason IS NOT NULL)"""
_SPENT = """
SELECT provider, SUM(spent_micros) AS micros, MAX(id) AS last FROM ledger WHERE id > :after GROUP BY provider"""


@dataclass(frozen=True, slots=True)
class Figures:
    """`waiting` are held tasks that wait for their turn alone: neither for a moderator nor in a paused server."""

    tasks: Mapping[str, int]
    waiting: int
    spent_micros: Mapping[str, int]


class FigureStore:
    """The ledger only grows, so each of its entries is read once."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._spent: Counter[str] = Counter()
        self._last = 0

    async def read(self) -> Figures:
        tasks = {row["state"]: row["number"] for row in await self._reads.read(_STATES)}
        (waiting,) = await self._reads.read(_WAITING)
        for row in await self._reads.read(_SPENT, after=self._last):
            self._spent[row["provider"]] += row["micros"]
            self._last = max(self._last, row["last"])
        return Figures(tasks, waiting["number"], dict(self._spent))
