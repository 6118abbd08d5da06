"""KV bindings. What can be seen to be wrong is refused here, in the product's words."""

import json
import math
import time
from typing import Any

from executor.isolate.frames import INLINE_BODY_BYTES
from executor.isolate.invocation import runtime
from executor.isolate.workers.bodies import BodyStream, known_bytes, pulled, read_all
from executor.isolate.workers.fetching import ask_while_writing, stream_of
from executor.isolate.workers.values import JsDict, merged_options, to_js_dicts

MAX_KEY_BYTES = 512
MAX_KEYS = 100
MAX_LISTED = 1000
MAX_METADATA_BYTES = 1024
MAX_VALUE_BYTES = 25 * 1024 * 1024
MIN_TTL_S = 60
LIST_OPTIONS = ("prefix", "limit", "cursor")
TYPES = ("text", "json", "arrayBuffer", "stream")


class KVNamespace:
    """``env.NAME`` of a KV binding. Options go in one dict or by keyword."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    async def get(self, key: Any, options: Any = None, /, **named: Any) -> Any:
        """The value of a key, or None; for a list of keys a dict of them."""
        kind, asked = _get_options(options, named)
        if isinstance(key, list):
            found = await self._many(key, kind, asked)
            return {name: entry["value"] for name, entry in found.items()}
        return (await self._one(key, kind, asked))["value"]

    async def getWithMetadata(self, key: Any, options: Any = None, /, **named: Any) -> Any:
        """As :meth:`get`, each value with its metadata."""
        kind, asked = _get_options(options, named)
        if isinstance(key, list):
            return await self._many(key, kind, asked)
        return await self._one(key, kind, asked)

    async def put(self, key: str, value: Any, options: Any = None, /, **named: Any) -> None:
        """Store a value. Options: ``expiration``, ``expirationTtl``, ``metadata``."""
        checked = _checked_key(key, "PUT")
        asked = _put_options(merged_options(options, named))
        data = _value(value)
        if isinstance(data, bytes) and len(data) <= INLINE_BODY_BYTES:
            await runtime.ask(self._name, "put", [checked, data], asked)
            return
        stream, chunks = stream_of(data)
        question = runtime.ask(self._name, "put", [checked, b""], {**asked, "stream": stream})
        await ask_while_writing(question, stream, chunks)

    async def delete(self, key: str, /) -> None:
        """Remove a key, if it is there."""
        await runtime.ask(self._name, "delete", [_checked_key(key, "DELETE")])

    async def list(self, options: Any = None, /, **named: Any) -> JsDict:
        """Names of keys, in order. Options: ``prefix``, ``limit``, ``cursor``."""
        asked = merged_options(options, named)
        limit = asked.get("limit")
        if limit is not None and (not isinstance(limit, int) or not 1 <= limit <= MAX_LISTED):
            raise ValueError(
                f"KV LIST failed: 400 Invalid key_count_limit of {limit}. "
                f"Please specify an integer from 1 to {MAX_LISTED}."
            )
        sent = {name: value for name, value in asked.items() if name in LIST_OPTIONS}
        page = to_js_dicts(await runtime.ask(self._name, "list", [], sent))
        return JsDict(page, cacheStatus=None)

    async def _one(self, key: Any, kind: str, asked: dict[str, Any]) -> JsDict:
        entry = await runtime.ask(self._name, "get", [_checked_key(key, "GET")], asked)
        return await _shown(entry, kind)

    async def _many(self, keys: Any, kind: str, asked: dict[str, Any]) -> dict[str, JsDict]:
        if len(keys) > MAX_KEYS:
            raise ValueError(
                f"KV GET_BULK failed: 400 You can request a maximum of {MAX_KEYS} keys"
            )
        if kind not in ("text", "json"):
            raise ValueError(
                f'KV GET_BULK failed: 400 "{kind}" is not a valid type. Use "json" or "text"'
            )
        checked = [_checked_key(key, "GET") for key in keys]
        found = await runtime.ask(self._name, "get_many", [checked], asked)
        return {key: await _shown(e, kind) for key, e in zip(checked, found, strict=True)}

    def __repr__(self) -> str:
        return f"<KV namespace {self._name}>"


async def _shown(entry: dict[str, Any] | None, kind: str) -> JsDict:
    if entry is None:
        return JsDict(value=None, metadata=None, cacheStatus=None)
    body = pulled(entry["stream"]) if "stream" in entry else BodyStream(entry["value"])
    value: Any = body if kind == "stream" else _decoded(await read_all(body), kind)
    return JsDict(value=value, metadata=to_js_dicts(entry.get("metadata")), cacheStatus=None)


def _decoded(data: bytes, kind: str) -> Any:
    if kind == "arrayBuffer":
        return memoryview(data)
    text = data.decode("utf-8", "replace")
    return to_js_dicts(json.loads(text)) if kind == "json" else text


def _checked_key(key: Any, verb: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"A KV key is a str, not {type(key).__name__}")
    if not key:
        raise TypeError("Key name cannot be empty.")
    if key in (".", ".."):
        raise TypeError(f'"{key}" is not allowed as a key name.')
    size = len(key.encode("utf-8", "replace"))
    if size > MAX_KEY_BYTES:
        raise ValueError(
            f"KV {verb} failed: 414 UTF-8 encoded length of {size} exceeds key length limit of "
            f"{MAX_KEY_BYTES}."
        )
    return key


def _get_options(options: Any, named: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    asked = merged_options({"type": options} if isinstance(options, str) else options, named)
    kind = asked.get("type", "text")
    if kind not in TYPES:
        raise TypeError(
            'Unknown response type. Possible types are "text", "arrayBuffer", "json", and "stream".'
        )
    ttl = asked.get("cacheTtl")
    if ttl is None:
        return kind, {}
    if not isinstance(ttl, int) or ttl < MIN_TTL_S:
        raise ValueError(
            f"KV GET failed: 400 Invalid cache_ttl of {ttl}. Cache TTL must be at least "
            f"{MIN_TTL_S}."
        )
    return kind, {"cache_ttl": ttl}


def _put_options(asked: dict[str, Any]) -> dict[str, Any]:
    sent: dict[str, Any] = {}
    if "expiration" in asked:
        sent["expiration"] = _expiration(asked["expiration"])
    if "expirationTtl" in asked:
        sent["expiration_ttl"] = _ttl(asked["expirationTtl"])
    if "metadata" in asked:
        sent["metadata"] = _metadata(asked["metadata"])
    return sent


def _expiration(value: Any) -> int:
    when = _seconds(value, "expiration")
    if when < time.time() + MIN_TTL_S:
        raise ValueError(
            f"KV PUT failed: 400 Invalid expiration of {when}. Expiration times must be at least "
            f"{MIN_TTL_S} seconds in the future."
        )
    return when


def _ttl(value: Any) -> int:
    ttl = _seconds(value, "expiration_ttl")
    if ttl < MIN_TTL_S:
        raise ValueError(
            f"KV PUT failed: 400 Invalid expiration_ttl of {ttl}. Expiration TTL must be at least "
            f"{MIN_TTL_S}."
        )
    return ttl


def _seconds(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(
            f"KV PUT failed: 400 Invalid {name} of {value}. Please specify an integer."
        )
    return int(value)


def _metadata(value: Any) -> Any:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_METADATA_BYTES:
        raise ValueError(
            f"KV PUT failed: 413 Metadata length of {size} exceeds limit of {MAX_METADATA_BYTES}."
        )
    return json.loads(text)


def _value(value: Any) -> bytes | BodyStream:
    if isinstance(value, BodyStream):
        data = known_bytes(value)
        return value if data is None else data
    if isinstance(value, str):
        value = value.encode("utf-8", "replace")
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(
            "KV put() accepts only strings, ArrayBuffers, ArrayBufferViews, and ReadableStreams as "
            f"values, not {type(value).__name__}"
        )
    data = bytes(value)
    if len(data) > MAX_VALUE_BYTES:
        raise ValueError(
            f"KV PUT failed: 413 Value length of {len(data)} exceeds limit of {MAX_VALUE_BYTES}."
        )
    return data
