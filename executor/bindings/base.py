"""What every binding is, and what it may use of the invocation that it serves."""

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

from msgspec import Raw
from redis.asyncio import Redis

from cloister.assets import SiteRef
from cloister.assets.sites import Sites
from cloister.blobs import Blobs
from cloister.limits import Limits
from cloister.registry.objects import ObjectNamespaceView
from cloister.registry.registry import Registry
from cloister.registry.views import Bundle
from executor.caches.store import CacheStore
from executor.databases.asking import Questions
from executor.egress.redirects import OutgoingRequest
from executor.isolate.frames import Incoming
from executor.points import Gathered
from executor.streams import Streams


class Refused(Exception):
    """A call fails; the tenant's code sees an exception of this kind with this message.

    Kinds are the names in ``executor.isolate.calls.KINDS``.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


@dataclass(frozen=True, kw_only=True)
class Dispatched:
    """A worker of a dispatch namespace, and how it is to be called. Its fetch() goes through the
    plain Worker ``outbound``, or where None by the namespace's own rule. ``args`` are its
    ``ctx.props``."""

    namespace: str
    script: str
    limits: Limits
    outbound: str | None
    parameters: dict[str, Any]
    outbound_entrypoint: str | None = None
    args: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Called:
    """A Worker that a service binding names, and as what: of the caller's own namespace, or where
    ``is_plain`` a plain Worker of its account."""

    script: str
    entrypoint: str | None = None
    props: dict[str, Any] = field(default_factory=dict)
    is_plain: bool = False


@dataclass(frozen=True, kw_only=True)
class ObjectTarget:
    """A Durable Object, by an id that its namespace has made."""

    namespace_id: str
    id: str
    name: str | None


class Callees(Protocol):
    """Other workers, and objects, as an invocation may call them."""

    async def fetch_worker(self, called: Called, request: OutgoingRequest) -> Incoming:
        """Send a request to another worker."""

    async def call_worker(self, called: Called, method: str, arguments: Raw) -> Any:
        """Call a method of another worker."""

    async def dispatch(self, asked: Dispatched, request: OutgoingRequest) -> Incoming:
        """Send a request to a worker of a dispatch namespace of the account."""

    async def dispatch_call(self, asked: Dispatched, method: str, arguments: Raw) -> Any:
        """Call a method of such a worker."""

    async def fetch_object(self, target: ObjectTarget, request: OutgoingRequest) -> Incoming:
        """Send a request to a Durable Object."""

    async def call_object(self, target: ObjectTarget, method: str, arguments: Raw) -> Any:
        """Call a method of a Durable Object."""


class Scope(Protocol):
    """What a binding may use of the invocation that it serves."""

    registry: Registry
    databases: Questions
    account_id: str
    """Whose worker it is."""
    sites: Sites
    blobs: Blobs
    assets: SiteRef | None
    """Those of the worker's version."""
    streams: Streams
    tally: Counter[str]
    """Operations of this invocation by kind of binding."""

    @property
    def callees(self) -> Callees:
        """Whom its worker may call."""

    @property
    def bundle(self) -> Bundle:
        """The version that runs."""

    async def is_trusted(self) -> bool:
        """Whether the worker is plain, or its namespace trusted."""

    @property
    def caches(self) -> CacheStore:
        """Where cached responses are."""

    @property
    def valkey(self) -> Redis:
        """What all executors count with."""

    @property
    def points(self) -> Gathered:
        """Where data points wait to be written."""

    async def in_thread(self, function: Any, *arguments: Any, **options: Any) -> Any:
        """Run something that blocks."""

    def count(self) -> None:
        """Count a subrequest. Raises Refused over the limit."""

    async def object_class(self, namespace_id: str) -> ObjectNamespaceView | None:
        """The class that a binding names; None if it was deleted."""


class Binding(ABC):
    """One live binding in one invocation. ``spec`` is the binding as uploaded."""

    def __init__(self, spec: dict[str, Any], scope: Scope) -> None:
        self.spec = spec
        self.scope = scope

    def tally(self, kind: str, most: int, who: str = "Worker") -> None:
        """Count an operation of the invocation on all bindings of this kind. ``who`` is as the
        product's text for the kind has it. Raises Refused where it has made as many as it may."""
        self.scope.tally[kind] += 1
        if self.scope.tally[kind] > most:
            text = f"Too many API requests by single {who} invocation."
            raise Refused("SubrequestLimit", text)

    @abstractmethod
    async def call(self, method: str, arguments: Raw, options: Raw) -> Any:
        """Answer a call. Raises Refused."""
