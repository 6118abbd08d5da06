"""The ``match`` statement: what its patterns read and bind."""

import ast
from typing import Any

from executor.isolate.policy.names import is_plain
from executor.isolate.policy.transformer import hidden
from executor.isolate.policy.transformer.base import Walker, hidden_call


class Patterns(Walker):
    """The interpreter reads a pattern's attributes itself, so every name must be harmless."""

    _patterns = 0
    _pattern_classes: list[ast.expr] = []

    def _parts(self, node: ast.AST) -> Any:
        return self.node_contents_visit(node)

    def _leaf(self, node: ast.AST) -> Any:
        return node

    def visit_Match(self, node: ast.Match) -> Any:
        """Allow ``match``."""
        node.subject = self.visit(node.subject)
        node.cases = self.visited(node.cases)
        return node

    def visit_match_case(self, node: ast.match_case) -> Any:
        """Allow a case; the classes of its positional patterns are checked before it."""
        self._pattern_classes = []
        node.pattern = self.visit(node.pattern)
        before = [_never(self._pattern_classes, node.pattern)] if self._pattern_classes else []
        return [*before, self.node_contents_visit(node, skip="pattern")]

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
        if node.patterns:
            node.cls = self._checked_class(node.cls)
        for name in node.kwd_attrs:
            self._check_attribute(node, name)
        node.patterns = self.visited(node.patterns)
        node.kwd_patterns = self.visited(node.kwd_patterns)
        return node

    def _checked_class(self, cls: ast.expr) -> ast.expr:
        """A variable of ours, which holds the class once it is checked."""
        match cls:
            case ast.Name(id=name) if name in hidden.SELF_MATCHING and name not in self.defined:
                return ast.copy_location(ast.Name(hidden.builtin(name), ast.Load()), cls)
            case _:
                pass
        if self.scope.kind == "class":
            self.refuse(
                cls,
                "a pattern in a class body cannot have positional parts; name them: Point(x=0)",
            )
        self._patterns += 1
        name = f"{hidden.PATTERN_CLASS}{self._patterns}"
        checked = hidden_call(hidden.MATCHABLE, cls, at=cls)
        bound = ast.NamedExpr(ast.Name(name, ast.Store()), checked)
        self._pattern_classes.append(ast.fix_missing_locations(ast.copy_location(bound, cls)))
        return ast.copy_location(ast.Name(name, ast.Load()), cls)

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


def _never(classes: list[ast.expr], at: ast.AST) -> ast.match_case:
    """A case that checks and binds the classes of the next one, and never matches."""
    bound: ast.expr = ast.Tuple(classes, ast.Load())
    guard = ast.fix_missing_locations(ast.copy_location(ast.UnaryOp(ast.Not(), bound), at))
    pattern = ast.copy_location(ast.MatchAs(), at)
    return ast.match_case(pattern=pattern, guard=guard, body=[ast.copy_location(ast.Pass(), at)])
