"""Cron triggers."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "schedules",
        sa.Column("script_id", sa.String(length=32), nullable=False),
        sa.Column("cron", sa.String(length=256), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["script_id"],
            ["scripts.id"],
            name=op.f("schedules_script_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("script_id", "cron", name=op.f("schedules_pkey")),
    )
    op.create_index("schedules_by_time", "schedules", ["next_at"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("schedules")
