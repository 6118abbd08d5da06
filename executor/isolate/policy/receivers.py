"""Methods of the library run on objects of their own class only.

A method written in Python trusts its ``self``: called on anything else it reads and writes that
object's private attributes, or makes another of its type, on the worker's behalf. C code checks
the receiver by itself; here Python code of every class that a worker can reach gets the same check.
"""

import enum
import functools
import pprint
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

from executor.isolate.policy.kinds import is_hidden
from executor.isolate.policy.ownership import is_own_class, is_own_function
from executor.isolate.policy.wrappers import around, is_wrapper

_METHODS = (types.FunctionType, functools._lru_cache_wrapper)
_COMPUTED = (property, types.DynamicClassAttribute)
_ACCESSORS = ("fget", "fset", "fdel")
_UNCHECKED = frozenset({"__init__", "__new__", "__init_subclass__", "__class_getitem__"})
"""Checked where they are read (guards.py), or bound to a class. Some look at their caller."""

_WITHOUT_SELF = frozenset(
    {
        "__subclasshook__",
        "_generate_next_value_",
        "_new_member_",
        "__new_member__",
        "_class_getitem_inner",
    }
)
"""Functions of ``typing`` and ``enum`` that stand in a class and take no object of it."""

_OF_MEMBERS = frozenset(vars(enum.Enum)[name].fget for name in ("name", "value"))
"""Accessors that read ``_name_`` and ``_value_``, which are for everybody, and nothing else."""

_HEAP_TYPE = 1 << 9
_mro = type.__dict__["__mro__"]
_set_attribute = type.__setattr__
_guarded: set[type] = set()
_homes: set[str] = set()
_printers: dict[Any, Any] = vars(pprint.PrettyPrinter)["_dispatch"]  # by the method __repr__


def guard(values: Iterable[Any]) -> None:
    """Check the receivers of all classes that these values of a facade lead to.

    A worker that holds a function holds what it returns, and with that its class: so each module
    that a value comes from is taken as a whole.
    """
    for value in values:
        kind = value if isinstance(value, type) else type(value)
        for base in kind.__mro__:
            _guard_once(base)
            _guard_home(base.__module__)
        if isinstance(value, types.FunctionType):
            _guard_home(value.__module__)
            if value.__module__.startswith("executor."):
                value.__annotations__ = {}  # they name metaclasses, and decorators copy them


def _guard_home(home: str) -> None:
    if home not in _homes and home in sys.modules:
        _homes.add(home)
        for cls in _defined_in(vars(sys.modules[home]), home, set()):
            _guard_once(cls)


def _guard_once(cls: type) -> None:
    hidden = issubclass(cls, type) or is_own_class(cls) or is_hidden(cls)
    if cls.__flags__ & _HEAP_TYPE and not hidden and cls not in _guarded:
        _guarded.add(cls)
        guard_class(cls)


def _defined_in(namespace: Any, home: str, seen: set[type]) -> set[type]:
    """The classes of a module, those inside other classes included."""
    for value in list(namespace.values()):
        if isinstance(value, type) and value.__module__ == home and value not in seen:
            seen.add(value)
            _defined_in(vars(value), home, seen)
    return seen


def guard_class(cls: type) -> None:
    """Check the receivers of a class's methods, but for those that the worker wrote."""
    for name, value in list(vars(cls).items()):
        if name in _UNCHECKED | _WITHOUT_SELF or is_own_function(value) or is_wrapper(value):
            continue
        if type(value) in _METHODS:
            checked = _checked(value, cls)
            _set_attribute(cls, name, checked)
            if value in _printers:
                _printers[checked] = _printers[value]
        elif isinstance(value, _COMPUTED):
            _set_attribute(cls, name, _checked_property(value, cls))
        elif type(value) is functools.cached_property and not is_own_function(value.func):
            value.func = _checked(value.func, cls)


_CHECK = """
if __type__(FIRST) not in __known__:
    __admit__(__known__, __owner__, __type__(FIRST), __function__)
return CALL
""".strip()


def _checked(method: Any, owner: type) -> Any:
    names = {"__known__": {owner}, "__admit__": _admit, "__owner__": owner}
    return around(method, _CHECK, names)


def _admit(known: set[type], owner: type, kind: type, method: Any) -> None:
    """Remember a subclass. The class tree answers, not ``isinstance``, which the object may fool.

    Raises:
        TypeError: it is none.
    """
    if not any(base is owner for base in _mro.__get__(kind)):
        raise TypeError(
            f"descriptor '{method.__name__}' requires a '{owner.__name__}' object "
            f"but received a '{kind.__name__}'"
        )
    known.add(kind)


def _checked_property(value: Any, owner: type) -> Any:
    """The property with checked functions; a kind that is not made anew is changed in place."""
    parts = {name: _checked_accessor(getattr(value, name), owner) for name in _ACCESSORS}
    if type(value) is property:
        return property(**parts, doc=value.__doc__)
    for name, part in parts.items():
        setattr(value, name, part)
    return value


def _checked_accessor(accessor: Callable[..., Any] | None, owner: type) -> Any:
    if type(accessor) not in _METHODS or accessor in _OF_MEMBERS:
        return accessor
    return (
        accessor if is_own_function(accessor) or is_wrapper(accessor) else _checked(accessor, owner)
    )
