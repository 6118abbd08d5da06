"""The ``match`` statement: what its patterns read and bind."""

import ast
from typing import Any

from executor.isolate.policy.names import is_plain
from executor.isolate.policy.transformer.base import Walker


class Patterns(Walker):
    """The interpreter reads a pattern's attributes itself, so every name must be harmless."""

    def _parts(self, node: ast.AST) -> Any:
        return self.node_contents_visit(node)

    def _leaf(self, node: ast.AST) -> Any:
        return node

    visit_Match = visit_match_case = _parts
    visit_MatchSequence = visit_MatchOr = _parts
    visit_MatchSingleton = _leaf

    def visit_MatchValue(self, node: ast.MatchValue) -> Any:
        """Allow literals and dotted names."""
        self._check_dotted(node.value)
        return node

    def visit_MatchMapping(self, node: ast.MatchMapping) -> Any:
        """Allow mapping patterns."""
        self.check_binding(node, node.rest)
        for key in node.keys:
            self._check_dotted(key)
        node.patterns = self.visited(node.patterns)
        return node

    def visit_MatchStar(self, node: ast.MatchStar) -> Any:
        """Allow ``*rest``."""
        self.check_binding(node, node.name)
        return node

    def visit_MatchAs(self, node: ast.MatchAs) -> Any:
        """Allow captures."""
        self.check_binding(node, node.name)
        return self.node_contents_visit(node)

    def visit_MatchClass(self, node: ast.MatchClass) -> Any:
        """Allow class patterns; positional ones read the verified ``__match_args__``."""
        self._check_dotted(node.cls)
        for name in node.kwd_attrs:
            self._check_attribute(node, name)
        node.patterns = self.visited(node.patterns)
        node.kwd_patterns = self.visited(node.kwd_patterns)
        return node

    def _check_dotted(self, node: ast.expr) -> None:
        """Check each step of a dotted name, which must stay as it is."""
        while isinstance(node, ast.Attribute):
            receiver = self.receiver_scope(node.value)
            if receiver and node.attr.startswith("_") and not node.attr.endswith("__"):
                receiver.receiver_used = True
            else:
                self._check_attribute(node, node.attr)
            node = node.value
        self.visit(node)

    def _check_attribute(self, node: ast.AST, name: str) -> None:
        if not is_plain(name):
            self.refuse(
                node,
                f'a pattern cannot read the attribute "{name}"; '
                "match the object and read the attribute in the case's body",
            )
