"""Statements: assignment, control flow, exceptions, context managers."""

import ast
from typing import Any

from executor.isolate.policy.names import GUARDED_PUBLIC
from executor.isolate.policy.transformer import hidden
from executor.isolate.policy.transformer.base import Walker, hidden_call
from executor.isolate.policy.transformer.facts import simply_bound


class Statements(Walker):
    """Plain Python; the names and attributes that they bind are checked as such."""

    def _parts(self, node: ast.AST) -> Any:
        return self.node_contents_visit(node)

    def _leaf(self, node: ast.AST) -> Any:
        return node

    visit_Module = visit_Expr = visit_Delete = _parts
    visit_If = visit_While = _parts
    visit_Raise = visit_Assert = _parts
    visit_Pass = visit_Break = visit_Continue = _leaf
    visit_Try = visit_withitem = _parts

    def _block(self, node: Any) -> Any:
        """Allow statements that bind before their block, whose first act is to check the name."""
        bound = simply_bound(node)
        self.node_contents_visit(node)
        node.body[:0] = self.checks(node, bound)
        return node

    visit_For = visit_AsyncFor = visit_With = visit_AsyncWith = _block

    def visit_TryStar(self, node: ast.AST) -> Any:
        """Allow ``except*``.

        Its known unsoundness needs an exception group whose ``split`` is not the interpreter's:
        groups can neither be subclassed nor written to (guards.py, building.py).
        """
        return self.node_contents_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> Any:
        """Allow ``except E as name``."""
        self.check_binding(node, node.name)
        return self.node_contents_visit(node)

    def visit_Assign(self, node: ast.Assign) -> Any:
        """Allow assignment; ``__match_args__`` is verified when it is bound."""
        targets = [t for t in node.targets if not _is_match_args(t)]
        verified = len(targets) < len(node.targets)
        if verified and self.scope.kind != "class":
            self.refuse(node, '"__match_args__" has a meaning only in a class; bind it there')
        self.visited(targets)
        node.value = self.visit(node.value)
        if verified:
            node.value = hidden_call(hidden.MATCH_ARGS, node.value, at=node.value)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        """Allow augmented assignment; a public name with a guard is read here without it."""
        if not isinstance(node.target, ast.Attribute) or node.target.attr not in GUARDED_PUBLIC:
            return self.node_contents_visit(node)
        receiver = self.visit(node.target.value)
        node.target.value = hidden_call(hidden.WRITE_OWN, receiver, at=receiver)
        return self.node_contents_visit(node, skip="target")

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        """Allow annotated variables; an annotation that stays text is not visited."""
        node.target = self.visit(node.target)
        if not self.future_annotations:
            node.annotation = self.visit(node.annotation)
        if node.value is not None:
            node.value = self.visit(node.value)
        return node


def _is_match_args(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == "__match_args__"
