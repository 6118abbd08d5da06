"""``zlib``, ``gzip``, ``bz2`` and ``lzma``, bounded: kilobytes can unpack to gigabytes."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from typing import Any

MAX_OUTPUT_BYTES = 64 * 1024 * 1024


def decompress(data: Any, /, wbits: int = zlib.MAX_WBITS, bufsize: int = 0) -> bytes:
    """``zlib.decompress``.

    Raises:
        zlib.error: the data is damaged, or longer than the bound when unpacked.
    """
    del bufsize  # a hint for an allocation that grows by itself here
    decompressor = zlib.decompressobj(wbits)
    unpacked = decompressor.decompress(data, MAX_OUTPUT_BYTES)
    if decompressor.unconsumed_tail:
        raise zlib.error(f"the data unpacks to more than {MAX_OUTPUT_BYTES} bytes")
    if not decompressor.eof:
        raise zlib.error("Error -5 while decompressing data: incomplete or truncated stream")
    return unpacked


def gzip_decompress(data: Any) -> bytes:
    """``gzip.decompress``, several members included."""
    parts: list[bytes] = []
    rest, left = bytes(data), MAX_OUTPUT_BYTES
    while rest:
        decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            parts.append(decompressor.decompress(rest, left + 1))
        except zlib.error as error:
            raise gzip.BadGzipFile(str(error)) from None
        left -= len(parts[-1])
        if left < 0:
            raise gzip.BadGzipFile(f"the data unpacks to more than {MAX_OUTPUT_BYTES} bytes")
        if not decompressor.eof:
            raise EOFError("Compressed file ended before the end-of-stream marker was reached")
        rest = decompressor.unused_data.lstrip(b"\0")
    return b"".join(parts)


def bz2_decompress(data: Any) -> bytes:
    """``bz2.decompress``, several streams included."""
    return _all_streams(data, bz2.BZ2Decompressor, OSError)


def lzma_decompress(
    data: Any,
    format: int = lzma.FORMAT_AUTO,  # noqa: A002 - the library's name
    memlimit: int | None = None,
    filters: Any = None,
) -> bytes:
    """``lzma.decompress``, several streams included."""
    limit = min(memlimit or MAX_OUTPUT_BYTES, MAX_OUTPUT_BYTES)
    options = {"format": format, "memlimit": limit, "filters": filters}
    if format == lzma.FORMAT_RAW:
        options["memlimit"] = None
    return _all_streams(data, lambda: lzma.LZMADecompressor(**options), lzma.LZMAError)


def _all_streams(data: Any, make: Callable[[], Any], error: type[Exception]) -> bytes:
    """Unpack one stream after the other.

    Raises:
        ValueError: the data ends within one.
    """
    parts: list[bytes] = []
    rest, left = bytes(data), MAX_OUTPUT_BYTES
    while rest:
        decompressor = make()
        try:
            parts.append(decompressor.decompress(rest, left + 1))
        except error:
            if parts:
                break  # what follows the last stream is ignored, as the library does
            raise
        left -= len(parts[-1])
        if left < 0:
            raise error(f"the data unpacks to more than {MAX_OUTPUT_BYTES} bytes")
        if not decompressor.eof:
            raise ValueError("Compressed data ended before the end-of-stream marker was reached")
        rest = decompressor.unused_data
    return b"".join(parts)


BZ2: dict[str, Any] = {"decompress": bz2_decompress}
LZMA: dict[str, Any] = {"decompress": lzma_decompress}
ZLIB: dict[str, Any] = {"decompress": decompress}
GZIP: dict[str, Any] = {"decompress": gzip_decompress}
