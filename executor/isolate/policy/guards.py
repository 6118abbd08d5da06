"""Wall 1 at run time: what the transformer could not prove from the name alone."""

import enum
import types
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from executor.isolate.policy import ownership
from executor.isolate.policy.kinds import type_of, without_metaclass
from executor.isolate.policy.names import (
    ENUM_NAMES,
    GUARDED_PUBLIC,
    NAMEDTUPLE_NAMES,
    RESERVED_NAMES,
    STORABLE_DUNDERS,
    STORABLE_EXCEPTION_DUNDERS,
    TYPING_DUNDERS,
    is_dunder,
    is_plain,
    refusal,
)
from executor.isolate.policy.ownership import (
    is_class,
    is_own,
    is_own_class,
    is_own_function,
    is_own_module,
)
from executor.isolate.policy.transformer.hidden import MARK_ATTRIBUTE

Getter = Callable[[Any, str], Any]
"""How a handler obtains the attribute: ``getattr``, or a class's own ``__getattribute__``."""

_missing = object()

writable_types: set[type] = set()
"""Types of the library whose instances are data; writable.py lists them."""


_plain_names: set[str] = set()
"""Names that were found plain, for a quick answer next time."""
_MAX_PLAIN_NAMES = 10_000


def read(value: Any, name: str) -> Any:
    """``value.name`` for a worker.

    Raises:
        AttributeError: the object has no such attribute, or not for workers.
    """
    if type(name) is not str:
        raise TypeError("attribute name must be string")
    if is_plain(name):
        if len(_plain_names) < _MAX_PLAIN_NAMES:
            _plain_names.add(name)
        return getattr(value, name)
    if handler := HANDLERS.get(name):
        return handler(value, name, getattr)
    if refusal(name):
        raise _refused(value, name)
    if is_own(value):
        return getattr(value, name)
    if name in NAMEDTUPLE_NAMES and _is_tuple(value):
        return getattr(value, name)
    if name in ENUM_NAMES and isinstance(value, enum.Enum):
        return getattr(value, name)
    raise _refused(value, name)


def _is_tuple(value: object) -> bool:
    return isinstance(value, tuple) or (is_class(value) and issubclass(value, tuple))


def _refused(value: object, name: str) -> AttributeError:
    owner = "class" if is_class(value) else type(value).__name__
    reason = refusal(name) or "names with an underscore belong to the object's own code"
    if not name.startswith("_"):
        reason = refusal(name) or GUARDED_PUBLIC.get(name, reason)
    return AttributeError(f'"{name}" of this {owner} object is not available to workers: {reason}')


def guarded_getattr(value: Any, name: str, default: Any = _missing, /) -> Any:
    """The builtin ``getattr``."""
    if type(name) is str and name in _plain_names:
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
    if type(value) in ownership.own_classes or type(value) in writable_types or is_own(value):
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


def _checked_target(value: Any, name: str) -> Any:
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
    setattr(_checked_target(value, name), name, content)


def guarded_delattr(value: Any, name: str, /) -> None:
    """The builtin ``delattr``."""
    delattr(_checked_target(value, name), name)


# Names that need more than a yes or no


def _class(value: Any, _name: str, _get: Getter) -> Any:
    return type_of(value)


def _typing(value: Any, name: str, get: Getter) -> Any:
    result = get(value, name)
    if isinstance(result, tuple):
        return tuple(without_metaclass(item) for item in result)
    return without_metaclass(result)


def _obj(value: Any, name: str, get: Getter) -> Any:
    result = get(value, name)
    if (
        not isinstance(_receiver(value), BaseException)
        or is_own(result)
        or type(result) in _PLAIN_DATA
    ):
        return result
    raise _refused(value, name)


_PLAIN_DATA = frozenset({type(None), bool, int, float, complex, str, bytes, list, tuple, dict, set})


def _own_only(value: Any, name: str, get: Getter) -> Any:
    """Public names that lead into the runtime when the object is the library's."""
    if type(value) in ownership.own_classes or is_own(value):
        return get(value, name)
    raise _refused(value, name)


