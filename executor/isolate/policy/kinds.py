"""The ``type`` of workers, and stand-ins for types that must not be called.

The real ``type`` makes classes from a dictionary, past every check of a class statement, and the
types of functions and code objects make code. Workers get stand-ins that answer ``isinstance``
and comparison, and nothing else.
"""

import abc
import enum
import operator
import types
from collections.abc import Callable
from typing import Any, NoReturn


class _Stand(type):
    """Metaclass of the stand-ins."""

    def __call__(cls, *arguments: Any, **keywords: Any) -> Any:
        if cls is safe_type and len(arguments) == 1 and not keywords:
            return type_of(arguments[0])
        if make := _MAKERS.get(cls):
            return make(*arguments, **keywords)
        raise TypeError(_refusal(cls))

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _REAL[cls])

    def __subclasscheck__(cls, subclass: type) -> bool:
        real = _REAL[cls]
        return issubclass(_REAL.get(subclass, subclass), real)

    def __getitem__(cls, item: Any) -> types.GenericAlias:
        return types.GenericAlias(cls, item)

    def __setattr__(cls, name: str, value: object) -> NoReturn:
        raise TypeError(f"cannot set attributes of {cls.__name__}")

    def __repr__(cls) -> str:
        return f"<class '{cls.__name__}'>"


def _refusal(cls: type) -> str:
    if cls is safe_type:
        return "type() takes one object here: make classes with a class statement"
    return f"{cls.__name__} objects cannot be made by a worker"


_REAL: dict[type, Any] = {}
_STANDS: dict[type, type] = {}
_MAKERS: dict[type, Callable[..., Any]] = {}


def stand_in(
    real: type,
    name: str = "",
    *,
    make: Callable[..., Any] | None = None,
    also: tuple[type, ...] = (),
    methods: dict[str, Callable[..., Any]] | None = None,
) -> type:
    """What workers see of a type, and of its subclasses ``also``.

    ``make`` answers calls of it, and the ``methods`` are those that are called on it itself.
    """
    static = {called: staticmethod(method) for called, method in (methods or {}).items()}
    namespace = {"__slots__": (), "__doc__": real.__doc__, **static}
    stand = _Stand(name or real.__name__, (), namespace)
    _REAL[stand] = real
    _STANDS.update(dict.fromkeys((real, *also), stand))
    if make is not None:
        _MAKERS[stand] = make
    return stand


def is_hidden(kind: type) -> bool:
    """Whether workers see a stand-in of this type."""
    return kind in _STANDS


safe_type = stand_in(type, "type")
FunctionType = stand_in(types.FunctionType)
CodeType = stand_in(types.CodeType)
FrameType = stand_in(types.FrameType)
TracebackType = stand_in(types.TracebackType)
ModuleType = stand_in(types.ModuleType)
CellType = stand_in(types.CellType)
GeneratorType = stand_in(types.GeneratorType)
CoroutineType = stand_in(types.CoroutineType)
AsyncGeneratorType = stand_in(types.AsyncGeneratorType)
MethodType = stand_in(types.MethodType, make=types.MethodType)
BuiltinFunctionType = stand_in(types.BuiltinFunctionType)
ABCMeta = stand_in(abc.ABCMeta)
EnumType = stand_in(enum.EnumMeta, "EnumType")
stand_in(operator.attrgetter)  # made anew, these two would read any name
stand_in(operator.methodcaller)

_REAL[ModuleType] = (types.ModuleType,)

METACLASSES: dict[int, type] = {
    id(stand): real for stand, real in ((ABCMeta, abc.ABCMeta), (EnumType, enum.EnumMeta))
}
METACLASSES[id(safe_type)] = type
"""Metaclasses that a class statement may name, by the identity of their stand-in."""


def count_as_module(kind: type) -> None:
    """Let instances of this class pass for modules, and hide the class itself."""
    _REAL[ModuleType] = (*_REAL[ModuleType], kind)
    _STANDS[kind] = ModuleType


def without_metaclass(value: Any) -> Any:
    """The stand-in of a type that must not be called; any other value unchanged."""
    if not issubclass(type(value), type):  # not isinstance, which an object may fool
        return value
    if value in _STANDS:
        return _STANDS[value]
    if issubclass(value, type) and type(value) is not _Stand:
        return safe_type
    return value


def type_of(value: object) -> type:
    """``type(value)`` as workers see it."""
    kind = type(value)
    return safe_type if issubclass(kind, type) else _STANDS.get(kind, kind)
