"""Reading typed fields of a request's JSON and query, each refusal naming its field."""

from typing import Any, TypeVar

from flask import request

from control.errors import MALFORMED_PARAMETER, MISSING_PARAMETER, Refused

Kind = TypeVar("Kind")

_WORDS = {str: "a string", bool: "true or false", dict: "an object", list: "an array"}
_TRUE = frozenset({"true", "1", "yes"})


def optional(body: dict[str, Any], name: str, kind: type[Kind], at: str = "") -> Kind | None:
    """The field, or None where it is missing or null. Raises :class:`Refused` on a wrong type."""
    value = body.get(name)
    if value is None or isinstance(value, kind):
        return value
    raise Refused(MALFORMED_PARAMETER, f"{name} must be {_WORDS[kind]}.", pointer=f"{at}/{name}")


def required(body: dict[str, Any], name: str, kind: type[Kind], at: str = "") -> Kind:
    """The field. Raises :class:`Refused` where it is missing or of a wrong type."""
    value = optional(body, name, kind, at)
    if value is None:
        raise Refused(MISSING_PARAMETER, f"{name} is required.", pointer=f"{at}/{name}")
    return value


def strings(body: dict[str, Any], name: str, at: str = "") -> list[str]:
    """A field that is an array of non-empty, printable strings; empty where it is missing."""
    values = optional(body, name, list, at) or []
    for index, value in enumerate(values):
        if not isinstance(value, str) or not value or not value.isprintable():
            raise Refused(
                MALFORMED_PARAMETER,
                f"{name} must hold non-empty strings.",
                pointer=f"{at}/{name}/{index}",
            )
    return values


def whole(name: str, default: int, lowest: int, highest: int) -> int:
    """A whole number of the query string."""
    text = request.args.get(name)
    if text is None:
        return default
    # The SDK types these as float: 10 may come as 10.0.
    digits = text.removesuffix(".0")
    if not digits.isascii() or not digits.isdigit() or not lowest <= int(digits[:18]) <= highest:
        raise Refused(
            MALFORMED_PARAMETER, f"{name} must be {lowest} to {highest}.", pointer=f"/{name}"
        )
    return int(digits)


def flag(name: str) -> bool:
    """A boolean of the query string; anything but a yes is a no."""
    return request.args.get(name, "").lower() in _TRUE


def choice(name: str, default: str, *others: str) -> str:
    """One of some words of the query string."""
    value = request.args.get(name, default)
    if value not in {default, *others}:
        words = ", ".join((default, *others))
        raise Refused(MALFORMED_PARAMETER, f"{name} must be one of {words}.", pointer=f"/{name}")
    return value
