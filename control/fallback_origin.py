"""The fallback origin of a zone: a worker, by its name under the platform's domain, to which custom
hostnames lead that name none. And how many of those the account may have.
"""

from typing import Literal

import msgspec
from flask import Blueprint, Response

from cloister.registry import FallbackView
from control import bodies, envelope, origins
from control.custom_hostnames import BASE
from control.errors import NO_FALLBACK, ORIGIN_NOT_FOUND, translated
from control.house import house
from control.operation import operation
from control.paths import namespace_of

blueprint = Blueprint("fallback_origin", __name__)

FALLBACK = f"{BASE}/fallback_origin"


class NewFallback(msgspec.Struct, frozen=True, kw_only=True):
    """``WORKER.NAMESPACE.DOMAIN``, or ``WORKER.DOMAIN`` in the default namespace."""

    origin: str


class Fallback(msgspec.Struct, frozen=True, kw_only=True):
    """The product's fields. What is set is in force at once."""

    origin: str
    status: Literal["active", "pending_deletion"]
    created_at: envelope.Time
    updated_at: envelope.Time
    errors: list[str] = []


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """Custom hostnames that the account may have, and has, whatever became of them."""

    allocated: int
    used: int
    hard_cap: int
    exceeded: bool


@blueprint.get(FALLBACK)
@operation(Fallback)
def get(zone_id: str) -> Response:
    """Where hostnames lead that name no worker."""
    with translated(NO_FALLBACK):
        found = house().registry.hostnames.fallbacks.get(zone_id)
    return envelope.success(_shape(found, "active"))


@blueprint.put(FALLBACK)
@operation(Fallback, body=bodies.Json(NewFallback))
def update(zone_id: str, body: bodies.Body[NewFallback]) -> Response:
    """Have them lead to this worker."""
    namespace, script = origins.wanted(body().origin, house().settings, "/origin")
    namespace_of(zone_id, namespace)
    with translated(ORIGIN_NOT_FOUND):
        made = house().registry.hostnames.fallbacks.put(zone_id, namespace=namespace, script=script)
    return envelope.success(_shape(made, "active"))


@blueprint.delete(FALLBACK)
@operation(Fallback)
def delete(zone_id: str) -> Response:
    """Have them lead nowhere."""
    with translated(NO_FALLBACK):
        gone = house().registry.hostnames.fallbacks.delete(zone_id)
    return envelope.success(_shape(gone, "pending_deletion"))


@blueprint.get(f"{BASE}/quota")
@operation(Quota)
def quota(zone_id: str) -> Response:
    """How many custom hostnames there may be. No bound is the largest number that JSON is sure
    to carry."""
    allowed = house().settings.hostnames or 2**53 - 1
    used = house().registry.hostnames.count(zone_id)
    return envelope.success(
        Quota(allocated=allowed, used=used, hard_cap=allowed, exceeded=used > allowed)
    )


def _shape(found: FallbackView, status: Literal["active", "pending_deletion"]) -> Fallback:
    return Fallback(
        origin=origins.origin_of(found.namespace, found.script, house().settings),
        status=status,
        created_at=envelope.timestamp(found.created_at),
        updated_at=envelope.timestamp(found.updated_at),
    )
