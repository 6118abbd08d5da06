"""KV over REST: namespaces, keys, values."""

import time
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint, Response

from cloister.registry import KvNamespaceView, KvValue
from cloister.registry.kv import VALUE_BYTES
from cloister.registry.kv_namespaces import TITLE_CHARACTERS
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
from control.operation import ANY, FORM, operation
from control.paths import ACCOUNT

blueprint = Blueprint("kv", __name__)

BASE = f"{ACCOUNT}/storage/kv/namespaces"
ONE = f"{BASE}/<kv_id>"
VALUE = f"{ONE}/values/<everything:key>"

MULTIPART_SLACK_BYTES = 64 * 1024
SHORTEST_TTL_S = 60


_TITLE = {"minLength": 1, "maxLength": TITLE_CHARACTERS}


class KvTitle(msgspec.Struct, frozen=True, kw_only=True):
    """What a namespace is to be called."""

    title: Annotated[str, msgspec.Meta(extra_json_schema=_TITLE)]


class NewKvNamespace(KvTitle, frozen=True, kw_only=True):
    """A namespace to be made. There are no jurisdictions here."""

    jurisdiction: None = None


class KvNamespace(msgspec.Struct, frozen=True, kw_only=True):
    """A namespace."""

    id: str
    title: str
    supports_url_encoding: bool = True


class KvKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key, and what its pair has beside the value."""

    name: str
    expiration: int | msgspec.UnsetType = msgspec.UNSET
    metadata: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class ValueForm(msgspec.Struct, frozen=True, kw_only=True):
    """A value with metadata, which is JSON."""

    value: str
    metadata: str | msgspec.UnsetType = msgspec.UNSET


class Empty(msgspec.Struct, frozen=True):
    """Empty to say: ``{}``."""


PAGES: fields.Query = {
    **fields.PAGES,
    "order": fields.Choice(("id", "title")),
    "direction": fields.Choice(("asc", "desc")),
}
KEYS: fields.Query = {
    "prefix": fields.Text(),
    "limit": fields.Whole(1_000, 10, 1_000),
    "cursor": fields.Text(),
}
EXPIRATION = {"expiration": fields.Text(), "expiration_ttl": fields.Text()}


@blueprint.post(BASE)
@operation(KvNamespace, body=bodies.Json(NewKvNamespace))
def create(account_id: str, body: bodies.Body[NewKvNamespace]) -> Response:
    """Make a namespace."""
    title = body().title
    with translated(KV_NAMESPACE_NOT_FOUND, KV_TITLE_TAKEN):
        made = house().registry.kv.namespaces.create(account_id, title)
    return envelope.success(_shape(made))


@blueprint.get(BASE)
@operation(list[KvNamespace], info=envelope.PageInfo, query=PAGES)
def list_all(
    account_id: str,
    page: int,
    per_page: int,
    order: Literal["id", "title"],
    direction: Literal["asc", "desc"],
) -> Response:
    """One page of the account's namespaces."""
    found = house().registry.kv.namespaces.list(
        account_id, page=page, per_page=per_page, order=order, direction=direction
    )
    info = envelope.page_info(page, per_page, len(found.items), found.total)
    return envelope.success([_shape(item) for item in found.items], info=info)


@blueprint.get(ONE)
@operation(KvNamespace)
def get(account_id: str, kv_id: str) -> Response:
    """One namespace."""
    return envelope.success(_shape(mine(account_id, kv_id)))


@blueprint.put(ONE)
@operation(KvNamespace, body=bodies.Json(KvTitle))
def rename(account_id: str, kv_id: str, body: bodies.Body[KvTitle]) -> Response:
    """Give it another title."""
    title = body().title
    with translated(KV_NAMESPACE_NOT_FOUND, KV_TITLE_TAKEN):
        renamed = house().registry.kv.namespaces.rename(account_id, kv_id, title)
    return envelope.success(_shape(renamed))


@blueprint.delete(ONE)
@operation(Empty)
def delete(account_id: str, kv_id: str) -> Response:
    """Delete it with all its pairs."""
    with translated(KV_NAMESPACE_NOT_FOUND):
        house().registry.kv.namespaces.delete(account_id, kv_id)
    return envelope.success(Empty())


@blueprint.get(f"{ONE}/keys")
@operation(list[KvKey], info=envelope.CursorInfo, query=KEYS)
def list_keys(
    account_id: str, kv_id: str, prefix: str | None, limit: int, cursor: str | None
) -> Response:
    """Keys in the order of their bytes, page by page."""
    mine(account_id, kv_id)
    page = house().registry.kv.list(kv_id, prefix=prefix or "", limit=limit, cursor=cursor)
    keys = [KvKey(name=key.name, **extras(key.expires_at, key.metadata)) for key in page.items]
    info = envelope.CursorInfo(count=len(keys), cursor=page.cursor or "")
    return envelope.success(keys, info=info)


@blueprint.get(VALUE)
@operation(gives={"application/octet-stream": msgspec.Raw})
def get_value(account_id: str, kv_id: str, key: str) -> Response:
    """The value, raw."""
    found = _value(account_id, kv_id, key)
    response = Response(found.value, mimetype="application/octet-stream")
    if found.expires_at is not None:
        response.headers["Expiration"] = str(found.expires_at)
    return response


@blueprint.put(VALUE)
@operation(Empty, query=EXPIRATION, takes={ANY: msgspec.Raw, FORM: ValueForm})
def put_value(
    account_id: str, kv_id: str, key: str, expiration: str | None, expiration_ttl: str | None
) -> Response:
    """Write a value: the raw body, or the parts ``value`` and ``metadata``."""
    mine(account_id, kv_id)
    expires_at = expires(expiration, expiration_ttl)
    value, metadata = _received()
    if len(value) > VALUE_BYTES:
        raise Refused(KV_VALUE_TOO_LARGE)
    with translated(KV_NAMESPACE_NOT_FOUND):
        house().registry.kv.put(kv_id, key, value, metadata=metadata, expires_at=expires_at)
    return envelope.success(Empty())


@blueprint.delete(VALUE)
@operation(Empty)
def delete_value(account_id: str, kv_id: str, key: str) -> Response:
    """Delete a pair, which need not be there."""
    mine(account_id, kv_id)
    house().registry.kv.delete(kv_id, key)
    return envelope.success(Empty())


@blueprint.get(f"{ONE}/metadata/<everything:key>")
@operation(Any)
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


def expires(at: str | float | None, ttl: str | float | None, pointer: str = "") -> int | None:
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


def _shape(found: KvNamespaceView) -> KvNamespace:
    return KvNamespace(id=found.id, title=found.title)


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
