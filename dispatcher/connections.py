"""HTTP/1.1 connections under gunicorn's ASGI worker, and that worker.

gunicorn parses; the rest of its protocol class costs more than a request needs, so ours stands in
its place: one task a request, no timer a request, a small response in one write. gunicorn's worker
looks up once a second; ours stops as soon as it may, when no request is under way.
"""

import asyncio
import logging
import signal
from typing import Any, cast

import uvloop
from gunicorn.asgi.parser import (
    LimitRequestHeaders,
    LimitRequestLine,
    ParseError,
    UnsupportedTransferCoding,
)
from gunicorn.workers import gasgi

from dispatcher.cycle import Cycle, stamp, status_line
from dispatcher.parser import make_parser

log = logging.getLogger(__name__)

IDLE_CHECK_S = 0.05

ENDINGS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
"""Signals that end a worker."""

HELD_BYTES = 256 * 1024
"""What may wait here, of bodies and of requests behind the one under way, before reading stops."""

WRITE_BYTES = 64 * 1024
"""What may wait for the client before whoever sends must wait; larger pieces are not copied."""

Address = tuple[str, int] | None

_REFUSED = (
    (LimitRequestLine, 414),
    (LimitRequestHeaders, 431),
    (UnsupportedTransferCoding, 501),
)
"""What the parser raises, to statuses; all else is 400."""


