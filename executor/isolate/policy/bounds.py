"""How large a worker's source may be.

A parser or compiler that meets more than this could exhaust the C stack or the memory before any
limit of the isolate is noticed; within it, the costliest source is refused or compiled in seconds.
"""

import ast
import re
from dataclasses import dataclass

MAX_MODULES = 1_000
MAX_MODULE_BYTES = 2 * 1024 * 1024
MAX_TOTAL_BYTES = 16 * 1024 * 1024
MAX_LINE_CHARS = 100_000
MAX_TOKENS = 300_000
"""Words and punctuation marks of all modules together, comments and text included."""
MAX_NODES = 300_000
"""Syntax nodes of all modules together; some 30,000 ordinary lines."""
MAX_DEPTH = 400
"""Nesting of syntax nodes; an ``elif`` counts as one level below its ``if``."""
RECURSION_LIMIT = 12_000
"""Python frames while compiling: a visitor uses about eight for a level of nesting."""


@dataclass(slots=True)
class Budget:
    """What the modules that are not compiled yet may still have."""

    tokens: int = MAX_TOKENS
    nodes: int = MAX_NODES


_TOKEN = re.compile(r"\w+|[^\w\s]")


def count_tokens(text: str) -> int:
    """Roughly how many tokens the text has, never too few."""
    return _TOKEN.subn("", text)[1]


def measure(tree: ast.AST) -> tuple[int, int]:
    """The number of nodes and their greatest depth, without recursion."""
    count, depth = 0, 0
    level: list[ast.AST] = [tree]
    while level:
        count += len(level)
        depth += 1
        level = _below(level)
    return count, depth


def _below(level: list[ast.AST]) -> list[ast.AST]:
    values: list[object] = []
    for node in level:
        for value in vars(node).values():
            if type(value) is list:
                values.extend(value)
            elif isinstance(value, ast.AST):
                values.append(value)
    return [v for v in values if isinstance(v, ast.AST) and not isinstance(v, ast.expr_context)]
