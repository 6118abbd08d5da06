"""An R2 bucket: ``env.NAME.head``, ``get``, ``put``, ``delete``, ``list`` and uploads in parts.

What is known of objects is read and written in threads. Bytes flow through the loop a piece at a
time, in both directions, however many there are.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from msgspec import Raw

from cloister.blobs import Blobs
from cloister.errors import CloisterError, Invalid, NotFound
from cloister.r2_store import ALGORITHMS, Measure, R2Store, measured
from cloister.registry import r2_errors as errors
from cloister.registry.r2_conditions import OnlyIf, Span
from cloister.registry.r2_errors import R2Error
from cloister.registry.r2_objects import DELETED_AT_ONCE, PER_PAGE, check_said
from cloister.registry.r2_uploads import MOST_PARTS, NamedPart
from cloister.registry.r2_views import Blob, BucketView, ObjectView, Said, StorageClass, blob_key
from executor.bindings.asked import read
from executor.bindings.base import Binding, Refused, Scope
from executor.isolate.frames import INLINE_BODY_BYTES
from executor.streams import Readable

OPERATIONS = 1_000
"""Of one invocation, in all its buckets together."""

SMALL_BYTES = 64 * 1024
"""Largest options of an operation, and arguments that are no body."""

KEYS_BYTES = 2 * 1024 * 1024
"""Largest list of keys or parts."""

Words = Annotated[dict[str, str], msgspec.Meta(max_length=1_000)]


class _Key(msgspec.Struct, array_like=True):
    key: str


class _Keys(msgspec.Struct, array_like=True):
    keys: Annotated[list[str], msgspec.Meta(max_length=DELETED_AT_ONCE)]


class _Value(msgspec.Struct, array_like=True):
    key: str
    value: bytes


class _Upload(msgspec.Struct, array_like=True):
    key: str
    upload: str


class _Part(_Upload, array_like=True):
    number: Annotated[int, msgspec.Meta(ge=1, le=MOST_PARTS)]
    value: bytes


class _Parts(_Upload, array_like=True):
    parts: Annotated[list[NamedPart], msgspec.Meta(max_length=MOST_PARTS)]


class _Nothing(msgspec.Struct, array_like=True):
    pass


class _Options(msgspec.Struct):
    """Of all operations. ``headers`` are those of a request, for its conditions or range."""

    stream: int | None = None
    only_if: OnlyIf | None = None
    if_headers: Words | None = None
    range: Span | None = None
    range_header: str | None = None
    http_metadata: Words = {}
    custom_metadata: Words = {}
    storage_class: StorageClass | None = None
    checksums: Annotated[dict[str, str], msgspec.Meta(max_length=1)] = {}
    prefix: str = ""
    delimiter: str = ""
    cursor: str | None = None
    start_after: str | None = None
    limit: int = PER_PAGE

    @property
    def conditions(self) -> OnlyIf | None:
        return self.only_if if self.if_headers is None else OnlyIf.of_headers(self.if_headers)


_options = msgspec.msgpack.Decoder(_Options)
_WANTED: dict[str, tuple[msgspec.msgpack.Decoder[Any], int]] = {
    "head": (msgspec.msgpack.Decoder(_Key), SMALL_BYTES),
    "get": (msgspec.msgpack.Decoder(_Key), SMALL_BYTES),
    "put": (msgspec.msgpack.Decoder(_Value), INLINE_BODY_BYTES + SMALL_BYTES),
    "delete": (msgspec.msgpack.Decoder(_Keys), KEYS_BYTES),
    "list": (msgspec.msgpack.Decoder(_Nothing), SMALL_BYTES),
    "createMultipartUpload": (msgspec.msgpack.Decoder(_Key), SMALL_BYTES),
    "uploadPart": (msgspec.msgpack.Decoder(_Part), INLINE_BODY_BYTES + SMALL_BYTES),
    "completeMultipartUpload": (msgspec.msgpack.Decoder(_Parts), KEYS_BYTES),
    "abortMultipartUpload": (msgspec.msgpack.Decoder(_Upload), SMALL_BYTES),
}


class R2(Binding):
    """The bucket of the worker's account that has the name."""

    def __init__(self, spec: dict[str, Any], scope: Scope) -> None:
        super().__init__(spec, scope)
        self._name = str(spec.get("bucket_name", ""))
        self._store = R2Store(scope.registry.r2, scope.blobs)
        self._found: BucketView | None = None

    async def call(self, method: str, arguments: Raw, options: Raw) -> Any:
        """One operation, as described in ``executor.isolate.frames``."""
        if method not in _WANTED:
            raise Refused("TypeError", f"A bucket has no method {method[:40]!r}.")
        self.tally("r2", OPERATIONS, "worker")
        self.scope.count()
        decoder, limit_bytes = _WANTED[method]
        asked = read(decoder, arguments, limit_bytes, f"R2 {method}() takes something else")
        said = read(_options, options, SMALL_BYTES, f"R2 {method}() takes other options")
        operation = getattr(self, f"_{_SNAKE.get(method, method)}")
        try:
            return await operation(asked, said)
        except R2Error as exc:
            raise Refused("Error", f"{method}: {exc} ({exc.code})") from exc
        except NotFound as exc:
            missing = errors.no_such_bucket()
            raise Refused("Error", f"{method}: {missing} ({missing.code})") from exc
        except Invalid as exc:
            raise Refused("Error", f"{method}: {exc} (10029)") from exc
        except CloisterError as exc:
            raise Refused("Error", f"{method}: {_INTERNAL}") from exc

    def _bucket(self) -> BucketView:
        """In a thread."""
        if self._found is None:
            self._found = self._store.r2.get(self.scope.account_id, self._name)
        return self._found

    # Reading:

    async def _head(self, asked: _Key, _said: _Options) -> Any:
        view = await self.scope.in_thread(self._find, asked.key)
        return None if view is None else _shown(view)

    def _find(self, key: str) -> ObjectView | None:
        return self._store.r2.objects.find(self._bucket().id, key)

    async def _get(self, asked: _Key, said: _Options) -> Any:
        for _ in range(3):
            found = await self.scope.in_thread(self._look, asked.key, said)
            if found is None:
                return None
            view, span, data = found
            shown = _shown(view)
            if span is None:
                return shown
            start, length = span
            body = await self._body(view, start, length) if data is None else {"body": data}
            if body is not None:
                return {**shown, **body, "range": {"offset": start, "length": length}}
            # Replaced in between, and gone.
        raise errors.no_such_key()

    def _look(
        self, key: str, said: _Options
    ) -> tuple[ObjectView, tuple[int, int] | None, bytes | None] | None:
        """An object, which of its bytes are wanted (None where the conditions do not hold), and
        these bytes, where to read them here is quickest. In a thread."""
        view = self._find(key)
        if view is None:
            return None
        conditions = said.conditions
        if conditions is not None and not conditions.holds(view.etag, view.uploaded_at):
            return view, None, None
        wanted = said.range or Span.of_header(said.range_header) or Span()
        start, length = wanted.of(view.size)
        data = None
        if length == 0:
            data = b""
        elif length <= INLINE_BODY_BYTES and self._store.blobs.is_near and not view.part_size:
            data = self._store.blobs.part(blob_key(view.version), start, length)
        return view, (start, length), data

    async def _body(self, view: ObjectView, start: int, length: int) -> dict[str, Any] | None:
        """Some bytes of an object at once, or as a stream; None if it is no more."""
        pieces = await self.scope.in_thread(self._store.r2.objects.pieces, view, start, length)
        blobs = self._store.blobs
        first = await blobs.astream(blob_key(pieces[0].version), pieces[0].start, pieces[0].length)
        if first is None:
            return None
        reader = _Reader(_joined(blobs, first, pieces[1:]))
        if length > INLINE_BODY_BYTES:
            return {"stream": self.scope.streams.open(reader)}
        return {"body": b"".join([piece async for piece in reader.pieces])}

    async def _list(self, _asked: _Nothing, said: _Options) -> Any:
        if not 1 <= said.limit <= PER_PAGE:
            raise errors.invalid_limit()
        page = await self.scope.in_thread(self._page, said)
        return {
            "objects": [_shown(view) for view in page.objects],
            "delimitedPrefixes": page.prefixes,
            "truncated": page.cursor is not None,
        } | ({} if page.cursor is None else {"cursor": page.cursor})

    def _page(self, said: _Options) -> Any:
        return self._store.r2.objects.list(
            self._bucket().id,
            prefix=said.prefix,
            delimiter=said.delimiter,
            after=said.start_after,
            limit=said.limit,
            cursor=said.cursor,
        )

    # Writing:

    async def _put(self, asked: _Value, said: _Options) -> Any:
        measure = Measure(_checksums(said))
        conditions = said.conditions
        try:
            if said.stream is None:
                view = await self.scope.in_thread(self._put_now, asked, said, measure)
            else:
                await self.scope.in_thread(self._check, asked.key, said)
                blob = await self._written(said.stream, measure)
                view = await self.scope.in_thread(self._put_blob, asked.key, said, blob)
        except R2Error as exc:
            if conditions is not None and exc.code == errors.unmet().code:
                return None
            raise
        return _shown(view)

    def _said(self, said: _Options) -> Said:
        kept = Said(
            http_metadata=said.http_metadata,
            custom_metadata=said.custom_metadata,
            storage_class=said.storage_class or self._bucket().storage_class,
        )
        check_said(kept)
        return kept

    def _check(self, key: str, said: _Options) -> None:
        self._said(said)
        self._store.r2.objects.check(self._bucket().id, key, said.conditions)

    def _put_now(self, asked: _Value, said: _Options, measure: Measure) -> ObjectView:
        self._said(said)  # before there are bytes that nobody wants
        return self._put_blob(asked.key, said, self._store.store_bytes(asked.value, measure))

    def _put_blob(self, key: str, said: _Options, blob: Blob) -> ObjectView:
        return self._store.put(self._bucket().id, key, self._said(said), blob, said.conditions)

    async def _written(self, stream: int, measure: Measure) -> Blob:
        """Store what the isolate writes. Nothing refers to it yet; broken off, it is garbage."""
        version = await self.scope.in_thread(self._store.begin)
        pieces = measured(self.scope.streams.written(stream), measure, self.scope.in_thread)
        await self._store.blobs.aput_stream(blob_key(version), pieces)
        return measure.blob(version)

    async def _delete(self, asked: _Keys, _said: _Options) -> None:
        await self.scope.in_thread(lambda: self._store.remove(self._bucket().id, *asked.keys))

    # Uploads in parts:

    async def _create(self, asked: _Key, said: _Options) -> str:
        def create() -> str:
            kept = self._said(said)
            return self._store.r2.uploads.create(self._bucket().id, asked.key, kept)

        created: str = await self.scope.in_thread(create)
        return created

    async def _upload_part(self, asked: _Part, said: _Options) -> str:
        def keep(blob: Blob) -> None:
            bucket = self._bucket().id
            self._store.put_part(bucket, asked.key, asked.upload, asked.number, blob)

        def keep_now() -> Blob:
            check()
            blob = self._store.store_bytes(asked.value, measure)
            keep(blob)
            return blob

        def check() -> None:
            self._store.r2.uploads.check(self._bucket().id, asked.key, asked.upload)

        measure = Measure()
        if said.stream is None:
            blob = await self.scope.in_thread(keep_now)
        else:
            await self.scope.in_thread(check)
            blob = await self._written(said.stream, measure)
            await self.scope.in_thread(keep, blob)
        md5: str = blob.md5
        return md5

    async def _complete(self, asked: _Parts, _said: _Options) -> Any:
        def complete() -> ObjectView:
            bucket = self._bucket().id
            return self._store.complete(bucket, asked.key, asked.upload, asked.parts)

        return _shown(await self.scope.in_thread(complete))

    async def _abort(self, asked: _Upload, _said: _Options) -> None:
        def abort() -> None:
            self._store.r2.uploads.abort(self._bucket().id, asked.key, asked.upload)

        await self.scope.in_thread(abort)


