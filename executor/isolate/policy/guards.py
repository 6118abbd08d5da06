"""Wall 1 at run time: what the transformer could not prove from the name alone."""

import enum
from collections.abc import Callable
from typing import Any, NoReturn

from executor.isolate.policy.names import (
    ENUM_NAMES,
    GUARDED_PUBLIC,
    NAMEDTUPLE_NAMES,
    RESERVED_NAMES,
    STORABLE_DUNDERS,
    STORABLE_EXCEPTION_DUNDERS,
    is_dunder,
    is_plain,
    refusal,
)
from executor.isolate.policy.ownership import (
    is_class,
    is_own,
    is_own_function,
    is_own_module,
    own_classes,
)

Getter = Callable[[Any, str], Any]
"""How a handler obtains the attribute: ``getattr``, or a class's own ``__getattribute__``."""

_missing = object()

HANDLERS: dict[str, Callable[[Any, str, Getter], Any]] = {}
"""By name, what reading it means: handlers.py and formatting.py fill it."""

writable_types: set[type] = set()
"""Types of the library whose instances are data; writable.py lists them."""


_readers: dict[str, Callable[[Any, str], Any]] = {}
"""By name, how it is read: what the name alone decides is decided once."""
_MAX_READERS = 10_000
_plain: Callable[[Any, str], Any] = getattr


def read(value: Any, name: str) -> Any:
    """``value.name`` for a worker.

    Raises:
        AttributeError: the object has no such attribute, or not for workers.
    """
    if type(name) is not str:
        raise TypeError("attribute name must be string")
    return (_readers.get(name) or _reader(name))(value, name)


def _reader(name: str) -> Callable[[Any, str], Any]:
    if handler := HANDLERS.get(name):
        return lambda value, name: handler(value, name, getattr)
    reader: Callable[[Any, str], Any] = _read_own
    if is_plain(name):
        reader = _plain
    elif refusal(name):
        reader = _refuse
    elif name in NAMEDTUPLE_NAMES:
        reader = _read_of_tuple
    elif name in ENUM_NAMES:
        reader = _read_of_member
    if len(_readers) < _MAX_READERS:
        _readers[name] = reader
    return reader


def _refuse(value: Any, name: str) -> NoReturn:
    raise refused(value, name)


def _read_own(value: Any, name: str) -> Any:
    if not is_own(value):
        raise refused(value, name)
    return getattr(value, name)


def _read_of_tuple(value: Any, name: str) -> Any:
    is_tuple = isinstance(value, tuple) or (is_class(value) and issubclass(value, tuple))
    return getattr(value, name) if is_tuple else _read_own(value, name)


def _read_of_member(value: Any, name: str) -> Any:
    is_member = isinstance(value, enum.Enum)
    return getattr(value, name) if is_member else _read_own(value, name)


def refused(value: object, name: str) -> AttributeError:
    """The error for an attribute that is not for workers."""
    owner = "class" if is_class(value) else type(value).__name__
    reason = refusal(name) or "names with an underscore belong to the object's own code"
    if not name.startswith("_"):
        reason = refusal(name) or GUARDED_PUBLIC.get(name, reason)
    return AttributeError(f'"{name}" of this {owner} object is not available to workers: {reason}')


def guarded_getattr(value: Any, name: str, default: Any = _missing, /) -> Any:
    """The builtin ``getattr``."""
    if type(name) is str and _readers.get(name) is _plain:
        return getattr(value, name) if default is _missing else getattr(value, name, default)
    if default is _missing:
        return read(value, name)
    try:
        return read(value, name)
    except AttributeError:
        return default


def guarded_hasattr(value: Any, name: str, /) -> bool:
    """The builtin ``hasattr``: an attribute that is refused is not there."""
    try:
        read(value, name)
    except AttributeError:
        return False
    return True


# Writing


def write(value: Any) -> Any:
    """The object itself, if a worker may set its public attributes.

    Raises:
        TypeError: it is an object of the runtime or of the library.
    """
    kind = type(value)
    if kind in own_classes or kind in writable_types or is_own_function(value) or is_own(value):
        return value
    if isinstance(value, BaseException) and not isinstance(value, BaseExceptionGroup):
        return value
    raise TypeError(f"cannot set attributes of a {type(value).__name__} object of the platform")


def write_own(value: Any) -> Any:
    """The object itself, if it is the worker's own.

    Raises:
        TypeError: it is not.
    """
    if is_own(value):
        return value
    raise TypeError(f"cannot set private attributes of a {type(value).__name__} object")


def write_dunder(value: Any) -> Any:
    """The object itself, if a worker may set its name and documentation.

    Raises:
        TypeError: it is not the worker's own, or a module.
    """
    if is_own_module(value):
        raise TypeError("a module cannot be renamed")
    return write_own(value)


def foreign(value: Any) -> None:
    """Let a method go on whose first argument is not an instance of a known own class.

    Raises:
        TypeError: the object is not the worker's.
    """
    if not is_own(value):
        raise TypeError(
            f"this method was called on a {type(value).__name__} object that is not the worker's"
        )


def foreign_or_class(value: Any) -> None:
    """Let a method go on that initialises its first argument by ``super().__init__``.

    Raises:
        TypeError: the object is not the worker's, or it is a class.
    """
    foreign(value)
    if is_class(value):
        raise TypeError("this method was called on a class, not on an object of it")


def checked_target(value: Any, name: str) -> Any:
    """The object itself, if a worker may set this attribute of it.

    Raises:
        TypeError: the object is not one whose attributes a worker may set.
        AttributeError: nobody may set an attribute of this name.
    """
    if type(name) is not str:
        raise TypeError("attribute name must be string")
    if name in RESERVED_NAMES or not name.isidentifier():
        raise AttributeError(f'the attribute "{name}" cannot be set')
    if name in STORABLE_EXCEPTION_DUNDERS and isinstance(value, BaseException):
        return write(value)
    if is_dunder(name) and name not in STORABLE_DUNDERS:
        raise AttributeError(f'the attribute "{name}" cannot be set')
    if is_dunder(name):
        return write_dunder(value)
    return write_own(value) if name.startswith("_") else write(value)


def guarded_setattr(value: Any, name: str, content: Any, /) -> None:
    """The builtin ``setattr``."""
    setattr(checked_target(value, name), name, content)


def guarded_delattr(value: Any, name: str, /) -> None:
    """The builtin ``delattr``."""
    delattr(checked_target(value, name), name)
