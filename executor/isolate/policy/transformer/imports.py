"""Imports, in all their forms."""

import ast
from collections.abc import Mapping
from typing import Any

from executor.isolate.policy.transformer import hidden
from executor.isolate.policy.transformer.base import Walker, hidden_call

_BESIDE = "if it is pure Python, put its source beside yours"


class Imports(Walker):
    """Each import becomes calls of the module space's own functions.

    The interpreter's own opcodes fall back to ``sys.modules``, where the real modules are.
    """

    hints: Mapping[str, str] = {}
    """What to use instead of modules that are not there."""

    def visit_Import(self, node: ast.Import) -> Any:
        """``import a.b`` binds ``a``; ``import a.b as c`` binds ``a.b``."""
        return [self._import(node, alias) for alias in node.names]

    def _import(self, node: ast.Import, alias: ast.alias) -> ast.Assign:
        self._check_available(alias, alias.name)
        bound = alias.asname or alias.name.partition(".")[0]
        self.check_binding(alias, bound)
        guard = hidden.IMPORT_LEAF if alias.asname else hidden.IMPORT
        call = hidden_call(guard, ast.Constant(alias.name), at=node)
        return _assign(node, ast.Name(bound, ast.Store()), call)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        """``from m import a, b`` becomes ``(a, b) = $import_from("m", ("a", "b"), 0)``."""
        if node.module == "__future__":
            return node
        if not node.level:
            self._check_available(node, node.module or "")
        if any(alias.name == "*" for alias in node.names):
            return self._import_all(node)
        bound = [alias.asname or alias.name for alias in node.names]
        for alias, name in zip(node.names, bound, strict=True):
            self.check_binding(alias, name)
        names = ast.Tuple([ast.Constant(alias.name) for alias in node.names], ast.Load())
        call = hidden_call(hidden.IMPORT_FROM, *self._source(node), names, at=node)
        targets: list[ast.expr] = [ast.Name(name, ast.Store()) for name in bound]
        return _assign(node, ast.Tuple(targets, ast.Store()), call)

    def _import_all(self, node: ast.ImportFrom) -> ast.AST:
        if self.scope.kind != "module":
            self.refuse(node, "import * is only allowed at module level; name what you import")
        call = hidden_call(hidden.IMPORT_ALL, *self._source(node), at=node)
        return ast.copy_location(ast.Expr(call), node)

    def _source(self, node: ast.ImportFrom) -> list[ast.expr]:
        return [ast.Constant(node.module or ""), ast.Constant(node.level)]

    def _check_available(self, node: ast.AST, name: str) -> None:
        """Warn of a module that is not there: the import may never run."""
        parts = name.split(".")
        prefixes = {".".join(parts[: i + 1]) for i in range(len(parts))}
        if not prefixes <= self.available:
            hint = self.hints.get(name) or self.hints.get(parts[0], _BESIDE)
            self.note(
                node, f'module "{name}" is not available: its import fails when it runs; {hint}'
            )


def _assign(node: ast.stmt, target: ast.expr, value: ast.expr) -> ast.Assign:
    assign = ast.Assign(targets=[target], value=value)
    return ast.fix_missing_locations(ast.copy_location(assign, node))
