"""How large a worker's source may be.

A parser or compiler that meets more than this could exhaust the C stack or the memory before any
limit of the isolate is noticed; within it, the costliest source is refused or compiled in seconds.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
MAX_BLOCKS = 16
"""``try``, ``with`` and comprehensions within one another. The compiler of some Pythons writes
beyond its own array at 20, counting some twice, before it says that there are too many."""
RECURSION_LIMIT = 12_000
"""Python frames while compiling: a visitor uses about eight for a level of nesting."""
MAX_CODE_BYTES = 7 * 1024 * 1024
"""Compiled code of all modules together: it leaves the isolate in one frame, beside warnings."""
MAX_ISSUES = 1_000
"""Errors, and warnings, that are told of one worker."""
MAX_MESSAGE_CHARS = 500
"""Of one of them: names in it may be as long as a line."""


@dataclass(slots=True)
class Budget:
    """What the modules that are not compiled yet may still have."""

    tokens: int = MAX_TOKENS
    nodes: int = MAX_NODES


_TOKEN = re.compile(r"\w+|[^\w\s]")


def excess(sources: Mapping[str, bytes]) -> str | None:
    """Why these are more than anyone looks at, or None."""
    if len(sources) > MAX_MODULES:
        return f"the worker has more than {MAX_MODULES} modules; join some of them"
    if sum(map(len, sources.values())) > MAX_TOTAL_BYTES:
        size = f"{MAX_TOTAL_BYTES // 1024**2} MiB"
        return f"the worker has more than {size} of Python source; keep data in KV, not in code"
    return None


def count_tokens(text: str) -> int:
    """Roughly how many tokens the text has."""
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


def first_beyond(tree: ast.AST, depth: int) -> int:
    """The line of the first node that is nested deeper; 0 if none is known."""
    level: list[ast.AST] = [tree]
    for _ in range(depth):
        level = _below(level)
    return min((node.lineno for node in level if hasattr(node, "lineno")), default=0)


def first_overfull(tree: ast.AST) -> ast.AST | None:
    """The first node with a place found within more than :data:`MAX_BLOCKS`."""
    todo: list[tuple[ast.AST, int]] = [(tree, 0)]
    while todo:
        node, blocks = todo.pop()
        if blocks > MAX_BLOCKS and hasattr(node, "lineno"):
            return node
        counts = type(node) in _BLOCKS
        for name, value in vars(node).items():
            if type(value) is list:
                within = _blocks_around(node, name, blocks) if counts else blocks
                todo += [(each, within) for each in value if isinstance(each, ast.AST)]
            elif isinstance(value, ast.AST):
                within = _blocks_around(node, name, blocks) if counts else blocks
                todo.append((value, within))
    return None


_UNITS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_BLOCKS = frozenset(
    {*_UNITS, *_COMPREHENSIONS, ast.With, ast.AsyncWith, ast.AsyncFor}
    | {ast.Try, ast.TryStar, ast.ExceptHandler}
)


def _blocks_around(node: Any, field: str, blocks: int) -> int:
    """In how many blocks that part of a node is, which itself is in so many."""
    match node:
        case ast.With() | ast.AsyncWith():
            return blocks + len(node.items)
        case ast.Try() | ast.TryStar():
            return blocks + bool(node.finalbody) + (field == "body" and bool(node.handlers))
        case ast.ExceptHandler():
            return blocks + 2  # for the exception, and for the name that it gets
        case ast.AsyncFor():
            return blocks + 1
        case _ if isinstance(node, _COMPREHENSIONS):
            return blocks + 1 + sum(each.is_async for each in node.generators)
        case _:
            return 0 if field == "body" else blocks  # a function's own code counts anew


def _below(level: list[ast.AST]) -> list[ast.AST]:
    values: list[object] = []
    for node in level:
        for value in vars(node).values():
            if type(value) is list:
                values.extend(value)
            elif isinstance(value, ast.AST):
                values.append(value)
    return [v for v in values if isinstance(v, ast.AST) and not isinstance(v, ast.expr_context)]
