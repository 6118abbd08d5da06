"""What leaves a dispatcher: invocations in batches, notes to executors. One pipeline at a time.

While a pipeline is under way everything gathers and leaves with the next one, a namespace's
invocations as Celery messages of up to :data:`BATCH` each. Idle, a request leaves at once.
"""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import redis
import redis.asyncio

from cloister.broker import celery_message
from cloister.mailbox import stop
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
    """One namespace's requests: gathered here, and those that wait for their response."""

    gathered: deque[Waiting] = field(default_factory=deque)
    waiting: int = 0
    depth: int = 0
    measured_at: float = 0.0


class Publisher:
    """Publishes for one process, from :meth:`start` to :meth:`close`.

    ``queue_bound`` bounds, for each namespace, both the requests of this process that wait for
    their response and the messages on the queue.
    """

    def __init__(self, client: redis.asyncio.Redis, queue_bound: int) -> None:
        self._redis = client
        self._bound = queue_bound
        self._lanes: dict[str, _Lane] = {}
        self._notes: deque[tuple[str, bytes]] = deque()
        self._gone: deque[str] = deque()
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin publishing."""
        self._task = asyncio.create_task(self._run(), name="publisher")

    async def close(self) -> None:
        """Send what is gathered, then stop."""
        if self._task is not None:
            await stop(self._task)
        if self._has_work():
            await self._flush()

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
        if not lane.waiting and not lane.gathered and lane.depth < self._bound:
            del self._lanes[namespace]

    def publish(self, invocation: Invocation, sender: Sender) -> None:
        """Put it on its namespace's queue, soon; the sender is told. After :meth:`enter`.

        Raises:
            TypeError: its ``args`` or outbound parameters hold what is no plain data.
        """
        self._lanes[invocation.namespace].gathered.append((encode(invocation), sender))
        self._work.set()

    def note(self, channel: str, note: Note) -> None:
        """Tell executors something, soon. Lost if the broker is away: executors need no note."""
        self._notes.append((channel, encode(note)))
        self._work.set()

    def remove(self, key: str) -> None:
        """Delete a list that nobody needs any more, soon."""
        self._gone.append(key)
        self._work.set()

    def _has_work(self) -> bool:
        return bool(
            self._notes or self._gone or any(lane.gathered for lane in self._lanes.values())
        )

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            await self._flush()

    async def _flush(self) -> None:
        batches = [
            (namespace, batch)
            for namespace, lane in self._lanes.items()
            if lane.gathered
            for batch in _batches(lane.gathered)
        ]
        pipeline = self._redis.pipeline(transaction=False)
        for namespace, batch in batches:
            pipeline.lpush(dispatch_queue(namespace), _message(namespace, batch))
        while self._notes:
            pipeline.publish(*self._notes.popleft())
        while self._gone:
            pipeline.unlink(self._gone.popleft())
        try:
            results = await pipeline.execute(raise_on_error=False)
        except (redis.RedisError, OSError):
            log.exception("the broker did not take a publish")
            results = [redis.ConnectionError()] * len(batches)
        for (namespace, batch), result in zip(batches, results, strict=False):
            self._settle(namespace, batch, result)

    def _settle(self, namespace: str, batch: list[Waiting], result: object) -> None:
        lane = self._lanes.get(namespace)
        if lane is not None and isinstance(result, int):
            lane.depth, lane.measured_at = result, time.monotonic()
        for _, sender in batch:
            if sender.is_closed:
                continue
            if isinstance(result, int):
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
