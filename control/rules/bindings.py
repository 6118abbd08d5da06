"""Bindings of a worker as uploaded: each type's fields, what is inherited, and the bounds on all.

A binding leaves here as a dict of just the fields known for its type. What only the registry can
say (does that KV namespace exist?) is asked through :class:`World`.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Protocol

import msgspec

from control.errors import (
    BAD_BINDING_TYPE,
    BINDING_NOT_FOUND,
    BINDING_TWICE,
    KV_ID_INVALID_FOR_BINDING,
    KV_NOT_FOUND_FOR_BINDING,
    R2_BUCKET_NOT_FOUND_FOR_BINDING,
    TEXT_TOO_LARGE,
    TOO_MANY_VARIABLES,
    VALIDATION_FAILED,
    Refused,
)
from control.rules import dispatch, names, objects, queues, resources, services

TEXT_BYTES = 5 * 1024
MAX_VARIABLES = 128
MAX_BINDINGS = 1_000
"""Of every type together."""
VARIABLES = ("plain_text", "secret_text", "json")

Binding = dict[str, Any]


class World(Protocol):
    """What exists, for the account and namespace of the upload."""

    def kv_exists(self, namespace_id: str) -> bool:
        """Whether the account has this KV namespace."""

    def database_exists(self, database_id: str) -> bool:
        """Whether the account has this D1 database."""

    def queue_exists(self, name: str) -> bool:
        """Whether the account has this queue."""

    def stored_secret_exists(self, store_id: str, name: str) -> bool:
        """Whether the account has this store, with a secret of this name for Workers in it."""

    def bucket_exists(self, name: str) -> bool:
        """Whether the account has this R2 bucket."""

    def namespace_exists(self, name: str) -> bool:
        """Whether a binding may be to this dispatch namespace, which only a plain Worker's may."""

    def service(self, script: str) -> services.Target | None:
        """See :class:`control.rules.services.World`."""


def bindings(value: object, pointer: str = "/bindings") -> list[Binding]:
    """Check the list's form. ``inherit`` bindings stay; :func:`resolve` replaces them.

    Raises:
        Refused: naming the binding and field at fault.
    """
    if not isinstance(value, list):
        raise Refused(VALIDATION_FAILED, "bindings must be an array.", pointer=pointer)
    _check_all(value, pointer)
    checked = [_binding(item, f"{pointer}/{index}") for index, item in enumerate(value)]
    seen: set[str] = set()
    for index, item in enumerate(checked):
        if item["name"] in seen:
            raise Refused(
                BINDING_TWICE,
                f"Binding name {item['name']!r} already in use.",
                pointer=f"{pointer}/{index}/name",
            )
        seen.add(item["name"])
    return checked


def secret(value: object, pointer: str = "") -> Binding:
    """One ``secret_text`` with its text, as the secrets endpoints take it."""
    checked = _binding(value, pointer)
    if checked["type"] != "secret_text":
        raise Refused(
            BAD_BINDING_TYPE, "A secret's type must be secret_text.", pointer=f"{pointer}/type"
        )
    if "text" not in checked:
        raise Refused(VALIDATION_FAILED, "text is required.", pointer=f"{pointer}/text")
    return checked


