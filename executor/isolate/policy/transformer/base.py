"""The walker that all construct families share: default refuse, positions, scopes."""

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from RestrictedPython.transformer import RestrictingNodeTransformer

from executor.isolate.frames import Issue
from executor.isolate.policy.names import CHECKED_METHODS, definition_refusal
from executor.isolate.policy.transformer import hidden
from executor.isolate.policy.transformer.facts import Survey, simply_bound
from executor.isolate.policy.transformer.scopes import Scope

Node = TypeVar("Node", bound=ast.AST)


class Walker(RestrictingNodeTransformer):
    """Visits a module and collects every complaint.

    A node is visited only by a method of our own families: neither a node that nobody knows nor
    one that only the stock policy knows passes.
    """

    def __init__(self, file: str, *, available: frozenset[str], future_annotations: bool) -> None:
        super().__init__()
        self.file = file
        self.available = available
        self.future_annotations = future_annotations
        self.defined: frozenset[str] = frozenset()
        self.refusals: list[Issue] = []
        self.notes: list[Issue] = []
        self.scopes = [Scope("module")]
        self.survey = Survey()
        self.known = visitors(type(self))

    def visit(self, node: ast.AST) -> Any:
        """Visit one node by its family's method; refuse it if there is none."""
        name = type(node).__name__
        if name not in self.known:
            return self.generic_visit(node)
        return getattr(self, f"visit_{name}")(node)

    def generic_visit(self, node: ast.AST) -> Any:
        """Refuse a node that no family knows."""
        name = type(node).__name__
        self.refuse(node, f"this syntax ({name}) is not part of the language that workers may use")
        return node

    def node_contents_visit(self, node: Node, skip: str = "") -> Node:
        """Visit the children of a node, replacing them by the results."""
        for field, value in ast.iter_fields(node):
            if field == skip:
                continue
            if isinstance(value, list):
                value[:] = self.visited(value)
            elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                setattr(node, field, self.visit(value))
        return node

    def visited(self, values: list[Any]) -> list[Any]:
        """The results of visiting each node of a list; a result that is a list is spliced in.

        What a statement has held is let go after it, and first of all in the blocks below it, so
        that no object lives longer than in plain Python.
        """
        results: list[Any] = []
        if values and isinstance(values[0], ast.stmt) and self.scope.holds:
            results.append(hidden_binding(hidden.HELD, _none(values[0]), values[0]))
        for value in values:
            result = self.visit(value) if isinstance(value, ast.AST) else value
            if isinstance(result, list):
                results.extend(result)
            else:
                results.append(result)
            if isinstance(value, ast.Assign | ast.AnnAssign):
                results.extend(self.checks(value, simply_bound(value)))
            if isinstance(value, ast.stmt) and self.scope.holds:
                results.append(hidden_binding(hidden.HELD, _none(value), value))
                self.scope.holds = False
        return results

    def refuse(self, node: ast.AST, message: str) -> None:
        """Record one refusal at the node's own position."""
        self.refusals.append(self._issue(node, message))

    def note(self, node: ast.AST, message: str) -> None:
        """Record one warning at the node's own position."""
        self.notes.append(self._issue(node, message))

    def _issue(self, node: ast.AST, message: str) -> Issue:
        line, column = _place_of(node)
        return Issue(message=message, module=self.file, line=line, column=column)

    @property
    def scope(self) -> Scope:
        """The innermost scope."""
        return self.scopes[-1]

    @contextmanager
    def inside(self, scope: Scope) -> Iterator[Scope]:
        """Visit in a scope."""
        self.scopes.append(scope)
        try:
            yield scope
        finally:
            self.scopes.pop()

    def check_binding(self, node: ast.AST, name: str | None) -> None:
        """Refuse a binding of a name that belongs to the interpreter or the policy."""
        if name is None:
            return
        in_class = self.scope.kind == "class" and name not in self.scope.globals
        if reason := definition_refusal(name, in_class=in_class):
            self.refuse(node, f'"{name}" cannot be defined by a worker: {reason}')
        if in_class and name in CHECKED_METHODS and not isinstance(node, ast.FunctionDef):
            self.refuse(node, f'"{name}" must be defined with def: what it returns is checked')

    @contextmanager
    def type_scope(self, node: Any) -> Iterator[None]:
        """Visit in the scope of a statement's type parameters, if the interpreter made one.

        It stands around annotations, bases and body, and its names hide those of outer scopes.
        """
        parameters = getattr(node, "type_params", None)
        if not parameters:
            yield
            return
        names = frozenset(each.name for each in parameters)
        with self.inside(Scope("function", "<type parameters>", names)):
            node.type_params = self.visited(parameters)
            yield

    def mangled(self, name: str) -> str:
        """The name as the compiler would mangle it (``__x`` in a class)."""
        if not name.startswith("__") or name.endswith("__"):
            return name
        for scope in reversed(self.scopes):
            if scope.kind == "class":
                owner = scope.name.lstrip("_")
                return f"_{owner}{name}" if owner else name
        return name

    def is_local(self, node: ast.expr) -> bool:
        """Whether the expression is a variable that only this function's statements bind."""
        return isinstance(node, ast.Name) and node.id in self.scope.locals

    def checks(self, at: ast.stmt, names: list[str]) -> list[ast.stmt]:
        """``name$own = type(name) in $own`` for variables just bound, of those that are checked.

        The variable and the answer are never apart: this scope alone binds both, one straight after
        the other, and neither the interpreter's ``type`` nor a set of classes raises or runs code.
        """
        return [
            hidden_binding(hidden.checked(name), is_own(hidden_name(name, at), at), at)
            for name in names
            if name in self.scope.checked
        ]

    def if_own(
        self,
        value: ast.expr,
        plain: Callable[[ast.expr], ast.expr],
        guarded: Callable[[ast.expr], ast.expr],
    ) -> ast.expr:
        """``plain`` of the value if it is an instance of an own class, else ``guarded`` of it.

        The ordinary case costs no call. The value is evaluated once; from its check to its use it
        stands in a variable that nothing else can bind, or else ``guarded`` alone has it.
        """
        if isinstance(value, ast.Name) and value.id in self.scope.checked:
            known = hidden_name(hidden.checked(value.id), value)
            return ast.copy_location(ast.IfExp(known, plain(value), guarded(value)), value)
        if self.is_local(value):
            choice = ast.IfExp(is_own(value, value), plain(value), guarded(value))
            return ast.copy_location(choice, value)
        if not self.scope.may_hold:
            return guarded(value)
        self.scope.holds = True
        held, target = hidden_name(hidden.HELD, value), hidden_name(hidden.HELD, value)
        target.ctx = ast.Store()
        binding = ast.copy_location(ast.NamedExpr(target, value), value)
        choice = ast.IfExp(is_own(binding, value), plain(held), guarded(held))
        return ast.copy_location(choice, value)

    def receiver_scope(self, node: ast.expr) -> Scope | None:
        """The method whose checked receiver this expression is, or None."""
        if not isinstance(node, ast.Name):
            return None
        for scope in reversed(self.scopes):
            if scope.kind == "class":
                continue
            if scope.receiver == node.id:
                return scope
            if node.id in scope.parameters:
                return None
        return None


