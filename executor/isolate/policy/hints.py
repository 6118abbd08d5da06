"""Annotations that are text: compiled by the policy, evaluated in the worker's own module.

``typing`` passes the namespaces of an evaluation to whatever stands in an annotation, and takes a
class's from the module that the class names. Here it sees only an empty dictionary that stands for
them, and only this module knows what for.
"""

import ast
import contextlib
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from executor.isolate.policy import ownership
from executor.isolate.policy.bounds import MAX_DEPTH, first_overfull, measure
from executor.isolate.policy.builtin_names import base_builtins
from executor.isolate.policy.facades.functional import own_function
from executor.isolate.policy.handlers import without_internals
from executor.isolate.policy.kinds import without_metaclass
from executor.isolate.policy.ownership import is_class, is_own_class, is_own_module
from executor.isolate.policy.transformer import Policy

MAX_ANNOTATION_CHARS = 10_000

_library_get_type_hints = typing.get_type_hints
_typed_dict = type(types.resolve_bases((typing.TypedDict,))[0])
_mro = type.__dict__["__mro__"]


class _Scope(dict[str, Any]):
    """Stands for the namespaces of one evaluation, and is empty itself."""

    __slots__ = ("_names", "_namespace")

    def __init__(self, namespace: dict[str, Any] | None, names: Mapping[str, Any]) -> None:
        super().__init__()
        self._namespace = namespace
        self._names = names


def get_type_hints(
    obj: Any,
    globalns: dict[str, Any] | None = None,
    localns: dict[str, Any] | None = None,
    include_extras: bool = False,
) -> dict[str, Any]:
    """``typing.get_type_hints`` of what the worker wrote; nothing for what it did not.

    Raises:
        TypeError: the object has no annotations.
    """
    hints: dict[str, Any] = {}
    for annotations, namespace, names in _annotated(obj):
        given = {**(names if globalns is None else globalns), **(localns or {})}
        scope = _Scope(namespace if globalns is None else None, _visible(given))
        holder = type("Annotated", (), {"__annotations__": annotations})
        hints |= _library_get_type_hints(holder, scope, _Scope(None, {}), include_extras)
    return {name: without_metaclass(hint) for name, hint in hints.items()}


def _visible(names: dict[Any, Any]) -> dict[str, Any]:
    """The names that an annotation can spell: none of them is a guard's."""
    return {name: value for name, value in names.items() if type(name) is str and "$" not in name}


_Part = tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any]]
"""Annotations, the namespace of their module, and the names of their class."""


def _annotated(obj: Any) -> Iterator[_Part]:
    if is_class(obj):
        for base in reversed(_mro.__get__(obj)):
            if is_own_class(base) or _is_made_for_worker(base):
                found = vars(base).get("__annotations__", {})
                yield found, _namespace(base), without_internals(vars(base))
    elif is_own_module(obj):
        yield vars(obj).get("__annotations__", {}), vars(obj), {}
    elif function := own_function(getattr(obj, "__func__", obj)):
        inner = function
        while (wrapped := own_function(vars(inner).get("__wrapped__"))) is not None:
            inner = wrapped
        yield function.__annotations__, inner.__globals__, {}
    elif not callable(obj):
        raise TypeError(f"{obj!r} is not a module, class, method, or function.")


def _is_made_for_worker(cls: type) -> bool:
    """A named tuple or typed dictionary that a call made."""
    return type(cls) is _typed_dict or (cls.__bases__ == (tuple,) and "_fields" in vars(cls))


def _namespace(cls: type) -> dict[str, Any] | None:
    module = sys.modules.get(cls.__module__)
    return vars(module) if is_own_module(module) else None


def compile_annotation(text: str, file: str, _mode: str, *_rest: Any, **_more: Any) -> Any:
    """What ``typing`` calls for ``compile``."""
    if len(text) > MAX_ANNOTATION_CHARS:
        raise SyntaxError("the annotation is too long")
    tree = ast.parse(text, file, "eval")
    if measure(tree)[1] > MAX_DEPTH or first_overfull(tree):
        raise SyntaxError("the annotation is nested too deeply")
    policy = Policy(file, available=frozenset(), future_annotations=False)
    checked = policy.visit(tree)
    if policy.refusals:
        raise SyntaxError(policy.refusals[0].message)
    return compile(ast.fix_missing_locations(checked), file, "eval", dont_inherit=True)


def evaluate_annotation(code: Any, scope: Any = None, _locals: Any = None) -> Any:
    """What ``typing`` calls for ``eval``: of namespaces only a scope of ours counts."""
    if not isinstance(code, types.CodeType):
        raise TypeError("an annotation must be compiled first")
    namespace, names = None, dict[str, Any]()
    if type(scope) is _Scope:
        namespace, names = scope._namespace, dict(scope._names)
    if not ownership.is_own_namespace(namespace):
        namespace = {"__builtins__": base_builtins()}
    return eval(code, namespace, names)  # noqa: S307 - compiled by the policy


def guard_typing() -> None:
    """Let ``typing``, and what calls it, evaluate annotations here only."""
    namespace = vars(typing)
    for name in ("eval", "compile"):
        if name in namespace:
            raise RuntimeError(f"typing.{name} is taken")
    namespace.update(compile=compile_annotation, eval=evaluate_annotation)
    namespace["get_type_hints"] = get_type_hints
    real = typing.ForwardRef.__init__

    def init(
        self: Any,
        arg: Any,
        is_argument: bool = True,
        module: Any = None,  # noqa: ARG001 - the library's parameter
        **more: Any,
    ) -> None:
        """A reference without the module whose namespace it would be evaluated in."""
        real(self, arg, is_argument, None, **more)

    type.__setattr__(typing.ForwardRef, "__init__", init)
    type.__setattr__(_alias, "__call__", _call_alias)


_alias: Any = vars(typing)["_BaseGenericAlias"]


def _call_alias(self: Any, /, *args: Any, **kwargs: Any) -> Any:
    """A call of ``List[int]`` and the like. It marks what is made, if that is the worker's."""
    if not self._inst:
        raise TypeError(f"Type {self._name} cannot be instantiated")
    made = self.__origin__(*args, **kwargs)
    if ownership.is_own(made):
        with contextlib.suppress(AttributeError):
            made.__orig_class__ = self
    return made
