"""HTTP/1.1 as bytes, without sockets: the head of a request, and a response as it arrives.

Responses are parsed by llhttp, with none of its leniencies. What two readers could understand
differently is no response.
"""

from collections import deque
from dataclasses import dataclass

import httptools

from executor.egress.guard import FetchInvalid
from executor.egress.headers import VALUE, Headers

HEAD_BYTES = 128 * 1024
"""Bytes that may arrive without one of a body: a head, also of interim responses; fields after a
body; what is between its chunks."""


class Malformed(Exception):
    """That is no response."""


@dataclass(frozen=True)
class Head:
    """How a response begins."""

    status: int
    reason: str
    headers: list[tuple[bytes, bytes]]


def request_head(method: str, path: str, headers: Headers) -> bytes:
    """The head of a request.

    Raises:
        FetchInvalid: a part of it would be more than that part on the wire.
    """
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    head = "\r\n".join(lines).encode("latin-1")
    ends = len(lines) - 1
    if head.count(b"\r") != ends or head.count(b"\n") != ends or b"\0" in head:
        raise FetchInvalid("The request is not one that can be sent.")
    return head


class Response:
    """A response that arrives: first its :attr:`head`, then what :meth:`take` gives.

    Attributes:
        head: once it is there.
        is_complete: whether all of it is there; nothing is taken in any more.
        held_bytes: of the body, arrived and not taken.
        ends_well: once complete: whether the connection may serve another request.
    """

    def __init__(self, *, has_body: bool) -> None:
        self.head: Head | None = None
        self.is_complete = False
        self.held_bytes = 0
        self.ends_well = False
        self._has_body = has_body
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._pieces: deque[bytes] = deque()
        self._reason = ""
        self._headers: list[tuple[bytes, bytes]] = []
        self._is_new = True
        self._is_framed = False
        self._bare_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take in bytes.

        Raises:
            Malformed: that is no response, or none of ours.
        """
        if self._parser is None:
            self.ends_well = False  # nobody asked for that
            return
        if self._is_new and not data.startswith(b"H"):
            raise Malformed("another protocol")  # llhttp knows more than one
        self._is_new = False
        self._bare_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            if not self.is_complete:
                raise Malformed(str(exc)) from exc
            self.ends_well = False
        if self.is_complete:
            self.close()
        elif self._bare_bytes > HEAD_BYTES:
            raise Malformed("much arrives, and nothing of a body")

    def end(self) -> None:
        """The other side sends no more.

        Raises:
            Malformed: something is missing.
        """
        if self.head is None or (self._is_framed and not self.is_complete):
            raise Malformed("it ends early")
        self.is_complete = True
        self.close()

    @property
    def is_readable(self) -> bool:
        """Whether :meth:`take` gives what there is to give now: bytes, or the end."""
        return bool(self._pieces) or self.is_complete

    def take(self) -> bytes:
        """The next bytes of the body; empty if none are there."""
        if not self._pieces:
            return b""
        piece = self._pieces.popleft()
        self.held_bytes -= len(piece)
        return piece

    def close(self) -> None:
        """Parse no more. The parser and this one hold each other."""
        self._parser = None

    # Called by the parser:

    def on_message_begin(self) -> None:
        """A response begins, perhaps the one behind an interim one."""
        if self.is_complete:
            raise Malformed("nobody asked for another response")
        self._reason, self._headers = "", []

    def on_status(self, reason: bytes) -> None:
        """A part of the reason phrase."""
        self._reason += reason.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head, or one behind the body, of which we know nothing."""
        if self.head is None:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there."""
        parser = self._parser
        status = 0 if parser is None else parser.get_status_code()
        if parser is None or status < 100 or status == 101 or not VALUE.fullmatch(self._reason):
            raise Malformed("no status of ours")
        version = parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise Malformed("another version")
        if status < 200:
            return
        self._is_framed = _is_framed(self._headers)
        self.ends_well = self._has_body and version == "1.1" and parser.should_keep_alive()
        self.head = Head(status, self._reason, self._headers)
        self.is_complete = not self._has_body

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        if not self.is_complete:
            self._bare_bytes = 0
            self._pieces.append(data)
            self.held_bytes += len(data)

    def on_message_complete(self) -> None:
        """A response is there as a whole."""
        if self.head is not None:
            self.is_complete = True


def _is_framed(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the head says how long the body is; else it ends with the connection."""
    framed = False
    for name, value in headers:
        match name.lower():
            case b"transfer-encoding" if value.strip().lower() != b"chunked":
                raise Malformed("a transfer coding that we do not undo")
            case b"transfer-encoding" | b"content-length":
                framed = True
    return framed