def keep_types(value: object) -> list[str]:
    """The metadata's ``keep_bindings``: a list of binding types."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refused(
            VALIDATION_FAILED,
            "keep_bindings must be an array of binding types.",
            pointer="/keep_bindings",
        )
    return value


def resolve(
    uploaded: list[Binding], keep: list[str], previous: list[Binding], *, strict: bool
) -> list[Binding]:
    """What the new version has: the uploaded ones, those inherited, those of a kept type.

    Raises:
        Refused: an ``inherit`` that is not in ``previous``, if ``strict`` (else it is dropped);
            or too many variables.
    """
    had = {item["name"]: item for item in previous}
    found: dict[str, Binding] = {}
    for item in uploaded:
        taken = _inherited(item, had, strict=strict)
        if taken is not None:
            found[taken["name"]] = taken
    for item in previous:
        if item["type"] in keep and item["name"] not in found:
            found[item["name"]] = item
    chosen = list(found.values())
    check_count(chosen)
    return chosen


def check_count(chosen: list[Binding]) -> None:
    """Refuse too many bindings, or too many variables and secrets among them."""
    _check_all(chosen, "/bindings")
    if sum(item["type"] in VARIABLES for item in chosen) > MAX_VARIABLES:
        raise Refused(TOO_MANY_VARIABLES, pointer="/bindings")


def _check_all(chosen: list[Any], pointer: str) -> None:
    if len(chosen) > MAX_BINDINGS:
        raise Refused(
            VALIDATION_FAILED, f"A Worker has at most {MAX_BINDINGS} bindings.", pointer=pointer
        )


def check_targets(world: World, uploaded: list[Binding]) -> None:
    """Refuse a binding that points at what does not exist, and keep with it what it points at."""
    for index, item in enumerate(uploaded):
        if item["type"] == "kv_namespace" and not world.kv_exists(item["namespace_id"]):
            raise Refused(
                KV_NOT_FOUND_FOR_BINDING,
                f"KV namespace {item['namespace_id']!r} of binding {item['name']!r} not found.",
                pointer=f"/bindings/{index}/namespace_id",
            )
        if item["type"] == "r2_bucket" and not world.bucket_exists(item["bucket_name"]):
            raise Refused(
                R2_BUCKET_NOT_FOUND_FOR_BINDING,
                f"R2 bucket '{item['bucket_name']}' not found. Please use a different name and "
                "try again.",
                pointer=f"/bindings/{index}/bucket_name",
            )
        if item["type"] == "d1" and not world.database_exists(item["database_id"]):
            raise Refused(
                VALIDATION_FAILED,
                f"binding {item['name']} of type d1 must have a database that already exists. "
                "Make it over the API, or let wrangler create it.",
                pointer=f"/bindings/{index}/database_id",
            )
        if item["type"] == "queue":
            queues.check(world, item, f"/bindings/{index}")
        if item["type"] == "secrets_store_secret":
            resources.check_secret(world, item, f"/bindings/{index}")
        if item["type"] == "dispatch_namespace":
            dispatch.check(world, item, f"/bindings/{index}")
        if item["type"] == "service":
            services.settle(world, item, f"/bindings/{index}")


def visible(chosen: list[Binding]) -> list[Binding]:
    """As the API shows them: no secret's text."""
    return [
        {key: value for key, value in item.items() if key != "text"}
        if item["type"] == "secret_text"
        else item
        for item in chosen
    ]


def _inherited(item: Binding, had: dict[str, Binding], *, strict: bool) -> Binding | None:
    bare_secret = item["type"] == "secret_text" and "text" not in item
    if item["type"] != "inherit" and not bare_secret:
        return item
    old = had.get(item.get("old_name") or item["name"])
    if bare_secret and (old is None or old["type"] != "secret_text"):
        raise Refused(
            VALIDATION_FAILED,
            f"Secret {item['name']!r} has no text, and the Worker has no such secret yet.",
            pointer="/bindings",
        )
    if old is not None:
        return {**old, "name": item["name"]}
    if strict:
        raise Refused(
            BINDING_NOT_FOUND._replace(status=400),
            f"Binding {item['name']!r} cannot be inherited: the previous version has none.",
            pointer="/bindings",
        )
    return None


def _binding(item: object, pointer: str) -> Binding:
    if not isinstance(item, dict):
        raise Refused(VALIDATION_FAILED, "A binding must be an object.", pointer=pointer)
    kind = item.get("type")
    name = names.binding_name(item.get("name"), f"{pointer}/name")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise _unknown_type(kind, name, f"{pointer}/type")
    return {"type": kind, "name": name, **_FIELDS[kind](item, pointer)}


def _unknown_type(kind: object, name: str, pointer: str) -> Refused:
    if isinstance(kind, str) and kind in _NOT_SERVED:
        message = f"Binding {name!r}: bindings of type {kind!r} are not available here."
    elif kind is None:
        message = f"Binding {name!r} has no type."
    else:
        message = f"Binding {name!r} has the unknown type {kind!r}."
    return Refused(BAD_BINDING_TYPE, message, pointer=pointer)


def _text(item: Binding, field: str, pointer: str, *, required: bool = True) -> str | None:
    value = item.get(field)
    if value is None and not required:
        return None
    if not isinstance(value, str):
        raise Refused(
            VALIDATION_FAILED,
            f"Binding {item['name']!r}: {field} must be a string.",
            pointer=f"{pointer}/{field}",
        )
    return value


def _bounded(size: int, item: Binding, pointer: str) -> None:
    if size > TEXT_BYTES:
        raise Refused(
            TEXT_TOO_LARGE,
            f"Binding {item['name']!r} is larger than {TEXT_BYTES} bytes.",
            pointer=pointer,
        )


def _plain_text(item: Binding, pointer: str) -> Binding:
    text = _text(item, "text", pointer)
    _bounded(len((text or "").encode()), item, f"{pointer}/text")
    return {"text": text}


def _secret_text(item: Binding, pointer: str) -> Binding:
    text = _text(item, "text", pointer, required=False)
    _bounded(len((text or "").encode()), item, f"{pointer}/text")
    return {} if text is None else {"text": text}


def _json(item: Binding, pointer: str) -> Binding:
    if "json" not in item:
        raise Refused(
            VALIDATION_FAILED,
            f"Binding {item['name']!r}: json is required.",
            pointer=f"{pointer}/json",
        )
    _bounded(len(msgspec.json.encode(item["json"])), item, f"{pointer}/json")
    return {"json": item["json"]}


