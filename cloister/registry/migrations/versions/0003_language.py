"""What runs a namespace's workers: their language, and whether isolates serve once only."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. Namespaces that are there stay as they were."""
    op.add_column(
        "namespaces",
        sa.Column("language", sa.String(length=16), nullable=False, server_default="restricted"),
    )
    op.add_column(
        "namespaces",
        sa.Column("fresh_isolates", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    """Drop them: every namespace is restricted again."""
    op.drop_column("namespaces", "fresh_isolates")
    op.drop_column("namespaces", "language")
