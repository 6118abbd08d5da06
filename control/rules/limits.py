"""Limits as they come in JSON: the product's ``cpu_ms`` and ``subrequests``, and our two more."""

from typing import Annotated, Any

from msgspec import Meta

from cloister.limits import Limits
from control.errors import LIMIT_TOO_HIGH, VALIDATION_FAILED, Refused

_NUMBERS: dict[str, Any] = {
    name: {"type": ["integer", "null"], "minimum": 0 if name == "subrequests" else 1}
    for name in Limits.__struct_fields__
}

Said = Annotated[
    dict[str, Any] | None,
    Meta(extra_json_schema={"properties": _NUMBERS, "additionalProperties": False}),
]
"""Limits as they come, for :func:`limits` to check."""

Shown = Annotated[dict[str, int], Meta(extra_json_schema={"properties": _NUMBERS})]
"""Limits as :func:`as_dict` gives them."""


def limits(value: object, ceiling: Limits, pointer: str = "/limits") -> Limits:
    """Check a ``limits`` object; null and an empty one say nothing.

    Raises:
        Refused: an unknown field, not a positive whole number, or above the platform's ceiling.
    """
    if value is None:
        return Limits()
    if not isinstance(value, dict):
        raise Refused(VALIDATION_FAILED, "limits must be an object.", pointer=pointer)
    unknown = set(value) - set(Limits.__struct_fields__)
    if unknown:
        name = min(unknown)
        raise Refused(VALIDATION_FAILED, f"Unknown limit {name!r}.", pointer=f"{pointer}/{name}")
    return Limits(**{name: _limit(name, value[name], ceiling, pointer) for name in value})


def as_dict(chosen: Limits) -> dict[str, int]:
    """What of the limits is said."""
    pairs = ((name, getattr(chosen, name)) for name in Limits.__struct_fields__)
    return {name: number for name, number in pairs if number is not None}


def _limit(name: str, value: Any, ceiling: Limits, pointer: str) -> int | None:
    if value is None:
        return None
    at = f"{pointer}/{name}"
    lowest = 0 if name == "subrequests" else 1
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
        raise Refused(VALIDATION_FAILED, f"{name} must be a positive whole number.", pointer=at)
    highest = getattr(ceiling, name)
    if value > highest:
        raise Refused(LIMIT_TOO_HIGH, f"{name} may be at most {highest} here.", pointer=at)
    return value
