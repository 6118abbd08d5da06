"""Workers that get the records of another one, as an upload or a change of settings names them."""

from typing import Annotated, Any, Protocol

import msgspec

from control.errors import TAIL_CONSUMER_NOT_FOUND, TAILS_ITSELF, VALIDATION_FAILED, Refused

CONSUMERS = 10

POINTER = "/tail_consumers"


class World(Protocol):
    """What exists; see :class:`control.rules.bindings.World`."""

    def consumer_exists(self, script: str, namespace: str | None) -> bool:
        """Whether that Worker may get the records: a plain one, or one of that namespace."""

    def is_itself(self, script: str, namespace: str | None) -> bool:
        """Whether that is the Worker that names it."""


class _Consumer(msgspec.Struct, frozen=True):
    service: str
    environment: str | None = None
    namespace: str | None = None


_Consumers = Annotated[list[_Consumer], msgspec.Meta(max_length=CONSUMERS)]


def consumers(value: object) -> list[dict[str, Any]]:
    """The list in its form, with the fields that are known.

    Raises:
        Refused: naming what is wrong.
    """
    try:
        said = msgspec.convert(value, _Consumers)
    except msgspec.ValidationError as exc:
        raise Refused(VALIDATION_FAILED, f"tail_consumers: {exc}.", pointer=POINTER) from exc
    for index, each in enumerate(said):
        if each.environment not in (None, "", "production"):
            raise Refused(
                VALIDATION_FAILED,
                f"Tail consumer {each.service!r}: environment is not available here.",
                pointer=f"{POINTER}/{index}/environment",
            )
    return [
        {"service": each.service, **({"namespace": each.namespace} if each.namespace else {})}
        for each in said
    ]


def check(world: World, said: list[dict[str, Any]], had: list[dict[str, Any]]) -> None:
    """Refuse one that is not there, or is the Worker itself. Those that it ``had`` may stay.

    Raises:
        Refused: naming it.
    """
    for index, each in enumerate(said):
        script, namespace = each["service"], each.get("namespace")
        pointer = f"{POINTER}/{index}"
        if world.is_itself(script, namespace):
            raise Refused(TAILS_ITSELF, pointer=pointer)
        if each not in had and not world.consumer_exists(script, namespace):
            raise Refused(
                TAIL_CONSUMER_NOT_FOUND,
                f"There is no Worker {script!r} that could get these records"
                + (f" in the namespace {namespace!r}." if namespace else "."),
                pointer=pointer,
            )
