"""A KV namespace: ``env.NAME.get``, ``put``, ``delete``, ``list``."""

import functools
import time
from typing import Any

import msgspec

from cloister.errors import CloisterError, Invalid, NotFound
from cloister.registry.kv import METADATA_BYTES, VALUE_BYTES
from cloister.registry.views import KvValue
from executor.bindings.base import Binding, Refused, Scope
from executor.isolate.frames import INLINE_BODY_BYTES
from executor.streams import HeldReader

OPERATIONS = 1_000
"""Of one invocation, in all its KV namespaces together."""

KEYS_A_GET = 100
SHORTEST_TTL_S = 60
LIST_LIMIT = 1_000


class Kv(Binding):
    """Reads and writes go to the registry's database, in threads."""

    def __init__(self, spec: dict[str, Any], scope: Scope) -> None:
        super().__init__(spec, scope)
        self._id = str(spec.get("namespace_id", ""))

    async def call(self, method: str, arguments: list[Any], options: dict[str, Any]) -> Any:
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
        self._count()
        _check_cache_ttl(options)
        try:
            return await operations[method](arguments, options)
        except Invalid as exc:
            raise Refused("ValueError", f"KV {method.upper()} failed: {exc}") from exc
        except NotFound as exc:
            raise Refused("Error", f"KV {method.upper()} failed: 404 {exc}") from exc
        except CloisterError as exc:
            raise Refused("Error", f"KV {method.upper()} failed: 500 Internal error") from exc

    def _count(self) -> None:
        self.scope.tally["kv"] += 1
        if self.scope.tally["kv"] > OPERATIONS:
            raise Refused("SubrequestLimit", "Too many API requests by single worker invocation.")
        self.scope.count()

    async def _get(self, arguments: list[Any], _options: dict[str, Any]) -> Any:
        key = _text(arguments, 0)
        value = await self.scope.in_thread(self.scope.registry.kv.get, self._id, key)
        return None if value is None else self._shown(value, stream=True)

    async def _get_many(self, arguments: list[Any], _options: dict[str, Any]) -> Any:
        keys = arguments[0] if arguments else None
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise Refused("TypeError", "get() takes a key or a list of keys.")
        if len(keys) > KEYS_A_GET:
            raise Refused("ValueError", f"get() takes at most {KEYS_A_GET} keys.")
        found = await self.scope.in_thread(self._read_many, keys)
        return [self._shown(found[key], stream=False) if key in found else None for key in keys]

    def _read_many(self, keys: list[str]) -> dict[str, KvValue]:
        """One after another, so that a hundred large values are never in memory together."""
        found: dict[str, KvValue] = {}
        size = 0
        for key in dict.fromkeys(keys):
            if (value := self.scope.registry.kv.get(self._id, key)) is not None:
                found[key] = value
                size += len(value.value)
            if size > VALUE_BYTES:
                raise Invalid("The values together are too large; get fewer keys.")
        return found

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

    async def _put(self, arguments: list[Any], options: dict[str, Any]) -> None:
        key = _text(arguments, 0)
        expires_at = _expiration(options)
        metadata = _metadata(options)
        put = functools.partial(
            self.scope.registry.kv.put, self._id, key, metadata=metadata, expires_at=expires_at
        )
        stream = options.get("stream")
        if stream is None:
            await self.scope.in_thread(put, self._value(arguments))
            return
        self.scope.streams.budget.take(VALUE_BYTES)
        try:
            await self.scope.in_thread(put, await self._gather(_whole(stream, "stream")))
        finally:
            self.scope.streams.budget.give(VALUE_BYTES)

    def _value(self, arguments: list[Any]) -> bytes:
        value = arguments[1] if len(arguments) > 1 else None
        if isinstance(value, str):
            value = value.encode()
        if not isinstance(value, bytes):
            raise Refused("TypeError", "put() takes a string, bytes or a stream.")
        return value

    async def _gather(self, stream: int) -> bytes:
        value = bytearray()
        async for data in self.scope.streams.written(stream):
            value += data
            if len(value) > VALUE_BYTES:
                raise Invalid(f"A value has at most {VALUE_BYTES} bytes.")
        return bytes(value)

    async def _delete(self, arguments: list[Any], _options: dict[str, Any]) -> None:
        key = _text(arguments, 0)
        await self.scope.in_thread(self.scope.registry.kv.delete, self._id, key)

    async def _list(self, _arguments: list[Any], options: dict[str, Any]) -> dict[str, Any]:
        limit = options.get("limit")
        page = await self.scope.in_thread(
            self.scope.registry.kv.list,
            self._id,
            prefix=_optional_text(options, "prefix") or "",
            limit=LIST_LIMIT if limit is None else min(_whole(limit, "limit"), LIST_LIMIT),
            cursor=_optional_text(options, "cursor") or None,
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


def _text(arguments: list[Any], place: int) -> str:
    value = arguments[place] if len(arguments) > place else None
    if not isinstance(value, str):
        raise Refused("TypeError", "A key must be a string.")
    return value


def _optional_text(options: dict[str, Any], name: str) -> str | None:
    value = options.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused("TypeError", f"{name} must be a string.")
    return value


def _whole(value: Any, name: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused("TypeError", f"{name} must be a whole number.")
    return value


def _check_cache_ttl(options: dict[str, Any]) -> None:
    """Reads are never stale here, so the time is only checked."""
    ttl = options.get("cache_ttl")
    if ttl is not None and _whole(ttl, "cacheTtl") < SHORTEST_TTL_S:
        raise Refused("ValueError", f"cacheTtl must be at least {SHORTEST_TTL_S}.")


def _expiration(options: dict[str, Any]) -> int | None:
    now = int(time.time())
    if (ttl := options.get("expiration_ttl")) is not None:
        ttl = _whole(ttl, "expirationTtl")
        if ttl < SHORTEST_TTL_S:
            raise Refused("ValueError", f"expirationTtl must be at least {SHORTEST_TTL_S}.")
        return now + ttl
    if (at := options.get("expiration")) is None:
        return None
    at = _whole(at, "expiration")
    if at < now + SHORTEST_TTL_S:
        raise Refused(
            "ValueError", f"expiration must be at least {SHORTEST_TTL_S} seconds in the future."
        )
    return at


def _metadata(options: dict[str, Any]) -> str | None:
    metadata = options.get("metadata")
    if metadata is None:
        return None
    try:
        text = msgspec.json.encode(metadata).decode()
    except (TypeError, ValueError, msgspec.EncodeError) as exc:
        raise Refused("TypeError", "metadata must be JSON.") from exc
    if len(text) > METADATA_BYTES:
        raise Refused("ValueError", f"metadata has at most {METADATA_BYTES} bytes as JSON.")
    return text
