"""The ``type`` of workers, and stand-ins for types that must not be called.

The real ``type`` makes classes from a dictionary, past every check of a class statement, and the
types of functions and code objects make code. Workers get stand-ins that answer ``isinstance``
and comparison, and nothing else.
"""

import abc
import enum
import types
from typing import Any, NoReturn


class _Stand(type):
    """Metaclass of the stand-ins."""

    def __call__(cls, *arguments: Any, **keywords: Any) -> Any:
        if cls is safe_type and len(arguments) == 1 and not keywords:
            return type_of(arguments[0])
        if cls is MethodType:
            return types.MethodType(*arguments, **keywords)
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


def _stand_in(real: type, name: str = "") -> type:
    stand = _Stand(name or real.__name__, (), {"__slots__": (), "__doc__": real.__doc__})
    _REAL[stand] = real
    _STANDS[real] = stand
    return stand


safe_type = _stand_in(type, "type")
FunctionType = _stand_in(types.FunctionType)
CodeType = _stand_in(types.CodeType)
FrameType = _stand_in(types.FrameType)
TracebackType = _stand_in(types.TracebackType)
ModuleType = _stand_in(types.ModuleType)
CellType = _stand_in(types.CellType)
GeneratorType = _stand_in(types.GeneratorType)
CoroutineType = _stand_in(types.CoroutineType)
AsyncGeneratorType = _stand_in(types.AsyncGeneratorType)
MethodType = _stand_in(types.MethodType)
BuiltinFunctionType = _stand_in(types.BuiltinFunctionType)
ABCMeta = _stand_in(abc.ABCMeta)
EnumType = _stand_in(enum.EnumMeta, "EnumType")

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
    if not isinstance(value, type):
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
