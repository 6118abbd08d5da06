"""Collects blobs that nobody wants any more: source, compiled code, and static assets.

Of deleted workers, of versions that are not kept, of uploads that failed. What is young stays,
whoever wants it: an upload may be about to.

A file is wanted while an upload session has it, or a manifest names it that a version names, be it
live, one of two, in a preview or only kept. That is read first, then the rest is deleted: what has
come to be wanted in between was uploaded in between, and then it is noted (see
:mod:`cloister.registry.uploads`), or was wanted by others before.
"""

import itertools
import logging
import time
import zlib
from collections.abc import Callable, Iterable, Iterator

from cloister.assets.manifest import decode_manifest
from cloister.blobs import Blobs
from cloister.registry import Registry
from cloister.registry.uploads import UPLOAD_MS

log = logging.getLogger(__name__)

KINDS = ("source", "compiled")
CHUNK = 500
"""Digests that are asked for at once."""

DIGEST_CHARACTERS = 64

PASSING = ("exports", "imports")
"""Files of databases, one of each for each database at most."""
PASSING_S = 2 * 60 * 60
"""What they are kept for: their addresses hold for an hour."""

MARKED = 1_000_000
"""Digests of files that are held at once, some hundred bytes each: more are gone through in
parts."""

Unwanted = Callable[[list[str]], Iterable[str]]
"""Which of some digests nobody wants."""


def collect(registry: Registry, blobs: Blobs) -> int:
    """Delete what is not wanted; how many blobs that was. Several may do so at once.

    Raises:
        NotReady: registry or object store do not answer, or a manifest is missing. What is deleted
            by then was unwanted.
    """
    registry.uploads.forget_old()
    before_s = time.time() - UPLOAD_MS / 1000

    def discard(kind: str, unwanted: Unwanted) -> int:
        return _discard(registry, blobs, kind, before_s, unwanted)

    deleted = sum(discard(kind, registry.uploads.unwanted) for kind in KINDS)
    parts = 1 + _count_files(registry) // MARKED
    for part in range(parts):
        deleted += discard("asset", _unmarked(registry, blobs, part, parts))
    # After the files, which are found by them.
    sites = list(registry.assets.in_versions())
    deleted += discard("manifest", _others({site.manifest for site in sites}))
    deleted += discard("assetconfig", _others({site.config for site in sites}))
    deleted += sum(_discard_passing(blobs, kind) for kind in PASSING)
    if deleted:
        log.info("%d blobs that nothing names were deleted", deleted)
    return deleted


def _discard_passing(blobs: Blobs, kind: str) -> int:
    before_s = time.time() - PASSING_S
    old = [key for key, written_s in blobs.entries(kind) if written_s < before_s]
    for key in old:
        blobs.delete(key)
    return len(old)


def _count_files(registry: Registry) -> int:
    """How many there may be that are wanted: more where some are wanted twice."""
    by_manifest = {site.manifest: site.files for site in registry.assets.in_versions()}
    return sum(by_manifest.values()) + sum(1 for _ in registry.assets.in_sessions())


def _unmarked(registry: Registry, blobs: Blobs, part: int, parts: int) -> Unwanted:
    """Of one part of all files, those that nobody wants."""

    def is_of_part(digest: str) -> bool:
        return zlib.crc32(digest.encode()) % parts == part

    # Sessions first: one that is over by then has its version, which comes after it.
    wanted = set(filter(is_of_part, registry.assets.in_sessions()))
    for manifest in {site.manifest for site in registry.assets.in_versions()}:
        files = decode_manifest(blobs.get(f"manifest/{manifest}")).files
        wanted.update(filter(is_of_part, (file.stored.blob for file in files)))
    return lambda digests: [d for d in digests if is_of_part(d) and d not in wanted]


def _others(wanted: set[str]) -> Unwanted:
    return lambda digests: set(digests) - wanted


def _discard(
    registry: Registry, blobs: Blobs, kind: str, before_s: float, unwanted: Unwanted
) -> int:
    deleted = 0
    old = (key for key, written_s in blobs.entries(kind) if written_s < before_s)
    for keys in _chunks(old):
        by_digest: dict[str, list[str]] = {}
        for key in keys:
            by_digest.setdefault(_digest(key), []).append(key)
        for digest in unwanted(list(by_digest)):
            deleted += _delete(registry, blobs, digest, by_digest[digest])
    return deleted


def _delete(registry: Registry, blobs: Blobs, digest: str, keys: list[str]) -> int:
    with registry.uploads.collecting(digest) as is_unwanted:
        if not is_unwanted:
            return 0
        for key in keys:
            blobs.delete(key)
    return len(keys)


def _digest(key: str) -> str:
    """``source/{digest}``, ``compiled/{digest}-{tag}``, ``asset/{digest}``."""
    return key.partition("/")[2][:DIGEST_CHARACTERS]


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while chunk := list(itertools.islice(rest, CHUNK)):
        yield chunk
