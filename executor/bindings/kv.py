"""A KV namespace: ``env.NAME.get``, ``put``, ``delete``, ``list``."""

import asyncio
import contextlib
import functools
import time
from typing import Any

import msgspec
from msgspec import Raw

from cloister.errors import CloisterError, Invalid, NotFound, NotReady
from cloister.registry.kv import METADATA_BYTES, SHORTEST_TTL_S, VALUE_BYTES
from cloister.registry.views import KvValue
from executor.bindings.asked import read
from executor.bindings.base import Binding, Refused, Scope
from executor.isolate.frames import INLINE_BODY_BYTES, NOTHING, plain
from executor.streams import HeldReader

OPERATIONS = 1_000
"""Of one invocation, in all its KV namespaces together."""

KEYS_A_GET = 100
LIST_LIMIT = 1_000


SMALL_BYTES = 128 * 1024
"""Largest arguments or options of an operation, but for the value of a put."""


class _Key(msgspec.Struct, array_like=True):
    key: str


class _Keys(msgspec.Struct, array_like=True):
    keys: list[str]


class _Pair(msgspec.Struct, array_like=True):
    key: str
    value: bytes


class _Options(msgspec.Struct):
    cache_ttl: int | float | None = None
    expiration: int | float | None = None
    expiration_ttl: int | float | None = None
    metadata: Raw = NOTHING
    stream: int | None = None
    prefix: str | None = None
    limit: int | float | None = None
    cursor: str | None = None


_key = msgspec.msgpack.Decoder(_Key)
_keys = msgspec.msgpack.Decoder(_Keys)
_pair = msgspec.msgpack.Decoder(_Pair)
_options = msgspec.msgpack.Decoder(_Options)


class Kv(Binding):
    """A read goes to the registry's database at once where that is near; everything else in
    threads."""

    def __init__(self, spec: dict[str, Any], scope: Scope) -> None:
        super().__init__(spec, scope)
        self._id = str(spec.get("namespace_id", ""))
        self._reading_many = asyncio.Lock()

    async def call(self, method: str, arguments: Raw, options: Raw) -> Any:
        """One operation, as described in ``executor.isolate.frames``."""
        operations = {
            "get": self._get,
            "get_many": self._get_many,
            "put": self._put,
            "delete": self._delete,
            "list": self._list,
        }
        if method not in operations:
            raise Refused("TypeError", f"A KV namespace has no method {method[:40]!r}.")
        self.tally("kv", OPERATIONS, "worker")
        self.scope.count()
        asked = read(_options, options, SMALL_BYTES, f"KV {method}() takes other options")
        try:
            return await operations[method](arguments, asked)
        except Invalid as exc:
            raise Refused("ValueError", f"KV {method.upper()} failed: {exc}") from exc
        except NotFound as exc:
            raise Refused("Error", f"KV {method.upper()} failed: 404 {exc}") from exc
        except CloisterError as exc:
            raise Refused("Error", f"KV {method.upper()} failed: 500 Internal error") from exc

    async def _get(self, arguments: Raw, options: _Options) -> Any:
        key = _one_key(arguments)
        value = await self._read(key, _cache_ttl_s(options.cache_ttl))
        return None if value is None else self._shown(value, stream=True)

    async def _read(self, key: str, ttl_s: int) -> KvValue | None:
        kv = self.scope.registry.kv
        if self.scope.registry.is_near:
            with contextlib.suppress(NotReady):  # large, or the database is busy
                return kv.get(self._id, key, wait=False)
        found: KvValue | None = await self.scope.in_thread(kv.get, self._id, key, ttl_s=ttl_s)
        return found

    async def _get_many(self, arguments: Raw, options: _Options) -> Any:
        _cache_ttl_s(options.cache_ttl)
        keys = read(_keys, arguments, SMALL_BYTES, "get() takes a key or a list of keys").keys
        if len(keys) > KEYS_A_GET:
            raise Refused("ValueError", f"get() takes at most {KEYS_A_GET} keys.")
        get_many = self.scope.registry.kv.get_many
        async with self._reading_many:
            found = await self.scope.in_thread(get_many, self._id, keys, limit_bytes=VALUE_BYTES)
        return [self._shown(found[key], stream=False) if key in found else None for key in keys]

    def _shown(self, value: KvValue, *, stream: bool) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        if stream and len(value.value) > INLINE_BODY_BYTES:
            streams = self.scope.streams
            shown["stream"] = streams.open(HeldReader(value.value, streams.budget))
        else:
            shown["value"] = value.value
        if value.metadata is not None:
            shown["metadata"] = msgspec.json.decode(value.metadata)
        return shown

    async def _put(self, arguments: Raw, options: _Options) -> None:
        limit_bytes = INLINE_BODY_BYTES + SMALL_BYTES
        pair = read(_pair, arguments, limit_bytes, "put() takes a key and a value")
        put = functools.partial(
            self.scope.registry.kv.put,
            self._id,
            pair.key,
            metadata=_metadata(options.metadata),
            expires_at=_expiration(options),
        )
        if options.stream is None:
            await self.scope.in_thread(put, pair.value)
            return
        with self.scope.streams.budget.held(VALUE_BYTES):
            await self.scope.in_thread(put, await self._gather(options.stream))

    async def _gather(self, stream: int) -> bytes:
        value = bytearray()
        async for data in self.scope.streams.written(stream):
            value += data
            if len(value) > VALUE_BYTES:
                raise Invalid(f"A value has at most {VALUE_BYTES} bytes.")
        return bytes(value)

    async def _delete(self, arguments: Raw, _options: _Options) -> None:
        key = _one_key(arguments)
        await self.scope.in_thread(self.scope.registry.kv.delete, self._id, key)

    async def _list(self, _arguments: Raw, options: _Options) -> dict[str, Any]:
        limit = options.limit
        page = await self.scope.in_thread(
            self.scope.registry.kv.list,
            self._id,
            prefix=options.prefix or "",
            limit=LIST_LIMIT if limit is None else min(_whole(limit, "limit"), LIST_LIMIT),
            cursor=options.cursor or None,
        )
        keys = []
        for key in page.items:
            shown: dict[str, Any] = {"name": key.name}
            if key.expires_at is not None:
                shown["expiration"] = key.expires_at
            if key.metadata is not None:
                shown["metadata"] = msgspec.json.decode(key.metadata)
            keys.append(shown)
        more = {} if page.cursor is None else {"cursor": page.cursor}
        return {"keys": keys, "list_complete": page.cursor is None, **more}


