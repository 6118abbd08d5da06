"""Class statements."""

import ast
from typing import Any

from executor.isolate.policy.transformer import hidden
from executor.isolate.policy.transformer.base import Walker, after_docstring
from executor.isolate.policy.transformer.scopes import Scope


class Classes(Walker):
    """Plain Python; bases and metaclass are checked at run time, where they are known."""

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        """Allow classes, and mark the class as the worker's own."""
        self.check_binding(node, node.name)
        node.decorator_list = self.visited(node.decorator_list)
        with self.type_scope(node):
            node.bases = self.visited(node.bases)
            node.keywords = self.visited(node.keywords)
            with self.inside(Scope("class", node.name)):
                node.body = self.visited(node.body)
        node.body.insert(after_docstring(node.body), _mark(node))
        return node


def _mark(node: ast.ClassDef) -> ast.Assign:
    mark = ast.Assign(
        targets=[ast.Name(hidden.MARK_ATTRIBUTE, ast.Store())],
        value=ast.Name(hidden.MARK, ast.Load()),
    )
    return ast.fix_missing_locations(ast.copy_location(mark, node))
