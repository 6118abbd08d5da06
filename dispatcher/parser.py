"""gunicorn's HTTP/1.1 parser, with a short way for the heads that nearly every client sends.

A head that is here as a whole and matches :data:`_HEAD` to the byte is taken apart by that one
expression, which allows less than gunicorn does, and what comes amid a body of known length is
handed on; all else, and whatever is odd, goes gunicorn's way. How a message is framed is gunicorn's
to say for all.
"""

import re
from functools import lru_cache
from typing import Any

from gunicorn.asgi.parser import PythonProtocol

SHORT_BYTES = 16 * 1024
"""Longest head that goes the short way: no line of it can be over a limit."""

_HEAD = re.compile(
    rb"([!$%&'*+\-.^_`|~0-9A-Z]{3,20}) (/[\x21-\x7e]*) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
_FIELD = re.compile(rb"([^:]+):[\t ]*([^\r]*)\r\n")


KNOWN_BYTES = 2 * 1024
"""Fields of this length are kept: a client says the same of itself in each request."""

Fields = list[tuple[bytes, bytes]]


def _fields(block: bytes) -> Fields:
    """The fields of a head, with their names in lower case."""
    return [(name.lower(), value.rstrip(b"\t ")) for name, value in _FIELD.findall(block)]


_known_fields = lru_cache(maxsize=512)(_fields)


class Parser(PythonProtocol):  # type: ignore[misc]  # gunicorn has no types
    """See the module."""

    _buffer: bytearray
    _body_remaining: int

    def feed(self, data: bytes) -> None:
        """Take what came; calls back for heads, bodies and ends.

        Raises:
            ParseError: it is not HTTP, or could be read in two ways.
        """
        if not self._buffer:
            if self._state == "request_line":
                data = data[self._take_head(data) :]
            elif self._state == "body" and len(data) < self._body_remaining:
                self._body_remaining -= len(data)
                self._on_body(data)
                return
        if data:
            super().feed(data)

    def next(self) -> None:
        """After a message that is complete: go on with what came behind it. Raises as
        :meth:`feed` does."""
        tail, self._buffer = self._buffer, bytearray()
        self.reset()
        self._buffer = tail
        if tail:
            del tail[: self._take_head(bytes(tail[:SHORT_BYTES]))]
            super().feed(b"")

    def _take_head(self, data: bytes) -> int:
        """Take a head the short way; returns its length, 0 if it must go the other way."""
        head = _HEAD.match(data, 0, SHORT_BYTES)
        if head is None:
            return 0
        block = head[3]
        fields = _known_fields(block) if len(block) <= KNOWN_BYTES else _fields(block)
        if len(fields) > self._limit_request_fields:
            return 0
        self._take(head, fields)
        return head.end()

    def _take(self, head: "re.Match[bytes]", fields: Fields) -> None:
        self.method, self.path = head[1], head[2]
        self.http_version = (1, 1)
        self._headers_list = fields
        self._header_count = len(fields)
        self._finalize_headers()

    @property
    def tail_bytes(self) -> int:
        """What has come after the end of the message."""
        return len(self._buffer) if self.is_complete else 0


def make_parser(settings: Any, **callbacks: Any) -> Parser:
    """A parser with the limits of gunicorn's settings."""
    return Parser(
        limit_request_line=settings.limit_request_line,
        limit_request_fields=settings.limit_request_fields,
        limit_request_field_size=settings.limit_request_field_size,
        **callbacks,
    )
