"""How large a worker's source may be.

A parser or compiler that meets more than this could exhaust the C stack or the memory before any
limit of the isolate is noticed; within it, the costliest source is refused or compiled in seconds.
"""

import ast

MAX_MODULES = 1_000
MAX_MODULE_BYTES = 2 * 1024 * 1024
MAX_TOTAL_BYTES = 16 * 1024 * 1024
MAX_LINE_CHARS = 100_000
MAX_NODES = 400_000
"""Syntax nodes of all modules together; 50,000 ordinary lines."""
MAX_DEPTH = 400
"""Nesting of syntax nodes; an ``elif`` counts as one level below its ``if``."""
RECURSION_LIMIT = 12_000
"""Python frames while compiling: a visitor uses about eight for a level of nesting."""


def measure(tree: ast.AST) -> tuple[int, int]:
    """The number of nodes and their greatest depth, without recursion."""
    count, depth = 0, 0
    level: list[ast.AST] = [tree]
    while level:
        count += len(level)
        depth += 1
        level = [child for node in level for child in _children(node)]
    return count, depth


def _children(node: ast.AST) -> list[ast.AST]:
    return [c for c in ast.iter_child_nodes(node) if not isinstance(c, ast.expr_context)]
