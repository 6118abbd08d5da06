"""Tables of secrets stores: secrets of an account that several Workers may be bound to."""

from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cloister.registry.models import Base


class SecretsStore(Base):
    """A store of an account."""

    __tablename__ = "secrets_stores"
    __table_args__ = (UniqueConstraint("account_id", "name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[int]


class StoredSecret(Base):
    """A secret. Its value is sealed for this row alone."""

    __tablename__ = "stored_secrets"
    __table_args__ = (UniqueConstraint("store_id", "name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    store_id: Mapped[str] = mapped_column(ForeignKey("secrets_stores.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    comment: Mapped[str] = mapped_column(String(1024))
    scopes: Mapped[list[str]]
    created_at: Mapped[int]
    modified_at: Mapped[int]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
