"""Addresses that only the provider of a task's job can know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.services.hooks import Hooks

HOOKS = Hooks("https://bot.example/", b"a secret")
ADDRESS = HOOKS.address("task0001")


def path_of(address: str) -> str:
    return address.removeprefix("https://bot.example")


@given(st.from_regex(r"[a-z0-9]{1,16}", fullmatch=True))
def test_address_leads_back_to_its_task(task_id: str) -> None:
    assert HOOKS.task_of(path_of(HOOKS.address(task_id))) == task_id


def test_address_is_below_the_public_one_and_the_same_every_time() -> None:
    assert ADDRESS.startswith("https://bot.example/hooks/task0001/")
    assert Hooks("https://bot.example", b"a secret").address("task0001") == ADDRESS


def test_address_of_another_secret_is_not_ours() -> None:
    assert Hooks("https://bot.example", b"another").task_of(path_of(ADDRESS)) is None


def test_signature_of_another_task_is_not_taken() -> None:
    assert HOOKS.task_of(path_of(ADDRESS).replace("task0001", "task0002")) is None


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/hooks",
        "/hooks/",
        "/hooks//",
        "/hooks/task0001",
        "/hooks/task0001/",
        "/hooks/task0001/0000",
        path_of(ADDRESS)[:-1],
        path_of(ADDRESS) + "0",
        path_of(ADDRESS) + "/",
        path_of(ADDRESS) + "?a=b",
        path_of(ADDRESS).upper(),
        path_of(ADDRESS).removeprefix("/hooks/"),
        "/other" + path_of(ADDRESS),
        "/hooks/täsk/ünd",
        "/hooks/task0001/" + "ä" * 40,
        "/hooks/\udcff/\udcff",
        "/hooks/\x00/\x00",
    ],
    ids=ascii,
)
def test_other_paths_are_nobodys(path: str) -> None:
    assert HOOKS.task_of(path) is None


@given(st.text())
def test_no_path_is_too_odd(path: str) -> None:
    assert HOOKS.task_of("/hooks/" + path) is None
