"""Functions of the library that are replaced in the isolate's process, each with the reason.

The library calls them on a worker's behalf, out of sight of the guards. If one cannot be replaced,
nothing runs.
"""

import ast
import copy
import dataclasses
import random
import types
import typing
import warnings
from typing import Any

from executor.isolate.policy import output, ownership
from executor.isolate.policy.bounds import MAX_DEPTH, measure
from executor.isolate.policy.builtin_names import base_builtins
from executor.isolate.policy.facades import copying
from executor.isolate.policy.facades.structures import check_field_name
from executor.isolate.policy.transformer import Policy

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
    _replace(copy, "copy", copying.copy)
    _replace(copy, "deepcopy", copying.deepcopy)
    _guard_dataclasses()
    _guard_typing()
    warnings.showwarning = _show_warning
    _done.append(True)


def _replace(module: types.ModuleType, name: str, value: Any) -> None:
    if not hasattr(module, name):
        raise HardeningFailed(f"{module.__name__}.{name} is missing")
    setattr(module, name, value)


def _guard_dataclasses() -> None:
    """Field names become generated source: each is checked when it is used."""
    real = dataclasses._get_field  # type: ignore[attr-defined]

    def get_field(cls: type, name: str, *arguments: Any) -> Any:
        return real(cls, check_field_name(name), *arguments)

    _replace(dataclasses, "_get_field", get_field)


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
