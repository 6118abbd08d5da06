"""The registry's tables.

Times are epoch milliseconds (UTC), except the expiration of a KV pair: seconds, as in the product.
Ids are 32 hex digits, as the product's are; those of namespaces and versions are UUIDs with dashes.
JSON columns hold what msgspec encodes.
"""

from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    JSON,
    BigInteger,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    String,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from cloister.assets.manifest import SiteRef, Stored
from cloister.languages import RESTRICTED
from cloister.limits import Limits
from cloister.registry.rollout import Traffic
from cloister.registry.views import OutboundRule

Struct = TypeVar("Struct", bound=msgspec.Struct)


class Record(TypeDecorator[Struct]):
    """A msgspec struct kept as JSON; None is SQL's NULL."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def __init__(self, struct: type[Struct]) -> None:
        super().__init__()
        self.struct = struct

    def process_bind_param(self, value: Struct | None, _dialect: Dialect) -> Any:
        """To what JSON knows."""
        return msgspec.to_builtins(value)

    def process_result_value(self, value: Any | None, _dialect: Dialect) -> Struct | None:
        """Back to the struct."""
        return None if value is None else msgspec.convert(value, self.struct)


def _name(length: int) -> String:
    """Text ordered by its bytes on every database, as cursors need it."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


class Base(DeclarativeBase):
    """Root of the mapped classes; its metadata is what the migrations describe."""

    # Every constraint has a name, for a later migration to find it by.
    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
        }
    )
    type_annotation_map = {
        dict[str, Any]: JSON,
        dict[str, list[str]]: JSON,
        list[dict[str, Any]]: JSON,
        list[str]: JSON,
        int: BigInteger,
    }


class Account(Base):
    """A platform: it owns namespaces, tokens and stored data."""

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[int]


