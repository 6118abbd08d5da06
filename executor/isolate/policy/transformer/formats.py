"""Format strings that are known at compile time."""

import ast
import re

_FIELD = re.compile(r"[{]([^{}!:]*)")


def is_plain_format(node: ast.Attribute) -> bool:
    """Whether this is ``"literal".format`` whose fields read neither attributes nor items."""
    if node.attr != "format" or not isinstance(node.value, ast.Constant):
        return False
    text = node.value.value
    return isinstance(text, str) and not any("." in f or "[" in f for f in _FIELD.findall(text))
