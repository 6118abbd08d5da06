"""KV over REST (reference section 3.6): namespaces, keys, values."""

import time
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from cloister.registry import KvNamespaceView, KvValue
from cloister.registry.kv import VALUE_BYTES
from control import bodies, envelope, fields, upload
from control.errors import (
    BAD_UPLOAD,
    KV_KEY_NOT_FOUND,
    KV_NAMESPACE_NOT_FOUND,
    KV_TITLE_TAKEN,
    KV_VALUE_TOO_LARGE,
    MALFORMED_PARAMETER,
    Refused,
    translated,
)
from control.house import house
from control.paths import ACCOUNT

blueprint = Blueprint("kv", __name__)

BASE = f"{ACCOUNT}/storage/kv/namespaces"
ONE = f"{BASE}/<kv_id>"
VALUE = f"{ONE}/values/<everything:key>"

MULTIPART_SLACK_BYTES = 64 * 1024
SHORTEST_TTL_S = 60


@blueprint.post(BASE)
def create(account_id: str) -> Response:
    """Make a namespace."""
    body = bodies.json_object()
    if body.get("jurisdiction") is not None:
        raise Refused(
            MALFORMED_PARAMETER, "Jurisdictions are not available here.", pointer="/jurisdiction"
        )
    title = fields.required(body, "title", str)
    with translated(KV_NAMESPACE_NOT_FOUND, KV_TITLE_TAKEN):
        return envelope.success(_shape(house().registry.kv.namespaces.create(account_id, title)))


@blueprint.get(BASE)
def list_all(account_id: str) -> Response:
    """One page of the account's namespaces."""
    page = fields.whole("page", 1, 1, 1_000_000)
    per_page = fields.whole("per_page", 20, 1, 1_000)
    found = house().registry.kv.namespaces.list(
        account_id,
        page=page,
        per_page=per_page,
        order="title" if fields.choice("order", "id", "title") == "title" else "id",
        direction="desc" if fields.choice("direction", "asc", "desc") == "desc" else "asc",
    )
    info = envelope.page_info(page, per_page, len(found.items), found.total)
    return envelope.success([_shape(item) for item in found.items], info=info)


@blueprint.get(ONE)
def get(account_id: str, kv_id: str) -> Response:
    """One namespace."""
    return envelope.success(_shape(mine(account_id, kv_id)))


@blueprint.put(ONE)
def rename(account_id: str, kv_id: str) -> Response:
    """Give it another title."""
    title = fields.required(bodies.json_object(), "title", str)
    with translated(KV_NAMESPACE_NOT_FOUND, KV_TITLE_TAKEN):
        renamed = house().registry.kv.namespaces.rename(account_id, kv_id, title)
    return envelope.success(_shape(renamed))


@blueprint.delete(ONE)
def delete(account_id: str, kv_id: str) -> Response:
    """Delete it with all its pairs."""
    with translated(KV_NAMESPACE_NOT_FOUND):
        house().registry.kv.namespaces.delete(account_id, kv_id)
    return envelope.success({})


@blueprint.get(f"{ONE}/keys")
def list_keys(account_id: str, kv_id: str) -> Response:
    """Keys in the order of their bytes, page by page."""
    mine(account_id, kv_id)
    page = house().registry.kv.list(
        kv_id,
        prefix=request.args.get("prefix", ""),
        limit=fields.whole("limit", 1_000, 10, 1_000),
        cursor=request.args.get("cursor") or None,
    )
    keys = [{"name": key.name, **extras(key.expires_at, key.metadata)} for key in page.items]
    return envelope.success(keys, info={"count": len(keys), "cursor": page.cursor or ""})


@blueprint.get(VALUE)
def get_value(account_id: str, kv_id: str, key: str) -> Response:
    """The value, raw."""
    found = _value(account_id, kv_id, key)
    response = Response(found.value, mimetype="application/octet-stream")
    if found.expires_at is not None:
        response.headers["Expiration"] = str(found.expires_at)
    return response


