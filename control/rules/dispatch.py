"""A plain Worker's binding to a dispatch namespace, and the outbound worker that it names."""

from typing import Annotated, Any, Protocol

import msgspec

from control.errors import NAMESPACE_NOT_FOUND, SERVICE_NOT_FOUND, VALIDATION_FAILED, Refused
from control.rules import names

PARAMETERS = 64


class World(Protocol):
    """What exists; see :class:`control.rules.bindings.World`."""

    def namespace_exists(self, name: str) -> bool:
        """Whether a binding may be to this dispatch namespace, which only a plain Worker's may."""

    def service_exists(self, script: str) -> bool:
        """Whether there is this plain Worker."""


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
    if rule.worker.environment not in (None, "", "production") or rule.worker.entrypoint:
        raise Refused(
            VALIDATION_FAILED,
            f"Binding {name!r}: environment and entrypoint of outbound are not available here.",
            pointer=f"{pointer}/worker",
        )
    params = [
        {"name": names.binding_name(each.name, f"{pointer}/params/{index}/name")}
        for index, each in enumerate(rule.params or [])
    ]
    return {"worker": {"service": rule.worker.service}, "params": params}


def check(world: World, item: dict[str, Any], pointer: str) -> None:
    """Refuse a binding whose namespace or outbound worker is not there."""
    if not world.namespace_exists(item["namespace"]):
        raise Refused(
            NAMESPACE_NOT_FOUND._replace(status=400),
            f"Binding {item['name']!r}: the account has no dispatch namespace "
            f"{item['namespace']!r}, or this is not a plain Worker.",
            pointer=f"{pointer}/namespace",
        )
    service = item.get("outbound", {}).get("worker", {}).get("service")
    if service is not None and not world.service_exists(service):
        raise Refused(
            SERVICE_NOT_FOUND,
            f"Binding {item['name']!r}: there is no plain Worker {service!r}.",
            pointer=f"{pointer}/outbound/worker/service",
        )
