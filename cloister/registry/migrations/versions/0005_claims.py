"""Custom hostnames are claimed and proved; those that there are were vouched for."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the new table, move over what is in the old one."""
    made = op.create_table(
        "custom_hostnames",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("hostname", _name(253), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("wildcard", sa.Boolean(), nullable=False),
        sa.Column("vouched", sa.Boolean(), nullable=False),
        sa.Column("token", sa.String(length=36), nullable=False),
        sa.Column("custom_metadata", sa.JSON(), nullable=False),
        sa.Column("ssl", sa.JSON(), nullable=False),
        sa.Column("errors", sa.JSON(), nullable=False),
        sa.Column("namespace_id", sa.String(length=36), nullable=True),
        sa.Column("script", _name(63), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("next_check_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("custom_hostnames_account_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["namespace_id", "script"],
            ["scripts.namespace_id", "scripts.name"],
            name=op.f("custom_hostnames_namespace_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("custom_hostnames_pkey")),
        sa.UniqueConstraint(
            "account_id", "hostname", name=op.f("custom_hostnames_account_id_hostname_key")
        ),
    )
    op.create_index(
        "custom_hostnames_active",
        "custom_hostnames",
        ["hostname"],
        unique=True,
        sqlite_where=sa.text("status = 'active'"),
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index("custom_hostnames_by_name", "custom_hostnames", ["hostname"])
    op.create_index("custom_hostnames_by_script", "custom_hostnames", ["namespace_id", "script"])
    op.create_index("custom_hostnames_by_check", "custom_hostnames", ["next_check_at"])
    old = op.get_bind().execute(
        sa.text(
            "SELECT hostname, account_id, namespace_id, script, hostnames.created_at AS created_at"
            " FROM hostnames JOIN namespaces ON namespaces.id = hostnames.namespace_id"
        )
    )
    rows = [_vouched_for(dict(row)) for row in old.mappings()]
    op.bulk_insert(made, rows)
    op.drop_table("hostnames")


def downgrade() -> None:
    """Keep what is active and leads to a script."""
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
    op.execute(
        "INSERT INTO hostnames (hostname, namespace_id, script, created_at)"
        " SELECT hostname, namespace_id, script, created_at FROM custom_hostnames"
        " WHERE status = 'active' AND script IS NOT NULL"
    )
    op.drop_table("custom_hostnames")


def _vouched_for(row: dict[str, object]) -> dict[str, object]:
    return {
        **row,
        "id": uuid.uuid4().hex,
        "token": str(uuid.uuid4()),
        "status": "active",
        "wildcard": False,
        "vouched": True,
        "custom_metadata": {},
        "ssl": {},
        "errors": [],
        "since": row["created_at"],
        "failing_since": None,
        "next_check_at": None,
    }
