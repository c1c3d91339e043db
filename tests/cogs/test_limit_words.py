"""How a preview counts those it does not name."""

import pytest

from bot.domain.limits import FOREVER, Limit, Period, Scope, Spender, Usage
from bot.services.limits import Preview
from cogs.admin import limit_words

ROLE = Limit(Scope.ROLE, Period.TOTAL, 1_000_000, "8", server_id=5)
LARGE = 10**18


def preview(over: int, *, more: int = 0, unseen: int = 0) -> str:
    spenders = [Spender(LARGE + number, Usage(2_000_000, 329_400)) for number in range(over)]
    return limit_words.preview(Preview(ROLE, None, FOREVER, over=spenders, more=more, unseen=unseen))


@pytest.mark.parametrize(
    ("over", "more", "counted", "hidden"),
    [
        (1, 0, "1 member has", 0),
        (10, 0, "10 members have", 0),
        (11, 0, "11 members have", 1),
        (25, 9, "34 members have", 24),
    ],
)
def test_ten_are_named_and_the_rest_is_counted(over: int, more: int, counted: str, hidden: int) -> None:
    words = preview(over, more=more)
    assert f"{counted} used that much or more and could make nothing until an admin raises it:" in words
    assert words.count("$2.3294, $0.3294 of it held") == min(over, 10)
    assert (f"- and {hidden} more" in words) is bool(hidden)
    assert len(words) < 2000


def test_whom_nobody_was_asked_about_is_said() -> None:
    assert "Nobody of those who spent most is above it.\n5 more used that much in this server" in preview(
        0, unseen=5
    )
    assert "was not looked up" in preview(3, unseen=5)
    assert "looked up" not in preview(3)
    assert "Nobody is above it." in preview(0)
