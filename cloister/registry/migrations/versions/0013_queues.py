"""Queues: what they are, who takes from them, what is in them and what is being handled."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "queues",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("name", _name(), nullable=False),
        sa.Column("delay_s", sa.BigInteger(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("retention_s", sa.BigInteger(), nullable=False),
        sa.Column("backlog_count", sa.BigInteger(), nullable=False),
        sa.Column("backlog_bytes", sa.BigInteger(), nullable=False),
        sa.Column("deliver_at", sa.BigInteger(), nullable=True),
        sa.Column("purged_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        _belongs("queues", "account_id", "accounts"),
        sa.PrimaryKeyConstraint("id", name=op.f("queues_pkey")),
        sa.UniqueConstraint("account_id", "name", name=op.f("queues_account_id_name_key")),
    )
    op.create_index("queues_by_delivery", "queues", ["deliver_at"])
    op.create_table(
        "queue_consumers",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("queue_id", sa.String(length=32), nullable=False),
        sa.Column("script_id", sa.String(length=32), nullable=True),
        sa.Column("dead_letter_queue", _name(), nullable=True),
        sa.Column("batch_size", sa.BigInteger(), nullable=False),
        sa.Column("max_wait_ms", sa.BigInteger(), nullable=False),
        sa.Column("max_retries", sa.BigInteger(), nullable=False),
        sa.Column("max_concurrency", sa.BigInteger(), nullable=True),
        sa.Column("retry_delay_s", sa.BigInteger(), nullable=False),
        sa.Column("visibility_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        _belongs("queue_consumers", "queue_id", "queues"),
        _belongs("queue_consumers", "script_id", "scripts"),
        sa.PrimaryKeyConstraint("id", name=op.f("queue_consumers_pkey")),
        sa.UniqueConstraint("queue_id", name=op.f("queue_consumers_queue_id_key")),
    )
    op.create_index("queue_consumers_by_script", "queue_consumers", ["script_id"])
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "queue_messages",
        sa.Column("number", number, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("queue_id", sa.String(length=32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("content_type", sa.String(length=8), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.Column("visible_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("lease", sa.String(length=32), nullable=True),
        _belongs("queue_messages", "queue_id", "queues"),
        sa.PrimaryKeyConstraint("number", name=op.f("queue_messages_pkey")),
    )
    op.create_index("queue_messages_by_visibility", "queue_messages", ["queue_id", "visible_at"])
    op.create_index("queue_messages_by_age", "queue_messages", ["queue_id", "sent_at"])
    leased = sa.text("lease IS NOT NULL")
    op.create_index(
        "queue_messages_by_lease",
        "queue_messages",
        ["lease"],
        sqlite_where=leased,
        postgresql_where=leased,
    )
    op.create_table(
        "queue_deliveries",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("queue_id", sa.String(length=32), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        _belongs("queue_deliveries", "queue_id", "queues"),
        sa.PrimaryKeyConstraint("id", name=op.f("queue_deliveries_pkey")),
    )
    op.create_index("queue_deliveries_by_queue", "queue_deliveries", ["queue_id", "until"])


def downgrade() -> None:
    """Drop them."""
    for table in ("queue_deliveries", "queue_messages", "queue_consumers", "queues"):
        op.drop_table(table)


def _name() -> sa.String:
    return sa.String(length=63).with_variant(sa.String(length=63, collation="C"), "postgresql")


def _belongs(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{to}.id"], name=op.f(f"{table}_{column}_fkey"), ondelete="CASCADE"
    )