def _dict(value: Any, name: str, get: Getter) -> Any:
    """``__dict__``: an instance's own, or a filtered copy for a class or module."""
    if is_own_class(value) or is_own_module(value):
        return public_namespace(value)
    if is_own(value) and type(value) is not super:
        return get(value, name)
    if type(value) in writable_types:
        return dict(vars(value))
    raise _refused(value, name)


def public_namespace(value: Any) -> dict[str, Any]:
    """What a class or module of the worker defines, without what the interpreter put there."""
    return without_internals(vars(value))


def without_internals(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a namespace, without the names that belong to the interpreter."""
    return {
        key: item
        for key, item in namespace.items()
        if isinstance(key, str) and not is_dunder(key) and key != MARK_ATTRIBUTE
    }


def _initializer(value: Any, name: str, get: Getter) -> Any:
    """``__init__``: the library's may only initialise an object of the worker.

    ``property.__init__`` would change a property of the library in place, and in the library's
    Python code nothing checks the first argument: ``UserDict.__init__(anything)`` writes to it.
    """
    method = get(value, name)
    if not is_class(value):
        if not is_own(value):
            raise _refused(value, name)
        return method
    if is_own_function(method):
        return method

    def checked(instance: Any, /, *args: Any, **kwargs: Any) -> Any:
        if value not in type(instance).__mro__ or not is_own(instance):
            raise TypeError(f"descriptor '__init__' requires a {value.__name__} object of a worker")
        return method(instance, *args, **kwargs)

    return checked


def _function(value: Any, name: str, get: Getter) -> Any:
    """``__wrapped__`` and ``__func__``, if they lead to the worker's own function."""
    result = get(value, name)
    if is_own(value) or is_own(result):
        return result
    raise _refused(value, name)


def _state(value: Any, name: str, get: Getter) -> Any:
    """``__getstate__`` and ``__setstate__`` that a class of the worker defines.

    The interpreter's own set any attribute by name.
    """
    kind = value if is_class(value) else type(_receiver(value))
    provider = next((cls for cls in kind.__mro__ if name in vars(cls)), None)
    if is_own(value) and is_own_class(provider) and type(value) is not super:
        return get(value, name)
    raise _refused(value, name)


def _members(value: Any, name: str, get: Getter) -> Any:
    """``__members__``: a copy, since a mapping proxy hands its dict to a reflected operator."""
    result = get(value, name)
    return result if is_own(value) else types.MappingProxyType(dict(result))


_super_receiver = super.__dict__["__self__"]


def _receiver(value: Any) -> Any:
    return _super_receiver.__get__(value) if type(value) is super else value


def _setter(value: Any, name: str, get: Getter) -> Any:
    """``object.__setattr__`` and ``super().__setattr__``, with the checks of ``setattr``."""
    method = get(value, name)
    if is_class(value):

        def unbound(instance: Any, attribute: str, /, *content: Any) -> None:
            _checked_target(instance, attribute)
            method(instance, attribute, *content)

        return unbound
    target = _receiver(value)

    def bound(attribute: str, /, *content: Any) -> None:
        _checked_target(target, attribute)
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
        raise _refused(instance, attribute)
    return method(attribute)


def _plain(value: Any, name: str, get: Getter) -> Any:
    return get(value, name)


HANDLERS: dict[str, Callable[[Any, str, Getter], Any]] = {
    "__class__": _class,
    "__dict__": _dict,
    "__setattr__": _setter,
    "__delattr__": _setter,
    "__getattribute__": _getter,
    "obj": _obj,
    **dict.fromkeys(("get_loop", "get_coro", "get_context", "get_stack", "print_stack"), _own_only),
    **dict.fromkeys(("__getstate__", "__setstate__"), _state),
    **dict.fromkeys(("__new__", "__class_getitem__"), _plain),
    **dict.fromkeys(("__wrapped__", "__func__"), _function),
    **dict.fromkeys(TYPING_DUNDERS, _typing),
    "__init__": _initializer,
    "__members__": _members,
}
"""By name, what reading it means. formatting.py adds those of text."""
