"""Secrets stores, and data points that Workers write."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _make_stores()
    _make_points()


def _make_stores() -> None:
    op.create_table(
        "secrets_stores",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("secrets_stores_account_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("secrets_stores_pkey")),
        sa.UniqueConstraint("account_id", "name", name=op.f("secrets_stores_account_id_name_key")),
    )
    op.create_table(
        "stored_secrets",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("store_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("comment", sa.String(length=1024), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["store_id"],
            ["secrets_stores.id"],
            name=op.f("stored_secrets_store_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("stored_secrets_pkey")),
        sa.UniqueConstraint("store_id", "name", name=op.f("stored_secrets_store_id_name_key")),
    )


def _make_points() -> None:
    op.create_table(
        "point_batches",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("dataset", sa.String(length=100), nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("point_batches_account_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("point_batches_pkey")),
    )
    op.create_index(
        "point_batches_by_time", "point_batches", ["account_id", "dataset", "written_at", "id"]
    )
    op.create_index("point_batches_by_size", "point_batches", ["account_id", "written_at", "size"])


def downgrade() -> None:
    """Drop them."""
    for table in ("point_batches", "stored_secrets", "secrets_stores"):
        op.drop_table(table)
