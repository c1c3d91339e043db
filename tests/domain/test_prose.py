"""Words of others stand in ours like sentences."""

import pytest

from bot.domain.prose import counted, sentence


@pytest.mark.parametrize("text", ["spam.", "Stop it!", "Really?", "wait…", "wait...", "够了。"])
def test_no_full_stop_stands_behind_another_mark(text: str) -> None:
    assert sentence(text) == text


def test_what_no_mark_ends_gets_a_full_stop() -> None:
    assert sentence("we look into spam") == "we look into spam."


@pytest.mark.parametrize(("number", "words"), [(1, "1 hour"), (2, "2 hours"), (0, "0 hours")])
def test_one_is_not_many(number: int, words: str) -> None:
    assert counted(number, "hour") == words
