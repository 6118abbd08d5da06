"""Data points on their way to the registry: gathered, written once a second, and bounded."""

import asyncio
import contextlib
import logging
import sys
from collections import Counter, defaultdict
from concurrent.futures import Executor

from cloister.registry.points import Point, Points
from cloister.settings import MIB

log = logging.getLogger(__name__)

EVERY_S = 1.0
HELD_BYTES = 32 * MIB
"""What waits here, by an estimate; more than that is dropped, and the log says how much."""

WORKER_BYTES = 4 * MIB
"""Of one worker: whoever writes too much loses its own."""

POINT_BYTES = 1_536
"""What a point takes beside its text."""


class Gathered:
    """For one event loop; nothing runs while there are no points."""

    def __init__(self, points: Points, threads: Executor) -> None:
        self._points = points
        self._threads = threads
        self._waiting: defaultdict[tuple[str, str], list[Point]] = defaultdict(list)
        self._held = 0
        self._held_of: Counter[tuple[str, str]] = Counter()
        self._dropped = 0
        self._closing = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    def add(self, account_id: str, dataset: str, point: Point) -> None:
        """Take a point of an account's dataset."""
        size = POINT_BYTES + sum(map(sys.getsizeof, point.blobs))
        worker = point.namespace, point.script
        if self._held + size > HELD_BYTES or self._held_of[worker] + size > WORKER_BYTES:
            self._dropped += 1
            return
        self._held += size
        self._held_of[worker] += size
        self._waiting[account_id, dataset].append(point)
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write_soon())

    async def close(self) -> None:
        """Write what there is."""
        self._closing.set()
        if self._writing is not None:
            await self._writing

    async def _write_soon(self) -> None:
        while self._waiting:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), EVERY_S)
            await self._write()
        self._writing = None

    async def _write(self) -> None:
        waiting, self._waiting = self._waiting, defaultdict(list)
        self._held = 0
        self._held_of.clear()
        if self._dropped:
            log.warning("%d data points were too many at once, and are lost", self._dropped)
            self._dropped = 0
        batches = [(*whose, points) for whose, points in waiting.items()]
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, self._points.write, batches)
        except Exception:
            count = sum(map(len, waiting.values()))
            log.exception("%d data points could not be written, and are lost", count)