def _one_key(arguments: Raw) -> str:
    return read(_key, arguments, SMALL_BYTES, "A key must be a string").key


def _whole(value: float, name: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int):
        raise Refused("TypeError", f"{name} must be a whole number.")
    return value


def _cache_ttl_s(ttl: float | None) -> int:
    if ttl is None:
        return SHORTEST_TTL_S
    seconds = _whole(ttl, "cacheTtl")
    if seconds < SHORTEST_TTL_S:
        raise Refused("ValueError", f"cacheTtl must be at least {SHORTEST_TTL_S}.")
    return seconds


def _expiration(options: _Options) -> int | None:
    now = int(time.time())
    if options.expiration_ttl is not None:
        ttl = _whole(options.expiration_ttl, "expirationTtl")
        if ttl < SHORTEST_TTL_S:
            raise Refused("ValueError", f"expirationTtl must be at least {SHORTEST_TTL_S}.")
        return now + ttl
    if options.expiration is None:
        return None
    at = _whole(options.expiration, "expiration")
    if at < now + SHORTEST_TTL_S:
        raise Refused(
            "ValueError", f"expiration must be at least {SHORTEST_TTL_S} seconds in the future."
        )
    return at


def _metadata(data: Raw) -> str | None:
    too_large = Refused("ValueError", f"metadata has at most {METADATA_BYTES} bytes as JSON.")
    if memoryview(data).nbytes > 4 * METADATA_BYTES:
        raise too_large
    try:
        metadata = plain(data)
        text = msgspec.json.encode(metadata).decode()
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as exc:
        raise Refused("TypeError", "metadata must be JSON.") from exc
    if len(text) > METADATA_BYTES:
        raise too_large
    return None if metadata is None else text
