"""Tables of R2: buckets, and what is known of objects, whose bytes are blobs."""

from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cloister.registry.models import Base


class Bucket(Base):
    """A bucket of an account."""

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


class R2Object(Base):
    """An object. Keys are kept as UTF-8 bytes, so that order is the product's.

    ``version`` names the blob, which never changes: another upload has another one.
    """

    __tablename__ = "r2_objects"

    bucket_id: Mapped[str] = mapped_column(
        ForeignKey("r2_buckets.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[bytes] = mapped_column(LargeBinary(1024), primary_key=True)
    version: Mapped[str] = mapped_column(String(32))
    size: Mapped[int]
    etag: Mapped[str] = mapped_column(String(40))
    checksums: Mapped[dict[str, Any]]
    http_metadata: Mapped[dict[str, Any]]
    custom_metadata: Mapped[dict[str, Any]]
    storage_class: Mapped[str] = mapped_column(String(20))
    uploaded_at: Mapped[int]


class R2Garbage(Base):
    """A blob that belongs to no object: not yet, or no more. Written down before it is there."""

    __tablename__ = "r2_garbage"
    __table_args__ = (Index("r2_garbage_by_age", "since"),)

    version: Mapped[str] = mapped_column(String(32), primary_key=True)
    since: Mapped[int]
