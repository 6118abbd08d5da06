"""Names whose meaning depends on the object: what reading each of them gives."""

import threading
import types
import typing
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from executor.isolate.policy import guards, ownership
from executor.isolate.policy.guards import HANDLERS, Getter, checked_target, refused
from executor.isolate.policy.kinds import type_of, without_metaclass
from executor.isolate.policy.names import TYPING_DUNDERS, is_dunder, is_plain, refusal
from executor.isolate.policy.ownership import (
    is_class,
    is_own,
    is_own_class,
    is_own_function,
    is_own_module,
)


def _class(value: Any, _name: str, _get: Getter) -> Any:
    return type_of(value)


def _typing(value: Any, name: str, get: Getter) -> Any:
    result = get(value, name)
    if isinstance(result, tuple):
        return tuple(without_metaclass(item) for item in result)
    return without_metaclass(result)


def _obj(value: Any, name: str, get: Getter) -> Any:
    """``obj`` of an exception may be the runtime's; what describes it on a class, of any."""
    result = get(value, name)
    if is_own(result) or type(result) in _PLAIN_DATA:
        return result
    source = _receiver(value)
    if is_class(source) or isinstance(source, (BaseException, *_FORWARDING)):
        raise refused(value, name)
    return result


_FORWARDING = (
    types.MethodType,
    types.GenericAlias,
    weakref.ProxyType,
    weakref.CallableProxyType,
    vars(typing)["_BaseGenericAlias"],
)
"""Types whose objects answer with the attributes of another object."""

_PLAIN_DATA = frozenset({type(None), bool, int, float, complex, str, bytes, list, tuple, dict, set})


def _own_only(value: Any, name: str, get: Getter) -> Any:
    """Public names that lead into the runtime when the object is the library's."""
    if type(value) in ownership.own_classes or is_own(value):
        return get(value, name)
    raise refused(value, name)


def _no_module(value: Any, name: str, get: Getter) -> Any:
    """A public name that leads from some objects of the library to a module."""
    result = get(value, name)
    if issubclass(type(result), types.ModuleType) and not is_own_module(result):
        raise refused(value, name)
    return result


def _dict(value: Any, name: str, get: Getter) -> Any:
    """``__dict__``: an instance's own, or a filtered copy for a class or module."""
    if is_own_class(value) or is_own_module(value):
        return public_namespace(value)
    if is_own(value) and type(value) is not super:
        return get(value, name)
    if type(value) in guards.writable_types:
        shown = without_internals(vars(value))
        return {key: item for key, item in shown.items() if is_plain(key) or _is_bag(value)}
    raise refused(value, name)


def _is_bag(value: Any) -> bool:
    """Whether nothing is in the object but what the worker put there."""
    return type(value) in (types.SimpleNamespace, threading.local)


def public_namespace(value: Any) -> dict[str, Any]:
    """What a class or module of the worker defines, without what the interpreter put there."""
    return without_internals(vars(value))