_KV_ID = re.compile(r"[0-9a-f]{32}")


def _kv_namespace(item: Binding, pointer: str) -> Binding:
    namespace_id = _text(item, "namespace_id", pointer)
    if not _KV_ID.fullmatch(namespace_id or ""):
        raise Refused(
            KV_ID_INVALID_FOR_BINDING,
            f"KV namespace {namespace_id!r} of binding {item['name']!r} is not valid.",
            pointer=f"{pointer}/namespace_id",
        )
    return {"namespace_id": namespace_id}


_D1_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _r2_bucket(item: Binding, pointer: str) -> Binding:
    if item.get("jurisdiction") not in (None, "", "default"):
        raise Refused(
            VALIDATION_FAILED,
            f"Binding {item['name']!r}: there are no jurisdictions here but the default one.",
            pointer=f"{pointer}/jurisdiction",
        )
    return {"bucket_name": _text(item, "bucket_name", pointer)}


def _d1(item: Binding, pointer: str) -> Binding:
    """``id`` is the older name of ``database_id``; a version has both, as the product shows it."""
    said = {item[field] for field in ("database_id", "id") if isinstance(item.get(field), str)}
    found = said.pop() if len(said) == 1 else ""
    if not _D1_ID.fullmatch(found):
        raise Refused(
            VALIDATION_FAILED,
            f"binding {item['name']} of type d1 must have a valid `id` specified",
            pointer=f"{pointer}/database_id",
        )
    return {"id": found, "database_id": found}


def _service(item: Binding, pointer: str) -> Binding:
    services.check_form(item, pointer)
    props = item.get("props")
    if props is not None and not isinstance(props, dict):
        raise Refused(
            VALIDATION_FAILED,
            f"Binding {item['name']!r}: props must be an object.",
            pointer=f"{pointer}/props",
        )
    _bounded(len(msgspec.json.encode(props)), item, f"{pointer}/props")
    said = {
        "entrypoint": _text(item, "entrypoint", pointer, required=False),
        "props": props,
    }
    service = {"service": _text(item, "service", pointer)}
    return service | {key: value for key, value in said.items() if value}


def _nothing(_item: Binding, _pointer: str) -> Binding:
    return {}


def _inherit(item: Binding, pointer: str) -> Binding:
    if item.get("version_id") not in (None, "", "latest"):
        raise Refused(
            VALIDATION_FAILED,
            f"Binding {item['name']!r}: only the latest version can be inherited from.",
            pointer=f"{pointer}/version_id",
        )
    old_name = _text(item, "old_name", pointer, required=False)
    return {"old_name": old_name} if old_name else {}


def _dispatch_namespace(item: Binding, pointer: str) -> Binding:
    said: Binding = {"namespace": _text(item, "namespace", pointer)}
    outbound = item.get("outbound")
    if outbound is not None:
        said["outbound"] = dispatch.outbound(outbound, item["name"], f"{pointer}/outbound")
    return said


_FIELDS: dict[str, Callable[[Binding, str], Binding]] = {
    "plain_text": _plain_text,
    "secret_text": _secret_text,
    "json": _json,
    "kv_namespace": _kv_namespace,
    "d1": _d1,
    "queue": queues.queue,
    "r2_bucket": _r2_bucket,
    "service": _service,
    "dispatch_namespace": _dispatch_namespace,
    "durable_object_namespace": objects.binding,
    "assets": _nothing,
    "version_metadata": _nothing,
    "ratelimit": resources.ratelimit,
    "analytics_engine": resources.analytics_engine,
    "secrets_store_secret": resources.secrets_store_secret,
    "inherit": _inherit,
}

_SCHEMA = {
    "properties": {"type": {"enum": list(_FIELDS)}, "name": {"type": "string", "minLength": 1}},
    "required": ["type", "name"],
}

Said = Annotated[dict[str, Any], msgspec.Meta(extra_json_schema=_SCHEMA)]
"""A binding as it comes, for :func:`bindings` to check."""

Shown = Annotated[
    dict[str, Any],
    msgspec.Meta(
        extra_json_schema=_SCHEMA
        | {
            "properties": {
                "type": {"enum": [kind for kind in _FIELDS if kind != "inherit"]},
                "name": {"type": "string"},
            }
        }
    ),
]
"""A binding as :func:`visible` gives it."""

_NOT_SERVED = frozenset(
    {
        "secret_key",
        *("workflow", "hyperdrive", "vectorize", "ai", "ai_search", "ai_search_namespace"),
        *("images", "media", "browser", "browser_rendering", "mtls_certificate"),
        *("send_email", "pipelines", "vpc_service", "vpc_network", "flagship", "messaging"),
        *("artifacts", "k2", "data_blob", "text_blob", "wasm_module", "tail_consumer"),
        *("tenant", "platform"),
    }
)
"""Types of the product that nothing here serves; known, so that the refusal can say so."""
