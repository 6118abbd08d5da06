"""Static assets: sessions in which they are uploaded, and versions that have them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Add the tables and the column."""
    op.create_table(
        "asset_sessions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("namespace_id", sa.String(length=36), nullable=False),
        sa.Column("script", _name(63), nullable=False),
        sa.Column("files", sa.LargeBinary(), nullable=False),
        sa.Column("known", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_id"],
            ["namespaces.id"],
            name="asset_sessions_namespace_id_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="asset_sessions_pkey"),
    )
    op.create_index("asset_sessions_by_script", "asset_sessions", ["namespace_id", "script"])
    op.create_index("asset_sessions_by_end", "asset_sessions", ["expires_at"])
    op.create_table(
        "asset_uploads",
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("hash", _name(64), nullable=False),
        sa.Column("stored", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["asset_sessions.id"],
            name="asset_uploads_session_id_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", "hash", name="asset_uploads_pkey"),
    )
    op.add_column("versions", sa.Column("assets", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Drop them again."""
    with op.batch_alter_table("versions") as table:
        table.drop_column("assets")
    op.drop_table("asset_uploads")
    op.drop_table("asset_sessions")
