"""What one isolate has asked for and has no answer to yet: counted, so that it stays little."""

import asyncio

from cloister.settings import MIB
from executor.isolate.frames import CALLS_AT_ONCE

CALLS_BYTES = 16 * MIB
"""Frames of open calls; then nothing more is read from the isolate until some are answered. The
last may be larger."""

SERVED_AT_ONCE = 32
"""Calls that are worked on, or whose answers wait for the isolate to read; others wait their turn.
"""


class TooManyCalls(Exception):
    """The isolate has more calls open than one of ours ever has: it is not ours any more."""


class OpenCalls:
    """Those of one invocation. ``closed`` is set when nobody is there to answer any more."""

    def __init__(self, closed: asyncio.Event) -> None:
        self.turns = asyncio.Semaphore(SERVED_AT_ONCE)
        self._closed = closed
        self._count = 0
        self._bytes = 0
        self._less = asyncio.Event()

    async def admit(self, size: int) -> None:
        """Count a call whose frame has that size; waits while those before hold much.

        Raises:
            TooManyCalls: the isolate is to be ended.
        """
        if self._count >= CALLS_AT_ONCE:
            raise TooManyCalls
        while self._bytes and self._bytes + size > CALLS_BYTES and not self._closed.is_set():
            await self._wait()
        self._count += 1
        self._bytes += size

    def free(self, size: int) -> None:
        """Its frame is held no more."""
        self._bytes -= size
        self._less.set()

    def answered(self) -> None:
        """Its answer is on its way."""
        self._count -= 1

    async def _wait(self) -> None:
        """Return when less is held, or it does not matter any more."""
        self._less.clear()
        waits = [asyncio.ensure_future(event.wait()) for event in (self._less, self._closed)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
