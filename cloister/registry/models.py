"""The registry's tables.

Times are epoch milliseconds (UTC). Ids are 32 hex digits, as the product's are, except namespace
ids, which are UUIDs with dashes. JSON columns hold what msgspec encodes.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Root of the mapped classes; its metadata is what the migrations describe."""

    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON, int: BigInteger}


class Account(Base):
    """A platform: it owns namespaces, tokens and stored data."""

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[int]


class ApiToken(Base):
    """An API token, stored as the SHA-256 of its text (which has 256 bits of entropy)."""

    __tablename__ = "api_tokens"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    read_only: Mapped[bool]
    namespace: Mapped[str | None] = mapped_column(String(64))
    """Restricts the token to one dispatch namespace, by name."""
    created_at: Mapped[int]
    expires_at: Mapped[int | None]


class Namespace(Base):
    """A dispatch namespace. ``name`` is its identity in paths, queues and hostnames."""

    __tablename__ = "namespaces"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    trusted: Mapped[bool]
    limits: Mapped[dict[str, Any]]
    outbound: Mapped[dict[str, Any]]
    """``{}`` or ``{"service", "namespace", "parameters"}``."""
    egress: Mapped[dict[str, Any]]
    """``{}`` or ``{"allow": [patterns], "deny": [patterns]}``."""
    created_at: Mapped[int]
    modified_at: Mapped[int]


class Script(Base):
    """A user worker: a name in a namespace, pointing at its live version."""

    __tablename__ = "scripts"
    __table_args__ = (UniqueConstraint("namespace_id", "name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """The immutable ``tag`` of the product."""
    namespace_id: Mapped[str] = mapped_column(ForeignKey("namespaces.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(63))
    version_id: Mapped[str] = mapped_column(String(36))
    created_at: Mapped[int]
    modified_at: Mapped[int]


class ScriptTag(Base):
    """A tag of a script; a table of its own so that filters use an index."""

    __tablename__ = "script_tags"
    __table_args__ = (Index("script_tags_by_tag", "namespace_id", "tag"),)

    script_id: Mapped[str] = mapped_column(
        ForeignKey("scripts.id", ondelete="CASCADE"), primary_key=True
    )
    tag: Mapped[str] = mapped_column(String(255), primary_key=True)
    namespace_id: Mapped[str] = mapped_column(ForeignKey("namespaces.id", ondelete="CASCADE"))


class Version(Base):
    """What runs: code and configuration together, never changed once written."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("script_id", "number"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    script_id: Mapped[str] = mapped_column(ForeignKey("scripts.id", ondelete="CASCADE"))
    number: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    """Content digest of the source bundle, the blob ``source/{digest}``; also the etag."""
    main_module: Mapped[str] = mapped_column(String(255))
    bindings: Mapped[list[Any]]
    """As uploaded, without the text of secrets."""
    secrets: Mapped[bytes] = mapped_column(LargeBinary)
    """Encrypted msgpack map of secret name to text."""
    limits: Mapped[dict[str, Any]]
    settings: Mapped[dict[str, Any]]
    """Everything else of the metadata that is kept: observability, logpush, placement..."""
    compatibility_date: Mapped[str] = mapped_column(String(10))
    compatibility_flags: Mapped[list[Any]]
    handlers: Mapped[dict[str, Any]]
    """Entrypoint class name to the list of its handlers."""
    startup_ms: Mapped[int]
    created_at: Mapped[int]


class KvNamespace(Base):
    """A KV namespace."""

    __tablename__ = "kv_namespaces"
    __table_args__ = (UniqueConstraint("account_id", "title"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(512))
    created_at: Mapped[int]


class KvPair(Base):
    """A key of a KV namespace. Keys are kept as UTF-8 bytes, so that order is the product's."""

    __tablename__ = "kv_pairs"
    __table_args__ = (Index("kv_pairs_by_expiration", "expires_at"),)

    namespace_id: Mapped[str] = mapped_column(
        ForeignKey("kv_namespaces.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[bytes] = mapped_column(LargeBinary(512), primary_key=True)
    value: Mapped[bytes] = mapped_column(LargeBinary)
    metadata_json: Mapped[str | None]
    expires_at: Mapped[int | None]
    """Epoch seconds; the pair reads as missing from then on."""
