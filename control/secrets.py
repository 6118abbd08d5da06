"""Secrets of a worker: written, never read back. Each change makes a new version."""

from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import unquote

import msgspec
from flask import Blueprint, Response

from cloister.registry import NewVersion, ScriptView
from control import bodies, envelope, fields
from control.errors import BINDING_NOT_FOUND, BINDING_TWICE, SCRIPT_NOT_FOUND, Refused, translated
from control.house import house
from control.operation import JSON, operation
from control.paths import SCRIPT, namespace_of, script_of
from control.rules import bindings, names

blueprint = Blueprint("secrets", __name__)

BASE = f"{SCRIPT}/secrets"
ONE = f"{BASE}/<everything:name>"

Bindings = list[bindings.Binding]
ENCODED = {"url_encoded": fields.Flag()}


class SecretName(msgspec.Struct, frozen=True, kw_only=True):
    """A secret without its text."""

    name: names.BindingName
    type: Literal["secret_text"]


class Secret(SecretName, frozen=True, kw_only=True):
    """A secret with it."""

    text: str


class BulkSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret by its name."""

    type: Literal["secret_text"]
    text: str
    name: str | msgspec.UnsetType = msgspec.UNSET


class BulkSecrets(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON Merge Patch of all secrets: null deletes."""

    secrets: dict[str, BulkSecret | None]


class Patch(msgspec.Struct, frozen=True, kw_only=True):
    """The same before :func:`bindings.secret` has looked at each."""

    secrets: dict[str, Any]


@blueprint.get(BASE)
@operation(list[SecretName])
def list_all(account_id: str, namespace: str, script: str) -> Response:
    """Names and types."""
    return envelope.success(list(_shown(script_of(account_id, namespace, script)).values()))


@blueprint.put(BASE)
@operation(SecretName, takes={JSON: Secret})
def put(account_id: str, namespace: str, script: str) -> Response:
    """Add or replace one."""
    secret = bindings.secret(bodies.json_body())
    _revise(account_id, namespace, script, lambda had: _with(had, secret))
    return envelope.success(SecretName(name=secret["name"], type=secret["type"]))


@blueprint.get(ONE)
@operation(SecretName, query=ENCODED)
def get(account_id: str, namespace: str, script: str, name: str, *, url_encoded: bool) -> Response:
    """Name and type of one."""
    shown = _shown(script_of(account_id, namespace, script))
    wanted = unquote(name) if url_encoded else name
    if wanted not in shown:
        raise _missing(wanted)
    return envelope.success(shown[wanted])


@blueprint.delete(ONE)
@operation(query=ENCODED)
def delete(
    account_id: str, namespace: str, script: str, name: str, *, url_encoded: bool
) -> Response:
    """Remove one."""
    wanted = unquote(name) if url_encoded else name

    def without(had: Bindings) -> Bindings:
        if not any(_is_secret(item, wanted) for item in had):
            raise _missing(wanted)
        return _without(had, wanted)

    _revise(account_id, namespace, script, without)
    return envelope.success(None)


@blueprint.patch(f"{SCRIPT}/secrets-bulk")
@operation(dict[str, SecretName], takes={JSON: BulkSecrets})
def patch_bulk(account_id: str, namespace: str, script: str) -> Response:
    """JSON Merge Patch of all of them: null deletes, what is not named stays. One new version."""
    patch = bodies.converted(bodies.json_body(), Patch)
    changes = {name: _patched(name, value) for name, value in patch.secrets.items()}

    def merged(had: Bindings) -> Bindings:
        for name, secret in changes.items():
            had = _without(had, name) if secret is None else _with(had, secret)
        return had

    view = _revise(account_id, namespace, script, merged)
    return envelope.success(_shown(view))


def _patched(name: str, value: Any) -> bindings.Binding | None:
    if value is None:
        return None
    said = {"name": name, **value} if isinstance(value, dict) else value
    secret = bindings.secret(said, f"/secrets/{name}")
    if secret["name"] != name:
        raise Refused(
            BINDING_TWICE,
            f"Secret {name!r} says that its name is {secret['name']!r}.",
            pointer=f"/secrets/{name}/name",
        )
    return secret


def _revise(
    account_id: str, namespace: str, script: str, change: Callable[[Bindings], Bindings]
) -> ScriptView:
    def next_version(live: NewVersion) -> NewVersion:
        chosen = change(live.bindings)
        bindings.check_count(chosen)
        return msgspec.structs.replace(live, bindings=chosen)

    found = namespace_of(account_id, namespace)
    script_of(account_id, namespace, script)
    with translated(SCRIPT_NOT_FOUND):
        return house().registry.scripts.revise(found.id, script, next_version)


def _with(had: Bindings, secret: bindings.Binding) -> Bindings:
    name = secret["name"]
    if any(item["name"] == name and not _is_secret(item, name) for item in had):
        raise Refused(BINDING_TWICE, f"Binding name {name!r} already in use.", pointer="/name")
    return [*_without(had, name), secret]


def _without(had: Bindings, name: str) -> Bindings:
    return [item for item in had if not _is_secret(item, name)]


def _is_secret(item: bindings.Binding, name: str) -> bool:
    return bool(item["name"] == name and item["type"] == "secret_text")


def _shown(view: ScriptView) -> dict[str, SecretName]:
    return {
        item["name"]: SecretName(name=item["name"], type="secret_text")
        for item in view.version.bindings
        if item["type"] == "secret_text"
    }


def _missing(name: str) -> Refused:
    return Refused(BINDING_NOT_FOUND, f"Binding {name!r} not found.")
