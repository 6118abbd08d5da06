"""``functools`` and ``operator`` where they read or write attributes by name."""

import functools
import operator
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from executor.isolate.policy import guards
from executor.isolate.policy.names import is_plain
from executor.isolate.policy.ownership import is_own

_ASSIGNED = functools.WRAPPER_ASSIGNMENTS
_UPDATED = functools.WRAPPER_UPDATES


def update_wrapper(
    wrapper: Any,
    wrapped: Any,
    assigned: Iterable[str] = _ASSIGNED,
    updated: Iterable[str] = _UPDATED,
) -> Any:
    """``functools.update_wrapper`` for the attributes that it names by default."""
    names, dicts = tuple(assigned), tuple(updated)
    if not set(names) <= set(_ASSIGNED) or not set(dicts) <= set(_UPDATED):
        raise ValueError("only the default attributes can be copied to a wrapper")
    if not is_own(wrapper):
        guards.write(wrapper)
    return functools.update_wrapper(wrapper, wrapped, names, dicts)


def wraps(
    wrapped: Any, assigned: Iterable[str] = _ASSIGNED, updated: Iterable[str] = _UPDATED
) -> Callable[[Any], Any]:
    """``functools.wraps``."""
    return partial(update_wrapper, wrapped=wrapped, assigned=assigned, updated=updated)


def total_ordering(cls: type) -> type:
    """``functools.total_ordering``, for the worker's own classes."""
    return functools.total_ordering(guards.write_own(cls))


def attrgetter(attr: str, /, *attrs: str) -> Callable[[Any], Any]:
    """``operator.attrgetter``, each step read through the guard."""
    names = (attr, *attrs)
    for name in names:
        if type(name) is not str:
            raise TypeError("attribute name must be a string")
    if all(is_plain(step) for name in names for step in name.split(".")):
        return operator.attrgetter(*names)
    if len(names) == 1:
        return partial(_dotted, name=attr)
    return lambda value: tuple(_dotted(value, name) for name in names)


def _dotted(value: Any, /, name: str) -> Any:
    for step in name.split("."):
        value = guards.read(value, step)
    return value


def methodcaller(name: str, /, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    """``operator.methodcaller``, the method read through the guard."""
    if type(name) is not str:
        raise TypeError("method name must be a string")
    if is_plain(name):
        return operator.methodcaller(name, *args, **kwargs)
    return lambda value: guards.read(value, name)(*args, **kwargs)


FUNCTOOLS: dict[str, Any] = {
    "update_wrapper": update_wrapper,
    "wraps": wraps,
    "total_ordering": total_ordering,
}
OPERATOR: dict[str, Any] = {"attrgetter": attrgetter, "methodcaller": methodcaller}
