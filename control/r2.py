"""R2 over REST: buckets and their objects.

An object is sent raw and stored as it comes; it is there when the answer is, whole, or not at all.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from flask import Blueprint, Response, request

from cloister.r2_store import Measure, R2Store
from cloister.registry import r2_errors as errors
from cloister.registry.r2 import BUCKET_NAME
from cloister.registry.r2_conditions import OnlyIf, Span
from cloister.registry.r2_errors import R2Error
from cloister.registry.r2_objects import check_said
from cloister.registry.r2_views import CLASSES, BucketView, ObjectView, Said, StorageClass
from control import bodies, envelope, fields, r2_headers
from control.errors import (
    MALFORMED_PARAMETER,
    R2_BUCKET_EXISTS,
    R2_BUCKET_NAME,
    R2_BUCKET_NOT_EMPTY,
    R2_BUCKET_NOT_FOUND,
    R2_KEY_NOT_FOUND,
    R2_OBJECT_TOO_LARGE,
    Problem,
    Refused,
    translated,
)
from control.house import house
from control.operation import ANY, operation
from control.paths import ACCOUNT

blueprint = Blueprint("r2", __name__)

BASE = f"{ACCOUNT}/r2/buckets"
ONE = f"{BASE}/<bucket>"
OBJECTS = f"{ONE}/objects"
OBJECT = f"{OBJECTS}/<everything:key>"

OBJECT_BYTES = 300 * 1024 * 1024
"""As in the product, which takes larger ones by other ways only."""

Location = Literal["wnam", "enam", "weur", "eeur", "apac", "oc"]
HERE: Location = "wnam"
"""Where a bucket is said to be whose maker gives no hint."""


class NewBucket(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A bucket to be made. Where it is, is where the object store is: the hint is only shown."""

    name: Annotated[str, msgspec.Meta(extra_json_schema={"pattern": f"^{BUCKET_NAME.pattern}$"})]
    location_hint: Literal["wnam", "apac", "eeur", "enam", "weur", "oc"] | None = None
    storage_class: StorageClass | None = None


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket."""

    name: str
    creation_date: envelope.Time
    location: str
    storage_class: StorageClass
    jurisdiction: Literal["default"] = "default"


class Buckets(msgspec.Struct, frozen=True, kw_only=True):
    """Some of them."""

    buckets: list[Bucket]


class BucketInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``result_info`` of buckets; ``cursor`` is empty at the end."""

    cursor: str
    per_page: int


class ObjectInfo(BucketInfo, frozen=True, kw_only=True):
    """``result_info`` of objects; ``delimited`` are the prefixes that stand for others."""

    delimited: list[str]
    is_truncated: bool


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an object."""

    key: str
    size: int
    etag: str
    last_modified: envelope.Time
    http_metadata: dict[str, str]
    custom_metadata: dict[str, str]
    storage_class: StorageClass
    ssec: bool = False


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An object just stored. The size is text, as in the product."""

    key: str
    size: str
    etag: str
    version: str
    uploaded: envelope.Time
    storage_class: StorageClass


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """What is no more."""

    key: str


class Empty(msgspec.Struct, frozen=True):
    """Nothing to say: ``{}``."""


BUCKETS_QUERY: fields.Query = {
    "name_contains": fields.Text(),
    "start_after": fields.Text(),
    "per_page": fields.Whole(1_000, 1, 1_000),
    "order": fields.Choice(("name",)),
    "direction": fields.Choice(("asc", "desc")),
    "cursor": fields.Text(),
}
OBJECTS_QUERY: fields.Query = {
    "prefix": fields.Text(),
    "delimiter": fields.Text(),
    "start_after": fields.Text(),
    "per_page": fields.Whole(1_000, 1, 1_000),
    "cursor": fields.Text(),
}


