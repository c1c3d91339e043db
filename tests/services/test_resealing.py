"""A new key is brought in whatever stops it: at each write, of the database and of files, and then begun anew."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bot.services.resealing import Resealing
from bot.vault import PLAIN, Vault
from storage import sealed
from storage.database import Database, open_database
from storage.sealed import SealedStore
from tests.storage.test_sealed import NEW, OLD, SECRET, known, write

PIXELS = b"\xff\xd8\xff pixels"
ROWS = (1, 2, 3)


class Stopped(Exception):
    """The machine stops here."""


async def start(folder: Path, vault: Vault) -> None:
    async with open_database(folder / "conch.db", vault) as database:
        await Resealing(SealedStore(database), folder, vault).run()


@contextmanager
def stopping_at(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Before the write of that number, counted from one."""
    left = itertools.count(number, -1)
    put, save = Database.write, Vault.write

    def count() -> None:
        if next(left) == 1:
            raise Stopped

    async def write_row(self: Database, work: Any) -> Any:
        count()
        return await put(self, work)

    def write_file(self: Vault, file: Path, plain: bytes) -> None:
        count()
        save(self, file, plain)

    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", write_row)
        patch.setattr(Vault, "write", write_file)
        yield


@pytest.mark.parametrize("keys", [[NEW], [NEW, OLD]], ids=["a first key", "another key"])
async def test_stopped_anywhere_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: list[str]
) -> None:
    monkeypatch.setattr(sealed, "_PASSES", [(select, update, 2) for select, update, _ in sealed._PASSES])
    before, both = Vault(keys[1:]) if keys[1:] else PLAIN, Vault(keys)
    for number in itertools.count(1):
        folder = tmp_path / str(number)
        files = [folder / "frames" / "1-first.jpg", folder / "ends" / "task1.png"]
        for file in files:
            file.parent.mkdir(parents=True)
            before.write(file, PIXELS)
        for row in ROWS:
            await write(folder / "conch.db", before, row)
        await start(folder, before)
        ended = False
        with stopping_at(number, monkeypatch), suppress(Stopped):
            await start(folder, both)
            ended = True
        await start(folder, both)
        assert [(await known(folder / "conch.db", Vault([NEW]), row))[0] for row in ROWS] == [
            f"{SECRET} {row}" for row in ROWS
        ]
        assert [Vault([NEW]).read(file) for file in files] == [PIXELS, PIXELS]
        if ended:
            break
    assert number > 10
