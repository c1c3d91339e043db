"""Brings the schema up to date. Alembic is imported only when there is something to migrate."""

import logging
import sqlite3
from pathlib import Path

from bot.domain.errors import SetupError

log = logging.getLogger(__name__)

_FOLDER = Path(__file__).parent / "migrations"


def known() -> list[str]:
    """The revisions this version knows, oldest first; each file's name begins with its own."""
    return sorted(file.name.split("_")[0] for file in (_FOLDER / "versions").glob("[0-9]*_*.py"))


def pending(connection: sqlite3.Connection, path: Path, *, setting: str = "DATABASE_URL") -> bool:
    """Whether the file is older than this version; `SetupError` where it is newer, or somebody else's.

    `setting` is what names the file.
    """
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "alembic_version" not in tables:
        if tables:
            raise SetupError(f"{setting}: {path} holds another program's tables. Name a file of its own.")
        return True
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    revision = row[0] if row else None
    if revision is not None and revision not in known():
        raise SetupError(
            f"{setting}: {path} was written by a newer Conch (schema {revision}, this one knows "
            f"{known()[-1]}). Start that version, or restore a backup made before the update."
        )
    return revision != known()[-1]


def upgrade(path: Path) -> None:
    """Run what is missing; each migration and its mark are one transaction."""
    # A tenth of a second and twelve megabytes that a start with nothing to do does not spend.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["path"] = path
    log.info("migrating %s to schema %s", path, known()[-1])
    try:
        command.upgrade(config, "head")
    except SQLAlchemyError as error:
        raise SetupError(
            f"DATABASE_URL: {path} could not be brought to schema {known()[-1]} "
            f"({getattr(error, 'orig', None) or error}). What was begun was undone; mend that and start again."
        ) from error
