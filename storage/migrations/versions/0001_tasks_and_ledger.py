"""Tasks with their events, the ledger, limits and servers.

Times are milliseconds since 1970, money is micros, yes and no are 1 and 0.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

#: SQLite's STRICT tables know INTEGER but not BIGINT; its INTEGER has 64 bits anyway.
Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

STATES = (
    "held",
    "submitting",
    "queued",
    "processing",
    "succeeded",
    "delivered",
    "failed",
    "cancelled",
    "parked",
)


def _one_of(column: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=f"known_{column}")


def upgrade() -> None:
    op.create_table(
        "servers",
        sa.Column("id", Number, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("first_seen_at", Number, nullable=False),
        sqlite_strict=True,
    )
    _tasks()
    op.create_table(
        "submissions",
        sa.Column("task_id", sa.Text, sa.ForeignKey("tasks.id"), primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "task_events",
        sa.Column("id", Number, primary_key=True),
        sa.Column("task_id", sa.Text, sa.ForeignKey("tasks.id"), nullable=False),
        sa.Column("at", Number, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("task_events_of_task", "task_events", ["task_id", "id"])
    _ledger()
    op.create_table(
        "limits",
        sa.Column("id", Number, primary_key=True),
        # 0 for the operator's own, which hold in every server.
        sa.Column("server_id", Number, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("micros", Number, nullable=False),
        _one_of("scope", "member", "server", "provider", "bot"),
        _one_of("period", "day", "month"),
        sa.CheckConstraint("micros >= 0", name="limit_not_negative"),
        sa.UniqueConstraint("server_id", "scope", "subject", "period", name="one_limit_each"),
        sqlite_strict=True,
    )
    op.create_table(
        "marks",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sqlite_strict=True,
    )


def _tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("interaction_id", Number, nullable=False),
        sa.Column("ordinal", Number, nullable=False),
        sa.Column("server_id", Number, sa.ForeignKey("servers.id"), nullable=False),
        sa.Column("channel_id", Number, nullable=False),
        sa.Column("member_id", Number, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("duration", Number, nullable=False),
        sa.Column("resolution", sa.Text, nullable=False),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("camera", sa.Text),
        sa.Column("enhance", Number, nullable=False),
        sa.Column("first_frame_path", sa.Text),
        sa.Column("first_frame_url", sa.Text),
        sa.Column("last_frame_path", sa.Text),
        sa.Column("last_frame_url", sa.Text),
        sa.Column("provider", sa.Text, nullable=False),
        # What is held, and the list price at the provider that has the task now: the first bounds the second.
        sa.Column("price_micros", Number, nullable=False),
        sa.Column("list_micros", Number, nullable=False),
        # Providers that did not take it and never will, separated by commas.
        sa.Column("tried", sa.Text, nullable=False, server_default=""),
        sa.Column("upload_limit", Number),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", Number, nullable=False),
        sa.Column("changed_at", Number, nullable=False),
        sa.Column("submitted_at", Number),
        sa.Column("due_at", Number),
        sa.Column("polls", Number, nullable=False),
        sa.Column("job_id", sa.Text),
        sa.Column("clip_url", sa.Text),
        sa.Column("clip_expires_at", Number),
        sa.Column("problem", sa.Text),
        sa.Column("progress_channel_id", Number),
        sa.Column("progress_message_id", Number),
        # 1 once the progress message shows the end, so that a restart draws only those that do not.
        sa.Column("end_shown", Number, nullable=False, server_default="0"),
        sa.Column("posting_since", Number),
        sa.Column("message_channel_id", Number),
        sa.Column("message_id", Number),
        # Discord may deliver an interaction twice: it finds the same tasks.
        sa.UniqueConstraint("interaction_id", "ordinal", name="one_task_each"),
        sa.UniqueConstraint("provider", "job_id", name="one_task_per_job"),
        _one_of("state", *STATES),
        _one_of("mode", "text", "image", "transition"),
        sa.CheckConstraint("list_micros >= 0 AND list_micros <= price_micros", name="price_bounds_the_list"),
        sa.CheckConstraint("enhance IN (0, 1)", name="enhance_yes_or_no"),
        sa.CheckConstraint("end_shown IN (0, 1)", name="end_shown_yes_or_no"),
        sa.CheckConstraint(
            "(message_id IS NOT NULL) = (state = 'delivered')", name="delivered_with_its_message"
        ),
        sa.CheckConstraint(
            "state NOT IN ('queued', 'processing', 'succeeded', 'delivered') OR job_id IS NOT NULL",
            name="accepted_with_its_job",
        ),
        sqlite_strict=True,
    )
    # Only tasks with something left to do have a due time, so the index stays small.
    op.create_index(
        "tasks_due",
        "tasks",
        ["provider", "state", "due_at"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        "tasks_to_show",
        "tasks",
        ["created_at"],
        sqlite_where=sa.text("end_shown = 0"),
        postgresql_where=sa.text("end_shown = 0"),
    )
    op.create_index("tasks_of_member", "tasks", ["member_id", "server_id", "created_at"])
    op.create_index("tasks_in_state", "tasks", ["state", "provider", "member_id"])


def _ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("id", Number, primary_key=True),
        sa.Column("task_id", sa.Text, sa.ForeignKey("tasks.id"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        # The changes this entry makes: a balance is their sum.
        sa.Column("held_micros", Number, nullable=False),
        sa.Column("spent_micros", Number, nullable=False),
        sa.Column("server_id", Number, nullable=False),
        sa.Column("member_id", Number, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        # A task counts in the window in which it was held, so every entry carries that time.
        sa.Column("held_at", Number, nullable=False),
        sa.Column("at", Number, nullable=False),
        sa.UniqueConstraint("task_id", "kind", name="one_entry_of_a_kind"),
        sa.CheckConstraint(
            "(kind = 'hold' AND held_micros >= 0 AND spent_micros = 0)"
            " OR (kind = 'settle' AND held_micros <= 0 AND spent_micros >= 0)"
            " OR (kind = 'release' AND held_micros <= 0 AND spent_micros = 0)",
            name="entry_of_its_kind",
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "settled_or_released",
        "ledger",
        ["task_id"],
        unique=True,
        sqlite_where=sa.text("kind IN ('settle', 'release')"),
        postgresql_where=sa.text("kind IN ('settle', 'release')"),
    )
    op.create_index("ledger_by_member", "ledger", ["member_id", "held_at"])
    op.create_index("ledger_by_server", "ledger", ["server_id", "held_at"])
    op.create_index("ledger_by_time", "ledger", ["held_at"])
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER ledger_keeps_from_{act.lower()} BEFORE {act} ON ledger "
            "BEGIN SELECT RAISE(ABORT, 'ledger entries are never changed'); END"
        )
