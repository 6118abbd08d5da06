"""Accounts and the token's own state: what SDKs and wrangler ask first."""

from typing import Literal

import msgspec
from flask import Blueprint, Response, g

from cloister.registry.views import AccountView, TokenView
from control import auth, envelope, fields
from control.house import house
from control.operation import operation
from control.paths import ACCOUNT

blueprint = Blueprint("accounts", __name__)


class AccountSettings(msgspec.Struct, frozen=True):
    """What an account is set to."""

    enforce_twofactor: bool = False


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account."""

    id: str
    name: str
    created_on: envelope.Time
    type: Literal["standard"] = "standard"
    settings: AccountSettings = AccountSettings()


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """The token's place in its account."""

    id: str
    account: Account
    status: Literal["accepted"] = "accepted"
    roles: list[str] = []


class User(msgspec.Struct, frozen=True):
    """Whom a token stands for."""

    id: str


class TokenStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A good token."""

    id: str
    status: Literal["active"] = "active"
    expires_on: envelope.Time | msgspec.UnsetType = msgspec.UNSET


@blueprint.get("/user/tokens/verify")
@auth.any_token
@operation(TokenStatus)
def verify_user_token() -> Response:
    """Say that the token is good; one that is not never gets here."""
    return _verified()


@blueprint.get(f"{ACCOUNT}/tokens/verify")
@auth.any_token
@operation(TokenStatus)
def verify_account_token(account_id: str) -> Response:  # noqa: ARG001 - auth compares it
    """As above, under the account."""
    return _verified()


@blueprint.get("/user")
@auth.any_token
@operation(User)
def get_user() -> Response:
    """Whom the token stands for. It belongs to an account and to no person: there is no email."""
    return envelope.success(User(g.token.id))


@blueprint.get("/memberships")
@auth.any_token
@operation(list[Membership], info=envelope.PageInfo, query=fields.PAGES)
def list_memberships(page: int, per_page: int) -> Response:
    """The token's one account, as wrangler looks for it."""
    account = house().registry.accounts.get(g.token.account_id)
    return _only(Membership(id=account.id, account=_shape(account)), page, per_page)


@blueprint.get("/accounts")
@auth.any_token
@operation(list[Account], info=envelope.PageInfo, query=fields.PAGES)
def list_accounts(page: int, per_page: int) -> Response:
    """The one account of the token, on the first page."""
    return _only(_shape(house().registry.accounts.get(g.token.account_id)), page, per_page)


@blueprint.get(ACCOUNT)
@auth.any_token
@operation(Account)
def get_account(account_id: str) -> Response:
    """One account."""
    return envelope.success(_shape(house().registry.accounts.get(account_id)))


def _only(item: Account | Membership, page: int, per_page: int) -> Response:
    """A list of one, on the first page."""
    items = [item] if page == 1 else []
    return envelope.success(items, info=envelope.page_info(page, per_page, len(items), 1))


def _verified() -> Response:
    token: TokenView = g.token
    expires = token.expires_at
    return envelope.success(
        TokenStatus(
            id=token.id,
            expires_on=msgspec.UNSET if expires is None else envelope.timestamp(expires),
        )
    )


def _shape(account: AccountView) -> Account:
    return Account(
        id=account.id, name=account.name, created_on=envelope.timestamp(account.created_at)
    )
