"""Sites as dispatchers and executors have them: read from blobs, and kept in memory."""

import math
from collections.abc import AsyncIterator

from cloister.assets.config import decode_config
from cloister.assets.manifest import SiteRef, decode_manifest
from cloister.assets.ranges import Span
from cloister.assets.site import Answer, Site
from cloister.blobs import Blobs
from cloister.errors import NotReady
from cloister.registry.shelf import Shelf

SITES = 150_000
"""Files, and rules, of the sites that are kept: some hundred bytes each."""

KEPT_BYTES = 64 * 1024 * 1024
"""Files kept in memory."""

PIECE_BYTES = 256 * 1024
"""Largest file that is kept; a larger one is read in pieces of that size, whenever it is asked
for."""

_Key = tuple[str, int, int]


class Sites:
    """Reads what versions refer to. For one event loop. Blobs never change, so nothing is old.

    Every read raises:
        NotReady: the object store does not answer, or lacks it.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._sites: Shelf[tuple[str, str], Site] = Shelf(
            SITES, self._load, weigh=lambda site: site.weight
        )
        self._files: Shelf[_Key, bytes] = Shelf(
            KEPT_BYTES,
            self._read,
            near=self._read if blobs.is_near else None,
            weigh=lambda data: len(data) + 100,
        )

    async def site(self, ref: SiteRef) -> Site:
        """The site of a version."""
        return await self._sites.get((ref.manifest, ref.config), math.inf)

    async def body(self, answer: Answer) -> bytes | AsyncIterator[bytes]:
        """The body of an answer; of a long one the first piece has been read."""
        start, length = answer.span
        if length <= PIECE_BYTES:
            return await self._files.get((answer.blob, start, length), math.inf) if length else b""
        return self._pieces(answer.blob, answer.span, await self._piece(answer.blob, start))

    async def close(self) -> None:
        """Forget everything."""
        await self._sites.close()
        await self._files.close()

    def _load(self, key: tuple[str, str]) -> Site:
        manifest, config = key
        return Site(
            decode_manifest(self._blobs.get(f"manifest/{manifest}")),
            decode_config(self._blobs.get(f"assetconfig/{config}")),
        )

    def _read(self, key: _Key) -> bytes:
        blob, start, length = key
        return _whole(self._blobs.part(f"asset/{blob}", start, length), length)

    async def _piece(self, blob: str, start: int, length: int = PIECE_BYTES) -> bytes:
        return _whole(await self._blobs.apart(f"asset/{blob}", start, length), length)

    async def _pieces(self, blob: str, span: Span, first: bytes) -> AsyncIterator[bytes]:
        yield first
        end = span.start + span.length
        for start in range(span.start + len(first), end, PIECE_BYTES):
            yield await self._piece(blob, start, min(PIECE_BYTES, end - start))


def _whole(data: bytes | None, length: int) -> bytes:
    if data is None or len(data) != length:
        raise NotReady("A file of assets is missing from the object store.")
    return data
