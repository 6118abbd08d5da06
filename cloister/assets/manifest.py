"""The files of a version: the blob ``manifest/{digest}``."""

import hashlib

import msgspec

from cloister.errors import NotReady

FILE_BYTES = 25 * 1024 * 1024
"""Largest file."""

MAX_FILES = 20_000
"""Files of a version."""


class Stored(msgspec.Struct, frozen=True, array_like=True):
    """The bytes of a file, in the blob ``asset/{blob}``: as uploaded, then compressed in each of
    ``variants``, a content coding with its offset and length. ``content_type`` is the uploader's:
    None for none said, empty for "send none"."""

    blob: str
    size: int
    etag: str
    content_type: str | None = None
    variants: dict[str, tuple[int, int]] = {}


class File(msgspec.Struct, frozen=True, array_like=True):
    """A file at a path. ``hash`` is the uploader's name for its content, opaque to us."""

    path: str
    hash: str
    stored: Stored
    content_type: str
    """What is served, empty for none."""


class Manifest(msgspec.Struct, frozen=True, array_like=True):
    """All files."""

    files: list[File]


class SiteRef(msgspec.Struct, frozen=True, kw_only=True):
    """What a version says of its assets: two blobs by their digests, how many files, and how many
    bytes were uploaded for them (0 where an older release made it)."""

    manifest: str
    config: str
    files: int
    bytes: int = 0


_decoder = msgspec.msgpack.Decoder(Manifest)


def encode(value: msgspec.Struct) -> tuple[str, bytes]:
    """A blob's digest (SHA-256, hex) and its bytes."""
    data = msgspec.msgpack.encode(value)
    return hashlib.sha256(data).hexdigest(), data


def decode_manifest(data: bytes | None) -> Manifest:
    """Undo :func:`encode`. Raises NotReady: the blob is missing or damaged."""
    try:
        return _decoder.decode(data or b"")
    except msgspec.DecodeError as exc:
        raise NotReady("A manifest of assets is missing from the object store.") from exc
