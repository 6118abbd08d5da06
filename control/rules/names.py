"""Names of workers, namespaces and bindings. A worker or namespace is also a host name label."""

import re
from typing import Annotated

from msgspec import Meta

from cloister.registry.names import NAME, TITLE_CHARACTERS
from control.errors import (
    BAD_SCRIPT_NAME,
    BINDING_NAME_TOO_LONG,
    BINDING_WITHOUT_NAME,
    MALFORMED_PARAMETER,
    MISSING_PARAMETER,
    VALIDATION_FAILED,
    Refused,
)

MAX_BINDING_NAME = 255

_BINDING = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Name = Annotated[str, Meta(extra_json_schema={"pattern": f"^{NAME.pattern}$"})]
"""A worker's or namespace's name as it comes, to be checked by the two functions below."""

BindingName = Annotated[str, Meta(extra_json_schema={"pattern": f"^{_BINDING.pattern}$"})]
"""A binding's name as it comes, for :func:`binding_name` to check."""

TokenName = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": TITLE_CHARACTERS})]
"""A token's name as it comes; the registry checks it."""


def script_name(name: str) -> str:
    """A worker's name."""
    if not NAME.fullmatch(name):
        raise Refused(BAD_SCRIPT_NAME)
    return name


def namespace_name(name: object) -> str:
    """A dispatch namespace's name."""
    if name is None:
        raise Refused(MISSING_PARAMETER, "name is required.", pointer="/name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise Refused(
            MALFORMED_PARAMETER,
            "A namespace's name has up to 63 lower-case letters, digits and dashes, begins with a "
            "letter and does not end with a dash.",
            pointer="/name",
        )
    return name


def binding_name(name: object, pointer: str) -> str:
    """A binding's name: an attribute of the worker's ``env``."""
    if not isinstance(name, str) or not name:
        raise Refused(BINDING_WITHOUT_NAME, pointer=pointer)
    if len(name) > MAX_BINDING_NAME:
        raise Refused(BINDING_NAME_TOO_LONG, pointer=pointer)
    if not _BINDING.fullmatch(name) or name.startswith("__"):
        raise Refused(
            VALIDATION_FAILED,
            f"{name!r} cannot be a binding's name: use letters, digits and underscores, "
            "not beginning with a digit or two underscores.",
            pointer=pointer,
        )
    return name
