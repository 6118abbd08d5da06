"""Whose object is it: the worker's own, or the runtime's.

A class is the worker's own if a class statement of the worker made it: its namespace then holds
the mark, which no source can spell. Instances follow their exact type, functions and modules the
namespace they were made in.
"""

import types
import weakref
from typing import Any, TypeGuard

from executor.isolate.policy.transformer.hidden import MARK_ATTRIBUTE


class _Mark:
    """The value of the mark. A descriptor, so that an enum does not make it a member."""

    __slots__ = ()

    def __get__(self, instance: object, owner: object = None) -> "_Mark":
        return self

    def __repr__(self) -> str:
        return "own"


MARK = _Mark()

own_classes: set[type] = set()
"""Classes of the worker. Transformed code tests membership; the set only grows, while one runs."""

_namespaces: dict[int, dict[str, Any]] = {}
_files: set[str] = set()
_modules: dict[int, types.ModuleType] = {}
_Function = types.FunctionType
_functions: dict[weakref.ref[_Function], weakref.ref[_Function]] = {}
"""Own functions that were asked about, with what forgets each when it is gone. Reading their code
object sets off an audit event, which takes longer than all else; whose a function is stays."""


def adopt_module(module: types.ModuleType, file: str) -> None:
    """Count a module, and the functions made in it, as the worker's own."""
    _namespaces[id(module.__dict__)] = module.__dict__
    _modules[id(module)] = module
    _files.add(file)


def dismiss_module(module: types.ModuleType) -> None:
    """Undo that, for a module that nobody has seen, and the classes that were made in it."""
    del _namespaces[id(module.__dict__)], _modules[id(module)]
    _files.remove(module.__dict__["__file__"])
    own_classes.difference_update(
        [cls for cls in own_classes if cls.__module__ == module.__name__],
    )


def is_class(value: object) -> TypeGuard[type]:
    """Whether this is a class. ``isinstance`` would ask the object, which may lie or run code."""
    return issubclass(type(value), type)


def is_own_namespace(namespace: object) -> bool:
    """Whether this is the namespace of a module of the worker."""
    return id(namespace) in _namespaces


def is_own_class(cls: object) -> bool:
    """Whether a class statement of the worker made this class."""
    if not is_class(cls):
        return False
    if cls in own_classes:
        return True
    if type.__getattribute__(cls, "__dict__").get(MARK_ATTRIBUTE) is MARK:
        own_classes.add(cls)
        return True
    return False


def is_own_function(value: object) -> bool:
    """Whether source of the worker made this function, and not a library on its behalf."""
    return type(value) is _Function and (weakref.ref(value) in _functions or _found_own(value))


def _found_own(function: types.FunctionType) -> bool:
    if id(function.__globals__) not in _namespaces or function.__code__.co_filename not in _files:
        return False
    key = weakref.ref(function)
    _functions[key] = weakref.ref(function, lambda _gone: _functions.pop(key, None))
    return True


def is_own_module(value: object) -> bool:
    """Whether this is a module of the worker."""
    return type(value) is types.ModuleType and id(value) in _modules


def is_own_code(code: types.CodeType) -> bool:
    """Whether this code object was compiled from source of the worker."""
    return code.co_filename in _files


_super_class = super.__dict__["__self_class__"]


def is_own(value: object) -> bool:
    """Whether the object is the worker's: its instance, class, module, function or super()."""
    kind = type(value)
    if kind in own_classes:
        return True
    if kind is types.FunctionType:
        return is_own_function(value)
    if kind is types.ModuleType:
        return is_own_module(value)
    if kind is super:
        return is_own_class(_super_class.__get__(value))
    return is_own_class(kind) or is_own_class(value)
