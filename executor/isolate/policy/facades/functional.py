"""``functools``, ``operator`` and ``abc`` where they read or write attributes by name."""

import abc
import functools
import types
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from executor.isolate.policy import guards, receivers
from executor.isolate.policy.handlers import without_internals
from executor.isolate.policy.names import is_plain
from executor.isolate.policy.ownership import is_class, is_own, is_own_function, is_own_module

_ASSIGNED = functools.WRAPPER_ASSIGNMENTS
_UPDATED = functools.WRAPPER_UPDATES
_MAX_WRAPPERS = 100

_library_singledispatch = functools.singledispatch
_library_update_wrapper = functools.update_wrapper


def own_function(value: Any) -> Any:
    """The worker's function that this one is or wraps, or None.

    A decorator of the library makes a function of the library around the worker's.
    """
    for _ in range(_MAX_WRAPPERS):
        if is_own_function(value):
            return value
        if type(value) not in (types.FunctionType, functools._lru_cache_wrapper):
            return None
        value = vars(value).get("__wrapped__")
    return None


def update_wrapper(
    wrapper: Any,
    wrapped: Any,
    assigned: Iterable[str] = _ASSIGNED,
    updated: Iterable[str] = _UPDATED,
) -> Any:
    """``functools.update_wrapper`` for the attributes that it names by default.

    A class keeps its ``__module__``, in whose namespace its annotations are evaluated; annotations
    and ``__dict__`` are copied from the worker's own objects.
    """
    names, dicts = tuple(assigned), tuple(updated)
    if not set(names) <= set(_ASSIGNED) or not set(dicts) <= set(_UPDATED):
        raise ValueError("only the default attributes can be copied to a wrapper")
    if is_own_module(wrapper):
        raise TypeError("a module wraps nothing")  # its namespace is where super() is looked up
    if not is_own(wrapper):
        guards.write(wrapper)
    source = own_function(wrapped) or wrapped
    for name in names:
        if name == "__module__" and is_class(wrapper):
            continue
        try:
            value = guards.read(source if name == "__annotations__" else wrapped, name)
        except AttributeError:
            continue
        setattr(wrapper, name, value)
    for _ in dicts:
        wrapper.__dict__.update(_attributes(wrapped))
    wrapper.__wrapped__ = wrapped
    return wrapper


def update_wrapper_of_library(
    wrapper: Any,
    wrapped: Any,
    assigned: Iterable[str] = _ASSIGNED,
    updated: Iterable[str] = _UPDATED,
) -> Any:
    """What the library's own decorators call, with whatever a worker has them decorate.

    Of what the worker did not make it copies only the name and the documentation: the rest of a
    class are its methods and tables.
    """
    if is_class(wrapped) or not (is_own(wrapped) or own_function(wrapped)):
        assigned, updated = set(assigned) & _DESCRIBING, ()
    return _library_update_wrapper(wrapper, wrapped, assigned, updated)


_DESCRIBING = {"__module__", "__name__", "__qualname__", "__doc__"}


def _attributes(wrapped: Any) -> dict[str, Any]:
    if is_class(wrapped) or not (is_own(wrapped) or own_function(wrapped)):
        return {}
    return without_internals(getattr(wrapped, "__dict__", {}))


def wraps(
    wrapped: Any, assigned: Iterable[str] = _ASSIGNED, updated: Iterable[str] = _UPDATED
) -> Callable[[Any], Any]:
    """``functools.wraps``."""
    return partial(update_wrapper, wrapped=wrapped, assigned=assigned, updated=updated)


def total_ordering(cls: type) -> type:
    """``functools.total_ordering``, for the worker's own classes."""
    made: type = functools.total_ordering(guards.write_own(cls))
    receivers.guard_class(made)
    return made


def singledispatch(func: Any) -> Any:
    """``functools.singledispatch``.

    The library looks up ``argument.__class__``, which may be an object that claims to equal the
    types in the dispatcher's cache, and so is handed them. This one looks up the type.
    """
    dispatcher = _library_singledispatch(func)

    def dispatch(cls: Any) -> Any:
        if not is_class(cls):
            raise TypeError(f"dispatch() takes a class, not {type(cls).__name__}")
        return dispatcher.dispatch(cls)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not args:
            raise TypeError(f"{name} requires at least 1 positional argument")
        return dispatcher.dispatch(type(args[0]))(*args, **kwargs)

    name = getattr(func, "__name__", "singledispatch function")
    functools.update_wrapper(wrapper, func)
    vars(wrapper).update(
        dispatch=dispatch,
        register=dispatcher.register,
        registry=dispatcher.registry,
        _clear_cache=dispatcher._clear_cache,
    )
    return wrapper


def abstractmethod(funcobj: Any) -> Any:
    """``abc.abstractmethod``, for what the worker made: it writes on its argument."""
    if type(funcobj) in _DESCRIPTORS or is_own(funcobj) or own_function(funcobj) is not None:
        return abc.abstractmethod(funcobj)
    raise TypeError("only a function of the worker can be abstract")


_DESCRIPTORS = (
    classmethod, staticmethod, property, functools.partial, functools.partialmethod,
    functools.cached_property, functools.singledispatchmethod,
)  # fmt: skip


def abstractclassmethod(function: Any) -> Any:
    """``abc.abstractclassmethod``."""
    return classmethod(abstractmethod(function))


def abstractstaticmethod(function: Any) -> Any:
    """``abc.abstractstaticmethod``."""
    return staticmethod(abstractmethod(function))


def attrgetter(attr: str, /, *attrs: str) -> Callable[[Any], Any]:
    """``operator.attrgetter``, each step read through the guard.

    It is a function: from an object of the library's class one could make another for any name.
    """
    names = (attr, *attrs)
    for name in names:
        if type(name) is not str:
            raise TypeError("attribute name must be a string")
    if len(names) > 1:
        return lambda value: tuple(_dotted(value, name) for name in names)
    if is_plain(attr) and "." not in attr:
        return lambda value: getattr(value, attr)
    return partial(_dotted, name=attr)


def _dotted(value: Any, /, name: str) -> Any:
    for step in name.split("."):
        value = guards.read(value, step)
    return value


def methodcaller(name: str, /, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    """``operator.methodcaller``, the method read through the guard; a function, too."""
    if type(name) is not str:
        raise TypeError("method name must be a string")
    if is_plain(name):
        return lambda value: getattr(value, name)(*args, **kwargs)
    return lambda value: guards.read(value, name)(*args, **kwargs)


FUNCTOOLS: dict[str, Any] = {
    "update_wrapper": update_wrapper,
    "wraps": wraps,
    "total_ordering": total_ordering,
    "singledispatch": singledispatch,
}
OPERATOR: dict[str, Any] = {"attrgetter": attrgetter, "methodcaller": methodcaller}
ABSTRACT: dict[str, Any] = {
    "abstractmethod": abstractmethod,
    "abstractclassmethod": abstractclassmethod,
    "abstractstaticmethod": abstractstaticmethod,
}
