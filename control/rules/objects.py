"""Durable Objects in an upload: bindings to classes, and what becomes of a script's classes."""

from typing import Annotated, Any, TypeVar

import msgspec

from cloister.registry.object_classes import Migration, Step
from control.errors import VALIDATION_FAILED, Refused

Wanted = TypeVar("Wanted")

FIELDS = ("class_name", "script_name", "namespace_id")
NAME_CHARACTERS = 255
TAG_CHARACTERS = 255
STEPS = 100
CLASSES = 100


class _Tags(msgspec.Struct, frozen=True):
    old_tag: Annotated[str, msgspec.Meta(max_length=TAG_CHARACTERS)] | None = None
    new_tag: Annotated[str, msgspec.Meta(max_length=TAG_CHARACTERS)] | None = None
    steps: Annotated[list[Step], msgspec.Meta(max_length=STEPS)] | None = None


_SCHEMA = {
    "properties": {
        "old_tag": {"type": "string"},
        "new_tag": {"type": "string"},
        "steps": {"type": "array", "items": {"type": "object"}},
    }
}

Said = Annotated[dict[str, Any], msgspec.Meta(extra_json_schema=_SCHEMA)]
"""Migrations as they come: tags, and steps or a single one beside them."""


def binding(item: dict[str, Any], pointer: str) -> dict[str, Any]:
    """The form of a binding to a class. The registry says whether there is such a class.

    Raises:
        Refused: naming the field at fault.
    """
    name = item["name"]
    for field in ("environment", "dispatch_namespace"):
        if item.get(field) not in (None, "", "production"):
            raise Refused(
                VALIDATION_FAILED,
                f"Binding {name!r}: {field} is not available here.",
                pointer=f"{pointer}/{field}",
            )
    said = {field: item[field] for field in FIELDS if item.get(field) not in (None, "")}
    for field, text in said.items():
        if not isinstance(text, str) or len(text) > NAME_CHARACTERS:
            raise Refused(
                VALIDATION_FAILED,
                f"Binding {name!r}: {field} must be a string.",
                pointer=f"{pointer}/{field}",
            )
    if not ("class_name" in said or "namespace_id" in said):
        raise Refused(
            VALIDATION_FAILED,
            f"Binding {name!r}: class_name is required.",
            pointer=f"{pointer}/class_name",
        )
    return said


def migrations(value: object) -> Migration | None:
    """Check their form. None: nothing is said.

    Raises:
        Refused: naming the field at fault.
    """
    if not value:
        return None
    said = _converted(value, _Tags, "/migrations")
    steps = said.steps if said.steps is not None else [_converted(value, Step, "/migrations")]
    for index, step in enumerate(steps):
        if sum(len(getattr(step, name)) for name in step.__struct_fields__) > CLASSES:
            raise Refused(
                VALIDATION_FAILED,
                f"A step of migrations names at most {CLASSES} classes.",
                pointer=f"/migrations/steps/{index}",
            )
    return Migration(steps=steps, old_tag=said.old_tag or "", new_tag=said.new_tag or "")


def _converted(value: object, kind: type[Wanted], pointer: str) -> Wanted:
    try:
        return msgspec.convert(_without_nulls(value), kind)
    except msgspec.ValidationError as exc:
        raise Refused(VALIDATION_FAILED, f"migrations: {exc}.", pointer=pointer) from exc


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
