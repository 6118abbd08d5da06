"""KV over REST, many pairs at a time."""

import base64
import binascii
from typing import Any, Literal

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
from control.kv import ONE, expires, extras, mine
from control.operation import operation
from control.rules import plain

blueprint = Blueprint("kv_bulk", __name__)

BULK_BYTES = 100 * 1000 * 1000
BULK_PAIRS = 10_000
BULK_GET_KEYS = 100


class KvPair(msgspec.Struct, frozen=True):
    """One pair of a bulk write, as it comes."""

    key: str
    value: str
    base64: bool = False
    expiration: float | None = None
    expiration_ttl: float | None = None
    metadata: Any = None


class BulkGet(msgspec.Struct, frozen=True, rename={"with_metadata": "withMetadata"}):
    """The body of a bulk read."""

    keys: list[str]
    type: Literal["text", "json"] = "text"
    with_metadata: bool = False


class BulkCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a bulk of keys: all of it, always."""

    successful_key_count: int
    unsuccessful_keys: list[str] = []


class BulkValues(msgspec.Struct, frozen=True):
    """Each key's value or, with metadata, an object around it; null where there is none."""

    values: dict[str, Any]


@blueprint.put(f"{ONE}/bulk")
@operation(BulkCounts, body=bodies.Json(list[KvPair], BULK_BYTES))
def put(account_id: str, kv_id: str, body: bodies.Body[list[KvPair]]) -> Response:
    """Write up to 10,000 pairs: all or, on any error, none."""
    mine(account_id, kv_id)
    pairs = body()
    _bounded(len(pairs), BULK_PAIRS)
    checked = [_put(pair, f"/{index}") for index, pair in enumerate(pairs)]
    with translated(KV_NAMESPACE_NOT_FOUND):
        house().registry.kv.put_many(kv_id, checked)
    return envelope.success(BulkCounts(successful_key_count=len(pairs)))


@blueprint.post(f"{ONE}/bulk/delete")
@blueprint.delete(f"{ONE}/bulk")
@operation(BulkCounts, body=bodies.Json(list[str], BULK_BYTES))
def delete(account_id: str, kv_id: str, body: bodies.Body[list[str]]) -> Response:
    """Delete up to 10,000 keys, which need not be there."""
    mine(account_id, kv_id)
    keys = body()
    _bounded(len(keys), BULK_PAIRS)
    house().registry.kv.delete_many(kv_id, keys)
    return envelope.success(BulkCounts(successful_key_count=len(keys)))


@blueprint.post(f"{ONE}/bulk/get")
@auth.reads
@operation(BulkValues, body=bodies.Json(BulkGet))
def get(account_id: str, kv_id: str, body: bodies.Body[BulkGet]) -> Response:
    """Read up to 100 values, 25 MiB together; null stands for a missing one."""
    mine(account_id, kv_id)
    wanted = body()
    _bounded(len(wanted.keys), BULK_GET_KEYS)
    values: dict[str, Any] = {}
    left = VALUE_BYTES
    for key in wanted.keys:
        found = house().registry.kv.get(kv_id, key)
        left -= len(found.value) if found else 0
        if left < 0:
            raise Refused(KV_VALUE_TOO_LARGE, "The values together are larger than 25 MiB.")
        values[key] = None if found is None else _shown(key, found, wanted)
    return envelope.success(BulkValues(values))


def _put(pair: KvPair, pointer: str) -> KvPut:
    plain.check(pair.metadata, BAD_BODY, f"{pointer}/metadata")
    metadata = None if pair.metadata is None else msgspec.json.encode(pair.metadata).decode()
    return KvPut(
        key=pair.key,
        value=_bytes(pair, pointer),
        metadata=metadata,
        expires_at=expires(pair.expiration, pair.expiration_ttl, pointer),
    )


def _bytes(pair: KvPair, pointer: str) -> bytes:
    if not pair.base64:
        return pair.value.encode()
    try:
        return base64.b64decode(pair.value, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise Refused(
            MALFORMED_PARAMETER, "value is not base64.", pointer=f"{pointer}/value"
        ) from exc


def _shown(key: str, found: KvValue, wanted: BulkGet) -> Any:
    value = _as_json(key, found) if wanted.type == "json" else found.value.decode(errors="replace")
    if not wanted.with_metadata:
        return value
    return {"value": value, "metadata": None, **extras(found.expires_at, found.metadata)}


def _as_json(key: str, found: KvValue) -> Any:
    try:
        return msgspec.json.decode(found.value)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise Refused(MALFORMED_PARAMETER, f"The value of {key!r} is not JSON.") from exc


def _bounded(count: int, most: int) -> None:
    if count > most:
        raise Refused(MALFORMED_PARAMETER, f"At most {most} at a time; these are {count}.")
