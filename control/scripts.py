"""User workers (reference section 3.3): upload, read, list, delete."""

from typing import Any

from flask import Blueprint, Response, request

from cloister.errors import Invalid
from cloister.registry import ScriptSummary, ScriptView, TagFilter
from control import deploy, envelope, fields, logs
from control.errors import (
    MISSING_PARAMETER,
    SCRIPT_NOT_FOUND,
    STILL_REFERENCED,
    Refused,
    translated,
)
from control.house import house
from control.paths import SCRIPT, SCRIPTS, namespace_of, script_of
from control.rules import names

blueprint = Blueprint("scripts", __name__)

LIST_LIMIT = 1_000


@blueprint.put(SCRIPT)
def put(account_id: str, namespace: str, script: str) -> Response:
    """Upload code and configuration; live everywhere when this answers."""
    names.script_name(script)
    found = namespace_of(account_id, namespace)
    strict = request.args.get("bindings_inherit") == "strict"
    view, code = deploy.put_script(found, script, strict=strict)
    return envelope.success(shape(view), messages=code.warnings)


@blueprint.get(SCRIPT)
def get(account_id: str, namespace: str, script: str) -> Response:
    """One script, without its code."""
    view = script_of(account_id, namespace, script)
    return envelope.success(
        {
            "created_on": envelope.timestamp(view.created_at),
            "modified_on": envelope.timestamp(view.modified_at),
            "dispatch_namespace": view.namespace,
            "script": shape(view),
        }
    )


@blueprint.get(SCRIPTS)
def list_some(account_id: str, namespace: str) -> Response:
    """Scripts by name, filtered by tags, page by page."""
    found = namespace_of(account_id, namespace)
    page = house().registry.scripts.list(
        found.id,
        tags=_filter(),
        limit=fields.whole("limit", LIST_LIMIT, 1, LIST_LIMIT),
        cursor=request.args.get("cursor") or None,
    )
    info = {"count": len(page.items), "cursor": page.cursor or ""}
    return envelope.success([summary(item) for item in page.items], info=info)


@blueprint.delete(SCRIPT)
def delete(account_id: str, namespace: str, script: str) -> Response:
    """Delete one. ``force=true``: also where others have service bindings to it."""
    found = namespace_of(account_id, namespace)
    with translated(SCRIPT_NOT_FOUND, STILL_REFERENCED):
        house().registry.scripts.delete(found.id, script, force=fields.flag("force"))
    logs.forget(namespace, script)
    return envelope.success(None)


@blueprint.delete(SCRIPTS)
def delete_tagged(account_id: str, namespace: str) -> Response:
    """Delete every script that the tags choose."""
    found = namespace_of(account_id, namespace)
    chosen = _filter()
    if not chosen:
        raise Refused(MISSING_PARAMETER, "tags is required.", pointer="/tags")
    deleted = house().registry.scripts.delete_tagged(found.id, chosen)
    logs.forget(namespace, *deleted)
    return envelope.success({"deleted": deleted, "count": len(deleted)})


def summary(item: ScriptSummary) -> dict[str, Any]:
    """A script as lists show it."""
    return {
        "id": item.name,
        "tag": item.id,
        "tags": item.tags,
        "etag": item.digest,
        "created_on": envelope.timestamp(item.created_at),
        "modified_on": envelope.timestamp(item.modified_at),
        "dispatch_namespace": item.namespace,
        "handlers": item.handlers.get("Default", []),
        "named_handlers": [
            {"name": name, "handlers": found}
            for name, found in item.handlers.items()
            if name != "Default"
        ],
        "startup_time_ms": item.startup_ms,
        "has_assets": False,
        "has_modules": True,
    }


def shape(view: ScriptView) -> dict[str, Any]:
    """A script with its live version, as uploads answer."""
    version, kept = view.version, view.version.settings
    return summary(view) | {
        "entry_point": version.main_module,
        "compatibility_date": version.compatibility_date,
        "compatibility_flags": version.compatibility_flags,
        "exports": {},
        "migration_tag": None,
        "logpush": kept.get("logpush", False),
        "observability": kept.get("observability"),
        "placement": kept.get("placement"),
        "placement_mode": (kept.get("placement") or {}).get("mode"),
        "placement_status": None,
        "tail_consumers": kept.get("tail_consumers", []),
        "usage_model": kept.get("usage_model", "standard"),
        "cache_options": kept.get("cache_options"),
        "last_deployed_from": "api",
    }


def _filter() -> TagFilter:
    text = request.args.get("tags")
    if not text:
        return TagFilter()
    try:
        return TagFilter.parse(text)
    except Invalid as exc:
        exc.pointer = "/tags"
        raise