@blueprint.before_request
def one_jurisdiction() -> None:
    """Refuse another than the default one."""
    said = request.headers.get("cf-r2-jurisdiction", "default")
    if said != "default":
        raise Refused(MALFORMED_PARAMETER, "There are no jurisdictions here but the default one.")


@blueprint.post(BASE)
@operation(Bucket, body=bodies.Json(NewBucket))
def create(account_id: str, body: bodies.Body[NewBucket]) -> Response:
    """Make a bucket."""
    said = body()
    if not BUCKET_NAME.fullmatch(said.name):
        raise Refused(R2_BUCKET_NAME, pointer="/name")
    with translated(R2_BUCKET_NOT_FOUND, R2_BUCKET_EXISTS):
        made = house().registry.r2.create(
            account_id,
            said.name,
            location=said.location_hint or HERE,
            storage_class=said.storage_class or CLASSES[0],
        )
    return envelope.success(_shape(made))


@blueprint.get(BASE)
@operation(Buckets, info=BucketInfo, query=BUCKETS_QUERY)
def list_all(
    account_id: str,
    name_contains: str | None,
    start_after: str | None,
    per_page: int,
    order: str,
    direction: str,
    cursor: str | None,
) -> Response:
    """Buckets by name, page by page."""
    del order  # there is one
    page = house().registry.r2.list(
        account_id,
        contains=name_contains or "",
        after=start_after,
        limit=per_page,
        descending=direction == "desc",
        cursor=cursor,
    )
    info = BucketInfo(cursor=page.cursor or "", per_page=per_page)
    return envelope.success(Buckets(buckets=[_shape(item) for item in page.items]), info=info)


@blueprint.get(ONE)
@operation(Bucket)
def get(account_id: str, bucket: str) -> Response:
    """One bucket."""
    return envelope.success(_shape(_mine(account_id, bucket)))


@blueprint.patch(ONE)
@operation(Bucket)
def change(account_id: str, bucket: str) -> Response:
    """Give it the storage class of the header ``cf-r2-storage-class``; objects keep theirs."""
    storage_class = _storage_class(_mine(account_id, bucket).storage_class)
    with translated(R2_BUCKET_NOT_FOUND):
        changed = house().registry.r2.set_class(account_id, bucket, storage_class)
    return envelope.success(_shape(changed))


@blueprint.delete(ONE)
@operation(Empty)
def delete(account_id: str, bucket: str) -> Response:
    """Delete it, if it is empty."""
    with translated(R2_BUCKET_NOT_FOUND, R2_BUCKET_NOT_EMPTY):
        house().registry.r2.delete(account_id, bucket)
    return envelope.success(Empty())


@blueprint.get(OBJECTS)
@operation(list[Object], info=ObjectInfo, query=OBJECTS_QUERY)
def list_objects(
    account_id: str,
    bucket: str,
    prefix: str | None,
    delimiter: str | None,
    start_after: str | None,
    per_page: int,
    cursor: str | None,
) -> Response:
    """Objects in the order of their keys' bytes, page by page."""
    found = house().registry.r2.objects.list(
        _mine(account_id, bucket).id,
        prefix=prefix or "",
        delimiter=delimiter or "",
        after=start_after,
        limit=per_page,
        cursor=cursor,
    )
    info = ObjectInfo(
        cursor=found.cursor or "",
        per_page=per_page,
        delimited=found.prefixes,
        is_truncated=found.cursor is not None,
    )
    return envelope.success([_object(item) for item in found.objects], info=info)


@blueprint.get(OBJECT)
@operation(gives={ANY: msgspec.Raw}, statuses=(200, 206, 304))
def get_object(account_id: str, bucket: str, key: str) -> Response:
    """The object, raw, or a range of it, with what was said of it, if the request's conditions
    hold."""
    found, span, stream = _open(_mine(account_id, bucket).id, key)
    headers = list(r2_headers.of_object(found))
    if stream is None:
        return Response(status=304, headers=headers)
    answer = Response(stream, headers=headers)
    if "contentType" not in found.http_metadata:
        answer.mimetype = "application/octet-stream"
    start, length = span
    answer.headers["Content-Length"] = str(length)
    if length != found.size:
        answer.status_code = 206
        answer.headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{found.size}"
    return answer


