"""``zlib`` and ``gzip``, their output bounded: a few kilobytes can unpack to gigabytes."""

import gzip
import zlib
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


ZLIB: dict[str, Any] = {"decompress": decompress}
GZIP: dict[str, Any] = {"decompress": gzip_decompress}
