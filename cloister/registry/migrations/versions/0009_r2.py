"""R2: buckets, objects, and blobs that belong to no object."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    name = sa.String(length=63).with_variant(sa.String(length=63, collation="C"), "postgresql")
    op.create_table(
        "r2_buckets",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("name", name, nullable=False),
        sa.Column("location", sa.String(length=8), nullable=False),
        sa.Column("storage_class", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("r2_buckets_account_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("r2_buckets_pkey")),
        sa.UniqueConstraint("account_id", "name", name=op.f("r2_buckets_account_id_name_key")),
    )
    op.create_table(
        "r2_objects",
        sa.Column("bucket_id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.LargeBinary(length=1024), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.String(length=40), nullable=False),
        sa.Column("checksums", sa.JSON(), nullable=False),
        sa.Column("http_metadata", sa.JSON(), nullable=False),
        sa.Column("custom_metadata", sa.JSON(), nullable=False),
        sa.Column("storage_class", sa.String(length=20), nullable=False),
        sa.Column("uploaded_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["bucket_id"],
            ["r2_buckets.id"],
            name=op.f("r2_objects_bucket_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("bucket_id", "key", name=op.f("r2_objects_pkey")),
    )
    op.create_table(
        "r2_garbage",
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("r2_garbage_pkey")),
    )
    op.create_index("r2_garbage_by_age", "r2_garbage", ["since"])


def downgrade() -> None:
    """Drop them."""
    for table in ("r2_garbage", "r2_objects", "r2_buckets"):
        op.drop_table(table)
