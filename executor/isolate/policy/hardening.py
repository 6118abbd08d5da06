"""Functions of the library that are replaced in the isolate's process, each with the reason.

The library calls them on a worker's behalf, out of sight of the guards. If one cannot be replaced,
nothing runs.
"""

import ast
import copy
import dataclasses
import enum
import random
import re
import sys
import types
import typing
import warnings
from typing import Any

from executor.isolate.policy import building, output, ownership, writable, zones
from executor.isolate.policy.bounds import MAX_DEPTH, measure
from executor.isolate.policy.builtin_names import base_builtins
from executor.isolate.policy.facades import Facade, copying
from executor.isolate.policy.facades.structures import check_field_name, check_member_names
from executor.isolate.policy.transformer import Policy

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
    _guard_copy()
    _guard_dataclasses()
    _guard_enum()
    _guard_typing()
    warnings.showwarning = _show_warning
    _done.append(True)


def _replace(module: Any, name: str, value: Any) -> None:
    if not hasattr(module, name):
        raise HardeningFailed(f"{module.__name__}.{name} is missing")
    setattr(module, name, value)


def _guard_copy() -> None:
    """``copy`` writes state to whatever a worker's hooks return; see copying.py."""
    original = copy.deepcopy
    _replace(copy, "copy", copying.copy)
    _replace(copy, "deepcopy", copying.deepcopy)
    for function in vars(copy).values():
        if isinstance(function, types.FunctionType) and function.__module__ == "copy":
            _replace_defaults(function, original, copying.deepcopy)


def _replace_defaults(function: types.FunctionType, old: Any, new: Any) -> None:
    """Functions that took the old one as a default, for speed, take the new one."""
    if function.__defaults__:
        function.__defaults__ = tuple(new if d is old else d for d in function.__defaults__)
    named: dict[str, Any] = function.__kwdefaults__ or {}
    named.update({name: new for name, default in named.items() if default is old})


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
    """Field names become generated source: each is checked when it is used."""
    real = dataclasses._get_field  # type: ignore[attr-defined]

    def get_field(cls: type, name: str, *arguments: Any) -> Any:
        return real(cls, check_field_name(name), *arguments)

    _replace(dataclasses, "_get_field", get_field)
    _replace(dataclasses, "_is_type", _is_type)


def _is_type(
    annotation: str, cls: type, module: types.ModuleType, _kind: Any, predicate: Any
) -> bool:
    """Whether a text annotation such as ``typing.ClassVar[int]`` names a special type.

    The library compares the worker's ``typing`` with its own module; a worker has the facade.
    """
    found = _QUALIFIED.match(annotation)
    home = sys.modules.get(cls.__module__)
    if not found or home is None:
        return False
    prefix, name = found.groups()
    if not prefix:
        return bool(predicate(vars(home).get(name), module))
    named = vars(home).get(prefix)
    if type(named) is Facade and vars(named)["__name__"] == module.__name__:
        return bool(predicate(vars(named).get(name), module))
    return False


def _guard_typing() -> None:
    """Annotations that are text are compiled by the policy and run in the worker's own module."""
    namespace = vars(typing)
    for name in ("eval", "compile"):
        if name in namespace:
            raise HardeningFailed(f"typing.{name} is taken")
    namespace["compile"] = _compile_annotation
    namespace["eval"] = _evaluate_annotation


def _compile_annotation(text: str, file: str, _mode: str, *_rest: Any, **_more: Any) -> Any:
    if len(text) > 10_000:
        raise SyntaxError("the annotation is too long")
    tree = ast.parse(text, file, "eval")
    if measure(tree)[1] > MAX_DEPTH:
        raise SyntaxError("the annotation is nested too deeply")
    policy = Policy(file, available=frozenset(), future_annotations=False)
    checked = policy.visit(tree)
    if policy.refusals:
        raise SyntaxError(policy.refusals[0].message)
    return compile(ast.fix_missing_locations(checked), file, "eval", dont_inherit=True)


def _evaluate_annotation(
    code: Any, globals_: dict[str, Any] | None = None, locals_: Any = None
) -> Any:
    if not isinstance(code, types.CodeType):
        raise TypeError("an annotation must be compiled first")
    local = dict(locals_) if type(locals_) is dict and locals_ is not globals_ else {}
    local = {k: v for k, v in local.items() if type(k) is str and k.isidentifier()}
    if ownership.is_own_namespace(globals_):
        return eval(code, globals_, local)  # noqa: S307 - compiled by the policy
    return eval(code, {"__builtins__": base_builtins()}, local)  # noqa: S307 - as above


def _show_warning(message: Any, category: type[Warning], *_rest: Any, **_more: Any) -> None:
    output.log("warn", f"{category.__name__}: {message}")