@blueprint.put(VALUE)
def put_value(account_id: str, kv_id: str, key: str) -> Response:
    """Write a value: the raw body, or the parts ``value`` and ``metadata``."""
    mine(account_id, kv_id)
    expires_at = expiration(request.args.get("expiration"), request.args.get("expiration_ttl"))
    value, metadata = _received()
    if len(value) > VALUE_BYTES:
        raise Refused(KV_VALUE_TOO_LARGE)
    with translated(KV_NAMESPACE_NOT_FOUND):
        house().registry.kv.put(kv_id, key, value, metadata=metadata, expires_at=expires_at)
    return envelope.success({})


@blueprint.delete(VALUE)
def delete_value(account_id: str, kv_id: str, key: str) -> Response:
    """Delete a pair, which need not be there."""
    mine(account_id, kv_id)
    house().registry.kv.delete(kv_id, key)
    return envelope.success({})


@blueprint.get(f"{ONE}/metadata/<everything:key>")
def get_metadata(account_id: str, kv_id: str, key: str) -> Response:
    """The metadata of a pair; null if it has none."""
    metadata = _value(account_id, kv_id, key).metadata
    return envelope.success(None if metadata is None else msgspec.Raw(metadata.encode()))


def mine(account_id: str, kv_id: str) -> KvNamespaceView:
    """The namespace, if it is the account's. Raises :class:`Refused` otherwise."""
    with translated(KV_NAMESPACE_NOT_FOUND):
        return house().registry.kv.namespaces.get(account_id, kv_id)


def extras(expires_at: int | None, metadata: str | None) -> dict[str, Any]:
    """What a pair has beside key and value."""
    found: dict[str, Any] = {}
    if expires_at is not None:
        found["expiration"] = expires_at
    if metadata is not None:
        found["metadata"] = msgspec.Raw(metadata.encode())
    return found


def expiration(at: str | float | None, ttl: str | float | None, pointer: str = "") -> int | None:
    """When a pair expires, in epoch seconds. A time to live wins over a time."""
    now = int(time.time())
    name, given = ("expiration", at) if ttl is None else ("expiration_ttl", ttl)
    if given is None or given == "":
        return None
    try:
        seconds = int(float(given))
    except (ValueError, OverflowError) as exc:
        raise Refused(
            MALFORMED_PARAMETER, f"{name} must be a number.", pointer=f"{pointer}/{name}"
        ) from exc
    expires_at = seconds if ttl is None else now + seconds
    if expires_at < now + SHORTEST_TTL_S:
        raise Refused(
            MALFORMED_PARAMETER,
            f"Invalid {name} of {seconds}: a pair lives for at least {SHORTEST_TTL_S} seconds.",
            pointer=f"{pointer}/{name}",
        )
    return expires_at


def _value(account_id: str, kv_id: str, key: str) -> KvValue:
    mine(account_id, kv_id)
    found = house().registry.kv.get(kv_id, key)
    if found is None:
        raise Refused(KV_KEY_NOT_FOUND)
    return found


def _shape(found: KvNamespaceView) -> dict[str, Any]:
    return {"id": found.id, "title": found.title, "supports_url_encoding": True}


def _received() -> tuple[bytes, str | None]:
    """Value and metadata (JSON text) of a PUT."""
    if not upload.is_multipart():
        return bodies.whole(VALUE_BYTES, KV_VALUE_TOO_LARGE), None
    parts = upload.receive(VALUE_BYTES + MULTIPART_SLACK_BYTES, KV_VALUE_TOO_LARGE)
    by_name = {part.name: part.data for part in parts}
    if "value" not in by_name:
        raise Refused(BAD_UPLOAD, "The upload has no part named value.", pointer="/value")
    metadata = by_name.get("metadata")
    return by_name["value"], _json_text(metadata) if metadata else None


def _json_text(data: bytes) -> str | None:
    """Checked JSON, compact; None for null."""
    value = bodies.decode_json(data, at="/metadata")
    return None if value is None else msgspec.json.encode(value).decode()
