"""Scopes: what the transformer knows about the code around the node it visits."""

import ast
from dataclasses import dataclass, field
from typing import Literal

from executor.isolate.policy.transformer.facts import Facts, Function

_CLASS_FIRST = frozenset({"__new__", "__init_subclass__", "__class_getitem__"})


@dataclass(slots=True)
class Scope:
    """One module, class or function.

    ``receiver`` is a method's first parameter if nothing in the method rebinds it: one check when
    the method starts then proves for all of it that the object is the worker's own. ``locals`` are
    variables that only this function's own statements bind: between a check of one and its use
    nothing else can run that rebinds it. Those of them that are ``checked`` are looked at once
    wherever they are bound, and a variable of ours keeps the answer. Where a scope ``may_hold``,
    the value of any expression can be held in such a variable; a statement that does so ``holds``.
    """

    kind: Literal["module", "class", "function"]
    name: str = ""
    parameters: frozenset[str] = frozenset()
    receiver: str | None = None
    receiver_is_class: bool = False
    receiver_used: bool = False
    receiver_is_instance: bool = False
    locals: frozenset[str] = frozenset()
    checked: frozenset[str] = frozenset()
    may_hold: bool = False
    holds: bool = False
    globals: set[str] = field(default_factory=set)


def parameters_of(arguments: ast.arguments) -> list[str]:
    """All parameter names, positional ones first."""
    return [each.arg for each in arguments_of(arguments)]


def arguments_of(arguments: ast.arguments) -> list[ast.arg]:
    """All parameters, positional ones first."""
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [*named, *(arg for arg in (arguments.vararg, arguments.kwarg) if arg)]


def function_scope(node: Function, facts: Facts, *, is_method: bool) -> Scope:
    """The scope of a function; a method's receiver is found here."""
    parameters = frozenset(parameters_of(node.args))
    scope = Scope("function", node.name, parameters, may_hold=True)
    scope.locals = facts.local_names(parameters)
    scope.checked = facts.checked_names(parameters)
    positional = [*node.args.posonlyargs, *node.args.args]
    if not is_method or not positional:
        return scope
    decorators = {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
    first = positional[0].arg
    if "staticmethod" not in decorators and first not in facts.below | facts.shared:
        scope.receiver = first
        scope.receiver_is_class = "classmethod" in decorators or node.name in _CLASS_FIRST
        scope.checked -= {first}
    return scope
