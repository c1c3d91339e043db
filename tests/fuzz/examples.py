"""How many examples a property sees: few and always the same ones, or with `CONCH_FUZZ` many and new ones."""

import contextlib
import functools
import inspect
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from unittest import SkipTest

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

#: Seconds that each case of a property may take; 0 for the few examples of `make test`.
SECONDS = float(os.environ.get("CONCH_FUZZ", "0"))
#: More than fit into the seconds.
_MANY = 100_000

#: Examples by case of a property, by its id at pytest.
ran: Counter[str] = Counter()


def fuzz(
    few: int, *, shrink: bool = True, **strategies: st.SearchStrategy[Any]
) -> Callable[[Callable[..., Any]], Any]:
    """`few` examples of a property, or as many as come within `SECONDS`.

    `shrink` is False where an example leaves something behind, so that a smaller one may tell of another fault.
    """

    def decorated(test: Callable[..., Any]) -> Any:
        chosen = settings(
            max_examples=_MANY if SECONDS else few,
            derandomize=not SECONDS,
            database=None,
            deadline=None,
            phases=[phase for phase in Phase if phase is not Phase.shrink or shrink],
            # The fixtures are servers and bots that outlive an example, and each example leaves them as they were.
            suppress_health_check=list(HealthCheck),
        )
        return chosen(given(**strategies)(_counted(test)))

    return decorated


class Enough(SkipTest):
    """The seconds are over. Hypothesis lets it through, and the property has held."""


def _counted(test: Callable[..., Any]) -> Callable[..., Any]:
    begun: dict[str, float] = {}
    failed: set[str] = set()

    @contextlib.contextmanager
    def example() -> Iterator[None]:
        case = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
        begun.setdefault(case, time.monotonic())
        ran[case] += 1
        try:
            yield
        except HypothesisException:
            raise
        except Exception:
            failed.add(case)
            raise
        # What failed is still to be made small.
        if SECONDS and case not in failed and time.monotonic() - begun[case] > SECONDS:
            raise Enough("the seconds are over")

    if inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        async def one(*args: Any, **kwargs: Any) -> None:
            with example():
                await test(*args, **kwargs)

        return one

    @functools.wraps(test)
    def other(*args: Any, **kwargs: Any) -> None:
        with example():
            test(*args, **kwargs)

    return other
