"""gunicorn's threaded worker, made for a port that strangers reach.

A thread gets a request once it is here: the head, and the body where that is small. Until then, and
after the answer, a connection costs its place in the event loop and no thread. The places are
bounded: where they are taken, the connection that has waited longest goes, not the one that comes.
"""

import contextlib
import re
import socket
import time
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

from control.bodies import SMALL_BYTES

CONNECTIONS = 512
"""Open ones. The three below leave some for the requests that threads have or will have."""

ARRIVING = 192
KEPT_ALIVE = 128
LEAVING = 64

ARRIVAL_S = 15.0
"""From a connection's beginning, or a request's first byte, to the whole of the head."""

LEAVE_S = 1.0
"""How long a closed connection is still read, so that the client gets to see its answer."""

STOP_S = 0.5
"""How long a stopping worker waits for requests that clients may be sending already."""

HEAD_BYTES = 64 * 1024

PACE_BYTES_PER_S = 64 * 1024
PACE_GRACE_S = 15.0
BODY_S = 300.0
"""Longest time for any body."""

WAIT_S = 30.0
"""Longest wait for the client to take the next bytes of its answer."""

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"\ncontent-length:[ \t]*(\d{1,12})[ \t\r]*\n", re.IGNORECASE)
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Connection: close\r\nContent-Length: 0\r\n\r\n"
)


@dataclass
class _Arrival:
    """A request that comes in, and when it has to be here."""

    until: float
    received: bytearray = field(default_factory=bytearray)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """See the module. Plain HTTP/1 only: TLS ends before us."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.worker_connections = CONNECTIONS
        self.max_keepalived = KEPT_ALIVE
        self._arriving: OrderedDict[TConn, _Arrival] = OrderedDict()
        self._leaving: OrderedDict[TConn, float] = OrderedDict()

    # gunicorn's hooks, all called in the event loop but the last two:

    def enqueue_req(self, conn: TConn) -> None:
        """A connection may have a request: give it to a thread when it is here."""
        if not conn.initialized:
            conn.init()
            conn.parser.unreader = PacedUnreader(conn.sock)
        arrival = _Arrival(time.monotonic() + ARRIVAL_S)
        arrival.received += conn.parser.unreader.take_buffered()
        if is_here(arrival.received):
            self._hand_over(conn, arrival)
            return
        if len(self._arriving) >= ARRIVING:
            self._drop(next(iter(self._arriving)))
        self._arriving[conn] = arrival
        self._watch(conn, self._receive)

    def finish_request(self, conn: TConn, fs: "Future[Any]") -> None:
        """A thread is done with a connection. gunicorn would wait here for the client to close."""
        if fs.cancelled() or fs.exception() is not None or not fs.result():
            self._leave(conn)
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Close what has waited for too long; called about once a second."""
        now = time.monotonic()
        late = [conn for conn, arrival in self._arriving.items() if arrival.until <= now]
        late += [conn for conn, until in self._leaving.items() if until <= now]
        for conn in late:
            self._drop(conn)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """One turn of the event loop; they are short at the end."""
        super().wait_for_and_dispatch_events(timeout if self.alive else min(timeout, 0.05))

    def _cap_keepalive(self, deadline: float) -> None:
        """The worker stops: nobody gets more than :data:`STOP_S` to begin a request."""
        stop_at = time.monotonic() + STOP_S
        super()._cap_keepalive(min(deadline, stop_at))
        for arrival in self._arriving.values():
            arrival.until = min(arrival.until, stop_at)

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Answer a request (in a thread); gunicorn would wait for ever for a client to read."""
        conn.sock.settimeout(WAIT_S)
        return bool(super().handle_request(req, conn))

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        """Whether the connection goes on (in a thread): not where a body's rest is still to come.

        gunicorn would wait for it.
        """
        if not keepalive:
            return False
        conn.parser.unreader.stop()
        return bool(conn.parser.finish_body(deadline=time.monotonic() + 1))

    # Its places in the event loop:

    def _receive(self, conn: TConn, client: socket.socket) -> None:
        data = _received(client)
        if data is None:
            return
        arrival = self._arriving[conn]
        arrival.received += data
        if not data:
            self._drop(conn)
        elif is_here(arrival.received):
            self._forget(conn)
            self._hand_over(conn, arrival)
        elif len(arrival.received) > HEAD_BYTES + SMALL_BYTES:
            self._forget(conn)
            with contextlib.suppress(OSError):
                client.send(_TOO_LARGE)
            self._leave(conn)

    def _hand_over(self, conn: TConn, arrival: _Arrival) -> None:
        conn.parser.unreader.begin(bytes(arrival.received))
        super().enqueue_req(conn)

    def _leave(self, conn: TConn) -> None:
        """Close our side; the client's last bytes are thrown away, or it would get a reset."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(conn)
            return
        if len(self._leaving) >= LEAVING:
            self._drop(next(iter(self._leaving)))
        self._leaving[conn] = time.monotonic() + LEAVE_S
        self._watch(conn, self._throw_away)

    def _throw_away(self, conn: TConn, client: socket.socket) -> None:
        if _received(client) == b"":
            self._drop(conn)

    def _watch(self, conn: TConn, callback: Any) -> None:
        conn.sock.setblocking(False)
        self.poller.register(conn.sock, EVENT_READ, partial(callback, conn))

    def _forget(self, conn: TConn) -> None:
        if self._arriving.pop(conn, None) or self._leaving.pop(conn, None):
            self.poller.unregister(conn.sock)

    def _drop(self, conn: TConn) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()


class PacedUnreader(SocketUnreader):  # type: ignore[misc]  # gunicorn has no types
    """Reads what of a request its thread still has to wait for.

    Raises:
        TimeoutError: from any read, when it comes too slowly.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._began = 0.0
        self._received = 0
        self._stopped = False

    def begin(self, received: bytes) -> None:
        """A request begins with these bytes."""
        self.unread(received)
        self._began = time.monotonic()
        self._received = 0
        self._stopped = False

    def stop(self) -> None:
        """Wait for nothing more: only what has come is given."""
        self._stopped = True

    def chunk(self, size_hint: int | None = None) -> bytes:
        """See gunicorn: the next bytes, at most about so many."""
        allowed_s = min(BODY_S, PACE_GRACE_S + self._received / PACE_BYTES_PER_S)
        left_s = self._began + allowed_s - time.monotonic()
        if left_s <= 0 or self._stopped:
            raise TimeoutError("the request's body comes too slowly")
        self.sock.settimeout(left_s)
        try:
            data: bytes = super().chunk(size_hint)
        finally:
            self.sock.settimeout(WAIT_S)
        self._received += len(data)
        return data


def is_here(received: bytes | bytearray) -> bool:
    """Whether these bytes begin with a request that need not be waited for any more.

    That is one with its whole body, or with a body that is too large to be waited for here. What
    is ambiguous is for gunicorn's parser to refuse.
    """
    end = _HEAD_END.search(received, 0, HEAD_BYTES)
    if end is None:
        return False
    length = _LENGTH.search(received, 0, end.end())
    size = int(length[1]) if length else 0
    return size > SMALL_BYTES or len(received) >= end.end() + size


def _received(client: socket.socket) -> bytes | None:
    """What has come; empty at the end, None if there was nothing after all."""
    try:
        return client.recv(64 * 1024)
    except BlockingIOError:
        return None
    except OSError:
        return b""
