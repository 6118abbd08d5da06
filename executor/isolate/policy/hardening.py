"""Functions of the library that are replaced in the isolate's process, each with the reason.

The library calls them on a worker's behalf, out of sight of the guards. If one cannot be replaced,
nothing runs.
"""

import asyncio
import collections
import copy
import csv
import dataclasses
import enum
import functools
import inspect
import random
import re
import sys
import types
import warnings
from typing import Any

from executor.isolate.policy import (
    building,
    formatting,
    generated,
    hints,
    output,
    ownership,
    writable,
    zones,
)
from executor.isolate.policy.facades import (
    Facade,
    copying,
    functional,
    injected,
    ordered,
    reentrant,
    structures,
    tasks,
)
from executor.isolate.policy.facades.structures import check_member_names
from executor.isolate.policy.generated import check_field_name

_QUALIFIED = re.compile(r"^(?:\s*(\w+)\s*\.)?\s*(\w+)")
_done: list[bool] = []


class HardeningFailed(RuntimeError):
    """This Python's library is not the one that the policy knows."""


def harden() -> None:
    """Replace them, once in a process.

    Raises:
        HardeningFailed: a function is not where it was; the worker must not run.
    """
    random.seed()  # a forked isolate must not share its zygote's sequence
    if _done:
        return
    writable.install()
    zones.load()
    zones.install()
    _replace(functools, "update_wrapper", functional.update_wrapper_of_library)
    _guard_copy()
    _guard_dataclasses()
    _guard_enum()
    _guard_collections()
    _guard_asyncio()
    hints.guard_typing()
    _replace(functools, "singledispatch", functional.singledispatch)
    injected.install()
    warnings.showwarning = _show_warning
    _done.append(True)


def _replace(module: Any, name: str, value: Any) -> None:
    if not hasattr(module, name):
        raise HardeningFailed(f"{module.__name__}.{name} is missing")
    setattr(module, name, value)


def _guard_copy() -> None:
    """``copy`` writes state to whatever a worker's hooks return; see copying.py.

    Modules that have taken its functions already get the new ones.
    """
    original = copy.deepcopy
    replaced = {id(copy.copy): copying.copy, id(original): copying.deepcopy}
    for module in [m for m in sys.modules.values() if isinstance(m, types.ModuleType)]:
        for name, value in list(vars(module).items()):
            if isinstance(value, types.FunctionType) and id(value) in replaced:
                setattr(module, name, replaced[id(value)])
    for function in vars(copy).values():
        if isinstance(function, types.FunctionType) and function.__module__ == "copy":
            _replace_defaults(function, original, copying.deepcopy)


def _replace_defaults(function: types.FunctionType, old: Any, new: Any) -> None:
    """Functions that took the old one as a default, for speed, take the new one."""
    if function.__defaults__:
        function.__defaults__ = tuple(new if d is old else d for d in function.__defaults__)
    named: dict[str, Any] = function.__kwdefaults__ or {}
    named.update({name: new for name, default in named.items() if default is old})


def _guard_collections() -> None:
    """A named tuple gets methods; ``UserString`` formats with its text as the template.

    ``UserDict`` and ``UserList`` copy their state into what ``__class__`` makes.
    """
    for kind in (collections.UserDict, collections.UserList):
        _replace(kind, "__copy__", copying.copy_of_user)
    _replace(collections, "namedtuple", structures.namedtuple)
    _replace(collections, "_count_elements", reentrant.count_elements)
    _replace(csv, "reader", reentrant.reader)
    _replace(inspect, "OrderedDict", ordered.OrderedDict)  # workers copy it from a signature
    _replace(collections.UserString, "format", formatting.user_string_format)
    _replace(collections.UserString, "format_map", formatting.user_string_format_map)


def _guard_asyncio() -> None:
    """No object of a worker counts as a future: ``asyncio`` hands futures its contexts."""
    for module in (asyncio, asyncio.base_futures, asyncio.futures):
        _replace(module, "isfuture", tasks.isfuture)
    _replace(asyncio.TaskGroup, "create_task", tasks.create_task_in_group)


def _guard_enum() -> None:
    """``Enum("Name", members)`` makes a class from a dictionary: its names are members only."""
    real = vars(enum.EnumMeta)["_create_"]

    def create(cls: Any, class_name: str, names: Any, *, module: Any = None, **more: Any) -> Any:
        mixin = more.get("type")
        if mixin is not None and not building.may_extend(mixin):
            raise TypeError("an enum cannot mix in this type")
        home = module or sys._getframe(2).f_globals.get("__name__")
        members = check_member_names(names)
        return real(cls, class_name, members, module=home, **more)

    _replace(enum.EnumMeta, "_create_", create)


def _guard_dataclasses() -> None:
    """Field names become generated source: each is checked when it is used; see generated.py."""
    generated.guard_dataclasses()
    real = dataclasses._get_field  # type: ignore[attr-defined]

    def get_field(cls: type, name: str, *arguments: Any) -> Any:
        return real(cls, check_field_name(name), *arguments)

    _replace(dataclasses, "_get_field", get_field)
    _replace(dataclasses, "_is_type", _is_type)
    _replace(dataclasses, "fields", structures.fields)
    for name in {"replace", "_replace"} & vars(dataclasses).keys():
        _replace(dataclasses, name, structures.replace)


def _is_type(
    annotation: str, cls: type, module: types.ModuleType, _kind: Any, predicate: Any
) -> bool:
    """Whether a text annotation such as ``typing.ClassVar[int]`` names a special type.

    The library compares the worker's ``typing`` with its own module; a worker has the facade.
    """
    found = _QUALIFIED.match(annotation)
    home = sys.modules.get(cls.__module__)
    if not found or not ownership.is_own_module(home):
        return False
    prefix, name = found.groups()
    if not prefix:
        return bool(predicate(vars(home).get(name), module))
    named = vars(home).get(prefix)
    if type(named) is Facade and vars(named)["__name__"] == module.__name__:
        return bool(predicate(vars(named).get(name), module))
    return False


def _show_warning(message: Any, category: type[Warning], *_rest: Any, **_more: Any) -> None:
    output.log("warn", f"{category.__name__}: {message}")
