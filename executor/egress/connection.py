"""A connection that fetch() has made: one request, one response, and perhaps more such pairs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

from executor.egress.wire import Head, Malformed, Response

HELD_BYTES = 256 * 1024
"""With more of a body than that not taken yet, nothing more is read."""


class Lost(Exception):
    """The other side cannot be reached, broke off, or does not speak HTTP as we do."""


class TimedOut(Exception):
    """The other side let us wait for too long."""


class Connection(asyncio.Protocol):
    """Made by an event loop. :meth:`ask`, then :meth:`read` to the end; close it after all."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._response: Response | None = None
        self._is_sent = False
        self._is_lost = False
        self._is_paused = False
        self._awaited: tuple[Callable[[], bool], asyncio.Future[None]] | None = None
        self._writable: asyncio.Future[None] | None = None

    @property
    def may_be_used_again(self) -> bool:
        """Whether another request may be sent: all of the last one is sent, all of its response
        is there, and nothing else came."""
        response = self._response
        is_done = response is not None and response.is_complete and response.ends_well
        return self._is_sent and is_done and self._is_up

    @property
    def _is_up(self) -> bool:
        return not (self._is_lost or self._transport is None or self._transport.is_closing())

    async def ask(
        self, head: bytes, body: bytes | AsyncIterator[bytes] | None, *, has_answer_body: bool
    ) -> Head:
        """Send a request; the head of its response. An iterator's body is sent in chunks.

        Raises:
            Lost: there is no response.
            TimedOut: it does not come, or the request is not taken.
            Exception: whatever the iterator raises.
        """
        self._response = response = Response(has_body=has_answer_body)
        self._is_sent = False
        self._resume()
        if body is None or isinstance(body, bytes):
            await self._write(head + (body or b""))
        else:
            await self._write(head)
            await self._write_chunks(body)
        self._is_sent = True
        await self._until(lambda: response.head is not None)
        assert response.head is not None  # noqa: S101 - waited for
        return response.head

    async def read(self) -> bytes:
        """The next bytes of the body, as they are on the wire; empty at the end.

        Raises:
            Lost: it breaks off.
            TimedOut: it does not go on.
        """
        response = self._response
        if response is None:
            return b""
        await self._until(lambda: response.is_readable)
        piece = response.take()
        if response.held_bytes <= HELD_BYTES // 2:
            self._resume()
        return piece

    def close(self) -> None:
        """At once; what is not sent is dropped."""
        if self._transport is not None:
            self._transport.abort()

    async def _write(self, data: bytes) -> None:
        """Send, and wait while the other side takes nothing. What is sent to one that is gone is
        dropped: its response may have come all the same."""
        if self._transport is None or not self._is_up:
            return
        self._transport.write(data)
        if self._writable is not None:
            await self._patiently(self._writable)

    async def _write_chunks(self, body: AsyncIterator[bytes]) -> None:
        async for piece in body:
            if piece:
                await self._write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if not self._is_up:
                return
        await self._write(b"0\r\n\r\n")

    async def _until(self, is_there: Callable[[], bool]) -> None:
        """Wait, if need be, for a part of the response."""
        if is_there():
            return
        if self._is_lost:
            raise Lost
        future = self._loop.create_future()
        self._awaited = is_there, future
        try:
            await self._patiently(future)
        finally:
            self._awaited = None

    async def _patiently(self, future: "asyncio.Future[None]") -> None:
        timer = self._loop.call_later(self._wait_s, _fail, future, TimedOut)
        try:
            await future
        finally:
            timer.cancel()

    def _resume(self) -> None:
        if self._is_paused and self._transport is not None and self._is_up:
            self._is_paused = False
            self._transport.resume_reading()

    # Called by the event loop:

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """More of a response, if one is asked for."""
        response = self._response
        if response is None:
            self.close()
            return
        try:
            response.feed(data)
        except Malformed:
            self._lose()
            return
        if response.is_complete and not response.ends_well:
            self.close()
        elif response.held_bytes > HELD_BYTES and not self._is_paused:
            self._pause()
        self._tell()

    def eof_received(self) -> None:
        """There is no more. A body may end so, if its head does not say where it ends."""
        try:
            if self._response is not None:
                self._response.end()
        except Malformed:
            self._lose()
        self._tell()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """It is closed, by whom ever."""
        self._lose()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Much is written and not sent."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """It is sent."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def _pause(self) -> None:
        if self._transport is not None and self._is_up:
            self._is_paused = True
            self._transport.pause_reading()

    def _lose(self) -> None:
        self._is_lost = True
        if self._response is not None:
            self._response.close()
        self.close()
        self._tell()

    def _tell(self) -> None:
        if self._awaited is None:
            return
        is_there, future = self._awaited
        if is_there() and not future.done():
            future.set_result(None)
        elif self._is_lost:
            _fail(future, Lost)


def _fail(future: "asyncio.Future[None]", error: type[Exception]) -> None:
    if not future.done():
        future.set_exception(error())
