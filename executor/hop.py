"""A worker calling another in the same executor: no network, but the same limits and the same log.

The callee is an invocation like any other, in an isolate of its own; what it answers is pulled by
the caller.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cloister.messages import Headers
from executor.work import Ended

BUFFER_BYTES = 512 * 1024
"""Bytes of a callee's response that wait for its caller; then the callee waits."""


@dataclass(frozen=True, kw_only=True)
class HopResponse:
    """What a callee answered. The rest of the body is read from the sink."""

    status: int
    headers: Headers
    body: bytes
    end: bool


class LocalSink:
    """The callee's response on its way to its caller. Also the body that the caller pulls."""

    def __init__(self) -> None:
        self.cancel: Callable[[], None] = lambda: None
        """Stops the callee; set by whoever runs it."""
        self.answer: asyncio.Future[HopResponse | Any] = asyncio.get_running_loop().create_future()
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._failure: Ended | None = None
        self._aborted = False
        self._moved = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Never: the caller's own wall clock runs while it does not read."""
        return False

    async def wait_for_credit(self) -> None:
        """See :attr:`is_full`."""

    async def head(self, status: int, headers: Headers, body: bytes, *, end: bool) -> None:
        """The response begins."""
        self._ended = end
        self._settle(HopResponse(status=status, headers=headers, body=body, end=end))

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """The whole response."""
        self._ended = True
        self._settle(HopResponse(status=status, headers=headers, body=body, end=True))

    async def chunk(self, data: bytes) -> None:
        """Hand over bytes, once the caller has taken enough of those before."""
        while self._size >= BUFFER_BYTES and not self._aborted:
            self._moved.clear()
            await self._moved.wait()
        self._pieces.append(data)
        self._size += len(data)
        self._moved.set()

    async def end(self) -> None:
        """The body is complete."""
        self._ended = True
        self._moved.set()

    async def returned(self, value: Any) -> None:
        """The value of an RPC method."""
        self._ended = True
        self._settle(value)

    async def fail(self, ended: Ended) -> None:
        """The callee failed."""
        self._failure = ended
        if not self.answer.done():
            self.answer.set_exception(ended)
            self.answer.exception()  # seen: a caller that has gone does not ask any more
        self._moved.set()

    def abort(self) -> None:
        """Nothing more is sent."""
        self._aborted = True
        self._moved.set()

    async def read(self) -> bytes:
        """The next bytes; empty at the end.

        Raises:
            Ended: the callee failed on the way.
        """
        while not self._pieces:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return b""
            self._moved.clear()
            await self._moved.wait()
        data = self._pieces.popleft()
        self._size -= len(data)
        self._moved.set()
        return data

    def stop(self) -> None:
        """The caller reads no more."""
        self.cancel()

    async def close(self) -> None:
        """The same, of a body."""
        self.stop()

    def _settle(self, value: Any) -> None:
        if not self.answer.done():
            self.answer.set_result(value)
