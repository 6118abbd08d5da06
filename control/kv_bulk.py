"""KV over REST, many pairs at a time (reference section 3.6)."""

import base64
import binascii
from typing import Any

import msgspec
from flask import Blueprint, Response

from cloister.registry import KvPut, KvValue
from cloister.registry.kv import VALUE_BYTES
from control import auth, bodies, envelope
from control.errors import (
    BAD_BODY,
    KV_NAMESPACE_NOT_FOUND,
    KV_VALUE_TOO_LARGE,
    MALFORMED_PARAMETER,
    Refused,
    translated,
)
from control.house import house
from control.kv import ONE, expiration, extras, mine
from control.rules import plain

blueprint = Blueprint("kv_bulk", __name__)

BULK_BYTES = 100 * 1000 * 1000
BULK_PAIRS = 10_000
BULK_GET_KEYS = 100


class Pair(msgspec.Struct, frozen=True):
    """One pair of a bulk write, as it comes."""

    key: str
    value: str
    base64: bool = False
    expiration: float | None = None
    expiration_ttl: float | None = None
    metadata: Any = None


class Wanted(msgspec.Struct, frozen=True, rename={"with_metadata": "withMetadata"}):
    """The body of a bulk read."""

    keys: list[str]
    type: str = "text"
    with_metadata: bool = False


_pairs = msgspec.json.Decoder(list[Pair])
_wanted = msgspec.json.Decoder(Wanted)
_keys = msgspec.json.Decoder(list[str])


@blueprint.put(f"{ONE}/bulk")
def put(account_id: str, kv_id: str) -> Response:
    """Write up to 10,000 pairs: all or, on any error, none."""
    mine(account_id, kv_id)
    pairs = _decoded(_pairs, BULK_BYTES)
    _bounded(len(pairs), BULK_PAIRS)
    checked = [_put(pair, f"/{index}") for index, pair in enumerate(pairs)]
    with translated(KV_NAMESPACE_NOT_FOUND):
        house().registry.kv.put_many(kv_id, checked)
    return _counted(len(pairs))


@blueprint.post(f"{ONE}/bulk/delete")
@blueprint.delete(f"{ONE}/bulk")
def delete(account_id: str, kv_id: str) -> Response:
    """Delete up to 10,000 keys, which need not be there."""
    mine(account_id, kv_id)
    keys = _decoded(_keys, BULK_BYTES)
    _bounded(len(keys), BULK_PAIRS)
    house().registry.kv.delete_many(kv_id, keys)
    return _counted(len(keys))


@blueprint.post(f"{ONE}/bulk/get")
@auth.reads
def get(account_id: str, kv_id: str) -> Response:
    """Read up to 100 values, 25 MiB together; null stands for a missing one."""
    mine(account_id, kv_id)
    wanted = _decoded(_wanted, bodies.JSON_BYTES)
    _bounded(len(wanted.keys), BULK_GET_KEYS)
    if wanted.type not in {"text", "json"}:
        raise Refused(MALFORMED_PARAMETER, "type must be text or json.", pointer="/type")
    values: dict[str, Any] = {}
    left = VALUE_BYTES
    for key in wanted.keys:
        found = house().registry.kv.get(kv_id, key)
        left -= len(found.value) if found else 0
        if left < 0:
            raise Refused(KV_VALUE_TOO_LARGE, "The values together are larger than 25 MiB.")
        values[key] = None if found is None else _shown(key, found, wanted)
    return envelope.success({"values": values})


def _put(pair: Pair, pointer: str) -> KvPut:
    plain.check(pair.metadata, BAD_BODY, f"{pointer}/metadata")
    metadata = None if pair.metadata is None else msgspec.json.encode(pair.metadata).decode()
    return KvPut(
        key=pair.key,
        value=_bytes(pair, pointer),
        metadata=metadata,
        expires_at=expiration(pair.expiration, pair.expiration_ttl, pointer),
    )


def _bytes(pair: Pair, pointer: str) -> bytes:
    if not pair.base64:
        return pair.value.encode()
    try:
        return base64.b64decode(pair.value, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise Refused(
            MALFORMED_PARAMETER, "value is not base64.", pointer=f"{pointer}/value"
        ) from exc


def _shown(key: str, found: KvValue, wanted: Wanted) -> Any:
    value = _as_json(key, found) if wanted.type == "json" else found.value.decode(errors="replace")
    if not wanted.with_metadata:
        return value
    return {"value": value, "metadata": None, **extras(found.expires_at, found.metadata)}


def _as_json(key: str, found: KvValue) -> Any:
    try:
        return msgspec.json.decode(found.value)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise Refused(MALFORMED_PARAMETER, f"The value of {key!r} is not JSON.") from exc


def _decoded(decoder: "msgspec.json.Decoder[Any]", limit_bytes: int) -> Any:
    try:
        return decoder.decode(bodies.whole(limit_bytes))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Refused(BAD_BODY, f"The body could not be parsed: {exc}.") from exc


def _bounded(count: int, most: int) -> None:
    if count > most:
        raise Refused(MALFORMED_PARAMETER, f"At most {most} at a time; these are {count}.")


def _counted(count: int) -> Response:
    return envelope.success({"successful_key_count": count, "unsuccessful_keys": []})
