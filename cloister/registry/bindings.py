"""What a version's bindings hold, taken apart: secrets, plain values, live bindings."""

from typing import Any

from cloister.errors import Invalid

SECRET_FIELDS = {"secret_text": ("text",), "secret_key": ("key_base64", "key_jwk")}
"""Binding type to the fields that are written and never read back."""

VERSION_METADATA = "version_metadata"
NO_VERSION = {"id": "", "tag": "", "timestamp": ""}
"""What such a binding holds while the code is tried that is to be a version."""

PLAIN_FIELDS = {"plain_text": "text", "secret_text": "text", "json": "json"}
"""Binding type to the field whose value the tenant's ``env`` holds as it is."""

_PLAIN = {*PLAIN_FIELDS, VERSION_METADATA}

NAME_MISSING = 10052
NAME_TWICE = 10053
TYPE_INVALID = 100153

Bindings = list[dict[str, Any]]
Secrets = dict[str, dict[str, Any]]


def check_bindings(bindings: Bindings) -> None:
    """See to it that the functions below can rely on name, type and plain value.

    Raises:
        Invalid: one has no name or type, a name is there twice, or a plain value is missing.
    """
    seen: set[str] = set()
    for place, item in enumerate(bindings):
        name, kind = item.get("name"), item.get("type")
        if not isinstance(name, str) or not name:
            raise Invalid("A binding has no name.", code=NAME_MISSING, pointer=f"/bindings/{place}")
        if not isinstance(kind, str) or PLAIN_FIELDS.get(kind, "type") not in item:
            raise Invalid(
                f"Binding {name!r} has no type, or not the value that its type needs.",
                code=TYPE_INVALID,
                pointer=f"/bindings/{place}",
            )
        if name in seen:
            raise Invalid(
                f"Two bindings are named {name!r}.",
                code=NAME_TWICE,
                pointer=f"/bindings/{place}/name",
            )
        seen.add(name)


def without_secrets(bindings: Bindings) -> Bindings:
    """The bindings as anyone may see them."""
    return [
        {key: value for key, value in item.items() if key not in _secret_fields(item)}
        for item in bindings
    ]


def only_secrets(bindings: Bindings) -> Secrets:
    """The secret fields of the bindings that have any, by binding name."""
    return {
        item["name"]: {key: item[key] for key in _secret_fields(item) if key in item}
        for item in bindings
        if _secret_fields(item)
    }


def with_secrets(bindings: Bindings, secrets: Secrets) -> Bindings:
    """Undo the two above."""
    return [{**item, **secrets.get(item["name"], {})} for item in bindings]


def environment(bindings: Bindings, version: dict[str, str] = NO_VERSION) -> dict[str, Any]:
    """The plain values, by binding name; ``version`` is that of bindings to version metadata."""
    return {
        item["name"]: version
        if item["type"] == VERSION_METADATA
        else item[PLAIN_FIELDS[item["type"]]]
        for item in bindings
        if item["type"] in _PLAIN
    }


def live(bindings: Bindings) -> dict[str, dict[str, Any]]:
    """The bindings that need the host, as uploaded, by name."""
    return {item["name"]: item for item in bindings if item["type"] not in _PLAIN}


def _secret_fields(item: dict[str, Any]) -> tuple[str, ...]:
    return SECRET_FIELDS.get(item["type"], ())
