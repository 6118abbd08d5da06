"""R2: rules and fullness of buckets, uploads in parts, and when garbage may be deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and columns; count what is in buckets."""
    for rules in ("cors", "lifecycle", "lock"):
        op.add_column("r2_buckets", sa.Column(rules, sa.JSON(none_as_null=True), nullable=True))
    for count in ("objects", "bytes"):
        column = sa.Column(count, sa.BigInteger(), nullable=False, server_default="0")
        op.add_column("r2_buckets", column)
    part_size = sa.Column("part_size", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("r2_objects", part_size)
    op.create_index("r2_objects_by_age", "r2_objects", ["bucket_id", "uploaded_at"])
    _count()
    _uploads()
    op.execute("ALTER TABLE r2_garbage RENAME COLUMN since TO due_at")
    op.execute("UPDATE r2_garbage SET due_at = due_at + 86400000")  # a day


def _count() -> None:
    mine = "FROM r2_objects WHERE r2_objects.bucket_id = r2_buckets.id"
    op.execute(
        f"UPDATE r2_buckets SET objects = (SELECT COUNT(*) {mine}), "  # noqa: S608 - all ours
        f"bytes = (SELECT COALESCE(SUM(size + 1024), 0) {mine})"
    )


def _uploads() -> None:
    op.create_table(
        "r2_uploads",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("bucket_id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.LargeBinary(length=1024), nullable=False),
        sa.Column("http_metadata", sa.JSON(), nullable=False),
        sa.Column("custom_metadata", sa.JSON(), nullable=False),
        sa.Column("storage_class", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["bucket_id"],
            ["r2_buckets.id"],
            name=op.f("r2_uploads_bucket_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("r2_uploads_pkey")),
    )
    op.create_index("r2_uploads_by_age", "r2_uploads", ["bucket_id", "created_at"])
    op.create_table(
        "r2_parts",
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("owner", "number", name=op.f("r2_parts_pkey")),
    )


def downgrade() -> None:
    """Drop them. What is in unfinished uploads, and objects in parts, are lost."""
    op.execute("ALTER TABLE r2_garbage RENAME COLUMN due_at TO since")
    for table in ("r2_parts", "r2_uploads"):
        op.drop_table(table)
    op.execute("DELETE FROM r2_objects WHERE part_size > 0")
    op.drop_index("r2_objects_by_age", "r2_objects")
    op.drop_column("r2_objects", "part_size")
    for column in ("bytes", "objects", "lock", "lifecycle", "cors"):
        op.drop_column("r2_buckets", column)
