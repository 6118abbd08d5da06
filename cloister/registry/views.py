"""What the registry tells: frozen values, whole when they leave it.

Times are epoch milliseconds (UTC), except the expiration of a KV pair: seconds, as in the product.
"""

from typing import Any, Generic, Literal, TypeVar

import msgspec

from cloister.assets.manifest import SiteRef
from cloister.languages import RESTRICTED, Language
from cloister.limits import NO_LIMITS, Limits
from cloister.registry.observability import Observability
from cloister.registry.rollout import Share, Split

Item = TypeVar("Item")


class Page(msgspec.Struct, Generic[Item], frozen=True, kw_only=True):
    """Some of a listing. ``cursor`` is opaque and fetches what follows; None at the end."""

    items: list[Item]
    cursor: str | None = None


class Numbered(msgspec.Struct, Generic[Item], frozen=True, kw_only=True):
    """One page, by its number, of a listing of ``total`` items."""

    items: list[Item]
    total: int


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """An account."""

    id: str
    name: str
    created_at: int


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """What an API token may do. ``namespace`` None means all those of the account."""

    id: str
    account_id: str
    name: str
    read_only: bool
    namespace: str | None
    created_at: int
    expires_at: int | None


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token just made: the only time that its ``text`` is known."""

    text: str
    token: TokenView


class OutboundRule(msgspec.Struct, frozen=True, kw_only=True):
    """The worker that receives a namespace's fetch() calls, and the parameters it declares."""

    namespace: str
    script: str
    parameters: list[str] = []


class NamespaceView(msgspec.Struct, frozen=True, kw_only=True):
    """A dispatch namespace, as those who dispatch and execute need it."""

    id: str
    account_id: str
    name: str
    trusted: bool = False
    limits: Limits = NO_LIMITS
    outbound: OutboundRule | None = None
    egress_allow: list[str] = []
    egress_deny: list[str] = []
    language: Language = RESTRICTED
    fresh_isolates: bool = False


class NamespaceDetail(NamespaceView, frozen=True, kw_only=True):
    """A dispatch namespace, as those who manage it need it."""

    created_at: int
    modified_at: int
    script_count: int


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A name resolved: the live version of a script, and what bounds its invocations. Where several
    are live, ``split`` says who gets which, and the version is the main one."""

    namespace: str
    script: str
    version: str
    trusted: bool
    namespace_limits: Limits
    script_limits: Limits
    outbound: OutboundRule | None
    assets: SiteRef | None = None
    has_code: bool = True
    prefers_assets: bool = False
    """Whether pages that browsers navigate to are for the assets first."""
    split: Split | None = None


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that running one version needs, but for its code (blob ``source/{digest}``).

    ``env`` holds plain values, secrets decrypted; ``live`` the other bindings as uploaded, by name.
    """

    version: str
    namespace: str
    script: str
    script_id: str = ""
    account_id: str
    digest: str
    main_module: str
    env: dict[str, Any]
    live: dict[str, dict[str, Any]]
    limits: Limits
    compatibility_date: str
    compatibility_flags: list[str]
    handlers: dict[str, list[str]]
    assets: SiteRef | None = None
    tails: list[tuple[str, str]] = []
    """Workers that get its records: namespaces and names."""
    observability: Observability = Observability()

    def __repr__(self) -> str:
        """Without ``env``: it holds secrets, and a repr ends in logs."""
        return f"Bundle({self.namespace}/{self.script}, version={self.version})"


class NewVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Code and configuration of a script, about to be written or read back for a change.

    ``bindings`` are as uploaded and **with** the text of their secrets: what is secret in them is
    split off and encrypted by the registry. Without a ``main_module`` it is only assets, whose
    digest is its own.
    """

    digest: str
    main_module: str
    bindings: list[dict[str, Any]] = []
    limits: Limits = NO_LIMITS
    settings: dict[str, Any] = {}
    compatibility_date: str = ""
    compatibility_flags: list[str] = []
    handlers: dict[str, list[str]] = {}
    startup_ms: int = 0
    assets: SiteRef | None = None
    source: str = "api"

    def __repr__(self) -> str:
        """Without ``bindings``: they hold secrets."""
        return f"NewVersion(digest={self.digest}, main_module={self.main_module})"


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """A version as written. ``bindings`` lack the text of secrets."""

    id: str
    number: int
    digest: str
    main_module: str
    bindings: list[dict[str, Any]]
    limits: Limits
    settings: dict[str, Any]
    compatibility_date: str
    compatibility_flags: list[str]
    handlers: dict[str, list[str]]
    startup_ms: int
    created_at: int
    assets: SiteRef | None = None
    source: str = "api"


class DeploymentView(msgspec.Struct, frozen=True, kw_only=True):
    """Versions made live together, the newest first. ``cause`` is what did so."""

    id: str
    versions: list[Share]
    message: str
    cause: str
    created_at: int


class ScriptSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A script as a listing shows it. ``id`` never changes: the product's ``tag``."""

    id: str
    namespace: str
    name: str
    tags: list[str]
    version_id: str
    digest: str
    handlers: dict[str, list[str]]
    startup_ms: int
    has_code: bool
    has_assets: bool
    created_at: int
    modified_at: int


class ScriptView(ScriptSummary, frozen=True, kw_only=True):
    """A script with its live version."""

    version: VersionView


HostnameStatus = Literal["pending", "active", "moved", "deleted", "blocked"]


class HostnameView(msgspec.Struct, frozen=True, kw_only=True):
    """A custom hostname. ``namespace`` and ``script`` say where it leads, if to a script."""

    id: str
    account_id: str
    hostname: str
    status: HostnameStatus
    wildcard: bool
    vouched: bool
    token: str
    metadata: dict[str, str]
    ssl: dict[str, Any]
    errors: list[str]
    namespace: str | None
    script: str | None
    created_at: int


class FallbackView(msgspec.Struct, frozen=True, kw_only=True):
    """The worker that an account's hostnames lead to where they name none."""

    namespace: str
    script: str
    created_at: int
    updated_at: int


class HostnameRoute(msgspec.Struct, frozen=True, kw_only=True):
    """Where an active hostname leads: empty names where it leads to no script by itself."""

    hostname: str
    namespace: str
    script: str
    metadata: dict[str, str]


class DatabaseView(msgspec.Struct, frozen=True, kw_only=True):
    """A SQL database."""

    id: str
    account_id: str
    name: str
    created_at: int


class KvNamespaceView(msgspec.Struct, frozen=True, kw_only=True):
    """A KV namespace."""

    id: str
    account_id: str
    title: str
    created_at: int


class KvPut(msgspec.Struct, frozen=True, kw_only=True):
    """A pair to write. ``metadata`` is JSON text; ``expires_at`` epoch seconds."""

    key: str
    value: bytes
    metadata: str | None = None
    expires_at: int | None = None


class KvValue(msgspec.Struct, frozen=True, kw_only=True):
    """A value read. ``metadata`` is JSON text; ``expires_at`` epoch seconds."""

    value: bytes
    metadata: str | None
    expires_at: int | None


class KvKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as a listing shows it."""

    name: str
    metadata: str | None
    expires_at: int | None
