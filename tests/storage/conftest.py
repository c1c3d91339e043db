"""A real database file for every test: a copy of one that was migrated once."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from storage.database import Database, open_database
from storage.ledger import LedgerStore
from storage.limits import LimitStore
from storage.tasks import TaskStore


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "conch.db"

    async def migrate() -> None:
        async with open_database(file):
            pass

    asyncio.run(migrate())
    return file


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "conch.db"
    shutil.copy(template, file)
    yield file
    for left in tmp_path.glob("conch.db*"):
        left.unlink()


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    async with open_database(path) as database:
        yield database


@pytest.fixture
def store(database: Database) -> TaskStore:
    return TaskStore(database)


@pytest.fixture
def ledger(database: Database) -> LedgerStore:
    return LedgerStore(database)


@pytest.fixture
def limits(database: Database) -> LimitStore:
    return LimitStore(database)
