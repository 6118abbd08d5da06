"""``caches``: no binding of the upload's, but served as one. Responses are kept on this machine.

Workers of trusted namespaces, and plain ones, share the caches of their account. In an untrusted
namespace each worker has caches of its own, by its id, and no default one.
"""

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from msgspec import Raw

from executor.bindings.asked import REQUEST_BYTES, read
from executor.bindings.base import Binding, Refused, Scope
from executor.caches import rules
from executor.caches.store import ITEM_BYTES, Entry, Head
from executor.isolate.frames import INLINE_BODY_BYTES, Incoming, Outgoing
from executor.streams import Pulled

OPERATIONS = 1_000
"""Of one invocation."""

NAME_CHARACTERS = 1_024


class _Options(msgspec.Struct):
    cache: str | None = None
    ignore_method: bool = False
    stream: int | None = None


class _Request(msgspec.Struct, array_like=True):
    request: Outgoing


class _Response(msgspec.Struct):
    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""


class _Pair(msgspec.Struct, array_like=True):
    request: Outgoing
    response: _Response


_options = msgspec.msgpack.Decoder(_Options)
_request = msgspec.msgpack.Decoder(_Request)
_pair = msgspec.msgpack.Decoder(_Pair)


class Cache(Binding):
    """The caches of one worker, by their names. It writes one response at a time: what is written
    does not count towards the bounds yet."""

    def __init__(self, spec: dict[str, Any], scope: Scope) -> None:
        super().__init__(spec, scope)
        self._writing = asyncio.Lock()

    async def call(self, method: str, arguments: Raw, options: Raw) -> Any:
        """``match``, ``put`` or ``delete``."""
        operations = {"match": self._match, "put": self._put, "delete": self._delete}
        if method not in operations:
            raise Refused("TypeError", f"A cache has no method {method[:40]!r}.")
        self.tally("cache", OPERATIONS)
        asked = read(_options, options, NAME_CHARACTERS * 5, "A cache takes other options")
        owner = await self._owner(asked.cache)
        try:
            return await operations[method](owner, arguments, asked)
        except sqlite3.Error as exc:
            raise Refused("Error", "The cache does not answer.") from exc

    async def _owner(self, cache: str | None) -> str:
        """Who has it: the worker's id or, where tenants trust each other, the account's."""
        if cache is not None and len(cache) > NAME_CHARACTERS:
            raise Refused("TypeError", "The name of a cache is too long.")
        if await self.scope.is_trusted():
            return self.scope.bundle.account_id
        if cache is None:
            raise Refused(
                "Error",
                "caches.default is not available in an untrusted namespace: use caches.open(name).",
            )
        return self.scope.bundle.script_id

    async def _match(self, owner: str, arguments: Raw, options: _Options) -> Incoming | None:
        request = read(_request, arguments, REQUEST_BYTES, "match() takes a request").request
        if request.method != "GET" and not options.ignore_method:
            return None
        store = self.scope.caches
        found = await self.scope.in_thread(store.find, owner, _key(options.cache, request.url))
        return None if found is None else await self._shown(found, request)

    async def _shown(self, found: Entry, request: Outgoing) -> Incoming:
        headers = [
            *found.head.headers,
            ("cf-cache-status", "HIT"),
            ("age", str(found.age_s)),
        ]
        if rules.is_not_modified(request.headers, found.head.headers):
            return Incoming(status=304, headers=headers, url=request.url)
        status, (start, end) = found.head.status, (0, found.body_size)
        if status == 200 and (part := rules.part(request.headers, found.body_size)) is not None:
            start, end = part
            if start == end:
                unsatisfied = ("content-range", f"bytes */{found.body_size}")
                return Incoming(status=416, headers=[unsatisfied], url=request.url)
            status = 206
            headers = [pair for pair in headers if pair[0].lower() != "content-length"]
            headers.append(("content-range", f"bytes {start}-{end - 1}/{found.body_size}"))
        pieces = self._pieces(found.id, start, end)
        if end - start <= INLINE_BODY_BYTES:
            body = b"".join([piece async for piece in pieces])
            return Incoming(status=status, headers=headers, url=request.url, body=body)
        stream = self.scope.streams.open(Pulled(pieces))
        return Incoming(status=status, headers=headers, url=request.url, stream=stream)

    async def _pieces(self, entry: int, start: int, end: int) -> AsyncIterator[bytes]:
        number, skip = divmod(start, INLINE_BODY_BYTES)
        left = end - start
        while left > 0:
            piece = await self.scope.in_thread(self.scope.caches.piece, entry, number)
            if piece is None:
                raise Refused("OSError", "The cached response is gone.")
            piece = piece[skip : skip + left]
            yield piece
            left -= len(piece)
            number, skip = number + 1, 0

    async def _put(self, owner: str, arguments: Raw, options: _Options) -> None:
        limit_bytes = REQUEST_BYTES + INLINE_BODY_BYTES
        said = read(_pair, arguments, limit_bytes, "put() takes a request and a response")
        head = Head(said.response.status, said.response.headers)
        try:
            rules.check(said.request.method, head)
        except rules.Uncacheable as exc:
            raise Refused("TypeError", str(exc)) from exc
        kept = rules.storable(head, time.time())
        stream = options.stream
        if kept is not None:
            body = _once(said.response.body)
            if stream is not None:
                body = self.scope.streams.written(stream)
            key = _key(options.cache, said.request.url)
            async with self._writing:
                await self._kept(owner, key, *kept, body)
        if stream is not None:  # of which something may be left
            self.scope.streams.drop(stream)

    async def _kept(
        self, owner: str, key: bytes, head: Head, ttl_s: float, body: AsyncIterator[bytes]
    ) -> None:
        entry = await self.scope.in_thread(self.scope.caches.begin, owner, key, head, ttl_s)
        try:
            await self._write(entry, body)
        except BaseException:
            # Also if the invocation ends meanwhile: then nobody waits for this.
            dropping = asyncio.ensure_future(self.scope.in_thread(self.scope.caches.drop, entry))
            dropping.add_done_callback(lambda task: task.cancelled() or task.exception())
            raise

    async def _write(self, entry: int, body: AsyncIterator[bytes]) -> None:
        store, in_thread = self.scope.caches, self.scope.in_thread
        held, number, size = bytearray(), 0, 0
        async for data in body:
            held += data
            size += len(data)
            if size > ITEM_BYTES:
                await in_thread(store.drop, entry)
                return
            while len(held) >= INLINE_BODY_BYTES:
                await in_thread(store.add, entry, number, bytes(held[:INLINE_BODY_BYTES]))
                del held[:INLINE_BODY_BYTES]
                number += 1
        if held:
            await in_thread(store.add, entry, number, bytes(held))
        await in_thread(store.finish, entry, size)

    async def _delete(self, owner: str, arguments: Raw, options: _Options) -> bool:
        request = read(_request, arguments, REQUEST_BYTES, "delete() takes a request").request
        if request.method != "GET" and not options.ignore_method:
            return False
        key = _key(options.cache, request.url)
        return bool(await self.scope.in_thread(self.scope.caches.delete, owner, key))


def _key(cache: str | None, url: str) -> bytes:
    """Of fixed length. A named cache is never the default one."""
    name = b"default" if cache is None else b"named:" + cache.encode()
    digest = hashlib.blake2b(name, digest_size=16).digest()
    return hashlib.blake2b(digest + url.encode(), digest_size=16).digest()


async def _once(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data
