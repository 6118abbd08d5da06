"""Versions of a worker: each upload and each change makes one, which never changes."""

from typing import Any

import msgspec
from flask import Blueprint, Response

from cloister.previews import host_of
from cloister.registry import VersionView
from control import content, deploy, envelope, fields
from control.house import house
from control.operation import ANY, FORM, operation
from control.paths import SCRIPT, namespace_of, script_of, version_of
from control.rules import annotations, bindings, limits
from control.scripts import NamedHandlers

blueprint = Blueprint("versions", __name__)

VERSIONS = f"{SCRIPT}/versions"
VERSION = f"{VERSIONS}/<version_id>"


class VersionMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """Where a version came from."""

    created_on: envelope.Time
    modified_on: envelope.Time
    has_preview: bool
    hasPreview: bool  # noqa: N815 - the product's name in lists
    source: str = "api"
    author_id: str = ""
    author_email: str = ""


class VersionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A version as lists show it."""

    id: str
    number: int
    metadata: VersionMetadata
    annotations: dict[str, str]


class VersionCode(msgspec.Struct, frozen=True, kw_only=True):
    """The code of a version, described."""

    etag: str
    handlers: list[str]
    named_handlers: list[NamedHandlers]
    last_deployed_from: str = "api"


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """How a version runs."""

    compatibility_date: str
    compatibility_flags: list[str]
    limits: limits.Shown
    usage_model: str
    migration_tag: str | None = None


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a version is made of, but for its modules."""

    bindings: list[bindings.Shown]
    script: VersionCode
    script_runtime: Runtime


class Version(VersionSummary, frozen=True, kw_only=True):
    """A version with what it is made of."""

    resources: Resources
    startup_time_ms: int


class VersionList(msgspec.Struct, frozen=True, kw_only=True):
    """Versions, the newest first. wrangler reads what each is made of, too."""

    items: list[Version]


PAGES: fields.Query = {
    **fields.PAGES,
    "deployable": fields.Flag(),
}


@blueprint.post(VERSIONS)
@operation(Version, query={"bindings_inherit": fields.Text()}, takes={FORM: deploy.UploadForm})
def post(account_id: str, namespace: str, script: str, bindings_inherit: str | None) -> Response:
    """Upload a version that is not live before it is deployed; what it inherits or keeps is of the
    newest version."""
    found = namespace_of(account_id, namespace)
    version, code = deploy.add_version(found, script, strict=bindings_inherit == "strict")
    return envelope.success(shape(version, found.name, script), messages=code.warnings)


@blueprint.get(VERSIONS)
@operation(VersionList, info=envelope.PageInfo, query=PAGES)
def list_some(
    account_id: str, namespace: str, script: str, page: int, per_page: int, *, deployable: bool
) -> Response:
    """Versions that are kept, the newest first. All can be deployed: with ``deployable=true`` they
    come on one page."""
    view = script_of(account_id, namespace, script)
    if deployable:
        found = house().registry.versions.list(view.id)
        page, per_page, total = 1, max(1, len(found)), len(found)
    else:
        some = house().registry.versions.page(view.id, page=page, per_page=per_page)
        found, total = some.items, some.total
    items = [shape(version, view.namespace, script) for version in found]
    info = envelope.page_info(page, per_page, len(items), total)
    return envelope.success(VersionList(items=items), info=info)


@blueprint.get(VERSION)
@operation(Version)
def get(account_id: str, namespace: str, script: str, version_id: str) -> Response:
    """One version, without its modules."""
    view = script_of(account_id, namespace, script)
    return envelope.success(shape(version_of(view, version_id), view.namespace, script))


@blueprint.get(f"{VERSION}/content")
@operation(gives={ANY: msgspec.Raw}, statuses=(200, 304))
def get_content(account_id: str, namespace: str, script: str, version_id: str) -> Response:
    """The modules of a version: a single one raw, several as multipart/form-data."""
    view = script_of(account_id, namespace, script)
    return content.answer(version_of(view, version_id))


def preview_host(version: VersionView, namespace: str, script: str) -> str | None:
    """Where a version can be previewed; None where it cannot."""
    return host_of(version.id, script, namespace, house().settings.domain)


def shape(version: VersionView, namespace: str, script: str) -> Version:
    """A version as one is shown."""
    return Version(
        **_summarized(version, namespace, script),
        resources=Resources(
            bindings=bindings.visible(version.bindings),
            script=VersionCode(
                etag=version.digest,
                handlers=version.handlers.get("Default", []),
                named_handlers=[
                    NamedHandlers(name=name, handlers=found)
                    for name, found in version.handlers.items()
                    if name != "Default"
                ],
                last_deployed_from=version.source,
            ),
            script_runtime=Runtime(
                compatibility_date=version.compatibility_date,
                compatibility_flags=version.compatibility_flags,
                limits=limits.as_dict(version.limits),
                usage_model=version.settings.get("usage_model", "standard"),
            ),
        ),
        startup_time_ms=version.startup_ms,
    )


def _summarized(version: VersionView, namespace: str, script: str) -> dict[str, Any]:
    moment = envelope.timestamp(version.created_at)
    previewable = preview_host(version, namespace, script) is not None
    return {
        "id": version.id,
        "number": version.number,
        "metadata": VersionMetadata(
            created_on=moment,
            modified_on=moment,
            has_preview=previewable,
            hasPreview=previewable,
            source=version.source,
        ),
        "annotations": annotations.shown(version.settings),
    }
