"""Tail workers: Workers that are given the records of others, some at a time, after the fact.

They run in the executor where the records are made, whichever namespaces it serves, as workers do
that are called by others; but nobody waits for them. What they do not keep up with is lost, and
they are told how much that was. Of a tail worker itself there are no tails.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from msgspec import Raw

from cloister.events import MAX_EVENT_BYTES, TAIL, Tailed
from cloister.messages import Invocation, Trace
from cloister.publishing import event_invocation
from cloister.registry.names import is_plain
from cloister.registry.views import Bundle, NamespaceView, Route
from cloister.settings import MIB, Settings
from executor.work import Ended

log = logging.getLogger(__name__)

GATHER_S = 0.25
"""A record waits so long for others."""

BATCH = 100
BATCH_BYTES = MAX_EVENT_BYTES - 1024

LINE_BYTES = 4 * MIB
"""Of records that wait for one tail worker."""

ALL_BYTES = 32 * MIB
"""Of records that wait for any."""

COUNTS_KEPT = 1_000
"""Tail workers whose losses are remembered until they get records again."""

Spawn = Callable[[Coroutine[Any, Any, None]], object]
"""Runs a coroutine in a task."""

Name = tuple[str, str, str]
"""Account, namespace and script of a tail worker."""

_encode = msgspec.msgpack.Encoder(enc_hook=str).encode


class Host(Protocol):
    """The executor."""

    settings: Settings

    async def route(self, namespace: str, script: str) -> Route | None:
        """The live version under a name."""

    async def namespace(self, name: str) -> NamespaceView | None:
        """The namespace of this name; None if there is none."""

    def run_tail(self, invocation: Invocation, note: str) -> "asyncio.Future[Any]":
        """Run it; what it is told in its own log. The result raises Ended if that fails."""


@dataclass
class _Line:
    """Records that wait for one tail worker, which gets one batch after the other."""

    items: deque[bytes] = field(default_factory=deque)
    size: int = 0
    lost: int = 0
    gathering: asyncio.TimerHandle | None = None
    is_sent: bool = False

    def take(self) -> list[bytes]:
        """The next batch."""
        batch: list[bytes] = []
        left = BATCH_BYTES
        while self.items and len(batch) < BATCH and len(self.items[0]) <= left:
            left -= len(self.items[0])
            batch.append(self.items.popleft())
        self.size -= sum(map(len, batch))
        return batch


class Tails:
    """Records on their way to tail workers."""

    def __init__(self, host: Host, spawn: Spawn) -> None:
        self._host = host
        self._spawn = spawn
        self._lines: dict[Name, _Line] = {}
        self._size = 0
        self._gather_s = GATHER_S

    def tell(self, bundle: Bundle, trace: Trace) -> None:
        """Have the tail workers of a version know of a record of it. Never waits."""
        data = _encode(item(trace))
        for namespace, script in bundle.tails:
            self._put((bundle.account_id, namespace, script), data)

    def hasten(self) -> None:
        """From now on records wait for no others: this executor is about to end."""
        self._gather_s = 0.0
        for name, line in self._lines.items():
            if line.gathering is not None:
                line.gathering.cancel()
                self._begin(name, line)

    def _put(self, name: Name, data: bytes) -> None:
        line = self._lines.setdefault(name, _Line())
        size = len(data)
        if size > BATCH_BYTES or line.size + size > LINE_BYTES or self._size + size > ALL_BYTES:
            line.lost += 1
            self._forget(name, line)
            return
        line.items.append(data)
        line.size += size
        self._size += size
        if line.gathering is None and not line.is_sent:
            loop = asyncio.get_running_loop()
            line.gathering = loop.call_later(self._gather_s, self._begin, name, line)

    def _begin(self, name: Name, line: _Line) -> None:
        line.gathering = None
        line.is_sent = True
        self._spawn(self._deliver(name, line))

    async def _deliver(self, name: Name, line: _Line) -> None:
        try:
            while batch := line.take():
                try:
                    await self._send(name, line, batch)
                finally:
                    self._size -= sum(map(len, batch))
        finally:
            line.is_sent = False
            self._forget(name, line)

    async def _send(self, name: Name, line: _Line, batch: list[bytes]) -> None:
        try:
            route = await self._route(name)
            if route is not None:
                event = Tailed(items=[Raw(each) for each in batch])
                invocation = event_invocation(self._host.settings, route, TAIL, event)
                lost, line.lost = line.lost, 0
                note = f"{lost} earlier trace events were lost" if lost else ""
                await self._host.run_tail(invocation, note)
                return
        except Ended as ended:
            log.info("a tail worker failed: %s of %s: %s", *name[:0:-1], ended.outcome.value)
        except Exception:
            log.exception("trace events could not be handed to %s of %s", *name[:0:-1])
        line.lost += len(batch)

    async def _route(self, name: Name) -> Route | None:
        """None: there is no such Worker with code. Names may be another account's by now."""
        account_id, namespace, script = name
        found = await self._host.namespace(namespace)
        if found is None or found.account_id != account_id:
            return None
        route = await self._host.route(namespace, script)
        return route if route is not None and route.has_code else None

    def _forget(self, name: Name, line: _Line) -> None:
        if line.items or line.is_sent:
            return
        if line.lost:
            log.warning("%d trace events for %s of %s are lost", line.lost, *name[:0:-1])
        if not line.lost or len(self._lines) > COUNTS_KEPT:
            self._lines.pop(name, None)


def item(trace: Trace) -> dict[str, Any]:
    """A record as tail workers see it: the product's ``TraceItem``."""
    place = trace.dispatch_namespace
    return {
        "scriptName": trace.script_name,
        "scriptVersion": {"id": trace.script_version},
        "dispatchNamespace": None if is_plain(place) else place,
        "event": trace.event,
        "eventTimestamp": trace.event_timestamp,
        "logs": trace.logs,
        "exceptions": trace.exceptions,
        "diagnosticsChannelEvents": [],
        "outcome": trace.outcome,
        "executionModel": "stateless",
        "cpuTime": trace.cpu_ms,
        "wallTime": trace.wall_ms,
        "truncated": trace.truncated,
    }
