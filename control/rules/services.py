"""Bindings to other Workers: of the same namespace, or from a namespace to the platform's own."""

from typing import Any, NamedTuple, Protocol

from control.errors import (
    SERVICE_ENTRYPOINT_NOT_FOUND,
    SERVICE_ENVIRONMENT_NOT_FOUND,
    SERVICE_NOT_FOUND,
    VALIDATION_FAILED,
    Refused,
)

PLAIN = "plain"
"""Says in a stored binding that its Worker is a plain one, though that of the binding is not. Not
read from uploads: it is found anew by each."""


class Target(NamedTuple):
    """A Worker that a binding may name. Its entrypoints are None where it is the binding's own
    Worker, whose code is not known yet."""

    is_plain: bool
    entrypoints: frozenset[str] | None


class World(Protocol):
    """What exists; see :class:`control.rules.bindings.World`."""

    def service(self, script: str) -> Target | None:
        """The Worker that a binding means by this name: the account's plain one, if the token may
        say so, before one of the same namespace."""


def settle(world: World, item: dict[str, Any], pointer: str) -> None:
    """Find whom a service binding means, and keep that with it. Raises as :func:`find`."""
    if find(world, item, pointer).is_plain:
        item[PLAIN] = True


def find(world: World, item: dict[str, Any], pointer: str) -> Target:
    """Whom the ``service`` and ``entrypoint`` of a binding mean.

    Raises:
        Refused: there is no such Worker, or it has no such entrypoint.
    """
    name, service, entrypoint = item["name"], item["service"], item.get("entrypoint")
    target = world.service(service)
    if target is None:
        raise Refused(
            SERVICE_NOT_FOUND,
            f"Binding {name!r} references Worker {service!r}, which was not found.",
            pointer=f"{pointer}/service",
        )
    if entrypoint and target.entrypoints is not None and entrypoint not in target.entrypoints:
        raise Refused(
            SERVICE_ENTRYPOINT_NOT_FOUND,
            f"Binding {name!r}: Worker {service!r} has no entrypoint {entrypoint!r}.",
            pointer=f"{pointer}/entrypoint",
        )
    return target


def check_form(item: dict[str, Any], pointer: str) -> None:
    """Refuse what no binding here has. Raises :class:`Refused`."""
    name = item["name"]
    if item.get("environment") not in (None, "", "production"):
        raise Refused(
            SERVICE_ENVIRONMENT_NOT_FOUND,
            f"Service binding {name!r}: a Worker has one environment here, production.",
            pointer=f"{pointer}/environment",
        )
    if item.get("binding_interface"):
        raise Refused(
            VALIDATION_FAILED,
            f"Service binding {name!r}: binding_interface is not available here.",
            pointer=f"{pointer}/binding_interface",
        )
