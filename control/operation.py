"""What a view says of itself: what it takes and gives. It is held to the first, and all of it is in
the API's document (:mod:`control.openapi`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from flask import Response

from control import bodies
from control.fields import Query

View = Callable[..., Response]

JSON = "application/json"
FORM = "multipart/form-data"
ANY = "*/*"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """Types are msgspec's. ``takes`` and ``gives`` are by media type."""

    result: Any
    info: Any
    query: Query
    takes: Mapping[str, Any] = field(default_factory=dict)
    gives: Mapping[str, Any] = field(default_factory=dict)
    statuses: tuple[int, ...] = (200,)


def operation(
    result: Any = None,
    *,
    info: Any = None,
    query: Query | None = None,
    body: "bodies.Json[Any] | None" = None,
    takes: Mapping[str, Any] | None = None,
    gives: Mapping[str, Any] | None = None,
    statuses: tuple[int, ...] = (200,),
) -> Callable[[View], View]:
    """Declare a view.

    It is called with the parameters of ``query`` by name, and with ``body``, which it calls in turn
    for what came, once it knows that it wants it. ``takes`` describes a body that the view reads by
    itself, ``gives`` an answer that is no envelope; every other answer is one, around ``result``
    and, in lists, ``info``.
    """
    parameters = query or {}
    said = Operation(
        result=result,
        info=info,
        query=parameters,
        takes={JSON: body.kind} if body else takes or {},
        gives=gives or {},
        statuses=statuses,
    )

    def declare(view: View) -> View:
        @wraps(view)
        def called(**arguments: Any) -> Response:
            for name, parameter in parameters.items():
                arguments[name] = parameter.read(name)
            if body is not None:
                arguments["body"] = body.read
            return view(**arguments)

        called.operation = said  # type: ignore[attr-defined]  # functions have attributes
        return called

    return declare


def of(view: Any) -> Operation:
    """What a view declares. Raises AttributeError where it does not: each view of the API does."""
    said: Operation = view.operation
    return said