@blueprint.put(OBJECT)
@operation(Stored, takes={ANY: msgspec.Raw})
def put_object(account_id: str, bucket: str, key: str) -> Response:
    """Store the body, whatever was there."""
    place = _mine(account_id, bucket)
    said = Said(
        http_metadata=r2_headers.http_metadata(),
        custom_metadata=r2_headers.custom_metadata(),
        storage_class=_storage_class(place.storage_class),
    )
    check_said(said)
    house().registry.r2.objects.check(place.id, key)
    received = bodies.chunks(OBJECT_BYTES, R2_OBJECT_TOO_LARGE)
    blob = _store().store(received, Measure())
    written = _store().put(place.id, key, said, blob)
    return envelope.success(
        Stored(
            key=key,
            size=str(written.size),
            etag=written.etag,
            version=written.version,
            uploaded=envelope.timestamp(written.uploaded_at),
            storage_class=written.storage_class,
        )
    )


@blueprint.delete(OBJECT)
@operation(Gone)
def delete_object(account_id: str, bucket: str, key: str) -> Response:
    """Delete an object, which need not be there."""
    _store().remove(_mine(account_id, bucket).id, key)
    return envelope.success(Gone(key=key))


@blueprint.errorhandler(R2Error)
def _refused(exc: R2Error) -> Response:
    return Refused(Problem(exc.code, exc.status, str(exc))).response()


def _store() -> R2Store:
    return R2Store(house().registry.r2, house().blobs)


def _open(bucket_id: str, key: str) -> tuple[ObjectView, tuple[int, int], Iterator[bytes] | None]:
    """An object, and the bytes of it that the request asks for: those of the version that is read,
    whatever is put meanwhile. Without them, the client has them already."""
    headers = {name.lower(): value for name, value in request.headers}
    only_if = OnlyIf.of_headers(headers)
    for _ in range(3):
        found = house().registry.r2.objects.find(bucket_id, key)
        if found is None:
            break
        if not only_if.holds(found.etag, found.uploaded_at):
            _check_match(only_if, found)
            return found, (0, 0), None
        span = (Span.of_header(headers.get("range")) or Span()).of(found.size)
        stream = _store().read(found, *span)
        if stream is not None:
            return found, span, stream
        # Replaced in between, and gone.
    raise Refused(R2_KEY_NOT_FOUND)


def _check_match(only_if: OnlyIf, found: ObjectView) -> None:
    """Raise if conditions failed that mean another object than this one."""
    kept = msgspec.structs.replace(only_if, etag_does_not_match=None, uploaded_after=None)
    if not kept.holds(found.etag, found.uploaded_at):
        raise errors.unmet()


def _mine(account_id: str, bucket: str) -> BucketView:
    with translated(R2_BUCKET_NOT_FOUND):
        return house().registry.r2.get(account_id, bucket)


def _storage_class(default: StorageClass) -> StorageClass:
    said = request.headers.get("cf-r2-storage-class")
    found = next((each for each in CLASSES if each == (said or default)), None)
    if found is None:
        raise Refused(
            MALFORMED_PARAMETER, f"cf-r2-storage-class must be one of {', '.join(CLASSES)}."
        )
    return found


def _shape(found: BucketView) -> Bucket:
    return Bucket(
        name=found.name,
        creation_date=envelope.timestamp(found.created_at),
        location=found.location,
        storage_class=found.storage_class,
    )


def _object(found: ObjectView) -> Object:
    return Object(
        key=found.key,
        size=found.size,
        etag=found.etag,
        last_modified=envelope.timestamp(found.uploaded_at),
        http_metadata=found.http_metadata,
        custom_metadata=found.custom_metadata,
        storage_class=found.storage_class,
    )
