"""Bindings of the type ``queue``."""

from typing import Any, Protocol

from cloister.registry.queue_views import DELAY_S
from control.errors import QUEUE_NOT_FOUND, VALIDATION_FAILED, Refused

Binding = dict[str, Any]


class World(Protocol):
    """What exists, for the account of the upload."""

    def queue_exists(self, name: str) -> bool:
        """Whether the account has this queue."""


def queue(item: Binding, pointer: str) -> Binding:
    """The fields of a binding. Raises Refused."""
    name, delay_s = item.get("queue_name"), item.get("delivery_delay")
    if not isinstance(name, str):
        raise Refused(
            VALIDATION_FAILED,
            f"Binding {item['name']!r}: queue_name must be a string.",
            pointer=f"{pointer}/queue_name",
        )
    if delay_s is None:
        return {"queue_name": name}
    if type(delay_s) is not int or not 0 <= delay_s <= DELAY_S:
        raise Refused(
            VALIDATION_FAILED,
            f"Binding {item['name']!r}: delivery_delay must be 0 to {DELAY_S}.",
            pointer=f"{pointer}/delivery_delay",
        )
    return {"queue_name": name, "delivery_delay": delay_s}


def check(world: World, item: Binding, pointer: str) -> None:
    """Refuse a binding to a queue that does not exist."""
    if not world.queue_exists(item["queue_name"]):
        raise Refused(
            QUEUE_NOT_FOUND,
            f"Queue {item['queue_name']!r} of binding {item['name']!r} does not exist.",
            pointer=f"{pointer}/queue_name",
        )
