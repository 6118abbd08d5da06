"""A bounded cache in front of a read: what :class:`RouteCache` is made of."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cloister.errors import NotReady

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

ABSENT_AGE_S = 5.0
"""Longest life of the knowledge that there is nothing."""


class _Row(OrderedDict[Key, tuple[float, Value, int]]):
    """Values with the time of their read and their weight, least recently used first."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity
        self._weight = 0

    def put(self, key: Key, began: float, value: Value, weight: int) -> None:
        """Add one as used last, unless it alone is too heavy. Let go of the first ones if they are
        all together."""
        self.drop(key)
        if weight > self._capacity:
            return
        self[key] = (began, value, weight)
        self._weight += weight
        while self._weight > self._capacity:
            self.drop(next(iter(self)))

    def is_known(self, key: Key, age_s: float) -> bool:
        """Whether one is here and was read so long ago at most; then it was used last."""
        kept = self.get(key)
        if kept is None or time.monotonic() - kept[0] > age_s:
            return False
        self.move_to_end(key)
        return True

    def drop(self, key: Key) -> None:
        """Let go of one, if it is there."""
        if (dropped := self.pop(key, None)) is not None:
            self._weight -= dropped[2]

    def clear(self) -> None:
        """Let go of all."""
        super().clear()
        self._weight = 0


def _one(_value: object) -> int:
    return 1


class Shelf(Generic[Key, Value]):
    """Least recently used out. For one event loop.

    At once, one read a key. A read that began before its key was dropped still answers those who
    had asked by then, but is not kept: the next one to ask reads again.

    Keys without a value (the read gave None) have ``absent`` places of their own: strangers choose
    those keys, and must not push out what is there.

    ``capacity`` is that of their weights together; each weighs 1 if nothing else is said.

    ``near`` is the same read where it takes less than a change of threads. It does not wait: if it
    would have to, it raises ``NotReady``, and ``load`` is asked.
    """

    def __init__(
        self,
        capacity: int,
        load: Callable[[Key], Value],
        *,
        absent: int = 0,
        near: Callable[[Key], Value] | None = None,
        weigh: Callable[[Value], int] = _one,
    ) -> None:
        self._load = load
        self._weigh = weigh
        self._near = near
        self._present: _Row[Key, Value] = _Row(capacity)
        self._absent: _Row[Key, Value] = _Row(absent)
        self._reads: dict[Key, asyncio.Task[Value]] = {}
        self._running: set[asyncio.Task[Value]] = set()

    async def get(self, key: Key, max_age_s: float) -> Value:
        """The value, read again if missing or older than that. Raises as the read."""
        for row, age_s in (
            (self._present, max_age_s),
            (self._absent, min(max_age_s, ABSENT_AGE_S)),
        ):
            if row.is_known(key, age_s):
                return row[key][1]
        if self._near is not None:
            began = time.monotonic()
            with contextlib.suppress(NotReady):
                value = self._near(key)
                self._keep(key, began, value)
                return value
        read = self._reads.get(key) or self._begin(key)
        # Shielded: others may wait for the same read when this caller is cancelled.
        return await asyncio.shield(read)

    def at_hand(self, key: Key, max_age_s: float) -> Value | None:
        """The value, if it need not be read again; None if it must be, or there is none."""
        return self._present[key][1] if self._present.is_known(key, max_age_s) else None

    def drop(self, key: Key) -> None:
        """Forget one key."""
        self._present.drop(key)
        self._absent.drop(key)
        self._reads.pop(key, None)

    def drop_where(self, gone: Callable[[Key, Value], bool]) -> None:
        """Forget what meets a condition, and every read under way: it may meet it too."""
        for row in (self._present, self._absent):
            for key in [key for key, (_, value, _) in row.items() if gone(key, value)]:
                row.drop(key)
        self._reads.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._present.clear()
        self._absent.clear()
        self._reads.clear()

    async def close(self) -> None:
        """Forget everything and wait for what is being read."""
        self.clear()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _begin(self, key: Key) -> asyncio.Task[Value]:
        read = asyncio.create_task(self._read(key))
        self._reads[key] = read
        self._running.add(read)
        read.add_done_callback(self._finish)
        return read

    def _finish(self, read: asyncio.Task[Value]) -> None:
        self._running.discard(read)
        # Looked at, lest asyncio log it: whoever still waits has it anyway.
        if not read.cancelled():
            read.exception()

    async def _read(self, key: Key) -> Value:
        began = time.monotonic()
        try:
            value = await asyncio.to_thread(self._load, key)
        finally:
            wanted = self._reads.get(key) is asyncio.current_task()
            if wanted:
                del self._reads[key]
        if wanted:
            self._keep(key, began, value)
        return value

    def _keep(self, key: Key, began: float, value: Value) -> None:
        row, other = self._present, self._absent
        if value is None:
            row, other = other, row
        other.drop(key)
        row.put(key, began, value, 1 if value is None else self._weigh(value))
