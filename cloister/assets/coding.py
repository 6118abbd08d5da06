"""Content codings: files compressed once, when they are uploaded, for whoever accepts it."""

import re
import zlib
from collections.abc import Callable, Collection
from functools import lru_cache

import brotli
from backports import zstd

SMALLEST_BYTES = 512
"""Below, a compressed file saves no packet."""

WORTH = 0.9
"""A compressed file must be smaller than this part of the original to be kept."""

_TYPES = re.compile(
    r"text/.*|.*\+(json|xml)|application/(json|javascript|xml|wasm|manifest\+json|x-javascript"
    r"|vnd\.ms-fontobject|rtf|ld\+json)|font/(ttf|otf)|image/(svg\+xml|bmp|x-icon|vnd\.microsoft\.icon)"
)

_WEIGHT = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")


def _gzip(data: bytes) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
    return compressor.compress(data) + compressor.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "br": lambda data: brotli.compress(data, quality=5),
    "zstd": lambda data: zstd.compress(data, 6),
    "gzip": _gzip,
}
"""The best first: where a client likes several as much, it gets that."""


def is_compressible(content_type: str) -> bool:
    """Whether files of a type become smaller: images, films and archives are compressed already."""
    return _TYPES.fullmatch(content_type.partition(";")[0].strip().lower()) is not None


def compressed(data: bytes) -> dict[str, bytes]:
    """The data in each coding that is worth it."""
    if len(data) < SMALLEST_BYTES:
        return {}
    made = {name: compress(data) for name, compress in CODINGS.items()}
    return {name: value for name, value in made.items() if len(value) < WORTH * len(data)}


def chosen(accept_encoding: str, offered: Collection[str]) -> str | None:
    """The coding to send, of those offered; None for none."""
    weights = _weights(accept_encoding)
    anything = weights.get("*", 0.0)
    best, most = None, 0.0
    for name in CODINGS:
        weight = weights.get(name, anything)
        if name in offered and weight > most:
            best, most = name, weight
    return best if most >= weights.get("identity", 0.0) else None


@lru_cache(maxsize=256)
def _weights(accept_encoding: str) -> dict[str, float]:
    weights = {}
    for item in accept_encoding.lower().split(","):
        name, _, parameter = item.partition(";")
        found = _WEIGHT.fullmatch(parameter.strip())
        if not parameter.strip() or found:
            weights[name.strip()] = float(found[1]) if found else 1.0
    return weights
