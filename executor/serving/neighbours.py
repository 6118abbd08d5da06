"""What the serving of an isolate needs of its executor."""

from concurrent.futures import Executor
from typing import Protocol

from redis.asyncio import Redis

from cloister.assets.sites import Sites
from cloister.blobs import Blobs
from cloister.registry.objects import ObjectNamespaceView
from cloister.registry.registry import Registry
from cloister.registry.views import NamespaceView, Route
from cloister.settings import Settings
from executor.budget import Budget
from executor.caches.store import CacheStore
from executor.databases.asking import Questions
from executor.egress.network import Resolve
from executor.hops import Hops
from executor.points import Gathered


class Neighbours(Protocol):
    """The executor, as what serves an invocation uses it."""

    settings: Settings
    registry: Registry
    sites: Sites
    blobs: Blobs
    budget: Budget
    valkey: Redis
    points: Gathered
    caches: CacheStore
    questions: Questions
    hops: Hops

    @property
    def threads(self) -> Executor:
        """Where blocking work is done."""

    def resolve(self, namespace: str) -> Resolve:
        """What looks names up for a namespace."""

    async def route(self, namespace: str, script: str) -> Route | None:
        """The live version under a name."""

    async def namespace(self, name: str) -> NamespaceView | None:
        """The namespace of this name; None if there is none."""

    async def object_class(self, namespace_id: str) -> ObjectNamespaceView | None:
        """A class of Durable Objects; None if it was deleted."""
