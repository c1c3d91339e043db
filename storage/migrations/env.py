"""Alembic's entry: one SQLite file, every migration in one transaction with its mark."""

from pathlib import Path

from alembic import context
from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.pool import NullPool

path: Path = context.config.attributes["path"]
url = URL.create("sqlite", database=str(path))
engine = create_engine(url, poolclass=NullPool, connect_args={"isolation_level": None})


@event.listens_for(engine, "begin")
def _begin(connection: Connection) -> None:
    # sqlite3 by itself begins no transaction for CREATE TABLE: a crash would leave half a migration.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


with engine.connect() as connection:
    context.configure(connection=connection, transactional_ddl=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
engine.dispose()
