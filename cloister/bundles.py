"""The source bundle of a worker: its modules as uploaded, in one blob named by its digest."""

import hashlib
from collections.abc import Sequence

import msgspec

from cloister.errors import Invalid
from cloister.messages import Source

_decoder = msgspec.msgpack.Decoder(list[Source])


def encode_sources(sources: Sequence[Source]) -> tuple[str, bytes]:
    """The bundle's digest (SHA-256, hex) and its bytes. Same modules in same order, same digest."""
    data = msgspec.msgpack.encode(sources)
    return hashlib.sha256(data).hexdigest(), data


def decode_sources(data: bytes) -> list[Source]:
    """Undo :func:`encode_sources`.

    Raises:
        Invalid: this is not a source bundle.
    """
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError as exc:
        raise Invalid("A stored source bundle is damaged.") from exc
