"""What admins may decide: limits by role and for ever, access, approvals, refunds, and the record of it all.

Times are milliseconds since 1970, money is micros, yes and no are 1 and 0.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

#: SQLite's STRICT tables know INTEGER but not BIGINT; its INTEGER has 64 bits anyway.
Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _one_of(column: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=f"known_{column}")


def upgrade() -> None:
    _servers()
    _tasks()
    _ledger()
    _limits()
    _access()
    _approvals()
    _alarms()
    _audit()


def _servers() -> None:
    for column in (
        sa.Column("zone", sa.Text, nullable=False, server_default="UTC"),
        sa.Column("pause_reason", sa.Text),
        sa.Column("approval_micros", Number),
        sa.Column("approval_hours", Number, nullable=False, server_default="24"),
        sa.Column("notices_channel_id", Number),
        sa.Column("monthly_report", Number, nullable=False, server_default="0"),
        sa.Column("alarms", Number, nullable=False, server_default="1"),
        # The end of the last month whose report was posted, or after which reports began.
        sa.Column("reported_until", Number),
    ):
        op.add_column("servers", column)


def _tasks() -> None:
    # Until when a moderator may approve; NULL where nobody has to.
    op.add_column("tasks", sa.Column("approval_until", Number))
    # Since when it might have been handed over, where that is later than it was asked for.
    op.add_column("tasks", sa.Column("waiting_since", Number))
    # What the provider itself says it charged; NULL where it says nothing.
    op.add_column("tasks", sa.Column("charged_micros", Number))
    # How many events there had been when it was last sent: the order of starts, whatever the clock does.
    op.add_column("tasks", sa.Column("started", Number))
    op.create_index("tasks_of_server", "tasks", ["server_id", "created_at"])
    op.create_index("tasks_of_server_in_state", "tasks", ["server_id", "state", "created_at"])
    op.create_index(
        "tasks_started",
        "tasks",
        ["member_id", "started"],
        sqlite_where=sa.text("started IS NOT NULL"),
        postgresql_where=sa.text("started IS NOT NULL"),
    )
    # All that the fair order looks at, in the order of members and their turns.
    op.create_index(
        "tasks_waiting",
        "tasks",
        [
            "provider",
            "state",
            "member_id",
            "created_at",
            "interaction_id",
            "ordinal",
            "due_at",
            "server_id",
            "id",
        ],
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )


def _ledger() -> None:
    """The same entries in a table that also knows refunds: SQLite cannot change a CHECK in place."""
    op.rename_table("ledger", "ledger_before")
    op.create_table(
        "ledger",
        sa.Column("id", Number, primary_key=True),
        sa.Column("task_id", sa.Text, sa.ForeignKey("tasks.id"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        # The changes this entry makes: a balance is their sum.
        sa.Column("held_micros", Number, nullable=False),
        sa.Column("spent_micros", Number, nullable=False),
        # Given back to the member; the provider has been paid all the same.
        sa.Column("refunded_micros", Number, nullable=False, server_default="0"),
        sa.Column("server_id", Number, nullable=False),
        sa.Column("member_id", Number, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        # A task counts in the window in which it was held, so every entry carries that time.
        sa.Column("held_at", Number, nullable=False),
        sa.Column("at", Number, nullable=False),
        sa.UniqueConstraint("task_id", "kind", name="one_entry_of_a_kind"),
        sa.CheckConstraint(
            "(kind = 'hold' AND held_micros >= 0 AND spent_micros = 0 AND refunded_micros = 0)"
            " OR (kind = 'settle' AND held_micros <= 0 AND spent_micros >= 0 AND refunded_micros = 0)"
            " OR (kind = 'release' AND held_micros <= 0 AND spent_micros = 0 AND refunded_micros = 0)"
            " OR (kind = 'refund' AND held_micros = 0 AND spent_micros = 0 AND refunded_micros > 0)",
            name="entry_of_its_kind",
        ),
        sqlite_strict=True,
    )
    columns = "id, task_id, kind, held_micros, spent_micros, server_id, member_id, provider, held_at, at"
    op.execute(f"INSERT INTO ledger ({columns}) SELECT {columns} FROM ledger_before")  # noqa: S608
    op.drop_table("ledger_before")
    op.create_index(
        "settled_or_released",
        "ledger",
        ["task_id"],
        unique=True,
        sqlite_where=sa.text("kind IN ('settle', 'release')"),
        postgresql_where=sa.text("kind IN ('settle', 'release')"),
    )
    # With the amounts, so that a sum over a month reads nothing but its index.
    amounts = ["held_micros", "spent_micros"]
    op.create_index(
        "ledger_by_member", "ledger", ["member_id", "held_at", "server_id", *amounts, "refunded_micros"]
    )
    op.create_index("ledger_by_server", "ledger", ["server_id", "held_at", *amounts])
    op.create_index("ledger_by_time", "ledger", ["held_at", "task_id", *amounts])
    _append_only("ledger", "ledger entries are never changed")


def _append_only(table: str, sentence: str) -> None:
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_keeps_from_{act.lower()} BEFORE {act} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{sentence}'); END"
        )


def _limits() -> None:
    # Until now it held the operator's own alone, and every start makes those anew.
    op.drop_table("limits")
    op.create_table(
        "limits",
        sa.Column("id", Number, primary_key=True),
        # 0 for the operator's own, which hold in every server.
        sa.Column("server_id", Number, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("micros", Number, nullable=False),
        _one_of("scope", "member", "role", "server", "provider", "bot"),
        _one_of("period", "day", "month", "total"),
        sa.CheckConstraint("micros >= 0", name="limit_not_negative"),
        sa.UniqueConstraint("server_id", "scope", "subject", "period", name="one_limit_each"),
        sqlite_strict=True,
    )


def _access() -> None:
    op.create_table(
        "access_rules",
        sa.Column("id", Number, primary_key=True),
        sa.Column("server_id", Number, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        # A Discord id, or a word as it is compared.
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("allowed", Number, nullable=False),
        # When it ends by itself; NULL for never.
        sa.Column("until", Number),
        sa.Column("reason", sa.Text, nullable=False),
        _one_of("kind", "channel", "role", "member", "word"),
        sa.CheckConstraint("allowed IN (0, 1)", name="allowed_yes_or_no"),
        sa.UniqueConstraint("server_id", "kind", "subject", name="one_rule_each"),
        sqlite_strict=True,
    )


def _approvals() -> None:
    op.create_table(
        "approvals",
        # One question for all clips of a command.
        sa.Column("interaction_id", Number, primary_key=True),
        sa.Column("server_id", Number, nullable=False),
        sa.Column("until", Number, nullable=False),
        # Where moderators were asked; NULL until they were.
        sa.Column("channel_id", Number),
        sa.Column("message_id", Number),
        sa.Column("decision", sa.Text),
        sa.Column("decided_by", Number),
        # 1 once the moderators' message shows the decision.
        sa.Column("shown", Number, nullable=False, server_default="0"),
        sa.CheckConstraint(
            "decision IS NULL OR decision IN ('approved', 'declined', 'expired', 'withdrawn')",
            name="known_decision",
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "approvals_open",
        "approvals",
        ["until"],
        sqlite_where=sa.text("shown = 0"),
        postgresql_where=sa.text("shown = 0"),
    )


def _alarms() -> None:
    op.create_table(
        "alarms",
        sa.Column("id", Number, primary_key=True),
        sa.Column("server_id", Number, nullable=False),
        # Whose limit it is: 0 the operator's, else the server's own.
        sa.Column("owner_id", Number, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("since", Number, nullable=False),
        sa.Column("percent", Number, nullable=False),
        sa.Column("limit_micros", Number, nullable=False),
        sa.Column("spent_micros", Number, nullable=False),
        sa.Column("held_micros", Number, nullable=False),
        sa.Column("at", Number, nullable=False),
        # When moderators were told, or it was found that nobody wants to be.
        sa.Column("told_at", Number),
        _one_of("period", "day", "month", "total"),
        # With the amount: a budget that was changed is another one.
        sa.UniqueConstraint(
            *("server_id", "owner_id", "period", "since", "limit_micros", "percent"), name="one_alarm_each"
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "alarms_untold",
        "alarms",
        ["server_id"],
        sqlite_where=sa.text("told_at IS NULL"),
        postgresql_where=sa.text("told_at IS NULL"),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", Number, primary_key=True),
        sa.Column("server_id", Number, nullable=False),
        sa.Column("at", Number, nullable=False),
        sa.Column("actor_id", Number, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("audit_of_server", "audit", ["server_id", "id"])
    _append_only("audit", "what admins did is never rewritten")
