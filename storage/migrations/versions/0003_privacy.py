"""What is kept of a task's words and pictures may end before its money does.

Times are milliseconds since 1970.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

#: SQLite's STRICT tables know INTEGER but not BIGINT; its INTEGER has 64 bits anyway.
Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # When its member asked for it; a task still under way is erased once it has ended.
    op.add_column("tasks", sa.Column("erase_asked_at", Number))
    op.add_column("tasks", sa.Column("erased_at", Number))
    asked = sa.text("erase_asked_at IS NOT NULL AND erased_at IS NULL")
    op.create_index(
        "tasks_to_erase", "tasks", ["member_id", "id"], sqlite_where=asked, postgresql_where=asked
    )
    kept = sa.text("erased_at IS NULL")
    op.create_index("tasks_with_words", "tasks", ["created_at"], sqlite_where=kept, postgresql_where=kept)
