"""Collects source and compiled code that nobody wants any more.

Of deleted workers, of versions that are not kept, of uploads that failed. What is young stays,
whoever wants it: an upload may be about to.
"""

import itertools
import logging
import time
from collections.abc import Iterable, Iterator

from cloister.blobs import Blobs
from cloister.registry import Registry
from cloister.registry.uploads import UPLOAD_MS

log = logging.getLogger(__name__)

KINDS = ("source", "compiled")
CHUNK = 500
"""Digests that are asked for at once."""

DIGEST_CHARACTERS = 64


def collect(registry: Registry, blobs: Blobs) -> int:
    """Delete what is not wanted; how many blobs that was. Several may do so at once.

    Raises:
        NotReady: registry or object store do not answer. What is deleted by then was unwanted.
    """
    registry.uploads.forget_old()
    before_s = time.time() - UPLOAD_MS / 1000
    deleted = 0
    for kind in KINDS:
        old = (key for key, written_s in blobs.entries(kind) if written_s < before_s)
        for keys in _chunks(old):
            by_digest: dict[str, list[str]] = {}
            for key in keys:
                by_digest.setdefault(_digest(key), []).append(key)
            for digest in registry.uploads.unwanted(list(by_digest)):
                deleted += _delete(registry, blobs, digest, by_digest[digest])
    if deleted:
        log.info("%d blobs that nothing names were deleted", deleted)
    return deleted


def _delete(registry: Registry, blobs: Blobs, digest: str, keys: list[str]) -> int:
    with registry.uploads.collecting(digest) as is_unwanted:
        if not is_unwanted:
            return 0
        for key in keys:
            blobs.delete(key)
    return len(keys)


def _digest(key: str) -> str:
    """``source/{digest}``, ``compiled/{digest}-{tag}``."""
    return key.partition("/")[2][:DIGEST_CHARACTERS]


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while chunk := list(itertools.islice(rest, CHUNK)):
        yield chunk
