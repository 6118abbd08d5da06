"""Names: reading and binding variables."""

import ast
from typing import Any

from executor.isolate.policy.names import (
    CONVENTIONAL_DUNDERS,
    DEFINABLE_DUNDERS,
    FORBIDDEN_DUNDERS,
    MODULE_DUNDERS,
    READABLE_NAMES,
    REFUSED_NAMES,
    is_dunder,
)
from executor.isolate.policy.transformer.base import Walker

_READABLE = READABLE_NAMES | CONVENTIONAL_DUNDERS | DEFINABLE_DUNDERS | MODULE_DUNDERS


class Variables(Walker):
    """A variable is plain; only names that the interpreter uses are checked."""

    def visit_Name(self, node: ast.Name) -> Any:
        """Check a name that is read, and one that is bound or deleted."""
        if not isinstance(node.ctx, ast.Load):
            self.check_binding(node, node.id)
        elif node.id in REFUSED_NAMES:
            self._check_missing(node)
        elif is_dunder(node.id) and node.id not in _READABLE:
            reason = FORBIDDEN_DUNDERS.get(node.id, "names of this form belong to the interpreter")
            self.refuse(node, f'"{node.id}" is not available: {reason}')
        return node

    def _check_missing(self, node: ast.Name) -> None:
        """A builtin that does not exist is refused, unless the module defines the name itself."""
        if node.id not in self.defined:
            self.refuse(node, f'"{node.id}" is not available: {REFUSED_NAMES[node.id]}')

    def visit_Global(self, node: ast.Global) -> Any:
        """Allow ``global``; the names stay subject to the rules for a module's variables."""
        self.scope.globals.update(node.names)
        for name in node.names:
            self.check_binding(node, name)
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> Any:
        """Allow ``nonlocal``."""
        for name in node.names:
            self.check_binding(node, name)
        return node