_INTERNAL = "We encountered an internal error. Please try again. (10001)"
_SNAKE = {
    "createMultipartUpload": "create",
    "uploadPart": "upload_part",
    "completeMultipartUpload": "complete",
    "abortMultipartUpload": "abort",
}


class _Reader(Readable):
    """A body that comes from a store, which is let go of at its end."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self.pieces = pieces

    async def read(self) -> bytes:
        """The next piece."""
        return await anext(self.pieces, b"")

    async def close(self) -> None:
        """Read no more. What is being read at the moment lets go by itself."""
        with contextlib.suppress(RuntimeError):
            await self.pieces.aclose()  # type: ignore[attr-defined]  # it is a generator


async def _joined(blobs: Blobs, first: AsyncIterator[bytes], rest: Any) -> AsyncIterator[bytes]:
    async for data in first:
        yield data
    for piece in rest:
        found = await blobs.astream(blob_key(piece.version), piece.start, piece.length)
        if found is None:
            raise Refused("OSError", "The object was deleted while it was read.")
        async for data in found:
            yield data


def _checksums(said: _Options) -> dict[str, str]:
    if not set(said.checksums) <= set(ALGORITHMS):
        raise Refused("TypeError", "R2 put() knows no such checksum.")
    return said.checksums


def _shown(view: ObjectView) -> dict[str, Any]:
    """An object as the isolate makes one of it."""
    return {
        "key": view.key,
        "version": view.version,
        "size": view.size,
        "etag": view.etag,
        "checksums": view.checksums,
        "uploaded": view.uploaded_at,
        "httpMetadata": view.http_metadata,
        "customMetadata": view.custom_metadata,
        "storageClass": view.storage_class,
    }
