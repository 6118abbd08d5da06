"""Configuration of a worker apart from its code: read whole, changed in part."""

from typing import Any

import msgspec
from flask import Blueprint, Response

from cloister.registry import ScriptView
from control import bodies, deploy, envelope, upload
from control.errors import SETTINGS_PART_MISSING, VALIDATION_FAILED, Refused
from control.operation import FORM, JSON, operation
from control.paths import SCRIPT, namespace_of, script_of
from control.rules import bindings, limits, metadata

blueprint = Blueprint("settings", __name__)


class ScriptSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings object; what has no effect here is what was said."""

    bindings: list[bindings.Shown]
    compatibility_date: str
    compatibility_flags: list[str]
    limits: limits.Shown
    tags: list[str]
    logpush: bool = False
    tail_consumers: list[Any] = []
    usage_model: str = "standard"
    observability: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    placement: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    cache_options: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    annotations: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    package_dependencies: list[Any] | msgspec.UnsetType = msgspec.UNSET


class SettingsForm(msgspec.Struct, frozen=True):
    """Settings as a part of a form, which is JSON."""

    settings: metadata.UploadMetadata


@blueprint.get(f"{SCRIPT}/settings")
@operation(ScriptSettings)
def get(account_id: str, namespace: str, script: str) -> Response:
    """Everything that PATCH can change; secrets without their text."""
    return envelope.success(shape(script_of(account_id, namespace, script)))


@blueprint.patch(f"{SCRIPT}/settings")
@operation(ScriptSettings, takes={FORM: SettingsForm, JSON: metadata.UploadMetadata})
def patch(account_id: str, namespace: str, script: str) -> Response:
    """Change what the part ``settings`` names (or a JSON body); makes a new version."""
    found = namespace_of(account_id, namespace)
    script_of(account_id, namespace, script)  # before the body is read
    return envelope.success(shape(deploy.patch_settings(found, script, _said())))


@blueprint.get(f"{SCRIPT}/bindings")
@operation(list[bindings.Shown])
def list_bindings(account_id: str, namespace: str, script: str) -> Response:
    """The bindings; secrets without their text."""
    view = script_of(account_id, namespace, script)
    return envelope.success(bindings.visible(view.version.bindings))


def shape(view: ScriptView) -> ScriptSettings:
    """The settings object."""
    version = view.version
    return ScriptSettings(
        **version.settings,
        bindings=bindings.visible(version.bindings),
        compatibility_date=version.compatibility_date,
        compatibility_flags=version.compatibility_flags,
        limits=limits.as_dict(version.limits),
        tags=view.tags,
    )


def _said() -> Any:
    if not upload.is_multipart():
        body = bodies.json_body()
        return body.get("settings", body) if isinstance(body, dict) else body
    for part in upload.receive(bodies.JSON_BYTES):
        if part.name == "settings":
            return bodies.decode_json(part.data, VALIDATION_FAILED)
    raise Refused(SETTINGS_PART_MISSING)
