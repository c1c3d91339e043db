"""What is sealed with `DATA_KEY`, with which key it opens, and what is said where none does."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import Unreadable
from bot.services.requests import clean_prompt
from bot.vault import MARK, PLAIN, Vault, new_key

OLD, NEW = new_key(), new_key()
WORDS = "the whale's secret name is Ambergris 🐋"


def left(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


@given(st.text(), st.binary().filter(lambda data: not data.startswith(MARK)))
def test_what_is_sealed_is_opened_and_what_is_plain_stays(words: str, data: bytes) -> None:
    vault = Vault([NEW])
    assert vault.open_text(vault.seal_text(words)) == words
    assert vault.open(vault.seal(data)) == data == PLAIN.seal(data) == vault.open(data)


def test_nothing_of_it_can_be_read_and_no_two_are_alike() -> None:
    vault = Vault([NEW])
    one, other = vault.seal_text(WORDS), vault.seal_text(WORDS)
    assert "Ambergris" not in one
    assert one != other
    assert NEW not in repr(vault)


def test_the_first_key_seals_and_each_opens() -> None:
    sealed = Vault([OLD]).seal_text(WORDS)
    assert Vault([NEW, OLD]).open_text(sealed) == WORDS
    again = Vault([NEW, OLD]).seal_text(WORDS)
    assert Vault([NEW]).open_text(again) == WORDS
    with pytest.raises(Unreadable, match="another DATA_KEY, or damaged"):
        Vault([OLD]).open_text(again)


@pytest.mark.parametrize("vault", [PLAIN, Vault([OLD])])
def test_without_its_key_nothing_opens_it(vault: Vault) -> None:
    sample = Vault([NEW]).sample()
    assert not vault.opens(sample)
    with pytest.raises(Unreadable, match="Start with the key it was sealed with"):
        vault.open_text(sample)


def test_what_was_changed_is_not_opened() -> None:
    sealed = bytearray(Vault([NEW]).seal(b"a paid order"))
    sealed[30] ^= 1
    with pytest.raises(Unreadable, match="or damaged"):
        Vault([NEW]).open(bytes(sealed))


def test_nothing_stays_nothing() -> None:
    assert Vault([NEW]).seal_text("") == ""


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "a comma too many"),
        ("c2hvcnQ=", "found a key of 5 bytes, need 32"),
        ("correct horse battery staple", "found what is no key"),
        ("ünïcode", "found what is no key"),
        ("A" * 88, "found a key of 66 bytes, need 32"),
    ],
)
def test_what_is_no_key_is_refused_without_being_repeated(key: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        Vault([NEW, key])
    assert not key or ("`conch key` makes one" in str(refused.value) and key not in str(refused.value))


def test_no_prompt_begins_like_something_sealed() -> None:
    assert clean_prompt(f"{MARK.decode()}gAAAAABn") == "gAAAAABn"


# ------------------------------------------------------------------------ files


async def test_a_picture_that_arrives_is_sealed_and_can_be_read(tmp_path: Path) -> None:
    vault, file = Vault([NEW]), tmp_path / "frame.jpg"
    async with vault.arriving(file) as part:
        part.write_bytes(b"pixels")
        assert not file.exists()
    assert b"pixels" not in file.read_bytes()
    assert vault.read(file) == b"pixels"
    async with vault.opened(file) as plain:
        assert plain.read_bytes() == b"pixels"
    assert left(tmp_path) == ["frame.jpg"]


async def test_what_does_not_arrive_leaves_nothing(tmp_path: Path) -> None:
    async def broken() -> None:
        async with Vault([NEW]).arriving(tmp_path / "frame.jpg") as part:
            part.write_bytes(b"pixels")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken()
    assert left(tmp_path) == []


async def test_without_a_key_a_picture_is_its_own_file(tmp_path: Path) -> None:
    file = tmp_path / "frame.jpg"
    async with PLAIN.arriving(file) as part:
        part.write_bytes(b"pixels")
    assert file.read_bytes() == b"pixels"
    assert PLAIN.source(file) == file
    async with PLAIN.opened(file) as plain:
        assert plain == file


async def test_a_file_that_is_gone_is_gone_for_its_reader_too(tmp_path: Path) -> None:
    async with Vault([NEW]).opened(tmp_path / "gone.jpg") as file:
        assert not file.exists()
