"""The fallback origin of an account: the worker to which its custom hostnames lead that name none,
neither by themselves nor in their metadata.
"""

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, Select, String, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from cloister.errors import NotFound
from cloister.messages import EVERY_HOSTNAME
from cloister.registry.database import Database, Work, now_ms
from cloister.registry.models import Base, Namespace
from cloister.registry.namespaces import namespace_row
from cloister.registry.views import FallbackView


class FallbackOrigin(Base):
    """By the namespace's id, so that it follows a rename; it goes with its script."""

    __tablename__ = "fallback_origins"
    __table_args__ = (
        ForeignKeyConstraint(
            ["namespace_id", "script"],
            ["scripts.namespace_id", "scripts.name"],
            ondelete="CASCADE",
        ),
        Index("fallback_origins_by_script", "namespace_id", "script"),
    )

    account_id: Mapped[str] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    namespace_id: Mapped[str] = mapped_column(String(36))
    script: Mapped[str] = mapped_column(
        String(63).with_variant(String(63, collation="C"), "postgresql")
    )
    created_at: Mapped[int]
    updated_at: Mapped[int]


class Fallbacks:
    """Sets and finds them, one an account."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, account_id: str) -> FallbackView:
        """Find it. Raises NotFound."""
        query = (
            select(FallbackOrigin, Namespace.name)
            .join(Namespace, FallbackOrigin.namespace_id == Namespace.id)
            .where(FallbackOrigin.account_id == account_id)
        )
        with self._database.read() as session:
            found = session.execute(query).one_or_none()
        if found is None:
            raise _none()
        row, namespace = found
        return FallbackView(
            namespace=namespace,
            script=row.script,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )

    def put(self, account_id: str, *, namespace: str, script: str) -> FallbackView:
        """Set it, in place of the one that was.

        Raises:
            NotFound: the account has no such namespace, or the namespace no such script.
        """
        with self._database.write() as work:
            found = namespace_row(work, account_id, namespace, for_change=True)
            row = work.scalar(_mine(account_id).with_for_update())
            if row is None:
                row = FallbackOrigin(account_id=account_id, created_at=now_ms())
                work.add(row)
            row.namespace_id, row.script, row.updated_at = found.id, script, now_ms()
            try:
                work.flush()
            except IntegrityError as exc:
                raise NotFound(f"The namespace has no script {script[:64]!r}.") from exc
            _changed(work)
        return self.get(account_id)

    def delete(self, account_id: str) -> FallbackView:
        """Have none any more; the one that was. Raises NotFound."""
        gone = self.get(account_id)
        with self._database.write() as work:
            row = work.scalar(_mine(account_id).with_for_update())
            if row is None:
                raise _none()
            work.delete(row)
            _changed(work)
        return gone


def _mine(account_id: str) -> Select[FallbackOrigin]:
    return select(FallbackOrigin).where(FallbackOrigin.account_id == account_id)


def _changed(work: Work) -> None:
    work.changed_hostname(EVERY_HOSTNAME, "", "")


def _none() -> NotFound:
    return NotFound("The account has no fallback origin.")
