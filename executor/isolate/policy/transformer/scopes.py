"""Scopes: what the transformer knows about the code around the node it visits."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Function = ast.FunctionDef | ast.AsyncFunctionDef

_OTHER_SCOPES = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.Lambda,
    ast.ClassDef,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)
_CLASS_FIRST = frozenset({"__new__", "__init_subclass__", "__class_getitem__"})


@dataclass(slots=True)
class Scope:
    """One module, class or function.

    ``receiver`` is a method's first parameter if nothing in the method rebinds it: one check when
    the method starts then proves for all of it that the object is the worker's own. ``locals`` are
    variables that only this function's own statements bind: between a check of one and its use
    nothing else can run that rebinds it.
    """

    kind: Literal["module", "class", "function"]
    name: str = ""
    parameters: frozenset[str] = frozenset()
    receiver: str | None = None
    receiver_is_class: bool = False
    receiver_used: bool = False
    locals: frozenset[str] = frozenset()
    globals: set[str] = field(default_factory=set)


def parameters_of(arguments: ast.arguments) -> list[str]:
    """All parameter names, positional ones first."""
    return [each.arg for each in arguments_of(arguments)]


def arguments_of(arguments: ast.arguments) -> list[ast.arg]:
    """All parameters, positional ones first."""
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [*named, *(arg for arg in (arguments.vararg, arguments.kwarg) if arg)]


def function_scope(node: Function, *, is_method: bool) -> Scope:
    """The scope of a function; a method's receiver is found here."""
    parameters = frozenset(parameters_of(node.args))
    scope = Scope("function", node.name, parameters, locals=local_names(parameters, node.body))
    positional = [*node.args.posonlyargs, *node.args.args]
    if not is_method or not positional:
        return scope
    decorators = {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
    first = positional[0].arg
    if "staticmethod" not in decorators and first not in set(_bound_names(node.body)):
        scope.receiver = first
        scope.receiver_is_class = "classmethod" in decorators or node.name in _CLASS_FIRST
    return scope


def local_names(parameters: frozenset[str], body: list[ast.stmt]) -> frozenset[str]:
    """Parameters and variables of a function, but for those that other scopes may bind."""
    names, shared = set(parameters), set[str]()
    own: list[ast.AST] = list(body)
    while own:
        node = own.pop()
        names.update(names_bound_by(node))
        if not isinstance(node, _OTHER_SCOPES):
            own.extend(ast.iter_child_nodes(node))
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Global | ast.Nonlocal):
                shared.update(node.names)
    return frozenset(names - shared)


def _bound_names(body: list[ast.stmt]) -> Iterator[str]:
    """Every name that is bound or deleted anywhere below, whatever the scope, parameters apart."""
    for statement in body:
        for node in ast.walk(statement):
            yield from names_bound_by(node)


def names_bound_by(node: ast.AST) -> Iterator[str]:
    """The names that this node alone binds or deletes, parameters apart."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            yield from names
        case ast.ExceptHandler(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchAs(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name
        case ast.alias(name=name, asname=asname):
            yield asname or name.partition(".")[0]
        case _:
            return
