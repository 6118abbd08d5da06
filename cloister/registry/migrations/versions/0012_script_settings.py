"""Settings of scripts whichever version is live, and which client uploaded a version."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. What the live version says holds until the next upload or change."""
    op.add_column("scripts", sa.Column("settings", sa.JSON(), nullable=True))
    source = sa.Column("source", sa.String(length=16), nullable=False, server_default="api")
    op.add_column("versions", source)


def downgrade() -> None:
    """Drop them."""
    op.drop_column("versions", "source")
    op.drop_column("scripts", "settings")
