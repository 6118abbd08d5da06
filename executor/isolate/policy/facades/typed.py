"""``typing`` and ``types``: annotations are never evaluated outside the policy."""

import types
import typing
from collections.abc import Callable
from typing import Any

from executor.isolate.policy import guards, kinds, output
from executor.isolate.policy.facades.ordered import OrderedDict
from executor.isolate.policy.kinds import without_metaclass
from executor.isolate.policy.ownership import is_class


def get_origin(tp: Any) -> Any:
    """``typing.get_origin``."""
    return without_metaclass(typing.get_origin(tp))


def get_args(tp: Any) -> tuple[Any, ...]:
    """``typing.get_args``."""
    return tuple(without_metaclass(arg) for arg in typing.get_args(tp))


def _own_class_decorator(real: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorator(cls: Any) -> Any:
        return real(guards.write_own(cls))

    decorator.__name__ = real.__name__
    decorator.__doc__ = real.__doc__
    return decorator


def _final(value: Any) -> Any:
    """``typing.final``: a note for the type checker."""
    return value


def _override(value: Any) -> Any:
    """``typing.override``: a note for the type checker."""
    return value


def _note(**_options: Any) -> Callable[[Any], Any]:
    """``typing.dataclass_transform``: a note for the type checker."""
    return _final


def _reveal_type(value: Any, /) -> Any:
    """``typing.reveal_type``, to the worker's log."""
    output.log("info", f"Runtime type is {type(value).__name__!r}")
    return value


_alias: Any = type(vars(typing)["List"])

TYPING: dict[str, Any] = {
    # The library's own holds the real type, which any object that it is compared with is handed.
    "Type": _alias(kinds.safe_type, 1, inst=False, name="Type"),
    "OrderedDict": _alias(OrderedDict, 2, name="OrderedDict"),
    "get_origin": get_origin,
    "get_args": get_args,
    "final": _final,
    "override": _override,
    "no_type_check": _final,
    "dataclass_transform": _note,
    "reveal_type": _reveal_type,
    "runtime_checkable": _own_class_decorator(typing.runtime_checkable),
}


def _generic_alias(origin: Any, args: Any, /) -> types.GenericAlias:
    """``types.GenericAlias`` of a class: calls of one write on what its origin returns."""
    if not is_class(origin):
        raise TypeError("types.GenericAlias() takes a class")
    return types.GenericAlias(origin, args)


TYPES: dict[str, Any] = {
    "GenericAlias": kinds.stand_in(types.GenericAlias, make=_generic_alias),
    "FunctionType": kinds.FunctionType,
    "LambdaType": kinds.FunctionType,
    "MethodType": kinds.MethodType,
    "BuiltinFunctionType": kinds.BuiltinFunctionType,
    "BuiltinMethodType": kinds.BuiltinFunctionType,
    "GeneratorType": kinds.GeneratorType,
    "CoroutineType": kinds.CoroutineType,
    "AsyncGeneratorType": kinds.AsyncGeneratorType,
    "ModuleType": kinds.ModuleType,
    "TracebackType": kinds.TracebackType,
    "FrameType": kinds.FrameType,
    "CodeType": kinds.CodeType,
    "CellType": kinds.CellType,
    **{
        name: kinds.stand_in(getattr(types, name))
        for name in (
            "ClassMethodDescriptorType",
            "GetSetDescriptorType",
            "MemberDescriptorType",
            "MethodDescriptorType",
            "MethodWrapperType",
            "WrapperDescriptorType",
        )
    },
}