class Connection(asyncio.Protocol):
    """One client's. Requests are served one after the other; those behind wait in the parser."""

    transport: asyncio.Transport
    scheme: str
    server: Address
    client: Address

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self._loop: asyncio.AbstractEventLoop = worker.loop
        self._parser = make_parser(
            worker.cfg,
            on_headers_complete=self._begin,
            on_body=self._feed,
            on_message_complete=self._complete,
        )
        self._cycle: Cycle | None = None
        self._task: asyncio.Task[None] | None = None
        self._quiet_since = self._loop.time()
        self._is_reading = True
        self._drained: asyncio.Future[None] | None = None
        self.is_lost = False
        """Whether nothing can be sent any more."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=WRITE_BYTES)
        self.scheme = "https" if transport.get_extra_info("ssl_object") else "http"
        self.server = _address(transport.get_extra_info("sockname"))
        self.client = _address(transport.get_extra_info("peername"))
        self._worker.nr_conns += 1
        self._worker.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """See asyncio. Who still works on a request is canceled."""
        self.is_lost = True
        self._worker.nr_conns -= 1
        self._worker.connections.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        try:
            self._parser.feed(data)
        except (ParseError, ValueError) as exc:
            self._misread(exc)
        else:
            self._hold_back()

    def _misread(self, error: Exception) -> None:
        """What came cannot be understood. A ValueError is a length of thousands of digits."""
        status = next((code for kind, code in _REFUSED if isinstance(error, kind)), 400)
        self._refuse(status, str(error) if isinstance(error, ParseError) else "Bad Request")

    def _hold_back(self) -> None:
        if self._held_bytes() > HELD_BYTES and self._is_reading:
            self._is_reading = False
            self.transport.pause_reading()

    def read_on(self) -> None:
        """Less is held than before."""
        if not self._is_reading and self._held_bytes() <= HELD_BYTES // 2:
            self._is_reading = True
            self.transport.resume_reading()

    def _held_bytes(self) -> int:
        held = self._parser.tail_bytes
        return held + self._cycle.buffered_bytes if self._cycle else held

    def _begin(self) -> bool:
        """The parser has a request's head."""
        self._cycle = Cycle(self, self._parser)
        self._task = self._loop.create_task(self._run(self._cycle))
        return False  # its body is to be read

    def _feed(self, chunk: bytes) -> None:
        if self._cycle is not None:
            self._cycle.feed(chunk)

    def _complete(self) -> None:
        if self._cycle is not None:
            self._cycle.complete()

    async def _run(self, cycle: Cycle) -> None:
        try:
            await self._worker.asgi(cycle.scope, cycle.receive, cycle.send)
        except asyncio.CancelledError:
            # The client has gone, or must see that its response was cut off.
            self.transport.close()
        except Exception:
            log.exception("a request failed")
            self._fail(cycle)
        else:
            self._go_on(cycle)

    def _fail(self, cycle: Cycle) -> None:
        if cycle.is_started:
            self.transport.close()
        else:
            self._refuse(500, "Internal Server Error")

    def _go_on(self, cycle: Cycle) -> None:
        """With the next request, if it is clear where that begins."""
        self._worker.nr += 1
        if not cycle.is_answered:
            self._fail(cycle)
        elif not (cycle.keeps and cycle.is_complete and self._worker.keeps_on()):
            self.transport.close()
        elif not self.is_lost:
            self._cycle = self._task = None
            self._quiet_since = self._loop.time()
            try:
                self._parser.next()
            except (ParseError, ValueError) as exc:
                self._misread(exc)
            else:
                self.read_on()

    def _refuse(self, status: int, reason: str) -> None:
        """Answer what cannot be served, unless an answer has begun, and close."""
        if self._cycle is None or not self._cycle.is_started:
            body = reason.encode()
            head = b"content-type: text/plain\r\nconnection: close\r\ncontent-length: %d\r\n"
            self.write([status_line(status), head % len(body), stamp(), b"\r\n", body])
        self.is_lost = True
        self.transport.close()

    def write(self, parts: list[bytes]) -> None:
        """Send these bytes, in one piece where that costs no large copy."""
        if max(map(len, parts)) < WRITE_BYTES:
            self.transport.write(b"".join(parts))
        else:
            self.transport.writelines(parts)

    async def writable(self) -> None:
        """Wait while the client does not read."""
        if self._drained is not None:
            await self._drained

    def pause_writing(self) -> None:
        """See asyncio."""
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """See asyncio."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def may_stay(self) -> bool:
        """Whether another request may follow, as far as the server is concerned."""
        worker = self._worker
        return worker.alive and worker.cfg.keepalive > 0 and worker.nr + 1 < worker.max_requests

    def close_if_idle(self) -> None:
        """Close it if it waits for a request, as it would after some time anyway."""
        if self._cycle is None:
            self.transport.close()

    def close_if_silent(self, now: float) -> None:
        """Let go of a client that has owed us bytes for too long, of a head or of a body."""
        settings = self._worker.cfg
        if self._cycle is None:
            if now - self._quiet_since > settings.keepalive:
                self.transport.close()
        elif self._task is not None and now - self._cycle.waits_since > settings.timeout:
            self._task.cancel()


def _address(name: Any) -> Address:
    """Of IPv6 only what ASGI wants; a unix socket has none."""
    return (name[0], name[1]) if isinstance(name, tuple) else None


class Worker(gasgi.ASGIWorker):  # type: ignore[misc]  # gunicorn has no types
    """See the module."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.connections: set[Connection] = set()
        self._main: asyncio.Task[None] | None = None

    def _setup_event_loop(self) -> None:
        self.loop = uvloop.new_event_loop()
        asyncio.set_event_loop(self.loop)

    def init_signals(self) -> None:
        """Signals wait until the loop runs: uvloop would lose one that comes before."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        self.loop.call_soon(signal.pthread_sigmask, signal.SIG_UNBLOCK, ENDINGS)

    def keeps_on(self) -> bool:
        """Whether it serves on after this request; a worker ends after ``max_requests`` of them."""
        if self.nr >= self.max_requests:
            self.alive = False
        return bool(self.alive)

    def notify(self) -> None:
        """Called before each pause of the main loop, which is all that task does from here on."""
        super().notify()
        self._main = asyncio.current_task()
        now = self.loop.time()
        for connection in list(self.connections):
            connection.close_if_silent(now)

    def handle_exit_signal(self) -> None:
        """SIGTERM: end the pause now."""
        if self.alive and self._main is not None:
            self._main.cancel()
        super().handle_exit_signal()

    async def _shutdown(self) -> None:
        closing = asyncio.create_task(self._close_idle())
        try:
            await super()._shutdown()
        finally:
            closing.cancel()

    async def _close_idle(self) -> None:
        while True:
            for connection in list(self.connections):
                connection.close_if_idle()
            await asyncio.sleep(IDLE_CHECK_S)


# The worker makes its connections of this name; it has no other place to say which.
gasgi.ASGIProtocol = Connection
