"""What bindings, fetch() and calls may use of the invocation that they serve."""

import asyncio
import functools
from collections import Counter
from typing import Any

from redis.asyncio import Redis

from cloister.registry.objects import ObjectNamespaceView
from cloister.registry.views import Bundle
from executor.bindings import Refused
from executor.caches.store import CacheStore
from executor.egress.guard import FetchRefused, HostRules
from executor.hop import LocalSink
from executor.invocation import Run
from executor.points import Gathered
from executor.serving.callees import InvocationCallees
from executor.serving.neighbours import Neighbours
from executor.streams import Streams


class InvocationScope:
    """The executor as one invocation may use it: with its worker's rights, within its limits."""

    def __init__(self, host: Neighbours, run: Run, bundle: Bundle, streams: Streams) -> None:
        self.host = host
        self.run = run
        self.bundle = bundle
        self.streams = streams
        self.registry = host.registry
        self.databases = host.questions
        self.account_id = bundle.account_id
        self.sites = host.sites
        self.blobs = host.blobs
        self.assets = bundle.assets
        self.tally: Counter[str] = Counter()
        self.called: list[LocalSink] = []

    def close(self) -> None:
        """Nobody waits for what was called any more."""
        for callee in self.called:
            callee.cancel()

    @property
    def callees(self) -> InvocationCallees:
        """Whom its worker may call."""
        return InvocationCallees(self)

    async def is_trusted(self) -> bool:
        """Whether the worker is plain, or its namespace trusted."""
        namespace = await self.host.namespace(self.bundle.namespace)
        return namespace is not None and namespace.trusted

    @property
    def caches(self) -> CacheStore:
        """Where cached responses are."""
        return self.host.caches

    @property
    def valkey(self) -> Redis:
        """What all executors count with."""
        return self.host.valkey

    @property
    def points(self) -> Gathered:
        """Where data points wait to be written."""
        return self.host.points

    async def in_thread(self, function: Any, *arguments: Any, **options: Any) -> Any:
        """Run something that blocks."""
        call = functools.partial(function, *arguments, **options)
        return await asyncio.get_running_loop().run_in_executor(self.host.threads, call)

    def count(self) -> None:
        """Count a subrequest."""
        record = self.run.record
        if record.subrequest_count >= (self.run.work.limits.subrequests or 0):
            raise Refused("SubrequestLimit", "Too many subrequests.")
        record.subrequest_count += 1

    async def object_class(self, namespace_id: str) -> ObjectNamespaceView | None:
        """A class of Durable Objects; None if it was deleted."""
        return await self.host.object_class(namespace_id)

    async def rules(self) -> frozenset[HostRules]:
        """Those of every namespace on whose behalf this worker runs, and of its own."""
        own = await self.host.namespace(self.run.work.namespace)
        if own is None:
            raise FetchRefused("The namespace is gone.")
        lists = HostRules(allow=tuple(own.egress_allow), deny=tuple(own.egress_deny))
        return frozenset({*self.run.work.rules, lists})

    # What the client counts with:

    def begin(self) -> None:
        """A hop of a fetch() begins."""
        self.count()

    def end(self, method: str, url: str, status: int, wall_ms: float) -> None:
        """It is over."""
        self.run.record.subrequest(method, url, status, wall_ms)
