"""R2 objects with their bytes: what is known of them is in the registry, the rest are blobs.

What takes bytes as they come has three steps, so that whoever has an event loop can do the second
one there: :meth:`R2Store.begin`, the blob, and :meth:`R2Store.put` or :meth:`R2Store.put_part`.
"""

import contextlib
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from cloister.blobs import Blobs
from cloister.errors import NotReady
from cloister.registry import r2_errors as errors
from cloister.registry.r2 import R2
from cloister.registry.r2_conditions import OnlyIf
from cloister.registry.r2_errors import R2Error
from cloister.registry.r2_uploads import NamedPart
from cloister.registry.r2_views import Blob, ObjectView, Said, blob_key
from cloister.settings import MIB

UPLOAD_BYTES = 5 * 1024 * MIB - 5 * MIB
"""Largest object put at once, or part, as in the product."""

ALGORITHMS = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384"} | {
    "sha512": "SHA-512"
}
"""Checksums that may be said with an object, and how they are called."""

COLLECTED_AT_ONCE = 500


class Measure:
    """What bytes are, measured as they pass. ``said`` are checksums that they must have, as hex."""

    def __init__(self, said: Mapping[str, str] | None = None, limit_bytes: int = UPLOAD_BYTES):
        self._said = said or {}
        self._limit_bytes = limit_bytes
        self._size = 0
        self._digests: dict[str, Any] = {
            name: hashlib.new(name, usedforsecurity=False) for name in {"md5", *self._said}
        }

    def take(self, data: bytes) -> bytes:
        """The same bytes. Raises R2Error if they are too many."""
        self._size += len(data)
        if self._size > self._limit_bytes:
            raise errors.too_large()
        for digest in self._digests.values():
            digest.update(data)
        return data

    def over(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The chunks, measured."""
        for chunk in chunks:
            yield self.take(chunk)
        self.check()

    def check(self) -> None:
        """Raise R2Error if a checksum is another than was said."""
        for name, said in self._said.items():
            found = self._digests[name].hexdigest()
            if found != said.lower():
                raise errors.bad_digest(ALGORITHMS[name], said, found)

    def blob(self, version: str) -> Blob:
        """All that came, under the name that it is stored by."""
        found = {name: digest.hexdigest() for name, digest in self._digests.items()}
        return Blob(version=version, size=self._size, checksums=found)


class R2Store:
    """Reads and writes objects. Buckets are named by id. Thread-safe.

    Methods raise what the registry's do, and NotReady where the object store does not answer.
    """

    def __init__(self, r2: R2, blobs: Blobs) -> None:
        self.r2 = r2
        self.blobs = blobs

    def begin(self) -> str:
        """A version for bytes that are about to be stored."""
        return self.r2.objects.begin()

    def store(self, chunks: Iterable[bytes], measure: Measure) -> Blob:
        """Store bytes as they come. Nothing refers to them yet."""
        version = self.begin()
        try:
            self.blobs.put_stream(blob_key(version), measure.over(chunks))
        except BaseException:
            self.drop(version)
            raise
        return measure.blob(version)

    def store_bytes(self, data: bytes, measure: Measure) -> Blob:
        """:meth:`store` what is all there."""
        measure.take(data)
        measure.check()
        version = self.begin()
        self.blobs.put(blob_key(version), data)
        return measure.blob(version)

    def put(
        self, bucket_id: str, key: str, said: Said, blob: Blob, only_if: OnlyIf | None = None
    ) -> ObjectView:
        """Make what was stored an object; what was there before goes."""
        try:
            view, gone = self.r2.objects.put(bucket_id, key, said, blob, only_if)
        except R2Error:
            self.drop(blob.version)
            raise
        self.drop(gone)
        return view

    def put_part(self, bucket_id: str, key: str, upload_id: str, number: int, blob: Blob) -> None:
        """Make what was stored a part of an upload; what was there before goes."""
        try:
            gone = self.r2.uploads.put_part(bucket_id, key, upload_id, number, blob)
        except R2Error:
            self.drop(blob.version)
            raise
        self.drop(gone)

    def complete(
        self, bucket_id: str, key: str, upload_id: str, named: Sequence[NamedPart]
    ) -> ObjectView:
        """Make an object of an upload; what was there before goes."""
        view, gone = self.r2.uploads.complete(bucket_id, key, upload_id, named)
        self.drop(gone)
        return view

    def remove(self, bucket_id: str, *keys: str) -> None:
        """Delete objects. The bytes of many are left to :meth:`collect`."""
        gone = self.r2.objects.remove(bucket_id, *keys)
        if len(gone) == 1:
            self.drop(gone[0])

    def read(self, view: ObjectView, start: int, length: int) -> Iterator[bytes] | None:
        """Some bytes of an object, piece by piece; None if it is no more."""
        pieces = self.r2.objects.pieces(view, start, length)
        if not pieces:
            return iter(())
        first = self.blobs.stream(blob_key(pieces[0].version), pieces[0].start, pieces[0].length)
        if first is None:
            return None
        return self._rest(first, pieces[1:])

    def _rest(self, first: Iterator[bytes], pieces: Sequence[Any]) -> Iterator[bytes]:
        yield from first
        for piece in pieces:
            found = self.blobs.stream(blob_key(piece.version), piece.start, piece.length)
            if found is None:
                raise errors.no_such_key()
            yield from found

    def drop(self, version: str | None) -> None:
        """Delete a blob that nothing refers to, if that can be done. That it is garbage stays noted
        until it is collected: to forget it is a write of its own."""
        if version is not None:
            with contextlib.suppress(NotReady):
                self.blobs.delete(blob_key(version))

    def sweep(self) -> int:
        """Do what lifecycle rules say is due, and delete the blobs of what is no more; how many
        objects, uploads and blobs that were. Several may do so at once."""
        return self.r2.sweep() + self.collect()

    def collect(self) -> int:
        """Delete the blobs of what is no more, and of uploads that somebody's death broke off."""
        done = 0
        while garbage := self.r2.objects.garbage(COLLECTED_AT_ONCE):
            for version in garbage:
                self.blobs.clear(blob_key(version))
            self.r2.objects.forget(garbage)
            done += len(garbage)
        return done


async def measured(
    pieces: AsyncIterable[bytes], measure: Measure, in_thread: Any
) -> AsyncIterator[bytes]:
    """The pieces, measured in threads: to digest takes longer than to store."""
    async for piece in pieces:
        yield await in_thread(measure.take, piece)
    measure.check()
