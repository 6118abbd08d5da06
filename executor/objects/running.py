"""An event of an object: an invocation whose isolate is the object's own, with its storage."""

from typing import Any, Protocol

from cloister.registry.views import Bundle
from executor.host import Answerer, Host
from executor.invocation import Run
from executor.isolate import frames
from executor.isolates import Isolate
from executor.objects.storage import Storage
from executor.serving import Neighbours, Server

STORAGE = "ctx.storage"
"""What an object's code calls its storage. No binding can be called so."""


class Lender(Host, Neighbours, Protocol):
    """The executor, which lends isolates that nobody else gets."""

    async def borrow(self, bundle: Bundle, memory_mb: int, only_for: str = "") -> Isolate:
        """See :class:`Host`. ``only_for`` names who alone gets the same one again."""

    def borrow_now(self, bundle: Bundle, memory_mb: int, only_for: str = "") -> Isolate | None:
        """The same, if it stands ready."""


class ObjectHost:
    """The executor as the events of one object see it."""

    def __init__(self, host: Lender, storage: Storage, only_for: str) -> None:
        self.settings = host.settings
        self.gate = host.gate
        self.turns = host.turns
        self.watches = host.watches
        self.traces = host.traces
        self.tails = host.tails
        self._host = host
        self._storage = storage
        self._only_for = only_for

    async def bundle(self, version: str) -> Bundle | None:
        """See :class:`Host`."""
        return await self._host.bundle(version)

    def bundle_now(self, version: str) -> Bundle | None:
        """See :class:`Host`."""
        return self._host.bundle_now(version)

    async def borrow(self, bundle: Bundle, memory_mb: int) -> Isolate:
        """See :class:`Host`."""
        return await self._host.borrow(bundle, memory_mb, self._only_for)

    def borrow_now(self, bundle: Bundle, memory_mb: int) -> Isolate | None:
        """See :class:`Host`."""
        return self._host.borrow_now(bundle, memory_mb, self._only_for)

    def give_back(self, isolate: Isolate, *, reuse: bool) -> None:
        """See :class:`Host`."""
        self._host.give_back(isolate, reuse=reuse)

    def peak_kb(self, isolate: Isolate, cpu_ms: float) -> int:
        """See :class:`Host`."""
        return self._host.peak_kb(isolate, cpu_ms)

    def answerer(self, run: Run, bundle: Bundle, isolate: Isolate) -> Answerer:
        """See :class:`Host`."""
        return ObjectServer(self._host, run, bundle, isolate, self._storage)


class ObjectServer(Server):
    """Serves what an object's isolate asks for: its storage, too. Nothing else is done before what
    was written is durable."""

    def __init__(
        self, host: Lender, run: Run, bundle: Bundle, isolate: Isolate, storage: Storage
    ) -> None:
        super().__init__(host, run, bundle, isolate)
        self._storage = storage

    async def _value(self, call: frames.Call) -> Any:
        if call.target == STORAGE:
            return await self._storage.call(call.method, call.arguments, call.options)
        await self._storage.flush()
        return await super()._value(call)
