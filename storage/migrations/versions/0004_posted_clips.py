"""What may be done with a posted clip: going on from it, removing it, reporting it.

Times are milliseconds since 1970.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

#: SQLite's STRICT tables know INTEGER but not BIGINT; its INTEGER has 64 bits anyway.
Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # The clip whose last frame is the first of this one; NULL for a clip of its own.
    op.add_column("tasks", sa.Column("parent_id", sa.Text))
    op.create_index(
        "tasks_of_parent",
        "tasks",
        ["parent_id"],
        sqlite_where=sa.text("parent_id IS NOT NULL"),
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )
    # The member who had the posted clip removed; NULL while it stands.
    op.add_column("tasks", sa.Column("removed_by", Number))
    op.create_table(
        "clip_reports",
        sa.Column("id", Number, primary_key=True),
        sa.Column("task_id", sa.Text, sa.ForeignKey("tasks.id"), nullable=False),
        sa.Column("server_id", Number, nullable=False),
        sa.Column("member_id", Number, nullable=False),
        sa.Column("at", Number, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        # The moderators' message; NULL until they were told.
        sa.Column("message_id", Number),
        sa.Column("decision", sa.Text),
        sa.Column("decided_by", Number),
        sa.CheckConstraint("decision IS NULL OR decision IN ('removed', 'dismissed')", name="known_decision"),
        sa.UniqueConstraint("task_id", "member_id", name="one_report_each"),
        sqlite_strict=True,
    )
    op.create_index("clip_reports_of_member", "clip_reports", ["member_id", "server_id", "at"])