def _place_of(node: ast.AST) -> tuple[int, int]:
    """Line and column, from 1: of an attribute its name, which may be lines below its object."""
    if isinstance(node, ast.Attribute) and node.end_lineno and node.end_col_offset:
        return node.end_lineno, max(1, node.end_col_offset - len(node.attr.encode()) + 1)
    return getattr(node, "lineno", 0), getattr(node, "col_offset", -1) + 1


def visitors(policy: type) -> frozenset[str]:
    """The node names that our own families visit."""
    own = __name__.rpartition(".")[0]
    return frozenset(
        name.removeprefix("visit_")
        for family in policy.__mro__
        if family.__module__.startswith(own)
        for name in vars(family)
        if name.startswith("visit_")
    )


def hidden_name(name: str, at: ast.AST) -> ast.Name:
    """One of our names, at the position of the node it stands for."""
    return ast.Name(name, ast.Load(), **_position(at))


def hidden_call(name: str, *arguments: ast.expr, at: ast.AST) -> ast.Call:
    """A call of a guard, at the position of the node it stands for."""
    for argument in arguments:
        if not hasattr(argument, "lineno"):
            ast.fix_missing_locations(ast.copy_location(argument, at))
    return ast.Call(hidden_name(name, at), [*arguments], [], **_position(at))


def hidden_binding(name: str, value: ast.expr, at: ast.AST) -> ast.Assign:
    """A statement that binds one of our names."""
    where = _position(at)
    return ast.Assign([ast.Name(name, ast.Store(), **where)], value, **where)


def is_own(value: ast.expr, at: ast.AST, *, test: ast.cmpop | None = None) -> ast.expr:
    """``type(value) in $own``: no call, as the interpreter specialises it."""
    own: list[ast.expr] = [hidden_name(hidden.OWN, at)]
    kind = hidden_call(hidden.TYPE, value, at=at)
    return ast.Compare(kind, [test or ast.In()], own, **_position(at))


def _none(at: ast.AST) -> ast.expr:
    return ast.copy_location(ast.Constant(None), at)


def _position(at: Any) -> dict[str, Any]:
    return {
        "lineno": at.lineno,
        "col_offset": at.col_offset,
        "end_lineno": at.end_lineno,
        "end_col_offset": at.end_col_offset,
    }


def after_docstring(body: list[ast.stmt]) -> int:
    """Where a statement goes that must not displace the docstring."""
    match body[0]:
        case ast.Expr(value=ast.Constant(value=str())):
            return 1
        case _:
            return 0
