"""What a main module answers with: its entrypoint classes, or the older ``on_*`` functions."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any

from executor.isolate.workers.entrypoints import BASES, DurableObject, WorkerEntrypoint

DEFAULT = "Default"

EVENTS = ("fetch", "scheduled", "queue", "alarm", "tail", "trace", "pubsub")
"""What an ``on_*`` function can be for."""

RELAXED = ("fetch", "test", "alarm")
"""Handlers that are given only as many arguments as they take."""

CLASS_MARK = "class"
"""The first of the handlers of a class of objects. No method is called so: it is a keyword."""

TWO_DEFAULTS = "Cannot define multiple default entrypoints"


class Handlers:
    """The handlers of one loaded worker."""

    def __init__(
        self,
        classes: Mapping[str, type[Any]],
        functions: Mapping[str, Callable[..., Any]],
        objects: Mapping[str, type[Any]],
    ) -> None:
        self._classes = classes
        self._objects = objects
        self._functions = functions
        self._arity: dict[Any, int | None] = {}

    def listing(self) -> dict[str, list[str]]:
        """Each entrypoint that exposes methods, with their names. Empty: nothing answers."""
        methods = {name: exposed_methods(cls) for name, cls in self._classes.items()}
        listing = {name: each for name, each in methods.items() if each}
        if self._functions:
            listing[DEFAULT] = list(self._functions)
        for name, cls in self._objects.items():
            listing[name] = [CLASS_MARK, *exposed_methods(cls)]
        return listing

    def object_class(self, name: str | None) -> type[Any]:
        """The class of Durable Objects of that name. Raises ``TypeError`` if there is none."""
        found = self._objects.get(name or "")
        if found is None:
            raise TypeError(f"The worker does not export a class of Durable Objects named {name}")
        return found

    def method(self, instance: Any, name: str) -> Callable[..., Any]:
        """A method of an object. Raises ``TypeError`` if its class does not expose it."""
        method = exposed_method(type(instance), name)
        if method is None:
            raise TypeError(_missing(type(instance).__name__, name))
        return self._fitting(method.__get__(instance), name, bound=True, key=method)

    def find(self, entrypoint: str | None, name: str, ctx: Any, env: Any) -> Callable[..., Any]:
        """The handler to call, on a new instance where it is a method.

        Raises ``TypeError`` if there is none of that name.
        """
        wanted = entrypoint or DEFAULT
        if wanted == DEFAULT and name in self._functions:
            return self._fitting(self._functions[name], name, bound=False)
        cls = self._classes.get(wanted)
        if cls is None and (wanted != DEFAULT or not self._functions):
            raise TypeError(f"The worker does not export an entrypoint named {wanted}")
        method = cls and exposed_method(cls, name)
        if cls is not None and method is None and name in EVENTS:
            method = exposed_method(cls, f"on_{name}")
        if cls is None or method is None:
            raise TypeError(_missing(wanted, name))
        instance = cls(ctx, env)
        return self._fitting(method.__get__(instance), name, bound=True, key=method)

    def _fitting(
        self, call: Callable[..., Any], name: str, *, bound: bool, key: Any = None
    ) -> Callable[..., Any]:
        if name not in RELAXED:
            return call
        key = key or call
        if key not in self._arity:
            self._arity[key] = _positional(key, skip=1 if bound else 0)
        most = self._arity[key]
        return lambda *arguments: call(*arguments[:most])


def discover(module: Mapping[str, Any]) -> Handlers:
    """The handlers that a main module exports, perhaps none.

    Raises ``TypeError`` if there are both a class ``Default`` and ``on_*`` functions.
    """
    classes: dict[str, type[Any]] = {}
    functions: dict[str, Callable[..., Any]] = {}
    objects: dict[str, type[Any]] = {}
    for name in _exported(module):
        value = module.get(name)
        if isinstance(value, type) and issubclass(value, WorkerEntrypoint) and value not in BASES:
            classes[name] = value
        elif isinstance(value, type) and issubclass(value, DurableObject) and value not in BASES:
            objects[name] = value
        elif name.startswith("on_") and name[3:] in EVENTS and callable(value):
            functions[name[3:]] = value
    if DEFAULT in classes and functions:
        raise TypeError(TWO_DEFAULTS)
    return Handlers(classes, functions, objects)


def exposed_methods(cls: type[Any]) -> list[str]:
    """The public plain functions of a class and its bases, in the order of their definition."""
    names = dict.fromkeys(name for each in reversed(cls.__mro__) for name in vars(each))
    return [name for name in names if exposed_method(cls, name) is not None]


def exposed_method(cls: type[Any], name: str) -> FunctionType | None:
    """That method of a class, unless it is private, static or of the class itself."""
    if name.startswith("_"):
        return None
    for each in cls.__mro__:
        if name in vars(each):
            found = vars(each)[name]
            return found if isinstance(found, FunctionType) else None
    return None


def _exported(module: Mapping[str, Any]) -> Sequence[str]:
    names = module.get("__all__")
    if isinstance(names, Iterable) and not isinstance(names, str):
        return [name for name in names if isinstance(name, str)]
    return [name for name in module if isinstance(name, str) and not name.startswith("_")]


def _positional(function: Callable[..., Any], skip: int) -> int | None:
    """How many positional arguments it takes beside the first ``skip``; None is any number."""
    if type(function) is FunctionType and not function.__dict__:  # all that most ask for
        code = function.__code__
        return None if code.co_flags & inspect.CO_VARARGS else max(code.co_argcount - skip, 0)
    count = 0
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            return None
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            count += 1
    return max(count - skip, 0)


def _missing(entrypoint: str, name: str) -> str:
    if name in EVENTS:
        return f"The entrypoint {entrypoint} does not export a handler {name}()"
    return f"Method {name} does not exist"
