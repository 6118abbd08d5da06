"""API tokens of an account, for its unrestricted tokens only.

A new token's rights come as ``policies`` in the product's shape, or short as ``read_only`` and
``namespace``. Its text is in the answer to its creation and nowhere else.
"""

import time
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response

from cloister.registry import TokenView
from control import auth, bodies, envelope, fields
from control.errors import (
    MALFORMED_PARAMETER,
    NAMESPACE_NOT_FOUND,
    TOKEN_NOT_FOUND,
    Refused,
    translated,
)
from control.house import house
from control.paths import ACCOUNT
from control.rules import policies

blueprint = Blueprint("tokens", __name__)

BASE = f"{ACCOUNT}/tokens"
ONE = f"{BASE}/<token_id>"


@blueprint.post(BASE)
@auth.admin
def create(account_id: str) -> Response:
    """Make one."""
    body = bodies.json_object()
    name = fields.required(body, "name", str)
    expires_at = _expiration(body)
    grant = _grant(body, account_id)
    with translated(NAMESPACE_NOT_FOUND):
        made = house().registry.tokens.create(
            account_id,
            name,
            read_only=grant.read_only,
            namespace=grant.namespace,
            expires_at=expires_at,
        )
    return envelope.success({**_shape(made.token), "value": made.text})


@blueprint.get(BASE)
@auth.admin
def list_all(account_id: str) -> Response:
    """One page of them, oldest first."""
    page = fields.whole("page", 1, 1, 1_000_000)
    per_page = fields.whole("per_page", 20, 1, 1_000)
    found = house().registry.tokens.list(account_id)
    shown = found[(page - 1) * per_page : page * per_page]
    info = envelope.page_info(page, per_page, len(shown), len(found))
    return envelope.success([_shape(token) for token in shown], info=info)


@blueprint.get(ONE)
@auth.admin
def get(account_id: str, token_id: str) -> Response:
    """One of them."""
    for token in house().registry.tokens.list(account_id):
        if token.id == token_id:
            return envelope.success(_shape(token))
    raise Refused(TOKEN_NOT_FOUND)


@blueprint.delete(ONE)
@auth.admin
def revoke(account_id: str, token_id: str) -> Response:
    """Delete it; it is refused from now on."""
    with translated(TOKEN_NOT_FOUND):
        house().registry.tokens.revoke(account_id, token_id)
    return envelope.success({"id": token_id})


def _grant(body: dict[str, Any], account_id: str) -> policies.Grant:
    short = policies.Grant(
        read_only=fields.optional(body, "read_only", bool) or False,
        namespace=fields.optional(body, "namespace", str),
    )
    if body.get("policies") is None:
        return short
    granted = policies.grant(body["policies"], account_id)
    if short not in {granted, policies.Grant()}:
        raise Refused(
            MALFORMED_PARAMETER,
            "policies and read_only or namespace disagree.",
            pointer="/policies",
        )
    return granted


def _expiration(body: dict[str, Any]) -> int | None:
    for name in ("not_before", "condition"):
        if body.get(name):
            raise Refused(MALFORMED_PARAMETER, f"{name} is not available here.", pointer=f"/{name}")
    text = fields.optional(body, "expires_on", str)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise Refused(
            MALFORMED_PARAMETER, "expires_on must be an ISO 8601 time.", pointer="/expires_on"
        ) from exc
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if aware.timestamp() <= time.time():
        raise Refused(MALFORMED_PARAMETER, "expires_on has passed.", pointer="/expires_on")
    return int(aware.timestamp() * 1000)


def _shape(token: TokenView) -> dict[str, Any]:
    expired = token.expires_at is not None and token.expires_at <= time.time() * 1000
    issued = envelope.timestamp(token.created_at)
    shown = {
        "id": token.id,
        "name": token.name,
        "status": "expired" if expired else "active",
        "issued_on": issued,
        "modified_on": issued,
        "policies": policies.shape(token),
        "read_only": token.read_only,
        "namespace": token.namespace,
    }
    if token.expires_at is not None:
        shown["expires_on"] = envelope.timestamp(token.expires_at)
    return shown
