"""User workers: upload, read, list, delete."""

from typing import Any

import msgspec
from flask import Blueprint, Response

from cloister.errors import Invalid
from cloister.registry import ScriptSummary, ScriptView, TagFilter
from cloister.registry.names import is_plain
from control import deploy, envelope, fields, logs
from control.errors import (
    MISSING_PARAMETER,
    SCRIPT_NOT_FOUND,
    SCRIPT_NOT_IN_NAMESPACE,
    STILL_REFERENCED,
    Refused,
    translated,
)
from control.house import house
from control.operation import FORM, operation
from control.paths import SCRIPT, SCRIPTS, namespace_of, script_of
from control.rules import names

blueprint = Blueprint("scripts", __name__)

LIST_LIMIT = 1_000


class NamedHandlers(msgspec.Struct, frozen=True, kw_only=True):
    """An entrypoint beside the default one."""

    name: str
    handlers: list[str]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A script as lists show it."""

    id: str
    tag: str
    tags: list[str]
    etag: str
    created_on: envelope.Time
    modified_on: envelope.Time
    dispatch_namespace: str | None
    handlers: list[str]
    named_handlers: list[NamedHandlers]
    startup_time_ms: int
    has_assets: bool = False
    has_modules: bool = True
    migration_tag: str | None = None


class Script(Summary, frozen=True, kw_only=True):
    """A script with its live version, as uploads answer."""

    deployment_id: str
    entry_point: str
    compatibility_date: str
    compatibility_flags: list[str]
    exports: dict[str, Any] = {}
    logpush: bool = False
    observability: dict[str, Any] | None = None
    placement: dict[str, Any] | None = None
    placement_mode: Any = None
    placement_status: str | None = None
    tail_consumers: list[Any] = []
    usage_model: str = "standard"
    cache_options: dict[str, Any] | None = None
    last_deployed_from: str = "api"


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """A script in its namespace."""

    created_on: envelope.Time
    modified_on: envelope.Time
    dispatch_namespace: str
    script: Script


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """Names of scripts that are gone."""

    deleted: list[str]
    count: int


TAGS: fields.Query = {"tags": fields.Text()}
PAGES: fields.Query = {
    **TAGS,
    "limit": fields.Whole(LIST_LIMIT, 1, LIST_LIMIT),
    "cursor": fields.Text(),
}


@blueprint.put(SCRIPT)
@operation(
    Script,
    query={"bindings_inherit": fields.Text()},
    takes={FORM: deploy.UploadForm},
)
def put(account_id: str, namespace: str, script: str, bindings_inherit: str | None) -> Response:
    """Upload code and configuration; live everywhere when this answers."""
    names.script_name(script)
    found = namespace_of(account_id, namespace)
    view, code = deploy.put_script(found, script, strict=bindings_inherit == "strict")
    return envelope.success(shape(view), messages=code.warnings)


@blueprint.get(SCRIPT)
@operation(Deployed)
def get(account_id: str, namespace: str, script: str) -> Response:
    """One script, without its code."""
    view = script_of(account_id, namespace, script, SCRIPT_NOT_IN_NAMESPACE)
    return envelope.success(
        Deployed(
            created_on=envelope.timestamp(view.created_at),
            modified_on=envelope.timestamp(view.modified_at),
            dispatch_namespace=view.namespace,
            script=shape(view),
        )
    )


@blueprint.get(SCRIPTS)
@operation(list[Summary], info=envelope.CursorInfo, query=PAGES)
def list_some(
    account_id: str, namespace: str, tags: str | None, limit: int, cursor: str | None
) -> Response:
    """Scripts by name, filtered by tags, page by page."""
    found = namespace_of(account_id, namespace)
    page = house().registry.scripts.list(found.id, tags=_filter(tags), limit=limit, cursor=cursor)
    info = envelope.CursorInfo(count=len(page.items), cursor=page.cursor or "")
    return envelope.success(summaries(page.items), info=info)


@blueprint.delete(SCRIPT)
@operation(query={"force": fields.Flag()})
def delete(account_id: str, namespace: str, script: str, *, force: bool) -> Response:
    """Delete one. ``force=true``: also where others have service bindings to it."""
    found = namespace_of(account_id, namespace)
    with translated(SCRIPT_NOT_FOUND, STILL_REFERENCED):
        house().registry.scripts.delete(found.id, script, force=force)
    logs.forget(found.name, script)
    return envelope.success(None)


@blueprint.delete(SCRIPTS)
@operation(Deleted, query=TAGS)
def delete_tagged(account_id: str, namespace: str, tags: str | None) -> Response:
    """Delete every script that the tags choose."""
    found = namespace_of(account_id, namespace)
    chosen = _filter(tags)
    if not chosen:
        raise Refused(MISSING_PARAMETER, "tags is required.", pointer="/tags")
    deleted = house().registry.scripts.delete_tagged(found.id, chosen)
    logs.forget(found.name, *deleted)
    return envelope.success(Deleted(deleted=deleted, count=len(deleted)))


def summaries(items: list[ScriptSummary]) -> list[Summary]:
    """Scripts as lists show them."""
    tags = house().registry.objects.migration_tags([item.id for item in items])
    return [Summary(**_summarized(item), migration_tag=tags.get(item.id)) for item in items]


def shape(view: ScriptView) -> Script:
    """A script with its live version, as uploads answer."""
    version, kept = view.version, view.version.settings
    placement = kept.get("placement")
    return Script(
        **_summarized(view),
        migration_tag=house().registry.objects.migration_tags([view.id]).get(view.id),
        deployment_id=version.id.replace("-", ""),
        entry_point=version.main_module,
        compatibility_date=version.compatibility_date,
        compatibility_flags=version.compatibility_flags,
        logpush=kept.get("logpush", False),
        observability=kept.get("observability"),
        placement=placement,
        placement_mode=(placement or {}).get("mode"),
        tail_consumers=kept.get("tail_consumers", []),
        usage_model=kept.get("usage_model", "standard"),
        cache_options=kept.get("cache_options"),
        last_deployed_from=version.source,
    )


def _summarized(item: ScriptSummary) -> dict[str, Any]:
    return {
        "id": item.name,
        "tag": item.id,
        "tags": item.tags,
        "etag": item.digest,
        "created_on": envelope.timestamp(item.created_at),
        "modified_on": envelope.timestamp(item.modified_at),
        "dispatch_namespace": None if is_plain(item.namespace) else item.namespace,
        "handlers": item.handlers.get("Default", []),
        "named_handlers": [
            NamedHandlers(name=name, handlers=found)
            for name, found in item.handlers.items()
            if name != "Default"
        ],
        "startup_time_ms": item.startup_ms,
        "has_assets": item.has_assets,
        "has_modules": item.has_code,
    }


def _filter(text: str | None) -> TagFilter:
    if text is None:
        return TagFilter()
    try:
        return TagFilter.parse(text)
    except Invalid as exc:
        exc.pointer = "/tags"
        raise
