"""The language of a task's member, for what is told of it long after the command."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    # One of Discord's locales; who asked before this column was told everything in English.
    op.add_column("tasks", sa.Column("language", sa.Text, nullable=False, server_default="en-US"))
