"""JSON that every part of the platform can carry: what JSON allows and its other end might not."""

from dataclasses import dataclass, field
from typing import Any

from control.errors import Problem, Refused

DEPTH = 100
"""Of nesting. Decoders stop at some depth, which depends on how deep their own caller is."""

LOWEST = -(2**63)
HIGHEST = 2**64 - 1
"""Whole numbers travel in 64 bits, signed or not."""

POINTER_CHARACTERS = 200


@dataclass
class _Fault:
    """What is wrong, and where: names from the inside out."""

    message: str
    path: list[str] = field(default_factory=list)


def check(value: Any, problem: Problem, pointer: str = "") -> None:
    """Look through decoded JSON.

    Raises:
        Refused: with ``problem``, naming the field that nests too deep or has too large a number.
    """
    fault = _fault(value, DEPTH)
    if fault is not None:
        inside = "".join(f"/{_escaped(name)}" for name in reversed(fault.path))
        raise Refused(problem, fault.message, pointer=(pointer + inside)[:POINTER_CHARACTERS])


def _fault(value: Any, depth: int) -> _Fault | None:
    if isinstance(value, int):
        good = LOWEST <= value <= HIGHEST
        return None if good else _Fault("A whole number does not fit into 64 bits.")
    if not isinstance(value, dict | list):
        return None
    if depth == 0:
        return _Fault(f"JSON may not nest deeper than {DEPTH} levels.")
    for name, item in value.items() if isinstance(value, dict) else enumerate(value):
        if (fault := _fault(item, depth - 1)) is not None:
            fault.path.append(str(name))
            return fault
    return None


def _escaped(name: str) -> str:
    """A name as a JSON pointer has it (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
