"""Orders that wait for their member's next word, and clips for the requester alone.

Times are milliseconds since 1970, yes and no are 1 and 0.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

#: SQLite's STRICT tables know INTEGER but not BIGINT; its INTEGER has 64 bits anyway.
Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "drafts",
        # The interaction that began it.
        sa.Column("id", Number, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("server_id", Number, nullable=False),
        sa.Column("member_id", Number, nullable=False),
        # JSON, read by whoever wrote it.
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("until", Number, nullable=False),
        # The interaction that made an order of it; NULL as long as none did.
        sa.Column("used_by", Number),
        sa.CheckConstraint("kind IN ('menu', 'shape')", name="known_kind"),
        sqlite_strict=True,
    )
    op.create_index("drafts_by_end", "drafts", ["until"])
    op.add_column("tasks", sa.Column("private", Number, nullable=False, server_default="0"))
