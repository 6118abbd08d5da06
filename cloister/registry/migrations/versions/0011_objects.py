"""Durable Objects: classes, their objects, and how far each script's migrations have come."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "object_namespaces",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("script_id", sa.String(length=32), nullable=False),
        sa.Column("class_name", sa.String(length=255), nullable=False),
        sa.Column("uses_sqlite", sa.Boolean(), nullable=False),
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("object_namespaces_account_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["script_id"],
            ["scripts.id"],
            name=op.f("object_namespaces_script_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("object_namespaces_pkey")),
        sa.UniqueConstraint(
            "script_id", "class_name", name=op.f("object_namespaces_script_id_class_name_key")
        ),
    )
    op.create_index("object_namespaces_by_account", "object_namespaces", ["account_id", "id"])
    id_ = sa.String(length=64).with_variant(sa.String(length=64, collation="C"), "postgresql")
    op.create_table(
        "objects",
        sa.Column("id", id_, nullable=False),
        sa.Column("namespace_id", sa.String(length=32), nullable=False),
        sa.Column("home", sa.String(length=36), nullable=True),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("is_stored", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("alarm_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["namespace_id"],
            ["object_namespaces.id"],
            name=op.f("objects_namespace_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("objects_pkey")),
    )
    op.create_index("objects_by_namespace", "objects", ["namespace_id", "id"])
    op.create_index(
        "objects_by_alarm",
        "objects",
        ["alarm_at"],
        sqlite_where=sa.text("alarm_at IS NOT NULL"),
        postgresql_where=sa.text("alarm_at IS NOT NULL"),
    )
    op.create_table(
        "object_migrations",
        sa.Column("script_id", sa.String(length=32), nullable=False),
        sa.Column("tag", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["script_id"],
            ["scripts.id"],
            name=op.f("object_migrations_script_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("script_id", name=op.f("object_migrations_pkey")),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("object_migrations", "objects", "object_namespaces"):
        op.drop_table(table)
