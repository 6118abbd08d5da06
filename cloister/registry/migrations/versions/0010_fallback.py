"""Fallback origins: where custom hostnames lead that name no worker."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "fallback_origins",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("namespace_id", sa.String(length=36), nullable=False),
        sa.Column(
            "script",
            sa.String(length=63).with_variant(sa.String(length=63, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fallback_origins_account_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["namespace_id", "script"],
            ["scripts.namespace_id", "scripts.name"],
            name=op.f("fallback_origins_namespace_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("fallback_origins_pkey")),
    )
    op.create_index("fallback_origins_by_script", "fallback_origins", ["namespace_id", "script"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("fallback_origins")
