"""Request bodies: small ones ride in the message, large ones beside it on a list."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from cloister.link import Command, Link
from cloister.mailbox import push_command
from cloister.messages import CHUNK_BYTES, INLINE_BODY_BYTES
from dispatcher.failures import PlatformFailure
from dispatcher.messages import Request

LIST_CHUNKS = 16
"""Chunks on the list at which the upload waits for the executor to take some."""

POLL_S = 0.005


@dataclass(frozen=True)
class Upload:
    """A request body: ``inline`` is all of it, unless ``rest`` gives what follows."""

    inline: bytes
    rest: AsyncIterator[bytes] | None


_EMPTY = Upload(b"", None)


async def send_body(
    link: Link, key: str, first: bytes, rest: AsyncIterator[bytes], ttl_s: int
) -> None:
    """Push a body on the list ``key`` as it arrives, an empty chunk at the end.

    Waits while the list is long, so that memory stays flat here and in Valkey. When it returns or
    raises, no push is under way any more.

    Raises:
        PlatformFailure: Valkey did not take it.
    """
    pushes = _Pushes(link, key, ttl_s)
    try:
        await pushes.add(first)
        async for chunk in rest:
            await pushes.add(chunk)
        await pushes.end()
    finally:
        await pushes.close()


async def take_body(request: Request) -> Upload:
    """Read the body up to what fits in the message."""
    whole = request.whole_body
    if whole is not None:
        return _of_bytes(whole)
    chunks = request.body
    taken: list[bytes] = []
    size = 0
    async for chunk in chunks:
        taken.append(chunk)
        size += len(chunk)
        if size > INLINE_BODY_BYTES:
            return Upload(b"".join(taken), chunks)
    return Upload(b"".join(taken), None)


def _of_bytes(body: bytes) -> Upload:
    if not body:
        return _EMPTY
    return Upload(body, None if len(body) <= INLINE_BODY_BYTES else _nothing())


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield  # pragma: no cover - makes this an empty generator


class _Pushes:
    """One push at a time; what is added meanwhile gathers, up to a chunk, for the next."""

    def __init__(self, link: Link, key: str, ttl_s: int) -> None:
        self._link = link
        self._key = key
        self._ttl_s = ttl_s
        self._gathered: list[bytes] = []
        self._size = 0
        self._is_busy = False
        self._is_asking = False
        self._is_closed = False
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def add(self, data: bytes) -> None:
        """Have it pushed. Waits while a chunk is gathered already. Raises PlatformFailure."""
        for start in range(0, len(data), CHUNK_BYTES):
            piece = data[start : start + CHUNK_BYTES]
            while self._gathered and self._size + len(piece) > CHUNK_BYTES:
                await self._change()
            self._check()
            self._gathered.append(piece)
            self._size += len(piece)
            if not self._is_busy:
                self._push()

    async def end(self) -> None:
        """Push what is left, and the empty chunk. Raises PlatformFailure."""
        for _ in range(2):
            while self._is_busy:
                await self._change()
            self._check()
            if not self._is_closed:
                self._is_closed = True
                self._push()

    async def close(self) -> None:
        """Push no more; wait for what is under way."""
        self._is_closed = True
        while self._is_asking:
            await self._change()

    def _push(self) -> None:
        data = self._gathered[0] if len(self._gathered) == 1 else b"".join(self._gathered)
        self._gathered, self._size = [], 0
        self._is_busy = True
        self._ask(push_command(self._key, self._ttl_s, data))

    def _ask(self, command: Command) -> None:
        self._is_asking = True
        self._link.send([command], self._answered)

    def _answered(self, replies: list[Any]) -> None:
        (length,) = replies
        self._is_asking = self._is_busy = False
        if isinstance(length, Exception):
            self._failure, self._gathered = length, []
        elif self._is_closed:
            pass
        elif length >= LIST_CHUNKS:
            self._is_busy = True
            asyncio.get_running_loop().call_later(POLL_S, self._look)
        elif self._gathered:
            self._push()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _look(self) -> None:
        """Whether the executor has taken some by now."""
        if not self._is_closed:
            self._ask(("LLEN", self._key))

    async def _change(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _check(self) -> None:
        if self._failure is not None:
            raise PlatformFailure from self._failure
