"""What is live under a name, since when: deployments of one or two versions."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CHUNK = 1_000


def upgrade() -> None:
    """Add the tables. What is live now is each script's first deployment."""
    op.add_column("scripts", sa.Column("traffic", sa.JSON(), nullable=True))
    deployments = op.create_table(
        "deployments",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("script_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("traffic", sa.JSON(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("restores", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["script_id"],
            ["scripts.id"],
            name="deployments_script_id_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="deployments_pkey"),
        sa.UniqueConstraint("script_id", "number", name="deployments_script_id_number_key"),
    )
    op.create_table(
        "uploads",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="uploads_pkey"),
    )
    op.create_index("versions_by_digest", "versions", ["digest"])
    _note_what_is_live(deployments)


def _note_what_is_live(deployments: sa.Table) -> None:
    connection = op.get_bind()
    query = sa.text("SELECT id, version_id, modified_at FROM scripts")
    for rows in connection.execute(query).partitions(CHUNK):
        op.bulk_insert(
            deployments,
            [
                {
                    "id": str(uuid.uuid4()),
                    "script_id": row.id,
                    "number": 1,
                    "traffic": {"versions": [{"version_id": row.version_id, "percentage": 100}]},
                    "message": "",
                    "cause": "upload",
                    "restores": None,
                    "created_at": row.modified_at,
                }
                for row in rows
            ],
        )


def downgrade() -> None:
    """Drop them: the main version of each script is live alone."""
    op.drop_index("versions_by_digest", "versions")
    op.drop_table("uploads")
    op.drop_table("deployments")
    op.drop_column("scripts", "traffic")
