"""Functions, lambdas, their parameters and annotations."""

import ast
from typing import Any

from executor.isolate.policy.names import CHECKED_METHODS
from executor.isolate.policy.transformer import hidden
from executor.isolate.policy.transformer.base import Walker, after_docstring, hidden_call
from executor.isolate.policy.transformer.scopes import (
    Function,
    Scope,
    arguments_of,
    function_scope,
    parameters_of,
)

_CHECKS = dict(zip(CHECKED_METHODS, (hidden.NEW, hidden.SUBCLASS_HOOK), strict=True))


class Functions(Walker):
    """Plain Python, with one check at the start of a method that touches its own object."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        """Allow functions, decorated or not."""
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        """Allow coroutines and asynchronous generators."""
        return self._function(node)

    def _function(self, node: Function) -> Function:
        self.check_binding(node, node.name)
        scope = function_scope(node, is_method=self.scope.kind == "class")
        node.decorator_list = self.visited(node.decorator_list)
        if node.name in CHECKED_METHODS and self.scope.kind == "class":
            node.decorator_list.insert(0, _name(_CHECKS[node.name], node))
        self._defaults(node.args)
        with self.type_scope(node):
            self._annotations(node)
            with self.inside(scope):
                self._check_parameters(node.args)
                node.body = self.visited(node.body)
        if scope.receiver_used:
            node.body.insert(after_docstring(node.body), _receiver_check(node, scope))
        return node

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        """Allow lambdas."""
        self._defaults(node.args)
        parameters = frozenset(parameters_of(node.args))
        scope = Scope("function", "<lambda>", parameters, locals=parameters)
        with self.inside(scope):
            self._check_parameters(node.args)
            node.body = self.visit(node.body)
        return node

    def _defaults(self, arguments: ast.arguments) -> None:
        """Visit what is evaluated outside the function, and before its type parameters exist."""
        arguments.defaults = self.visited(arguments.defaults)
        arguments.kw_defaults = self.visited(arguments.kw_defaults)

    def _annotations(self, node: Function) -> None:
        """Visit what is evaluated outside the function, but knows its type parameters."""
        for argument in arguments_of(node.args):
            argument.annotation = self.annotation(argument.annotation)
        node.returns = self.annotation(node.returns)

    def _check_parameters(self, arguments: ast.arguments) -> None:
        for argument in arguments_of(arguments):
            self.check_binding(argument, argument.arg)

    def annotation(self, node: ast.expr | None) -> Any:
        """Visit an annotation that is evaluated; one that stays text is never run unguarded."""
        if node is None or self.future_annotations:
            return node
        return self.visit(node)

    def visit_Return(self, node: ast.Return) -> Any:
        """Allow ``return``."""
        return self.node_contents_visit(node)


def _name(name: str, at: ast.AST) -> ast.expr:
    return ast.copy_location(ast.Name(name, ast.Load()), at)


def _receiver_check(node: Function, scope: Scope) -> ast.If:
    """``if type(self) not in $own: $foreign(self)``, without a call in the ordinary case."""
    assert scope.receiver  # noqa: S101 - the caller found it used
    receiver = ast.Name(scope.receiver, ast.Load())
    kind: ast.expr = receiver
    if not scope.receiver_is_class:
        kind = ast.Call(ast.Name(hidden.TYPE, ast.Load()), [receiver], [])
    own = ast.Name(hidden.OWN, ast.Load())
    check = ast.If(
        test=ast.Compare(kind, [ast.NotIn()], [own]),
        body=[ast.Expr(hidden_call(hidden.FOREIGN, receiver, at=node))],
        orelse=[],
    )
    return ast.fix_missing_locations(ast.copy_location(check, node))
