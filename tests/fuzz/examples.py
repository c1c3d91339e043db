"""How many examples a property sees: few and always the same ones, or with `CONCH_FUZZ` many and new ones."""

import functools
import inspect
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

#: Seconds that each case of a property may take; 0 for the few examples of `make test`.
SECONDS = float(os.environ.get("CONCH_FUZZ", "0"))
#: More than fit into the seconds.
_MANY = 100_000

#: Examples by case of a property, by its id at pytest.
ran: Counter[str] = Counter()


def fuzz(few: int, **strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., Any]], Any]:
    """`few` examples of a property, or as many as come within `SECONDS`."""

    def decorated(test: Callable[..., Any]) -> Any:
        chosen = settings(
            max_examples=_MANY if SECONDS else few,
            derandomize=not SECONDS,
            database=None,
            deadline=None,
            # The fixtures are servers and bots that outlive an example, and each example leaves them as they were.
            suppress_health_check=list(HealthCheck),
        )
        return chosen(given(**strategies)(_counted(test)))

    return decorated


def _counted(test: Callable[..., Any]) -> Callable[..., Any]:
    begun: dict[str, float] = {}

    def wanted() -> bool:
        case = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
        now = time.monotonic()
        if SECONDS and now - begun.setdefault(case, now) > SECONDS:
            return False
        ran[case] += 1
        return True

    if inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        async def one(*args: Any, **kwargs: Any) -> None:
            if wanted():
                await test(*args, **kwargs)

        return one

    @functools.wraps(test)
    def other(*args: Any, **kwargs: Any) -> None:
        if wanted():
            test(*args, **kwargs)

    return other
