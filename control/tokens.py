"""API tokens of an account, for its unrestricted tokens only.

A new token's rights come as ``policies`` in the product's shape, or short as ``read_only`` and
``namespace``. Its text is in the answer to its creation and nowhere else.
"""

import time
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
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
from control.operation import operation
from control.paths import ACCOUNT
from control.rules import names, policies
from control.rules.policies import Policy

blueprint = Blueprint("tokens", __name__)

BASE = f"{ACCOUNT}/tokens"
ONE = f"{BASE}/<token_id>"


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token to be made. Without policies or restrictions it may do everything in the account."""

    name: names.TokenName
    policies: list[Policy] | None = None
    read_only: bool | None = None
    namespace: str | None = None
    expires_on: envelope.Time | None = None
    not_before: Any = None
    condition: Any = None


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its text."""

    id: str
    name: str
    status: Literal["active", "expired"]
    issued_on: envelope.Time
    modified_on: envelope.Time
    policies: list[Policy]
    read_only: bool
    namespace: str | None
    expires_on: envelope.Time | msgspec.UnsetType = msgspec.UNSET
    value: str | msgspec.UnsetType = msgspec.UNSET


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Rights that a policy may name."""

    id: str
    name: str
    description: str
    category: Literal["developer_platform"] = "developer_platform"
    is_selectable: bool = True
    scopes: tuple[str, ...] = ("com.cloudflare.api.account",)


class TokenId(msgspec.Struct, frozen=True):
    """Which token it was."""

    id: str


@blueprint.post(BASE)
@auth.admin
@operation(Token, body=bodies.Json(NewToken))
def create(account_id: str, body: bodies.Body[NewToken]) -> Response:
    """Make one."""
    said = body()
    expires_at = _expiration(said)
    grant = _grant(said, account_id)
    with translated(NAMESPACE_NOT_FOUND):
        made = house().registry.tokens.create(
            account_id,
            said.name,
            read_only=grant.read_only,
            namespace=grant.namespace,
            expires_at=expires_at,
        )
    return envelope.success(msgspec.structs.replace(_shape(made.token), value=made.text))


@blueprint.get(BASE)
@auth.admin
@operation(list[Token], info=envelope.PageInfo, query=fields.PAGES)
def list_all(account_id: str, page: int, per_page: int) -> Response:
    """One page of them, oldest first."""
    found = house().registry.tokens.list(account_id)
    shown = found[(page - 1) * per_page : page * per_page]
    info = envelope.page_info(page, per_page, len(shown), len(found))
    return envelope.success([_shape(token) for token in shown], info=info)


@blueprint.get(f"{BASE}/permission_groups")
@auth.admin
@operation(
    list[Group], info=envelope.CountInfo, query={"name": fields.Text(), "scope": fields.Text()}
)
def list_groups(account_id: str, name: str | None, scope: str | None) -> Response:  # noqa: ARG001 - auth compares the account
    """The permission groups that there are."""
    groups = [
        Group(id=group, name=called, description=description)
        for group, (called, description) in policies.GROUPS.items()
    ]
    found = [
        group for group in groups if name in (None, group.name) and scope in (None, *group.scopes)
    ]
    return envelope.success(found, info=envelope.CountInfo(count=len(found)))


@blueprint.get(ONE)
@auth.admin
@operation(Token)
def get(account_id: str, token_id: str) -> Response:
    """One of them."""
    for token in house().registry.tokens.list(account_id):
        if token.id == token_id:
            return envelope.success(_shape(token))
    raise Refused(TOKEN_NOT_FOUND)


@blueprint.put(f"{ONE}/value")
@auth.admin
@operation(str)
def roll(account_id: str, token_id: str) -> Response:
    """Give it another text, which is the result; the one that it had is refused from now on."""
    with translated(TOKEN_NOT_FOUND):
        return envelope.success(house().registry.tokens.roll(account_id, token_id).text)


@blueprint.delete(ONE)
@auth.admin
@operation(TokenId)
def revoke(account_id: str, token_id: str) -> Response:
    """Delete it; it is refused from now on."""
    with translated(TOKEN_NOT_FOUND):
        house().registry.tokens.revoke(account_id, token_id)
    return envelope.success(TokenId(token_id))


def _grant(body: NewToken, account_id: str) -> policies.Grant:
    short = policies.Grant(read_only=body.read_only or False, namespace=body.namespace)
    if body.policies is None:
        return short
    granted = policies.grant(body.policies, account_id)
    if short not in {granted, policies.Grant()}:
        raise Refused(
            MALFORMED_PARAMETER,
            "policies and read_only or namespace disagree.",
            pointer="/policies",
        )
    return granted


def _expiration(body: NewToken) -> int | None:
    for name in ("not_before", "condition"):
        if getattr(body, name):
            raise Refused(MALFORMED_PARAMETER, f"{name} is not available here.", pointer=f"/{name}")
    if body.expires_on is None:
        return None
    try:
        moment = datetime.fromisoformat(body.expires_on)
        # In UTC, as it will be shown: there it may be out of the range of years.
        aware = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise Refused(
            MALFORMED_PARAMETER, "expires_on must be an ISO 8601 time.", pointer="/expires_on"
        ) from exc
    if aware.timestamp() <= time.time():
        raise Refused(MALFORMED_PARAMETER, "expires_on has passed.", pointer="/expires_on")
    return int(aware.timestamp() * 1000)


def _shape(token: TokenView) -> Token:
    expired = token.expires_at is not None and token.expires_at <= time.time() * 1000
    issued = envelope.timestamp(token.created_at)
    expires = token.expires_at
    return Token(
        id=token.id,
        name=token.name,
        status="expired" if expired else "active",
        issued_on=issued,
        modified_on=issued,
        policies=policies.shape(token),
        read_only=token.read_only,
        namespace=token.namespace,
        expires_on=msgspec.UNSET if expires is None else envelope.timestamp(expires),
    )