def without_internals(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a namespace, without the names that belong to the interpreter."""
    return {
        key: item
        for key, item in namespace.items()
        if isinstance(key, str) and not is_dunder(key) and "$" not in key
    }


def visible_names(value: Any) -> list[str]:
    """The names of an object that a worker can read."""
    own = is_own(value)
    names = [name for name in dir(value) if isinstance(name, str) and name.isidentifier()]
    return [name for name in names if is_plain(name) or (own and not name.startswith("__"))]


def _bare(value: Any, name: str, get: Getter) -> Any:
    """``__init__``, ``__set__`` and the like: bare, the library's only take objects of the worker.

    ``property.__init__`` would change a property of the library in place, ``property.__set__`` set
    what it describes, and in the library's Python code nothing checks the first argument:
    ``UserDict.__init__(anything)`` writes to it.
    """
    method = get(value, name)
    kind = _receiver(value)  # of super() in a class method it is the class
    if not is_class(kind):
        if not is_own(value):
            raise refused(value, name)
        return method
    if is_own_function(method):
        return method

    def checked(instance: Any, /, *args: Any, **kwargs: Any) -> Any:
        if kind not in type(instance).__mro__ or not is_own(instance):
            raise TypeError(f"descriptor '{name}' requires a {kind.__name__} object of a worker")
        return method(instance, *args, **kwargs)

    return checked


def _function(value: Any, name: str, get: Getter) -> Any:
    """``__wrapped__`` and ``__func__``, if they lead to the worker's own function."""
    result = get(value, name)
    if is_own(value) or is_own(result):
        return result
    raise refused(value, name)


def _state(value: Any, name: str, get: Getter) -> Any:
    """``__getstate__`` and ``__setstate__`` that a class of the worker defines.

    The interpreter's own set any attribute by name.
    """
    kind = value if is_class(value) else type(_receiver(value))
    provider = next((cls for cls in kind.__mro__ if name in vars(cls)), None)
    if is_own(value) and is_own_class(provider) and type(value) is not super:
        return get(value, name)
    raise refused(value, name)


def _mapping(value: Any, name: str, get: Getter) -> Any:
    """A mapping proxy of the library: over a copy, since it hands its dict to what it meets in an
    operator."""
    result = get(value, name)
    shared = type(result) is types.MappingProxyType and not is_own(value)
    return types.MappingProxyType(dict(result)) if shared else result


_super_receiver = super.__dict__["__self__"]


def _receiver(value: Any) -> Any:
    return _super_receiver.__get__(value) if type(value) is super else value


def _setter(value: Any, name: str, get: Getter) -> Any:
    """``object.__setattr__`` and ``super().__setattr__``, with the checks of ``setattr``."""
    method = get(value, name)
    if is_class(value):

        def unbound(instance: Any, attribute: str, /, *content: Any) -> None:
            checked_target(instance, attribute)
            method(instance, attribute, *content)

        return unbound
    target = _receiver(value)

    def bound(attribute: str, /, *content: Any) -> None:
        checked_target(target, attribute)
        method(attribute, *content)

    return bound


def _getter(value: Any, name: str, get: Getter) -> Any:
    """``object.__getattribute__`` and that of ``super()``, with the checks of ``getattr``."""
    method = get(value, name)
    if is_class(value):

        def unbound(instance: Any, attribute: str, /) -> Any:
            return _checked_read(instance, attribute, partial(method, instance))

        return unbound
    target = _receiver(value)

    def bound(attribute: str, /) -> Any:
        return _checked_read(target, attribute, method)

    return bound


def _checked_read(instance: Any, attribute: str, method: Callable[[str], Any]) -> Any:
    if type(attribute) is not str:
        raise TypeError("attribute name must be string")
    if is_plain(attribute):
        return method(attribute)
    if handler := HANDLERS.get(attribute):
        return handler(instance, attribute, lambda _value, name: method(name))
    if refusal(attribute) or not is_own(instance):
        raise refused(instance, attribute)
    return method(attribute)


def _of_classes(value: Any, name: str, get: Getter) -> Any:
    """``__new__`` and ``__class_getitem__``; that of a function or a generator makes others."""
    if is_class(value) or type(value) is super or type(value) in ownership.own_classes:
        return get(value, name)
    raise refused(value, name)


def _annotations(value: Any, name: str, get: Getter) -> Any:
    """``__annotations__`` of what the worker wrote; an object finds those of its class."""
    if is_own_class(value) or is_own_function(value) or is_own_module(value):
        return get(value, name)
    if type(value) in ownership.own_classes:
        return getattr(type(value), name)
    raise refused(value, name)


def _copied(value: Any, name: str, get: Getter) -> Any:
    """A dictionary that the library makes source text of: a copy."""
    result = get(value, name)
    return dict(result) if type(result) is dict else result


HANDLERS.update(
    {
        "__class__": _class,
        "__dict__": _dict,
        "__setattr__": _setter,
        "__delattr__": _setter,
        "__getattribute__": _getter,
        "obj": _obj,
        "parser": _no_module,
        **dict.fromkeys(
            ("get_loop", "get_coro", "get_context", "get_stack", "print_stack"), _own_only
        ),
        **dict.fromkeys(("__getstate__", "__setstate__"), _state),
        **dict.fromkeys(("__new__", "__class_getitem__"), _of_classes),
        **dict.fromkeys(("__wrapped__", "__func__"), _function),
        **dict.fromkeys(TYPING_DUNDERS, _typing),
        **dict.fromkeys(("__dataclass_fields__", "__dataclass_params__"), _copied),
        "__annotations__": _annotations,
        **dict.fromkeys(("__init__", "__get__", "__set__", "__delete__"), _bare),
        **dict.fromkeys(("__members__", "groupindex"), _mapping),
    }
)
