"""Functions, lambdas, their parameters and annotations."""

import ast
from typing import Any

from executor.isolate.policy.names import CHECKED_METHODS
from executor.isolate.policy.transformer import hidden
from executor.isolate.policy.transformer.base import (
    Walker,
    after_docstring,
    hidden_call,
    hidden_name,
    is_own,
)
from executor.isolate.policy.transformer.facts import Function
from executor.isolate.policy.transformer.scopes import (
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
        facts = self.survey.of(node)
        scope = function_scope(node, facts, is_method=self.scope.kind == "class")
        node.decorator_list = self.visited(node.decorator_list)
        if node.name in CHECKED_METHODS and self.scope.kind == "class":
            node.decorator_list.insert(0, _name(_CHECKS[node.name], node))
        self._defaults(node.args)
        with self.type_scope(node):
            self._annotations(node)
            with self.inside(scope):
                self._check_parameters(node.args)
                start = after_docstring(node.body)
                node.body = self.visited(node.body)
                checks = self.checks(node, parameters_of(node.args))
        if scope.receiver_used:
            checks.append(_receiver_check(node, scope))
        node.body[start:start] = checks
        return node

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        """Allow lambdas."""
        self._defaults(node.args)
        parameters = frozenset(parameters_of(node.args))
        scope = Scope("function", "<lambda>", parameters, locals=parameters, may_hold=True)
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
    receiver = hidden_name(scope.receiver, node)
    if scope.receiver_is_class:
        own: list[ast.expr] = [hidden_name(hidden.OWN, node)]
        test: ast.expr = ast.copy_location(ast.Compare(receiver, [ast.NotIn()], own), node)
    else:
        test = is_own(receiver, node, test=ast.NotIn())
    guard = hidden.FOREIGN_OR_CLASS if scope.receiver_is_instance else hidden.FOREIGN
    refusal = ast.Expr(hidden_call(guard, receiver, at=node))
    check = ast.If(test=test, body=[ast.copy_location(refusal, node)], orelse=[])
    return ast.copy_location(check, node)
