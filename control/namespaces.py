"""Dispatch namespaces, with what else bounds their scripts here.

Beside the product's ``name`` and ``trusted_workers``, PUT takes ``limits``, ``outbound``
(``{service, namespace?, parameters[]}`` or null), ``egress`` (``{allow[], deny[]}``) and
``fresh_isolates``. ``language`` is shown and not taken: that one is the operator's.
"""

from typing import Any

import msgspec
from flask import Blueprint, Response, g
from msgspec import UNSET, UnsetType

from cloister.languages import RESTRICTED, Language
from cloister.limits import ceiling
from cloister.registry.names import is_plain, plain_namespace
from cloister.registry.views import NamespaceDetail, OutboundRule
from control import bodies, envelope, logs
from control.errors import (
    FORBIDDEN,
    NAMESPACE_NOT_FOUND,
    STILL_REFERENCED,
    Refused,
    translated,
)
from control.house import house
from control.operation import operation
from control.paths import NAMESPACE, NAMESPACES, namespace_of
from control.rules import egress, limits, names

blueprint = Blueprint("namespaces", __name__)


class Outbound(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the scripts' fetch() goes through. Without a namespace: the account's plain Worker of
    that name if there is one, else a worker of the same namespace."""

    service: names.Name
    namespace: str | None = None
    parameters: list[names.BindingName] | None = None


class Egress(msgspec.Struct, frozen=True, kw_only=True):
    """Hosts that fetch() may reach, or not: names, ``*.domain`` or ``*``."""

    allow: list[str] | None = None
    deny: list[str] | None = None


_Limits = limits.Said


class NamespaceChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is missing stays as it is."""

    name: names.Name | None = None
    trusted_workers: bool | None = None
    fresh_isolates: bool | None = None
    limits: _Limits | UnsetType = UNSET
    outbound: Outbound | UnsetType | None = UNSET
    egress: Egress | UnsetType | None = UNSET
    language: str | None = None


class NewNamespace(NamespaceChanges, frozen=True, kw_only=True):
    """A namespace to be made."""

    name: names.Name


class Namespace(msgspec.Struct, frozen=True, kw_only=True):
    """The product's fields, then ours."""

    namespace_id: str
    namespace_name: str
    script_count: int
    trusted_workers: bool
    created_on: envelope.Time
    created_by: str
    modified_on: envelope.Time
    modified_by: str
    limits: limits.Shown
    outbound: Outbound | None
    egress: Egress
    language: Language
    fresh_isolates: bool


@blueprint.post(NAMESPACES)
@operation(Namespace, body=bodies.Json(NewNamespace))
def create(account_id: str, body: bodies.Body[NewNamespace]) -> Response:
    """Make a namespace. Takes what PUT takes."""
    said = body()
    name = names.namespace_name(said.name)
    _check_language(said, RESTRICTED)
    changes = _changes(account_id, said)
    with translated(NAMESPACE_NOT_FOUND):
        made = house().registry.namespaces.create(account_id, name, **changes)
    return envelope.success(shape(made))


@blueprint.get(NAMESPACES)
@operation(list[Namespace])
def list_all(account_id: str) -> Response:
    """All of them, on a single page."""
    found = house().registry.namespaces.list(account_id)
    return envelope.success([shape(item) for item in found])


@blueprint.get(NAMESPACE)
@operation(Namespace)
def get(account_id: str, namespace: str) -> Response:
    """One namespace."""
    with translated(NAMESPACE_NOT_FOUND):
        found = house().registry.namespaces.get(account_id, namespace)
    return envelope.success(shape(found))


@blueprint.route(NAMESPACE, methods=["PUT", "PATCH"])
@operation(Namespace, body=bodies.Json(NamespaceChanges))
def change(account_id: str, namespace: str, body: bodies.Body[NamespaceChanges]) -> Response:
    """Change what the body names; the rest stays."""
    _whole_account_only()
    said = body()
    _check_language(said, namespace_of(account_id, namespace).language)
    changes = _changes(account_id, said)
    if said.name is not None:
        changes["new_name"] = names.namespace_name(said.name)
    with translated(NAMESPACE_NOT_FOUND):
        changed = house().registry.namespaces.update(account_id, namespace, **changes)
    return envelope.success(shape(changed))


@blueprint.delete(NAMESPACE)
@operation()
def delete(account_id: str, namespace: str) -> Response:
    """Delete it with all its scripts, and their records."""
    _whole_account_only()
    names_of_scripts = _script_names(namespace_of(account_id, namespace).id)
    with translated(NAMESPACE_NOT_FOUND, STILL_REFERENCED):
        house().registry.namespaces.delete(account_id, namespace)
    logs.forget(namespace, *names_of_scripts)
    return envelope.success(None)


def shape(found: NamespaceDetail) -> Namespace:
    """What is shown of a namespace."""
    return Namespace(
        namespace_id=found.id,
        namespace_name=found.name,
        script_count=found.script_count,
        trusted_workers=found.trusted,
        created_on=envelope.timestamp(found.created_at),
        created_by=found.account_id,
        modified_on=envelope.timestamp(found.modified_at),
        modified_by=found.account_id,
        limits=limits.as_dict(found.limits),
        outbound=_outbound_shape(found.outbound),
        egress=Egress(allow=found.egress_allow, deny=found.egress_deny),
        language=found.language,
        fresh_isolates=found.fresh_isolates,
    )


def _script_names(namespace_id: str) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = house().registry.scripts.list(namespace_id, cursor=cursor)
        found += [item.name for item in page.items]
        cursor = page.cursor
        if cursor is None:
            return found


def _changes(account_id: str, body: NamespaceChanges) -> dict[str, Any]:
    """What the body says, but for the name, as the registry takes it."""
    changes: dict[str, Any] = {}
    if body.trusted_workers is not None:
        changes["trusted"] = body.trusted_workers
    if body.fresh_isolates is not None:
        changes["fresh_isolates"] = body.fresh_isolates
    if body.limits is not UNSET:
        changes["limits"] = limits.limits(body.limits, ceiling(house().settings))
    if body.outbound is not UNSET:
        changes["outbound"] = _outbound(account_id, body.outbound)
    if body.egress is not UNSET:
        lists = body.egress or Egress()
        changes["egress_allow"] = egress.patterns(lists.allow or [], "allow")
        changes["egress_deny"] = egress.patterns(lists.deny or [], "deny")
    return changes


def _check_language(body: NamespaceChanges, has: Language) -> None:
    """A body may repeat what it was shown, and nothing else: a full language is one wall less, and
    whose wall that is, no token of an account decides."""
    if body.language not in {None, has}:
        raise Refused(
            FORBIDDEN,
            "Only the operator sets the language, by `cloister namespaces language` on the machine "
            "of the registry.",
            pointer="/language",
        )


def _outbound(account_id: str, rule: Outbound | None) -> OutboundRule | None:
    if rule is None:
        return None
    script = names.script_name(rule.service)
    return OutboundRule(
        namespace=rule.namespace or _home(account_id, script),
        script=script,
        parameters=[
            names.binding_name(name, f"/outbound/parameters/{index}")
            for index, name in enumerate(rule.parameters or [])
        ],
    )


def _home(account_id: str, script: str) -> str:
    """Where a worker is whose rule names no namespace: among the plain ones if it is one by now,
    else in the namespace of the rule."""
    plain = plain_namespace(account_id)
    return plain if house().registry.resolve(plain, script) else ""


def _outbound_shape(rule: OutboundRule | None) -> Outbound | None:
    if rule is None:
        return None
    namespace = None if is_plain(rule.namespace) else rule.namespace
    return Outbound(service=rule.script, namespace=namespace, parameters=rule.parameters)


def _whole_account_only() -> None:
    if g.token.namespace is not None:
        raise Refused(FORBIDDEN)
