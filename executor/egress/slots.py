"""The six connections that one invocation may have open at once; more requests wait their turn."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

SLOTS = 6

STUCK_S = 1.0
"""When every open response has been left unread for so long, a waiting request takes the oldest."""


class Slot:
    """One open connection. ``touch`` it with each read, so that it does not look forgotten."""

    def __init__(self, slots: "Slots") -> None:
        self._slots = slots
        self.used = time.monotonic()
        self.abort: Callable[[], None] | None = None
        """Ends the response that holds the slot. None while its head has not arrived."""

    def touch(self) -> None:
        """The response is being read."""
        self.used = time.monotonic()

    def release(self) -> None:
        """Free the slot; again does nothing."""
        self._slots.release(self)


class Slots:
    """First come, first served."""

    def __init__(self, limit: int = SLOTS, stuck_s: float = STUCK_S) -> None:
        self._limit = limit
        self._stuck_s = stuck_s
        self._held: list[Slot] = []
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> Slot:
        """Wait for a slot.

        A tenant that opens responses and reads none of them would wait for itself for ever: the
        oldest of them is then ended, and reading it raises.
        """
        while len(self._held) >= self._limit:
            await self._wait()
        slot = Slot(self)
        self._held.append(slot)
        return slot

    def release(self, slot: Slot) -> None:
        """Free a slot and wake whoever waits longest."""
        if slot not in self._held:
            return
        self._held.remove(slot)
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self._stuck_s):
                await waiter
        except TimeoutError:
            self._end_oldest()
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def _end_oldest(self) -> None:
        horizon = time.monotonic() - self._stuck_s
        if all(slot.abort is not None and slot.used <= horizon for slot in self._held):
            oldest = self._held[0]
            if oldest.abort is not None:
                oldest.abort()
            self.release(oldest)
