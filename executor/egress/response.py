"""A response that fetch() got: its body is pulled, decoded and bounded while it arrives."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from executor.egress.connection import Lost, TimedOut
from executor.egress.decoding import Decoder, Identity
from executor.egress.headers import Headers


class FetchFailed(Exception):
    """The other side did not answer, or broke off. The message is shown to the tenant."""


class Body:
    """Pull with :meth:`read`; one reader at a time. Closing early is fine and must be done."""

    def __init__(
        self,
        read: Callable[[], Awaitable[bytes]],
        close: Callable[[], None],
        *,
        decoder: Decoder | None = None,
        limit_bytes: int,
        on_read: Callable[[], None] = lambda: None,
    ) -> None:
        self._read = read
        self._close = close
        self._decoder = decoder or Identity()
        self._left_bytes = limit_bytes
        self._on_read = on_read
        self._reading = asyncio.Lock()
        self._ended = False
        self._failure: FetchFailed | None = None

    async def read(self) -> bytes:
        """The next bytes, at most 256 KiB; empty at the end.

        Raises:
            FetchFailed: the body broke off, does not decode, or is larger than allowed.
        """
        async with self._reading:
            self._on_read()
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return b""
            try:
                return await self._next()
            except Lost as exc:
                raise self._fail("Network connection lost.") from exc
            except TimedOut as exc:
                raise self._fail("The response stopped arriving.") from exc
            except zlib.error as exc:
                raise self._fail("The response's body does not decode.") from exc

    async def _next(self) -> bytes:
        while not (piece := self._decoder.take()):
            if not (data := await self._read()):
                self._end()
                return b""
            self._decoder.feed(data)
        self._left_bytes -= len(piece)
        if self._left_bytes < 0:
            raise self._fail("The response's body is too large.")
        return piece

    def _fail(self, message: str) -> FetchFailed:
        self._failure = FetchFailed(message)
        self._end()
        return self._failure

    def abort(self, message: str) -> None:
        """Free the connection, and make the next read raise."""
        self._fail(message)

    async def close(self) -> None:
        """Free the connection."""
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._close()


@dataclass(frozen=True, kw_only=True)
class FetchedResponse:
    """What fetch() gives the tenant. ``length`` is the body's on the wire, if the server said."""

    status: int
    status_text: str = ""
    headers: Headers
    url: str
    redirected: bool = False
    body: Body
    length: int | None = None
