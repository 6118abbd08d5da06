"""Accounts and the token's own state: what SDKs and wrangler ask first."""

from typing import Any

from flask import Blueprint, Response, g

from cloister.registry.views import AccountView, TokenView
from control import auth, envelope, fields
from control.house import house
from control.paths import ACCOUNT

blueprint = Blueprint("accounts", __name__)


@blueprint.get("/user/tokens/verify")
@auth.any_token
def verify_user_token() -> Response:
    """Say that the token is good; one that is not never gets here."""
    return _verified()


@blueprint.get(f"{ACCOUNT}/tokens/verify")
@auth.any_token
def verify_account_token(account_id: str) -> Response:  # noqa: ARG001 - auth compares it
    """As above, under the account."""
    return _verified()


@blueprint.get("/user")
@auth.any_token
def get_user() -> Response:
    """Whom the token stands for. It belongs to an account and to no person: there is no email."""
    return envelope.success({"id": g.token.id})


@blueprint.get("/memberships")
@auth.any_token
def list_memberships() -> Response:
    """The token's one account, as wrangler looks for it."""
    account = house().registry.accounts.get(g.token.account_id)
    membership = {
        "id": account.id,
        "status": "accepted",
        "account": _shape(account),
        "roles": [],
    }
    return _only(membership)


@blueprint.get("/accounts")
@auth.any_token
def list_accounts() -> Response:
    """The one account of the token, on the first page."""
    return _only(_shape(house().registry.accounts.get(g.token.account_id)))


@blueprint.get(ACCOUNT)
@auth.any_token
def get_account(account_id: str) -> Response:
    """One account."""
    return envelope.success(_shape(house().registry.accounts.get(account_id)))


def _only(item: dict[str, Any]) -> Response:
    """A list of one, on the first page."""
    page = fields.whole("page", 1, 1, 1_000_000)
    per_page = fields.whole("per_page", 20, 1, 1_000)
    items = [item] if page == 1 else []
    return envelope.success(items, info=envelope.page_info(page, per_page, len(items), 1))


def _verified() -> Response:
    token: TokenView = g.token
    result: dict[str, Any] = {"id": token.id, "status": "active"}
    if token.expires_at is not None:
        result["expires_on"] = envelope.timestamp(token.expires_at)
    return envelope.success(result)


def _shape(account: AccountView) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "type": "standard",
        "settings": {"enforce_twofactor": False},
        "created_on": envelope.timestamp(account.created_at),
    }
