"""What one pass over a function knows of its variables before the transformer visits it."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from executor.isolate.policy.names import is_dunder

Function = ast.FunctionDef | ast.AsyncFunctionDef

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_BINDING = (ast.Assign, ast.AnnAssign, ast.For, ast.AsyncFor, ast.With, ast.AsyncWith)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_IN_LOOP = 3
"""What one place in a loop counts for, against one outside."""


@dataclass(slots=True)
class Facts:
    """What binds the names of a scope: its ``own`` statements, of those the ``simple`` ones, the
    walrus in a comprehension (``leaked``), anything ``below``; ``shared`` are those of ``global``
    and ``nonlocal``. ``uses`` and ``bindings`` weigh how often a check of the name is asked for
    against how often it would be made."""

    own: Counter[str] = field(default_factory=Counter)
    simple: Counter[str] = field(default_factory=Counter)
    leaked: Counter[str] = field(default_factory=Counter)
    below: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)
    uses: Counter[str] = field(default_factory=Counter)
    bindings: Counter[str] = field(default_factory=Counter)

    def local_names(self, parameters: frozenset[str]) -> frozenset[str]:
        """Parameters and variables, but for those that other scopes may bind."""
        return (parameters | self.own.keys()) - self.shared

    def checked_names(self, parameters: frozenset[str]) -> frozenset[str]:
        """Local names that are worth a check wherever they are bound, each place of which is one
        that allows it."""
        return frozenset(
            name
            for name in self.local_names(parameters)
            if self.own[name] + self.leaked[name] == self.simple[name]
            and self.uses[name] > self.bindings[name] + (name in parameters)
        )


class Survey:
    """The facts of every function of a module, each part of the tree looked at once."""

    def __init__(self) -> None:
        self._known: dict[ast.AST, Facts] = {}

    def of(self, scope: ast.AST) -> Facts:
        """The facts of a function, a lambda or another scope, before anything in it is changed."""
        if scope not in self._known:
            facts = self._known[scope] = Facts()
            todo = [(node, 1) for node in _inside(scope)]
            while todo:
                node, weight = todo.pop()
                kind = type(node)
                if kind in _COMPREHENSIONS:
                    self._add_comprehension(facts, node)
                    continue
                if kind in _LOOPS:
                    weight = _IN_LOOP
                if isinstance(node, ast.Attribute):
                    if isinstance(node.value, ast.Name) and may_need_check(node):
                        facts.uses[node.value.id] += weight
                elif kind in _BINDERS:
                    _add_names(facts, names_bound_by(node), kind)
                elif kind in _BINDING:
                    for name in simply_bound(node):
                        facts.simple[name] += 1
                        facts.bindings[name] += weight
                if kind in _SCOPES:
                    self._add_inner(facts, node)
                    todo += [(child, weight) for child in _outside(node)]
                else:
                    todo += [(child, weight) for child in children(node)]
            facts.below |= facts.own.keys()
        return self._known[scope]

    def _add_inner(self, facts: Facts, node: ast.AST) -> None:
        inner = self.of(node)
        facts.below |= inner.below
        facts.shared |= inner.shared

    def _add_comprehension(self, facts: Facts, node: Any) -> None:
        self._add_inner(facts, node)
        targets = {name for part in node.generators for name in _names_in(part.target)}
        inner = self.of(node)
        facts.leaked.update((inner.own + inner.leaked).keys() - targets)


def _add_names(facts: Facts, names: tuple[str, ...], kind: type) -> None:
    for name in names:
        facts.own[name] += 1
    if kind is ast.Global or kind is ast.Nonlocal:
        facts.shared.update(names)


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below a node, without those that only say how a name is used."""
    found: list[ast.AST] = []
    for value in vars(node).values():
        if type(value) is list:
            found.extend(item for item in value if isinstance(item, ast.AST))
        elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
            found.append(value)
    return found


def may_need_check(node: ast.Attribute) -> bool:
    """Whether the policy asks whose object it is, going by the name: a write, or a private read."""
    if isinstance(node.ctx, ast.Load):
        return node.attr.startswith("_") and not is_dunder(node.attr)
    return not is_dunder(node.attr)


def simply_bound(node: ast.AST) -> list[str]:
    """Names that a statement binds so that nothing else can happen before what follows next.

    What follows is the next statement, or the block below. A target that is not a name could raise
    once others are bound.
    """
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=targets) | ast.List(elts=targets)]):
            pass
        case ast.Assign(targets=targets):
            pass
        case ast.AnnAssign(target=target, value=ast.expr()):
            targets = [target]
        case ast.For(target=target) | ast.AsyncFor(target=target):
            targets = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
        case ast.With(items=[ast.withitem(optional_vars=ast.expr() as target)]):
            targets = [target]
        case ast.AsyncWith(items=[ast.withitem(optional_vars=ast.expr() as target)]):
            targets = [target]
        case _:
            return []
    names = [t.id for t in targets if isinstance(t, ast.Name)]
    return names if len(names) == len(targets) else []


def _names_in(target: ast.expr) -> Iterator[str]:
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _inside(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of which a scope consists."""
    match scope:
        case ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body) | ast.ClassDef(body=body):
            yield from body
        case ast.Lambda(body=expression):
            yield expression
        case _:
            yield from children(scope)


def _outside(scope: ast.AST) -> Iterator[ast.AST]:
    """What stands at a scope's head and is evaluated around it; a comprehension is taken whole."""
    match scope:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from (
                *scope.decorator_list,
                scope.args,
                *([scope.returns] if scope.returns else []),
            )
        case ast.Lambda(args=arguments):
            yield arguments
        case ast.ClassDef():
            yield from (*scope.decorator_list, *scope.bases, *scope.keywords)
        case _:
            return


def names_bound_by(node: ast.AST) -> tuple[str, ...]:
    """The names that this node alone binds or deletes, parameters apart."""
    binder = _BINDERS.get(type(node))
    return binder(node) if binder else ()


def _optional(name: str | None) -> tuple[str, ...]:
    return (name,) if name else ()


_BINDERS: dict[type, Callable[[Any], tuple[str, ...]]] = {
    ast.Name: lambda node: () if type(node.ctx) is ast.Load else (node.id,),
    **dict.fromkeys((ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef), lambda n: (n.name,)),
    **dict.fromkeys((ast.Global, ast.Nonlocal), lambda node: tuple(node.names)),
    **dict.fromkeys(
        (ast.ExceptHandler, ast.MatchStar, ast.MatchAs), lambda node: _optional(node.name)
    ),
    ast.MatchMapping: lambda node: _optional(node.rest),
    ast.alias: lambda node: (node.asname or node.name.partition(".")[0],),
}
