"""Custom hostnames."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "hostnames",
        sa.Column("hostname", _name(253), nullable=False),
        sa.Column("namespace_id", sa.String(length=36), nullable=False),
        sa.Column("script", _name(63), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_id", "script"],
            ["scripts.namespace_id", "scripts.name"],
            name=op.f("hostnames_namespace_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("hostname", name=op.f("hostnames_pkey")),
    )
    op.create_index("hostnames_by_script", "hostnames", ["namespace_id", "script"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("hostnames")
