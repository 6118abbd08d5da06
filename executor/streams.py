"""Bodies that flow through the door of one invocation, in both directions, a piece at a time."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Protocol

from executor.budget import Budget
from executor.egress.redirects import OutgoingRequest
from executor.isolate.frames import INLINE_BODY_BYTES, Outgoing

MAX_OPEN = 256
"""Streams of one invocation in each direction."""

REQUEST_BODY = 0
"""The id of the request's own body."""


class StreamRefused(Exception):
    """No such stream, or too many. The message is shown to the tenant."""


class Readable(Protocol):
    """A body that is pulled."""

    async def read(self) -> bytes:
        """The next bytes; empty at the end."""

    async def close(self) -> None:
        """No more will be read."""


class BytesReader:
    """A body that is all there."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    async def read(self) -> bytes:
        """The next piece."""
        piece, self._data = self._data[:INLINE_BODY_BYTES], self._data[INLINE_BODY_BYTES:]
        return bytes(piece)

    async def close(self) -> None:
        """Drop the rest."""
        self._data = memoryview(b"")


class HeldReader(BytesReader):
    """A body that is all there, counted while it is."""

    def __init__(self, data: bytes, budget: Budget) -> None:
        budget.take(len(data))
        super().__init__(data)
        self._size = len(data)
        self._budget = budget

    async def close(self) -> None:
        """Drop the rest."""
        await super().close()
        self._budget.give(self._size)
        self._size = 0


class Chained:
    """A body whose start was read already."""

    def __init__(self, start: bytes, rest: Readable) -> None:
        self._start = BytesReader(start)
        self._rest = rest

    async def read(self) -> bytes:
        """The next piece."""
        return await self._start.read() or await self._rest.read()

    async def close(self) -> None:
        """Drop the rest."""
        await self._rest.close()


class Pulled:
    """A body that comes from an iterator."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    async def read(self) -> bytes:
        """The next piece."""
        return await anext(self._pieces, b"")

    async def close(self) -> None:
        """Read no more."""


class _Written:
    """A body that the isolate writes: one piece is held, and counted, until its reader took it."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(maxsize=1)
        self._dropped = False
        self._ended = False

    async def write(self, data: bytes) -> None:
        if self._ended:
            raise StreamRefused("The stream was closed.")
        if self._dropped:
            return  # nobody reads the rest; the call that the body belongs to tells why
        self._budget.take(len(data))
        self._ended = not data
        try:
            await self._pieces.put(data)
        except BaseException:
            self._budget.give(len(data))
            raise

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            while data := await self._pieces.get():
                self._budget.give(len(data))
                yield data
        finally:
            self.drop()

    def drop(self) -> None:
        self._dropped = True
        if not self._pieces.empty():
            self._budget.give(len(self._pieces.get_nowait()))


class Streams:
    """The streams of one invocation."""

    def __init__(self, body: Readable | None, budget: Budget) -> None:
        self.budget = budget
        self._readable: dict[int, Readable] = {}
        if body is not None:
            self._readable[REQUEST_BODY] = body
        self._written: dict[int, _Written] = {}
        self._reading: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._last = REQUEST_BODY

    def open(self, body: Readable) -> int:
        """Give a body an id that the isolate may read."""
        if len(self._readable) >= MAX_OPEN:
            raise StreamRefused("Too many bodies are open; read or cancel some.")
        self._last += 1
        self._readable[self._last] = body
        return self._last

    async def read(self, stream: int) -> bytes:
        """The next bytes of a body; empty at the end, and from then on.

        Raises:
            StreamRefused: no such stream was ever opened.
            Exception: whatever the body raises.
        """
        if not 0 <= stream <= self._last:
            raise StreamRefused("There is no such stream.")
        if stream not in self._readable:
            return b""
        async with self._reading[stream]:  # bodies cannot be read twice at once
            body = self._readable.get(stream)
            data = await body.read() if body is not None else b""
        if not data:
            await self.cancel(stream)
        return data

    async def cancel(self, stream: int) -> None:
        """Close a body early."""
        self._reading.pop(stream, None)
        body = self._readable.pop(stream, None)
        if body is not None:
            await body.close()

    async def write(self, stream: int, data: bytes) -> None:
        """Take bytes of a body that the isolate sends; returns when there is room for more."""
        await self._outgoing(stream).write(data)

    def written(self, stream: int) -> AsyncIterator[bytes]:
        """The pieces of a body that the isolate sends."""
        return self._outgoing(stream).pieces()

    def drop(self, stream: int) -> None:
        """Nobody takes this body any more: the isolate's writes are answered all the same."""
        with contextlib.suppress(StreamRefused):
            self._outgoing(stream).drop()

    def _outgoing(self, stream: int) -> _Written:
        if stream not in self._written:
            if len(self._written) >= MAX_OPEN:
                raise StreamRefused("Too many bodies were sent as streams.")
            self._written[stream] = _Written(self.budget)
        return self._written[stream]

    async def close(self) -> None:
        """Close every body."""
        for stream in list(self._readable):
            await self.cancel(stream)
        self.budget.close()


def as_request(outgoing: Outgoing, streams: Streams) -> OutgoingRequest:
    """What an isolate asks fetch() for, its streamed body attached."""
    body = streams.written(outgoing.stream) if outgoing.stream is not None else outgoing.body
    return OutgoingRequest(
        url=outgoing.url,
        method=outgoing.method.upper(),
        headers=outgoing.headers,
        body=body or None,
        redirect=outgoing.redirect,
    )
