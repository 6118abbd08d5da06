"""Content encodings: what a server compressed is given to the tenant as it was before."""

import zlib
from typing import Protocol

PIECE_BYTES = 256 * 1024
"""Most bytes that come out at once, however well they were packed."""


class Decoder(Protocol):
    """Turns encoded bytes into plain ones, a bounded piece at a time."""

    def feed(self, data: bytes) -> None:
        """Add encoded bytes."""

    def take(self) -> bytes:
        """The next plain bytes; empty if more input is needed. Raises zlib.error."""


class Identity:
    """No encoding."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> None:
        """Add bytes."""
        self._data += data

    def take(self) -> bytes:
        """The same bytes."""
        piece, self._data = self._data[:PIECE_BYTES], self._data[PIECE_BYTES:]
        return piece


class Inflate:
    """gzip (also several members one after another) and deflate (with or without its header)."""

    def __init__(self, encoding: str) -> None:
        self._gzip = encoding == "gzip"
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16 if self._gzip else zlib.MAX_WBITS)
        self._first = True
        self._more = False
        self._data = b""

    def feed(self, data: bytes) -> None:
        """Add encoded bytes."""
        self._data += data

    def take(self) -> bytes:
        """The next plain bytes."""
        while self._data or self._inflater.unconsumed_tail or self._more:
            data, self._data = self._inflater.unconsumed_tail + self._data, b""
            piece = self._inflate(data)
            self._more = len(piece) == PIECE_BYTES  # zlib may hold output back
            if self._inflater.eof:
                self._next_member(self._inflater.unused_data)
            if piece:
                return piece
        return b""

    def _inflate(self, data: bytes) -> bytes:
        try:
            return self._inflater.decompress(data, PIECE_BYTES)
        except zlib.error:
            if self._gzip or not self._first:
                raise
            self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._inflater.decompress(data, PIECE_BYTES)
        finally:
            self._first = False

    def _next_member(self, rest: bytes) -> None:
        """A gzip body may go on with another member; anything else after the end is ignored."""
        if self._gzip and rest.startswith(b"\x1f\x8b"):
            self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
            self._data = rest
        elif self._gzip:
            self._data = b""


def decoder_for(content_encoding: str) -> Decoder | None:
    """The decoder of a Content-Encoding value; None if we do not know it (bytes pass as sent)."""
    name = content_encoding.strip().lower()
    if name in ("", "identity"):
        return Identity()
    if name in ("gzip", "x-gzip"):
        return Inflate("gzip")
    return Inflate("deflate") if name == "deflate" else None
