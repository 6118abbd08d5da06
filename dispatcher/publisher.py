"""What leaves a dispatcher: invocations in batches, notes to executors. One pipeline at a time.

While a pipeline is under way everything gathers and leaves with the next one, a namespace's
invocations as Celery messages of up to :data:`BATCH` each. Idle, a request leaves with those of the
same turn of the event loop.
"""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import msgspec
import redis.asyncio

from cloister.broker import celery_message
from cloister.link import Command, Link
from cloister.messages import DISPATCH_TASK, VERSION, Invocation, Note, dispatch_queue, encode
from dispatcher.failures import Overloaded

log = logging.getLogger(__name__)

BATCH = 32
BATCH_BYTES = 1024 * 1024
DEPTH_AGE_S = 0.25
"""How long a measured queue depth counts; one request then goes through and measures again."""


class Sender(Protocol):
    """Who has an invocation published."""

    is_closed: bool
    """Whether it is not wanted any more."""

    def published(self) -> None:
        """It is on its queue."""

    def not_published(self) -> None:
        """The broker did not take it, or did not say so."""


Waiting = tuple[bytes, Sender]
"""An encoded invocation, and who sends it."""


@dataclass
class _Lane:
    """One namespace's requests that wait for their response, and the length of its queue."""

    waiting: int = 0
    depth: int = 0
    measured_at: float = 0.0


class Publisher:
    """Publishes for one process; :meth:`close` it.

    ``queue_bound`` bounds, for each namespace, both the requests of this process that wait for
    their response and the messages on the queue.
    """

    def __init__(self, client: redis.asyncio.Redis, queue_bound: int) -> None:
        self._link = Link(client)
        self._bound = queue_bound
        self._lanes: dict[str, _Lane] = {}
        self._gathered: dict[str, deque[Waiting]] = {}
        self._others: list[Command] = []
        self._idle = asyncio.Event()
        self._idle.set()

    async def close(self) -> None:
        """Send what is gathered, then stop."""
        await self._idle.wait()
        await self._link.close()

    def enter(self, namespace: str) -> None:
        """Count a request that waits; :meth:`leave` when its response begins, or never will.

        Raises:
            Overloaded: too many wait already.
        """
        lane = self._lanes.setdefault(namespace, _Lane())
        if lane.waiting >= self._bound:
            raise Overloaded
        if lane.depth >= self._bound:
            now = time.monotonic()
            if now - lane.measured_at < DEPTH_AGE_S:
                raise Overloaded
            lane.measured_at = now
        lane.waiting += 1

    def leave(self, namespace: str) -> None:
        """The end of :meth:`enter`."""
        lane = self._lanes[namespace]
        lane.waiting -= 1
        if not lane.waiting and lane.depth < self._bound:
            del self._lanes[namespace]

    def publish(self, invocation: Invocation, sender: Sender) -> None:
        """Put it on its namespace's queue, soon; the sender is told. After :meth:`enter`.

        Raises:
            TypeError: its ``args`` or outbound parameters hold what is no plain data.
        """
        waiting = (encode(invocation), sender)
        self._gathered.setdefault(invocation.namespace, deque()).append(waiting)
        self._wake()

    def note(self, channel: str, note: Note) -> None:
        """Tell executors something, soon. Lost if the broker is away: executors need no note."""
        self._others.append(("PUBLISH", channel, encode(note)))
        self._wake()

    def remove(self, key: str) -> None:
        """Delete a list that nobody needs any more, soon."""
        self._others.append(("UNLINK", key))
        self._wake()

    def _wake(self) -> None:
        if self._idle.is_set():
            self._idle.clear()
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        gathered, self._gathered = self._gathered, {}
        others, self._others = self._others, []
        batches = [
            (namespace, batch)
            for namespace, waiting in gathered.items()
            for batch in _batches(waiting)
        ]
        commands: list[Command] = [
            ("LPUSH", dispatch_queue(namespace), _message(namespace, batch))
            for namespace, batch in batches
        ]
        commands += others
        if commands:
            self._link.send(commands, partial(self._sent, batches))
        else:
            self._idle.set()

    def _sent(self, batches: list[tuple[str, list[Waiting]]], replies: list[Any]) -> None:
        for (namespace, batch), reply in zip(batches, replies, strict=False):
            self._settle(namespace, batch, reply)
        if self._gathered or self._others:
            self._flush()
        else:
            self._idle.set()

    def _settle(self, namespace: str, batch: list[Waiting], reply: object) -> None:
        if isinstance(reply, int):
            lane = self._lanes.get(namespace)
            if lane is not None:
                lane.depth, lane.measured_at = reply, time.monotonic()
        else:
            log.error("the broker did not take a publish: %s", reply)
        for _, sender in batch:
            if sender.is_closed:
                continue
            if isinstance(reply, int):
                sender.published()
            else:
                sender.not_published()


def _batches(gathered: deque[Waiting]) -> list[list[Waiting]]:
    """Empty ``gathered`` into batches; what nobody waits for any more is left out."""
    batches: list[list[Waiting]] = []
    size = BATCH_BYTES
    while gathered:
        data, sender = gathered.popleft()
        if sender.is_closed:
            continue
        if size >= BATCH_BYTES or len(batches[-1]) == BATCH:
            batches.append([])
            size = 0
        batches[-1].append((data, sender))
        size += len(data)
    return batches


def _message(namespace: str, batch: list[Waiting]) -> bytes:
    """A ``Batch`` of what is encoded already."""
    payload = encode({"invocations": [msgspec.Raw(data) for data, _ in batch], "v": VERSION})
    return celery_message(DISPATCH_TASK, payload, dispatch_queue(namespace))
