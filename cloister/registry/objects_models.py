"""Tables of Durable Objects: classes with storage, and the objects of each."""

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from cloister.registry.models import Base


class ObjectNamespace(Base):
    """A class of a script, and all objects of it. It keeps its id when the class is renamed."""

    __tablename__ = "object_namespaces"
    __table_args__ = (
        UniqueConstraint("script_id", "class_name"),
        Index("object_namespaces_by_account", "account_id", "id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    script_id: Mapped[str] = mapped_column(ForeignKey("scripts.id", ondelete="CASCADE"))
    class_name: Mapped[str] = mapped_column(String(255))
    uses_sqlite: Mapped[bool]
    """Whether objects may use SQL; else values are as small as they were before there was that."""
    key: Mapped[bytes] = mapped_column(LargeBinary(32))
    """What makes ids of objects, and tells those that were made with it."""
    objects: Mapped[int]
    """How many are known."""
    created_at: Mapped[int]


class StoredObject(Base):
    """An object that was used: who runs it, and where its files are."""

    __tablename__ = "objects"
    __table_args__ = (
        Index("objects_by_namespace", "namespace_id", "id"),
        Index(
            "objects_by_alarm",
            "alarm_at",
            sqlite_where=text("alarm_at IS NOT NULL"),
            postgresql_where=text("alarm_at IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(
        String(64).with_variant(String(64, collation="C"), "postgresql"), primary_key=True
    )
    namespace_id: Mapped[str] = mapped_column(
        ForeignKey("object_namespaces.id", ondelete="CASCADE")
    )
    home: Mapped[str | None] = mapped_column(String(36))
    """Whose directory has the files."""
    owner: Mapped[str | None] = mapped_column(String(64))
    """Whose lease it is under; None: nobody runs it."""
    fence: Mapped[int]
    """Grows with each owner: the storage takes nothing from one with a lower number."""
    is_stored: Mapped[bool] = mapped_column(server_default=false())
    alarm_at: Mapped[int | None]
    """When to look whether its alarm is due."""


class ObjectMigration(Base):
    """The tag of the last migration of a script."""

    __tablename__ = "object_migrations"

    script_id: Mapped[str] = mapped_column(
        ForeignKey("scripts.id", ondelete="CASCADE"), primary_key=True
    )
    tag: Mapped[str] = mapped_column(String(255))
