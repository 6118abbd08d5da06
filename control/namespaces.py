"""Dispatch namespaces (reference section 3.2), with what else bounds their scripts here.

Beside the product's ``name`` and ``trusted_workers``, PUT takes ``limits``, ``outbound``
(``{service, namespace?, parameters[]}`` or null), ``egress`` (``{allow[], deny[]}``) and
``fresh_isolates``. ``language`` is shown and not taken: that one is the operator's.
"""

from typing import Any

from flask import Blueprint, Response, g

from cloister.languages import RESTRICTED, Language
from cloister.limits import ceiling
from cloister.registry.views import NamespaceDetail, OutboundRule
from control import bodies, envelope, fields, logs
from control.errors import (
    FORBIDDEN,
    NAMESPACE_NOT_FOUND,
    STILL_REFERENCED,
    Refused,
    translated,
)
from control.house import house
from control.paths import NAMESPACE, NAMESPACES, namespace_of
from control.rules import egress, limits, names

blueprint = Blueprint("namespaces", __name__)


@blueprint.post(NAMESPACES)
def create(account_id: str) -> Response:
    """Make a namespace. Takes what PUT takes."""
    body = bodies.json_object()
    name = names.namespace_name(body.get("name"))
    _check_language(body, RESTRICTED)
    changes = _changes(body)
    with translated(NAMESPACE_NOT_FOUND):
        made = house().registry.namespaces.create(account_id, name)
        if changes:
            made = house().registry.namespaces.update(account_id, name, **changes)
    return envelope.success(shape(made))


@blueprint.get(NAMESPACES)
def list_all(account_id: str) -> Response:
    """All of them, on a single page."""
    found = house().registry.namespaces.list(account_id)
    return envelope.success([shape(item) for item in found])


@blueprint.get(NAMESPACE)
def get(account_id: str, namespace: str) -> Response:
    """One namespace."""
    with translated(NAMESPACE_NOT_FOUND):
        found = house().registry.namespaces.get(account_id, namespace)
    return envelope.success(shape(found))


@blueprint.route(NAMESPACE, methods=["PUT", "PATCH"])
def change(account_id: str, namespace: str) -> Response:
    """Change what the body names; the rest stays."""
    _whole_account_only()
    body = bodies.json_object()
    _check_language(body, namespace_of(account_id, namespace).language)
    changes = _changes(body)
    if body.get("name") is not None:
        changes["new_name"] = names.namespace_name(body["name"])
    with translated(NAMESPACE_NOT_FOUND):
        changed = house().registry.namespaces.update(account_id, namespace, **changes)
    return envelope.success(shape(changed))


@blueprint.delete(NAMESPACE)
def delete(account_id: str, namespace: str) -> Response:
    """Delete it with all its scripts, and their records."""
    _whole_account_only()
    names_of_scripts = _script_names(namespace_of(account_id, namespace).id)
    with translated(NAMESPACE_NOT_FOUND, STILL_REFERENCED):
        house().registry.namespaces.delete(account_id, namespace)
    logs.forget(namespace, *names_of_scripts)
    return envelope.success(None)


def shape(found: NamespaceDetail) -> dict[str, Any]:
    """The product's fields, then ours."""
    return {
        "namespace_id": found.id,
        "namespace_name": found.name,
        "script_count": found.script_count,
        "trusted_workers": found.trusted,
        "created_on": envelope.timestamp(found.created_at),
        "created_by": found.account_id,
        "modified_on": envelope.timestamp(found.modified_at),
        "modified_by": found.account_id,
        "limits": limits.as_dict(found.limits),
        "outbound": _outbound_shape(found.outbound),
        "egress": {"allow": found.egress_allow, "deny": found.egress_deny},
        "language": found.language,
        "fresh_isolates": found.fresh_isolates,
    }


def _script_names(namespace_id: str) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = house().registry.scripts.list(namespace_id, cursor=cursor)
        found += [item.name for item in page.items]
        cursor = page.cursor
        if cursor is None:
            return found


def _changes(body: dict[str, Any]) -> dict[str, Any]:
    """What the body says, but for the name, as the registry takes it."""
    changes: dict[str, Any] = {}
    trusted = fields.optional(body, "trusted_workers", bool)
    if trusted is not None:
        changes["trusted"] = trusted
    fresh = fields.optional(body, "fresh_isolates", bool)
    if fresh is not None:
        changes["fresh_isolates"] = fresh
    if "limits" in body:
        changes["limits"] = limits.limits(body["limits"], ceiling(house().settings))
    if "outbound" in body:
        changes["outbound"] = _outbound(fields.optional(body, "outbound", dict))
    if "egress" in body:
        lists = fields.optional(body, "egress", dict) or {}
        changes["egress_allow"] = egress.patterns(lists, "allow")
        changes["egress_deny"] = egress.patterns(lists, "deny")
    return changes


def _check_language(body: dict[str, Any], has: Language) -> None:
    """A body may repeat what it was shown, and nothing else: a full language is one wall less, and
    whose wall that is, no token of an account decides."""
    if fields.optional(body, "language", str) not in {None, has}:
        raise Refused(
            FORBIDDEN,
            "Only the operator sets the language, by `cloister namespaces language` on the machine "
            "of the registry.",
            pointer="/language",
        )


def _outbound(rule: dict[str, Any] | None) -> OutboundRule | None:
    if not rule:
        return None
    return OutboundRule(
        namespace=fields.optional(rule, "namespace", str, at="/outbound") or "",
        script=names.script_name(fields.required(rule, "service", str, at="/outbound")),
        parameters=[
            names.binding_name(name, f"/outbound/parameters/{index}")
            for index, name in enumerate(fields.strings(rule, "parameters", at="/outbound"))
        ],
    )


def _outbound_shape(rule: OutboundRule | None) -> dict[str, Any] | None:
    if rule is None:
        return None
    return {"service": rule.script, "namespace": rule.namespace, "parameters": rule.parameters}


def _whole_account_only() -> None:
    if g.token.namespace is not None:
        raise Refused(FORBIDDEN)
