"""``inspect``: signatures and members of what the worker wrote, read through the guard.

The library's own reads code objects of whatever it is given and evaluates text of its.
"""

import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

from executor.isolate.policy import guards, kinds
from executor.isolate.policy.facades.functional import own_function
from executor.isolate.policy.handlers import visible_names
from executor.isolate.policy.ownership import (
    is_class,
    is_own,
    is_own_class,
    is_own_function,
    is_own_namespace,
)

_mro = type.__dict__["__mro__"]


class Signature(inspect.Signature):
    """``inspect.Signature``; :func:`signature` makes it."""

    __slots__ = ()

    @classmethod
    def from_callable(cls, obj: Any, **options: Any) -> "Signature":
        """The signature of a callable."""
        return signature(obj, **options)


def signature(
    obj: Any,
    *,
    follow_wrapped: bool = True,
    globals: None = None,  # noqa: A002 - the library's name
    locals: None = None,  # noqa: A002
    eval_str: bool = False,
) -> Signature:
    """``inspect.signature`` of what the worker wrote.

    Raises:
        ValueError: it is something else, or the namespaces are not those of its module.
        TypeError: it cannot be called.
    """
    if globals is not None or locals is not None:
        raise ValueError("annotations are evaluated in their own module; leave out globals=")
    found = _signature(obj, follow_wrapped)
    return _evaluated(found, obj) if eval_str else found


def _signature(obj: Any, follow_wrapped: bool) -> Signature:
    kind = type(obj)
    if kind is types.MethodType:
        return _without_first(_signature(obj.__func__, follow_wrapped))
    if kind is functools.partial:
        inner = _signature(obj.func, follow_wrapped)
        return _library["_signature_get_partial"](inner, obj)  # type: ignore[no-any-return]
    if is_class(obj):
        return _of_class(obj, follow_wrapped)
    if (function := own_function(obj)) is not None:
        return _of_function(_unwrapped(function) if follow_wrapped else function)
    if is_own(obj) and (call := _defined(kind, "__call__")) is not None:
        return _without_first(_signature(call, follow_wrapped))
    if not callable(obj):
        raise TypeError(f"{obj!r} is not a callable object")
    raise ValueError(f"no signature found for {obj!r}")


_library: dict[str, Any] = vars(inspect)


def _unwrapped(function: Any) -> Any:
    seen = [function]
    while is_own_function(inner := vars(seen[-1]).get("__wrapped__")) and inner not in seen:
        seen.append(inner)
    return seen[-1]


def _of_function(function: types.FunctionType) -> Signature:
    given = vars(function).get("__signature__")
    if type(given) is Signature:
        return given
    made: Signature = _library["_signature_from_function"](Signature, function, False)
    return made


_MAKERS = ("__new__", "__init__")


def _of_class(cls: type, follow_wrapped: bool) -> Signature:
    for base in _mro.__get__(cls):
        for name in _MAKERS:
            method = vars(base).get(name)
            method = method.__func__ if type(method) is staticmethod else method
            if method is None or not is_own_class(base):
                continue
            if (function := own_function(method)) is not None:
                return _without_first(_signature(function, follow_wrapped))
            if type(method) is types.FunctionType and is_own_namespace(method.__globals__):
                # that of a dataclass
                return _without_first(_of_function(method))
    if is_own_class(cls) and all(_defined(cls, name) is vars(object)[name] for name in _MAKERS):
        return Signature()
    raise ValueError(f"no signature found for {cls!r}")


def _defined(cls: type, name: str) -> Any:
    return next((vars(b)[name] for b in _mro.__get__(cls) if name in vars(b)), None)


def _without_first(found: Signature) -> Signature:
    parameters = list(found.parameters.values())
    if not parameters:
        raise ValueError("invalid method signature")
    if parameters[0].kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
        raise ValueError("invalid method signature")
    if parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
        parameters = parameters[1:]
    return Signature(parameters, return_annotation=found.return_annotation)


def _evaluated(found: Signature, obj: Any) -> Signature:
    hints = get_annotations(obj, eval_str=True)
    parameters = [
        p.replace(annotation=hints.get(p.name, p.annotation)) for p in found.parameters.values()
    ]
    returned = hints.get("return", found.return_annotation)
    return Signature(parameters, return_annotation=returned)


def get_annotations(obj: Any, *, eval_str: bool = False) -> dict[str, Any]:
    """``inspect.get_annotations``."""
    if eval_str:
        return typing.get_type_hints(obj, include_extras=True)
    try:
        return dict(guards.read(obj, "__annotations__"))
    except AttributeError:
        return {}


def getfullargspec(func: Any) -> Any:
    """``inspect.getfullargspec``."""
    by_kind: dict[Any, list[inspect.Parameter]] = {}
    found = _signature(func, follow_wrapped=False)
    for parameter in found.parameters.values():
        by_kind.setdefault(parameter.kind, []).append(parameter)
    kind, empty = inspect.Parameter, inspect.Parameter.empty
    positional = by_kind.get(kind.POSITIONAL_ONLY, []) + by_kind.get(kind.POSITIONAL_OR_KEYWORD, [])
    keywords = by_kind.get(kind.KEYWORD_ONLY, [])
    notes = {p.name: p.annotation for p in found.parameters.values() if p.annotation is not empty}
    if found.return_annotation is not empty:
        notes["return"] = found.return_annotation
    return inspect.FullArgSpec(
        [p.name for p in positional],
        _only_name(by_kind.get(kind.VAR_POSITIONAL)),
        _only_name(by_kind.get(kind.VAR_KEYWORD)),
        tuple(p.default for p in positional if p.default is not empty) or None,
        [p.name for p in keywords],
        {p.name: p.default for p in keywords if p.default is not empty} or None,
        notes,
    )


def _only_name(parameters: list[inspect.Parameter] | None) -> str | None:
    return parameters[0].name if parameters else None


def getmembers(
    object: Any,  # noqa: A002 - the library's name
    predicate: Callable[[Any], Any] | None = None,
) -> list[tuple[str, Any]]:
    """``inspect.getmembers``: what the worker can read."""
    members = []
    for name in sorted(visible_names(object)):
        try:
            value = guards.read(object, name)
        except AttributeError:
            continue
        if predicate is None or predicate(value):
            members.append((name, value))
    return members


def ismodule(object: Any) -> bool:  # noqa: A002 - the library's name
    """``inspect.ismodule``."""
    return isinstance(object, kinds.ModuleType)


def unwrap(func: Any, *, stop: None = None) -> Any:
    """``inspect.unwrap``, as far as the worker's own functions go."""
    if stop is not None:
        raise ValueError("unwrap() goes to the end here; leave out stop=")
    function = own_function(func)
    return func if function is None else _unwrapped(function)


INSPECT: dict[str, Any] = {
    "Signature": Signature,
    "signature": signature,
    "get_annotations": get_annotations,
    "getfullargspec": getfullargspec,
    "getmembers": getmembers,
    "ismodule": ismodule,
    "unwrap": unwrap,
}
