"""Secrets stores over REST: values go in and never come out."""

from typing import Literal

import msgspec
from flask import Blueprint, Response

from cloister.registry.secret_stores import SECRETS, NewSecret, SecretView, StoreView
from control import bodies, envelope, fields
from control.errors import STORE_NAME_TAKEN, STORE_NOT_FOUND, translated
from control.house import house
from control.operation import operation
from control.paths import ACCOUNT

blueprint = Blueprint("secret_stores", __name__)

BASE = f"{ACCOUNT}/secrets_store"
STORES = f"{BASE}/stores"
STORE = f"{STORES}/<store_id>"
ONE = f"{STORE}/secrets/<secret_id>"

Scope = Literal["workers", "ai_gateway", "dex", "access", "containers", "websearch"]

SEARCH: fields.Query = {**fields.PAGES, "search": fields.Text()}


class NewStore(msgspec.Struct, frozen=True, kw_only=True):
    """A store to be made."""

    name: str


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """A store."""

    id: str
    account_id: str
    name: str
    created: envelope.Time
    modified: envelope.Time


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret without its value."""

    id: str
    store_id: str
    name: str
    comment: str
    scopes: list[str]
    created: envelope.Time
    modified: envelope.Time
    status: Literal["active"] = "active"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A secret to be written."""

    name: str
    value: str
    scopes: list[Scope]
    comment: str = ""


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """A secret to be made of another one's value."""

    name: str
    scopes: list[Scope]
    comment: str = ""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change of a secret; what is not given stays."""

    value: str | None = None
    scopes: list[Scope] | None = None
    comment: str | None = None


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """How many secrets there may be, and are."""

    quota: int
    usage: int


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of an account."""

    secrets: Used


@blueprint.get(f"{BASE}/quota")
@operation(Quota)
def quota(account_id: str) -> Response:
    """How many secrets the account has."""
    usage = house().registry.secret_stores.count(account_id)
    return envelope.success(Quota(secrets=Used(quota=SECRETS, usage=usage)))


@blueprint.post(STORES)
@operation(Store, body=bodies.Json(NewStore))
def create(account_id: str, body: bodies.Body[NewStore]) -> Response:
    """Make a store."""
    with translated(STORE_NOT_FOUND, STORE_NAME_TAKEN):
        made = house().registry.secret_stores.create(account_id, body().name)
    return envelope.success(_store(made))


@blueprint.get(STORES)
@operation(list[Store], info=envelope.PageInfo, query=fields.PAGES)
def list_all(account_id: str, page: int, per_page: int) -> Response:
    """One page of the account's stores, by name."""
    found = house().registry.secret_stores.list(account_id, page=page, per_page=per_page)
    info = envelope.page_info(page, per_page, len(found.items), found.total)
    return envelope.success([_store(item) for item in found.items], info=info)


@blueprint.get(STORE)
@operation(Store)
def get(account_id: str, store_id: str) -> Response:
    """One store."""
    with translated(STORE_NOT_FOUND):
        return envelope.success(_store(house().registry.secret_stores.get(account_id, store_id)))


@blueprint.delete(STORE)
@operation()
def delete(account_id: str, store_id: str) -> Response:
    """Delete a store with all its secrets."""
    with translated(STORE_NOT_FOUND):
        house().registry.secret_stores.delete(account_id, store_id)
    return envelope.success(None)


@blueprint.post(f"{STORE}/secrets")
@operation(list[Secret], body=bodies.Json(list[Said]))
def add(account_id: str, store_id: str, body: bodies.Body[list[Said]]) -> Response:
    """Write secrets, all or none."""
    said = [NewSecret(**msgspec.structs.asdict(each)) for each in body()]
    with translated(STORE_NOT_FOUND, STORE_NAME_TAKEN):
        made = house().registry.secret_stores.add(account_id, store_id, said)
    return envelope.success([_secret(each) for each in made])


@blueprint.get(f"{STORE}/secrets")
@operation(list[Secret], info=envelope.PageInfo, query=SEARCH)
def list_secrets(
    account_id: str, store_id: str, page: int, per_page: int, search: str | None
) -> Response:
    """One page of a store's secrets, by name."""
    with translated(STORE_NOT_FOUND):
        found = house().registry.secret_stores.secrets(
            account_id, store_id, search=search or "", page=page, per_page=per_page
        )
    info = envelope.page_info(page, per_page, len(found.items), found.total)
    return envelope.success([_secret(each) for each in found.items], info=info)


@blueprint.get(ONE)
@operation(Secret)
def get_secret(account_id: str, store_id: str, secret_id: str) -> Response:
    """One secret, without its value."""
    with translated(STORE_NOT_FOUND):
        found = house().registry.secret_stores.secret(account_id, store_id, secret_id)
    return envelope.success(_secret(found))


@blueprint.patch(ONE)
@operation(Secret, body=bodies.Json(Change))
def edit(account_id: str, store_id: str, secret_id: str, body: bodies.Body[Change]) -> Response:
    """Change value, scopes or comment: Workers read the new value from then on."""
    change = body()
    with translated(STORE_NOT_FOUND):
        found = house().registry.secret_stores.edit(
            account_id,
            store_id,
            secret_id,
            value=change.value,
            scopes=None if change.scopes is None else list(change.scopes),
            comment=change.comment,
        )
    return envelope.success(_secret(found))


@blueprint.delete(ONE)
@operation(Secret)
def remove(account_id: str, store_id: str, secret_id: str) -> Response:
    """Delete a secret. Workers that are bound to it find none from then on."""
    with translated(STORE_NOT_FOUND):
        gone = house().registry.secret_stores.remove(account_id, store_id, secret_id)
    return envelope.success(_secret(gone))


@blueprint.post(f"{ONE}/duplicate")
@operation(Secret, body=bodies.Json(Copy))
def duplicate(account_id: str, store_id: str, secret_id: str, body: bodies.Body[Copy]) -> Response:
    """Write a secret of the same value under another name."""
    copy = NewSecret(**msgspec.structs.asdict(body()), value="")
    with translated(STORE_NOT_FOUND, STORE_NAME_TAKEN):
        made = house().registry.secret_stores.duplicate(account_id, store_id, secret_id, copy)
    return envelope.success(_secret(made))


def _store(view: StoreView) -> Store:
    created = envelope.timestamp(view.created_at)
    return Store(
        id=view.id, account_id=view.account_id, name=view.name, created=created, modified=created
    )


def _secret(view: SecretView) -> Secret:
    return Secret(
        id=view.id,
        store_id=view.store_id,
        name=view.name,
        comment=view.comment,
        scopes=view.scopes,
        created=envelope.timestamp(view.created_at),
        modified=envelope.timestamp(view.modified_at),
    )