class ApiToken(Base):
    """An API token, stored as the SHA-256 of its text (which has 256 bits of entropy)."""

    __tablename__ = "api_tokens"
    __table_args__ = (Index("api_tokens_by_account", "account_id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    read_only: Mapped[bool]
    namespace_id: Mapped[str | None] = mapped_column(
        ForeignKey("namespaces.id", ondelete="CASCADE")
    )
    """Restricts the token to one dispatch namespace. By id, so that a restriction follows a rename
    and never passes to a later namespace of the same name."""
    created_at: Mapped[int]
    expires_at: Mapped[int | None]


class Namespace(Base):
    """A dispatch namespace. ``name`` is its identity in paths, queues and hostnames."""

    __tablename__ = "namespaces"
    __table_args__ = (UniqueConstraint("name"), Index("namespaces_by_account", "account_id"))

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(_name(63))
    trusted: Mapped[bool]
    limits: Mapped[Limits] = mapped_column(Record(Limits))
    outbound: Mapped[OutboundRule | None] = mapped_column(Record(OutboundRule))
    """Its ``namespace`` is empty where the rule names a script of this very namespace."""
    egress_allow: Mapped[list[str]]
    egress_deny: Mapped[list[str]]
    language: Mapped[str] = mapped_column(String(16), server_default=RESTRICTED)
    """One of ``cloister.languages``; only the operator changes it."""
    fresh_isolates: Mapped[bool] = mapped_column(server_default=false())
    """Whether each request gets an isolate of its own."""
    created_at: Mapped[int]
    modified_at: Mapped[int]


class Script(Base):
    """A user worker: a name in a namespace, pointing at its live version."""

    __tablename__ = "scripts"
    __table_args__ = (UniqueConstraint("namespace_id", "name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """The immutable ``tag`` of the product."""
    namespace_id: Mapped[str] = mapped_column(ForeignKey("namespaces.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(_name(63))
    version_id: Mapped[str] = mapped_column(String(36))
    """No foreign key: script and first version point at each other, written together. Where two
    versions are live, the one with the larger share."""
    traffic: Mapped[Traffic | None] = mapped_column(Record(Traffic))
    """The versions that are live where there are two; else None."""
    settings: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What holds whichever version is live: see ``cloister.registry.unversioned``. None, of scripts
    that an earlier release wrote: what the live version says."""
    created_at: Mapped[int]
    modified_at: Mapped[int]


class ScriptTag(Base):
    """A tag of a script; a table of its own so that filters use an index, in the order of names
    (which never change)."""

    __tablename__ = "script_tags"
    __table_args__ = (Index("script_tags_by_tag", "namespace_id", "tag", "script"),)

    script_id: Mapped[str] = mapped_column(
        ForeignKey("scripts.id", ondelete="CASCADE"), primary_key=True
    )
    tag: Mapped[str] = mapped_column(_name(255), primary_key=True)
    namespace_id: Mapped[str] = mapped_column(ForeignKey("namespaces.id", ondelete="CASCADE"))
    script: Mapped[str] = mapped_column(_name(63))


class Hostname(Base):
    """A custom hostname of an account: where else than under the platform's own domain it serves.

    Several accounts may claim a name; it is active for one at most. Where it leads to a script, it
    does so by the namespace's id, so that it follows a rename, and goes with its script.
    """

    __tablename__ = "custom_hostnames"
    __table_args__ = (
        UniqueConstraint("account_id", "hostname"),
        ForeignKeyConstraint(
            ["namespace_id", "script"],
            ["scripts.namespace_id", "scripts.name"],
            ondelete="CASCADE",
        ),
        Index(
            "custom_hostnames_active",
            "hostname",
            unique=True,
            sqlite_where=text("status = 'active'"),
            postgresql_where=text("status = 'active'"),
        ),
        Index("custom_hostnames_by_name", "hostname"),
        Index("custom_hostnames_by_script", "namespace_id", "script"),
        Index("custom_hostnames_by_check", "next_check_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    hostname: Mapped[str] = mapped_column(_name(253))
    """Lower-case ASCII, as it is in a Host header."""
    status: Mapped[str] = mapped_column(String(16))
    wildcard: Mapped[bool]
    """Whether the names one label below it are meant too."""
    vouched: Mapped[bool]
    """Whether the account vouches for it, in place of a proof."""
    token: Mapped[str] = mapped_column(String(36))
    """What proves it: published in the DNS or served under the name."""
    custom_metadata: Mapped[dict[str, Any]]
    ssl: Mapped[dict[str, Any]]
    """What was asked of its certificate, to be shown."""
    errors: Mapped[list[str]]
    """Of the last check."""
    namespace_id: Mapped[str | None] = mapped_column(String(36))
    script: Mapped[str | None] = mapped_column(_name(63))
    created_at: Mapped[int]
    since: Mapped[int]
    """When it got its present status, or was asked to be checked anew."""
    failing_since: Mapped[int | None]
    """The first check in a row of an active one that found it elsewhere."""
    next_check_at: Mapped[int | None]


class Version(Base):
    """What runs: code and configuration together, never changed once written."""

    __tablename__ = "versions"
    __table_args__ = (
        UniqueConstraint("script_id", "number"),
        Index("versions_by_digest", "digest"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    script_id: Mapped[str] = mapped_column(ForeignKey("scripts.id", ondelete="CASCADE"))
    number: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    """Content digest of the source bundle, the blob ``source/{digest}``; also the etag."""
    main_module: Mapped[str] = mapped_column(String(255))
    bindings: Mapped[list[dict[str, Any]]]
    """As uploaded, without what is secret in them."""
    secrets: Mapped[bytes] = mapped_column(LargeBinary)
    """Encrypted msgpack map of binding name to its secret fields."""
    limits: Mapped[Limits] = mapped_column(Record(Limits))
    settings: Mapped[dict[str, Any]]
    """Everything else of the metadata that is kept: observability, logpush, placement..."""
    compatibility_date: Mapped[str] = mapped_column(String(10))
    compatibility_flags: Mapped[list[str]]
    handlers: Mapped[dict[str, list[str]]]
    """Entrypoint class name to the list of its handlers."""
    assets: Mapped[SiteRef | None] = mapped_column(Record(SiteRef))
    """Its static assets. A version without code, whose main module is empty, has nothing else."""
    startup_ms: Mapped[int]
    source: Mapped[str] = mapped_column(String(16), server_default="api")
    """Which client uploaded it: wrangler, or any."""
    created_at: Mapped[int]


class AssetSession(Base):
    """An upload of static assets under way. The script need not be there yet."""

    __tablename__ = "asset_sessions"
    __table_args__ = (
        Index("asset_sessions_by_script", "namespace_id", "script"),
        Index("asset_sessions_by_end", "expires_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    namespace_id: Mapped[str] = mapped_column(ForeignKey("namespaces.id", ondelete="CASCADE"))
    script: Mapped[str] = mapped_column(_name(63))
    files: Mapped[bytes] = mapped_column(LargeBinary)
    """What the manifest names: msgpack."""
    known: Mapped[bytes] = mapped_column(LargeBinary)
    """Those of them that need not be uploaded, by hash: msgpack."""
    expires_at: Mapped[int]


class AssetUpload(Base):
    """A file that came in a session, by the uploader's hash."""

    __tablename__ = "asset_uploads"

    session_id: Mapped[str] = mapped_column(
        ForeignKey("asset_sessions.id", ondelete="CASCADE"), primary_key=True
    )
    hash: Mapped[str] = mapped_column(_name(64), primary_key=True)
    stored: Mapped[Stored] = mapped_column(Record(Stored))


class SqlDatabase(Base):
    """A SQL database. Its content is in files of its own."""

    __tablename__ = "sql_databases"
    __table_args__ = (UniqueConstraint("account_id", "name"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(_name(64))
    home: Mapped[str | None] = mapped_column(String(36))
    """Whose directory has the files; None before it was first opened."""
    created_at: Mapped[int]


class Deployment(Base):
    """Versions of a script made live together. The newest is what is live."""

    __tablename__ = "deployments"
    __table_args__ = (UniqueConstraint("script_id", "number"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    script_id: Mapped[str] = mapped_column(ForeignKey("scripts.id", ondelete="CASCADE"))
    number: Mapped[int]
    traffic: Mapped[Traffic] = mapped_column(Record(Traffic))
    message: Mapped[str]
    cause: Mapped[str] = mapped_column(String(16))
    restores: Mapped[int | None]
    """Number of the deployment that this one rolled back to."""
    created_at: Mapped[int]


class Upload(Base):
    """A source bundle on its way in: its blob may be there before a version names it."""

    __tablename__ = "uploads"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    begun_at: Mapped[int]


class KvNamespace(Base):
    """A KV namespace."""

    __tablename__ = "kv_namespaces"
    __table_args__ = (UniqueConstraint("account_id", "title"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(_name(512))
    created_at: Mapped[int]


class KvPair(Base):
    """A key of a KV namespace. Keys are kept as UTF-8 bytes, so that order is the product's.

    ``value`` is the last column: SQLite reads through a large value to reach what is behind it,
    and listings want only what is before.
    """

    __tablename__ = "kv_pairs"
    __table_args__ = (
        Index(
            "kv_pairs_by_expiration",
            "expires_at",
            sqlite_where=text("expires_at IS NOT NULL"),
            postgresql_where=text("expires_at IS NOT NULL"),
        ),
    )

    namespace_id: Mapped[str] = mapped_column(
        ForeignKey("kv_namespaces.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[bytes] = mapped_column(LargeBinary(512), primary_key=True)
    expires_at: Mapped[int | None]
    """Epoch seconds; the pair reads as missing from then on."""
    metadata_json: Mapped[str | None]
    value: Mapped[bytes] = mapped_column(LargeBinary)
