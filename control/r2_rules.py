"""The rules of a bucket over REST: who may ask from where, what goes in time, what stays."""

from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint, Response

from cloister.errors import Invalid
from cloister.registry.r2_rules import (
    LONGEST_S,
    MAX_RULES,
    LifecycleRule,
    LockRule,
    RuleId,
    check_ids,
    lifecycle_rules,
)
from control import bodies, envelope
from control.errors import R2_BUCKET_NOT_FOUND, R2_NO_CORS, Refused, translated
from control.house import house
from control.operation import operation
from control.paths import ACCOUNT
from control.r2 import one_jurisdiction

blueprint = Blueprint("r2_rules", __name__)
blueprint.before_request(one_jurisdiction)

BUCKET = f"{ACCOUNT}/r2/buckets/<bucket>"
MAX_CORS_RULES = 100

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=1_024)]
Words = Annotated[list[Word], msgspec.Meta(max_length=100)]


class Allowed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Requests that a browser may make from another origin."""

    methods: Annotated[
        list[Literal["GET", "PUT", "POST", "DELETE", "HEAD"]],
        msgspec.Meta(min_length=1, max_length=5),
    ]
    origins: Annotated[list[Word], msgspec.Meta(min_length=1, max_length=100)]
    headers: Words = []


class CorsRule(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A rule on requests from other origins."""

    id: RuleId | None = None
    allowed: Allowed
    expose_headers: Words = []
    max_age_seconds: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_S)] | None = None


class CorsRules(msgspec.Struct, frozen=True, kw_only=True):
    """Rules on requests from other origins."""

    rules: Annotated[list[CorsRule], msgspec.Meta(max_length=MAX_CORS_RULES)] = []


class LifecycleRules(msgspec.Struct, frozen=True, kw_only=True):
    """What goes in time."""

    rules: Annotated[list[LifecycleRule], msgspec.Meta(max_length=MAX_RULES)] = []


class LockRules(msgspec.Struct, frozen=True, kw_only=True):
    """What stays."""

    rules: Annotated[list[LockRule], msgspec.Meta(max_length=MAX_RULES)] = []


class Empty(msgspec.Struct, frozen=True):
    """Nothing to say: ``{}``."""


@blueprint.get(f"{BUCKET}/cors")
@operation(CorsRules)
def cors(account_id: str, bucket: str) -> Response:
    """The rules on requests from other origins, which are kept and shown: buckets have no address
    of their own here."""
    with translated(R2_BUCKET_NOT_FOUND):
        kept = house().registry.r2.rules(account_id, bucket, "cors")
    if kept is None:
        raise Refused(R2_NO_CORS)
    return envelope.success(CorsRules(rules=msgspec.convert(kept, list[CorsRule])))


@blueprint.put(f"{BUCKET}/cors")
@operation(Empty, body=bodies.Json(CorsRules))
def set_cors(account_id: str, bucket: str, body: bodies.Body[CorsRules]) -> Response:
    """Replace them."""
    _keep(account_id, bucket, "cors", body().rules)
    return envelope.success(Empty())


@blueprint.delete(f"{BUCKET}/cors")
@operation(Empty)
def delete_cors(account_id: str, bucket: str) -> Response:
    """Delete them, which need not be there."""
    with translated(R2_BUCKET_NOT_FOUND):
        house().registry.r2.set_rules(account_id, bucket, "cors", None)
    return envelope.success(Empty())


@blueprint.get(f"{BUCKET}/lifecycle")
@operation(LifecycleRules)
def lifecycle(account_id: str, bucket: str) -> Response:
    """What goes in time: at first, unfinished uploads after a week."""
    with translated(R2_BUCKET_NOT_FOUND):
        kept = house().registry.r2.rules(account_id, bucket, "lifecycle")
    return envelope.success(LifecycleRules(rules=lifecycle_rules(kept)))


@blueprint.put(f"{BUCKET}/lifecycle")
@operation(Empty, body=bodies.Json(LifecycleRules))
def set_lifecycle(account_id: str, bucket: str, body: bodies.Body[LifecycleRules]) -> Response:
    """Replace it."""
    rules = body().rules
    check_ids([rule.id for rule in rules])
    for index, rule in enumerate(rules):
        if not (
            rule.abort_multipart_uploads_transition
            or rule.delete_objects_transition
            or rule.storage_class_transitions
        ):
            raise Invalid(f"The rule {rule.id!r} does nothing.", pointer=f"/rules/{index}")
    _keep(account_id, bucket, "lifecycle", rules)
    return envelope.success(Empty())


@blueprint.get(f"{BUCKET}/lock")
@operation(LockRules)
def lock(account_id: str, bucket: str) -> Response:
    """What stays as it is."""
    with translated(R2_BUCKET_NOT_FOUND):
        kept = house().registry.r2.rules(account_id, bucket, "lock")
    return envelope.success(LockRules(rules=msgspec.convert(kept or [], list[LockRule])))


@blueprint.put(f"{BUCKET}/lock")
@operation(Empty, body=bodies.Json(LockRules))
def set_lock(account_id: str, bucket: str, body: bodies.Body[LockRules]) -> Response:
    """Replace it."""
    rules = body().rules
    check_ids([rule.id for rule in rules])
    _keep(account_id, bucket, "lock", rules)
    return envelope.success(Empty())


def _keep(account_id: str, bucket: str, kind: Any, rules: list[Any]) -> None:
    with translated(R2_BUCKET_NOT_FOUND):
        house().registry.r2.set_rules(account_id, bucket, kind, msgspec.to_builtins(rules))
