"""One request of a connection and its response: ASGI on one side, HTTP/1.1 on the other."""

import asyncio
import math
import time
from collections import deque
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from dispatcher.parser import Parser

if TYPE_CHECKING:
    from dispatcher.connections import Connection

Message = dict[str, Any]

_ASGI = {"version": "3.0", "spec_version": "2.4"}
_HTTP_1_1 = (1, 1)


class Cycle:
    """``scope``, ``receive`` and ``send`` of one ASGI call. Made when the request's head is here.

    A body message without bytes, more to come, sends the head that else waits for the first bytes.
    """

    def __init__(self, connection: "Connection", parser: Parser) -> None:
        self._connection = connection
        self._version: tuple[int, int] = parser.http_version
        self._method: bytes = parser.method
        self._may_keep = parser.should_keep_alive and self._version == _HTTP_1_1
        self._chunks: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_invited = False
        self._is_taken = False
        self._head = b""
        self._is_chunked = False
        self._left: int | None = None
        self.scope = _scope(connection, parser)
        self.buffered_bytes = 0
        """Of the body: here, and not taken yet."""
        self.waits_since = math.inf
        """When the application began to wait for more of the body, by the loop's clock."""
        self.is_complete = False
        """Whether the request is here as a whole."""
        self.is_started = False
        self.is_answered = False
        self.keeps = False
        """Whether the connection can go on after the response."""

    def feed(self, chunk: bytes) -> None:
        """Some of the body has come."""
        self._chunks.append(chunk)
        self.buffered_bytes += len(chunk)
        self.wake()

    def complete(self) -> None:
        """All of it has."""
        self.is_complete = True
        self.wake()

    def wake(self) -> None:
        """Have :meth:`receive` look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> Message:
        """See ASGI."""
        while not self._connection.is_lost:
            if self._chunks:
                return self._next_chunk()
            if self.is_complete and not self._is_taken:
                self._is_taken = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if not (self._is_invited or self._is_taken or self.is_started):
                self._invite()
            await self._wait()
        return {"type": "http.disconnect"}

    def _next_chunk(self) -> Message:
        chunk = self._chunks.popleft()
        self.buffered_bytes -= len(chunk)
        self._connection.read_on()
        self._is_taken = self.is_complete and not self._chunks
        return {"type": "http.request", "body": chunk, "more_body": not self._is_taken}

    def _invite(self) -> None:
        """Tell a client that holds its body back until it is asked for (RFC 9110, 10.1.1)."""
        self._is_invited = True
        if self._version == _HTTP_1_1 and any(
            name == b"expect" and value.lower() == b"100-continue"
            for name, value in self.scope["headers"]
        ):
            self._connection.write([b"HTTP/1.1 100 Continue\r\n\r\n"])

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        self.waits_since = math.inf if self._is_taken else loop.time()
        await self._waiter
        self.waits_since = math.inf

    async def send(self, message: Message) -> None:
        """See ASGI."""
        connection = self._connection
        if connection.is_lost or self.is_answered:
            return
        if message["type"] == "http.response.start":
            self._start(message["status"], message["headers"])
            return
        more = message.get("more_body", False)
        connection.write(self._framed(message.get("body", b""), is_last=not more))
        if more:
            await connection.writable()
        else:
            self.is_answered = True
            self.keeps = self.keeps and not self._left

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Have the head ready, and know how the body will be framed."""
        self.is_started = True
        self.keeps = self._may_keep and self._method != b"CONNECT" and self._connection.may_stay()
        parts = [status_line(status), *[b"%b: %b\r\n" % pair for pair in headers]]
        length = next((value for name, value in headers if name == b"content-length"), None)
        if self._method == b"HEAD" or status in (204, 304):
            self._left = 0
        elif length is not None:
            self._left = int(length)
        elif self._version == _HTTP_1_1:
            self._is_chunked = True
            parts.append(b"transfer-encoding: chunked\r\n")
        if not self.keeps:
            parts.append(b"connection: close\r\n")
        self._head = b"".join([*parts, stamp(), b"\r\n"])

    def _framed(self, body: bytes, *, is_last: bool) -> list[bytes]:
        """The bytes on the wire: what waits of the head, and a piece of the body."""
        body = bytes(body)
        if self._left is not None:
            body = body[: self._left]
            self._left -= len(body)
        head, self._head = self._head, b""
        if not self._is_chunked:
            return [head, body]
        if not body:
            return [head, b"0\r\n\r\n" if is_last else b""]
        return [head, b"%x\r\n" % len(body), body, b"\r\n0\r\n\r\n" if is_last else b"\r\n"]


def _scope(connection: "Connection", parser: Parser) -> Message:
    path, _, query = parser.path.partition(b"?")
    decoded = unquote_to_bytes(path) if b"%" in path else path
    return {
        "type": "http",
        "asgi": _ASGI,
        "http_version": "1.1" if parser.http_version == _HTTP_1_1 else "1.0",
        "method": parser.method.decode("ascii"),
        "scheme": connection.scheme,
        "path": decoded.decode(errors="replace"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        # X_Real_IP would be X-Real-IP to a WSGI or CGI application behind us: such names go.
        "headers": [pair for pair in parser.headers if b"_" not in pair[0]],
        "server": connection.server,
        "client": connection.client,
    }


@lru_cache(maxsize=1024)
def status_line(status: int) -> bytes:
    """The first line of a response."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = "Unknown"
    return f"HTTP/1.1 {status} {reason}\r\n".encode()


def stamp() -> bytes:
    """The fields that every response has."""
    return _stamp(int(time.time()))


@lru_cache(maxsize=1)
def _stamp(epoch_s: int) -> bytes:
    return f"date: {formatdate(epoch_s, usegmt=True)}\r\nserver: cloister\r\n".encode()
