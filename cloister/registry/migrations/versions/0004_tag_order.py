"""Tags in the order of their scripts' names, so that a page of a filter is read from an index."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Write each script's name to its tags."""
    name = sa.String(length=63).with_variant(sa.String(length=63, collation="C"), "postgresql")
    op.drop_index("script_tags_by_tag", "script_tags")
    op.add_column("script_tags", sa.Column("script", name, nullable=True))
    op.execute(
        "UPDATE script_tags SET script ="
        " (SELECT name FROM scripts WHERE scripts.id = script_tags.script_id)"
    )
    with op.batch_alter_table("script_tags") as table:
        table.alter_column("script", existing_type=name, nullable=False)
    op.create_index("script_tags_by_tag", "script_tags", ["namespace_id", "tag", "script"])


def downgrade() -> None:
    """Take it out again."""
    op.drop_index("script_tags_by_tag", "script_tags")
    with op.batch_alter_table("script_tags") as table:
        table.drop_column("script")
    op.create_index("script_tags_by_tag", "script_tags", ["namespace_id", "tag"])
