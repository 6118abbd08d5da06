"""A plain Worker's binding to a dispatch namespace, and the outbound worker that it names."""

from typing import Annotated, Any, Protocol

import msgspec

from control.errors import NAMESPACE_NOT_FOUND, VALIDATION_FAILED, Refused
from control.rules import names, services

PARAMETERS = 64


class World(Protocol):
    """What exists; see :class:`control.rules.bindings.World`."""

    def namespace_exists(self, name: str) -> bool:
        """Whether a binding may be to this dispatch namespace, which only a plain Worker's may."""

    def service(self, script: str) -> services.Target | None:
        """See :class:`control.rules.services.World`."""


class _Worker(msgspec.Struct, frozen=True):
    service: str
    environment: str | None = None
    entrypoint: str | None = None


class _Parameter(msgspec.Struct, frozen=True):
    name: str


class _Outbound(msgspec.Struct, frozen=True):
    worker: _Worker
    params: Annotated[list[_Parameter], msgspec.Meta(max_length=PARAMETERS)] | None = None


def outbound(value: object, name: str, pointer: str) -> dict[str, Any]:
    """The form of ``outbound`` in the binding ``name``, with the fields that are known.

    Raises:
        Refused: naming what is wrong.
    """
    try:
        rule = msgspec.convert(value, _Outbound)
    except msgspec.ValidationError as exc:
        raise Refused(VALIDATION_FAILED, f"Binding {name!r}: {exc}.", pointer=pointer) from exc
    if rule.worker.environment not in (None, "", "production"):
        raise Refused(
            VALIDATION_FAILED,
            f"Binding {name!r}: environment of outbound is not available here.",
            pointer=f"{pointer}/worker",
        )
    params = [
        {"name": names.binding_name(each.name, f"{pointer}/params/{index}/name")}
        for index, each in enumerate(rule.params or [])
    ]
    worker = {"service": rule.worker.service}
    if rule.worker.entrypoint:
        worker["entrypoint"] = rule.worker.entrypoint
    return {"worker": worker, "params": params}


def check(world: World, item: dict[str, Any], pointer: str) -> None:
    """Refuse a binding whose namespace or outbound worker is not there."""
    if not world.namespace_exists(item["namespace"]):
        raise Refused(
            NAMESPACE_NOT_FOUND._replace(status=400),
            f"Binding {item['name']!r}: the account has no dispatch namespace "
            f"{item['namespace']!r}, or this is not a plain Worker.",
            pointer=f"{pointer}/namespace",
        )
    worker = item.get("outbound", {}).get("worker")
    if worker is not None:
        services.find(world, {"name": item["name"], **worker}, f"{pointer}/outbound/worker")
