"""Tables of R2: buckets, what is known of objects, and unfinished uploads. The bytes are blobs."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from cloister.registry.models import Base

_RULES = JSON(none_as_null=True)


class Bucket(Base):
    """A bucket of an account.

    ``cors``, ``lifecycle`` and ``lock`` are None until somebody sets them. ``bytes`` is what it is
    charged for: see :func:`cloister.registry.r2_objects.charge`.
    """

    __tablename__ = "r2_buckets"
    __table_args__ = (UniqueConstraint("account_id", "name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(
        String(63).with_variant(String(63, collation="C"), "postgresql")
    )
    location: Mapped[str] = mapped_column(String(8))
    storage_class: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[int]
    cors: Mapped[list[dict[str, Any]] | None] = mapped_column(_RULES)
    lifecycle: Mapped[list[dict[str, Any]] | None] = mapped_column(_RULES)
    lock: Mapped[list[dict[str, Any]] | None] = mapped_column(_RULES)
    objects: Mapped[int] = mapped_column(default=0)
    bytes: Mapped[int] = mapped_column(default=0)


class R2Object(Base):
    """An object. Keys are kept as UTF-8 bytes, so that order is the product's.

    ``version`` names the blob, which never changes: another upload has another one. An object in
    parts, each but the last of ``part_size`` bytes, has a blob for each of them.
    """

    __tablename__ = "r2_objects"
    __table_args__ = (Index("r2_objects_by_age", "bucket_id", "uploaded_at"),)

    bucket_id: Mapped[str] = mapped_column(
        ForeignKey("r2_buckets.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[bytes] = mapped_column(LargeBinary(1024), primary_key=True)
    version: Mapped[str] = mapped_column(String(32))
    size: Mapped[int]
    part_size: Mapped[int] = mapped_column(default=0)
    etag: Mapped[str] = mapped_column(String(40))
    checksums: Mapped[dict[str, Any]]
    http_metadata: Mapped[dict[str, Any]]
    custom_metadata: Mapped[dict[str, Any]]
    storage_class: Mapped[str] = mapped_column(String(20))
    uploaded_at: Mapped[int]


class R2Upload(Base):
    """An upload in parts that is not finished."""

    __tablename__ = "r2_uploads"
    __table_args__ = (Index("r2_uploads_by_age", "bucket_id", "created_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    bucket_id: Mapped[str] = mapped_column(ForeignKey("r2_buckets.id", ondelete="CASCADE"))
    key: Mapped[bytes] = mapped_column(LargeBinary(1024))
    http_metadata: Mapped[dict[str, Any]]
    custom_metadata: Mapped[dict[str, Any]]
    storage_class: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[int]


class R2Part(Base):
    """A part of an unfinished upload, or of the object that it became: ``owner`` is the upload's
    id, which is the object's version."""

    __tablename__ = "r2_parts"

    owner: Mapped[str] = mapped_column(String(32), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(String(32))
    size: Mapped[int]
    etag: Mapped[str] = mapped_column(String(32))


class R2Notification(Base):
    """A rule: which changes of which objects a queue is told."""

    __tablename__ = "r2_notifications"
    __table_args__ = (
        Index("r2_notifications_by_bucket", "bucket_id"),
        Index("r2_notifications_by_queue", "queue_id"),
    )

    number: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    id: Mapped[str] = mapped_column(String(32))
    bucket_id: Mapped[str] = mapped_column(ForeignKey("r2_buckets.id", ondelete="CASCADE"))
    queue_id: Mapped[str] = mapped_column(ForeignKey("queues.id", ondelete="CASCADE"))
    actions: Mapped[list[str]]
    prefix: Mapped[str]
    suffix: Mapped[str]
    description: Mapped[str]
    created_at: Mapped[int]


class R2Garbage(Base):
    """A blob that belongs to no object: not yet, or no more. Written down before it is there; from
    ``due_at`` on it may be deleted."""

    __tablename__ = "r2_garbage"
    __table_args__ = (Index("r2_garbage_by_age", "due_at"),)

    version: Mapped[str] = mapped_column(String(32), primary_key=True)
    due_at: Mapped[int]
