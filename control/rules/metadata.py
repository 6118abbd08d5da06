"""The ``metadata`` part of an upload and the ``settings`` part of a patch (reference 2.2)."""

import re
from datetime import date
from typing import Any

import msgspec

from cloister.limits import NO_LIMITS, Limits
from cloister.registry import unversioned
from cloister.registry.object_classes import Migration
from control.errors import VALIDATION_FAILED, Refused
from control.rules import assets, bindings, limits, objects, observability, tags, tail_consumers

OLDEST_DATE = "2021-11-02"
"""What holds when an upload names no compatibility date, as in the product."""

MAX_FLAGS = 100
SETTINGS_BYTES = 64 * 1024

KEPT: dict[str, type | tuple[type, ...]] = {
    "observability": dict,
    "logpush": bool,
    "tail_consumers": list,
    "placement": dict,
    "usage_model": str,
    "cache_options": dict,
    "annotations": dict,
    "package_dependencies": list,
}
"""Fields that are kept with the version and shown again."""

_ABSENT = ("exports", "containers", "streaming_tail_consumers")
"""Fields that ask for what does not exist here; saying nothing in them is allowed."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


_Bindings = list[bindings.Said]
_Limits = limits.Said
_Assets = assets.Said | None
_Chosen = assets.Chosen | None
_Migrations = objects.Said | None


class UploadMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What may be said, for :func:`metadata` to check."""

    main_module: str | None = None
    bindings: _Bindings | None = None
    keep_bindings: list[str] | None = None
    assets: _Assets = None
    keep_assets: bool | None = None
    tags: list[str] | None = None
    limits: _Limits = None
    compatibility_date: str | None = None
    compatibility_flags: list[str] | None = None
    observability: dict[str, Any] | None = None
    logpush: bool | None = None
    tail_consumers: list[Any] | None = None
    placement: dict[str, Any] | None = None
    usage_model: str | None = None
    cache_options: dict[str, Any] | None = None
    annotations: dict[str, Any] | None = None
    package_dependencies: list[Any] | None = None
    migrations: _Migrations = None


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What an upload says, checked. None is "not said"."""

    main_module: str | None = None
    bindings: list[dict[str, Any]] | None = None
    keep_bindings: list[str] = []
    assets: _Chosen = None
    keep_assets: bool = False
    tags: list[str] | None = None
    limits: Limits | None = None
    compatibility_date: str | None = None
    compatibility_flags: list[str] | None = None
    kept: dict[str, Any] = {}
    migration: Migration | None = None

    @property
    def is_unversioned(self) -> bool:
        """Whether all that it says holds for the script, whichever version is live."""
        same = msgspec.structs.replace(self, kept={}, tags=None) == Metadata()
        return same and set(self.kept) <= set(unversioned.NAMES)


def metadata(value: object, ceiling: Limits) -> Metadata:
    """Check the JSON of an upload's metadata or of a settings patch.

    Fields that the product does not have are ignored, as it ignores them.

    Raises:
        Refused: naming the field at fault.
    """
    if not isinstance(value, dict):
        raise Refused(VALIDATION_FAILED, "metadata must be a JSON object.")
    for name in _ABSENT:
        if value.get(name):
            raise Refused(VALIDATION_FAILED, f"{name} is not available here.", pointer=f"/{name}")
    return Metadata(
        main_module=_main_module(value),
        bindings=None if value.get("bindings") is None else bindings.bindings(value["bindings"]),
        keep_bindings=bindings.keep_types(value.get("keep_bindings")),
        assets=assets.assets(value.get("assets")),
        keep_assets=_keep_assets(value.get("keep_assets")),
        tags=None if value.get("tags") is None else tags.tags(value["tags"]),
        limits=_limits(value, ceiling),
        compatibility_date=_date(value.get("compatibility_date")),
        compatibility_flags=_flags(value.get("compatibility_flags")),
        kept=_kept(value),
        migration=objects.migrations(value.get("migrations")),
    )


def required_main_module(said: Metadata) -> str:
    """The entry module of an upload. Raises :class:`Refused` when none is named."""
    if not said.main_module:
        raise Refused(
            VALIDATION_FAILED,
            "metadata must name the entry part in main_module.",
            pointer="/main_module",
        )
    return said.main_module


def _main_module(value: dict[str, Any]) -> str | None:
    if value.get("body_part") and not value.get("main_module"):
        raise Refused(
            VALIDATION_FAILED,
            "body_part is for service-worker syntax, which is JavaScript; use main_module.",
            pointer="/body_part",
        )
    name = value.get("main_module")
    if name is not None and not isinstance(name, str):
        raise Refused(VALIDATION_FAILED, "main_module must be a string.", pointer="/main_module")
    return name


def _keep_assets(value: object) -> bool:
    if value is not None and not isinstance(value, bool):
        raise Refused(
            VALIDATION_FAILED, "keep_assets must be true or false.", pointer="/keep_assets"
        )
    return bool(value)


def _limits(value: dict[str, Any], ceiling: Limits) -> Limits | None:
    if "limits" not in value:
        return None
    return NO_LIMITS if value["limits"] is None else limits.limits(value["limits"], ceiling)


def _date(value: object) -> str | None:
    if value is None or value == "":
        return None
    try:
        if not isinstance(value, str) or not _DATE.fullmatch(value):
            raise ValueError("not a date")  # noqa: TRY301 - one way out for both faults
        date.fromisoformat(value)
    except ValueError as exc:
        raise Refused(
            VALIDATION_FAILED,
            "compatibility_date must be a date, YYYY-MM-DD.",
            pointer="/compatibility_date",
        ) from exc
    return value


def _flags(value: object) -> list[str] | None:
    if value is None:
        return None
    if (
        not isinstance(value, list)
        or len(value) > MAX_FLAGS
        or not all(isinstance(flag, str) and 0 < len(flag) <= 100 for flag in value)
    ):
        raise Refused(
            VALIDATION_FAILED,
            f"compatibility_flags must be an array of at most {MAX_FLAGS} names.",
            pointer="/compatibility_flags",
        )
    return value


def _kept(value: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value[name] for name in KEPT if value.get(name) is not None}
    for name, item in kept.items():
        if not isinstance(item, KEPT[name]):
            raise Refused(VALIDATION_FAILED, f"{name} has the wrong JSON type.", pointer=f"/{name}")
    if "observability" in kept:
        observability.check(kept["observability"])
    if "tail_consumers" in kept:
        kept["tail_consumers"] = tail_consumers.consumers(kept["tail_consumers"])
    if len(msgspec.json.encode(kept)) > SETTINGS_BYTES:
        raise Refused(VALIDATION_FAILED, f"The settings are over {SETTINGS_BYTES} bytes.")
    return kept
