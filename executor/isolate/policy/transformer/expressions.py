"""Literals, operators, comprehensions, f-strings: nothing in them needs a guard."""

import ast
from typing import Any

from executor.isolate.policy.transformer.base import Walker


class Expressions(Walker):
    """Expressions whose parts are visited and which are otherwise plain Python.

    Operators, items, iteration and unpacking reach only what the operands' own types define, and
    every reachable type is the worker's own or a reviewed one.
    """

    def _parts(self, node: ast.AST) -> Any:
        return self.node_contents_visit(node)

    def _leaf(self, node: ast.AST) -> Any:
        return node

    visit_Constant = _leaf
    visit_List = visit_Tuple = visit_Set = visit_Dict = _parts
    visit_JoinedStr = visit_FormattedValue = _parts
    visit_Starred = visit_Slice = visit_Subscript = _parts
    visit_ListComp = visit_SetComp = visit_DictComp = _parts
    visit_GeneratorExp = visit_comprehension = _parts
    visit_UnaryOp = visit_BinOp = visit_BoolOp = visit_Compare = visit_IfExp = _parts
    visit_UAdd = visit_USub = visit_Not = visit_Invert = _leaf
    visit_Add = visit_Sub = visit_Mult = visit_Div = visit_FloorDiv = visit_Mod = _leaf
    visit_Pow = visit_MatMult = visit_LShift = visit_RShift = _leaf
    visit_BitOr = visit_BitXor = visit_BitAnd = visit_And = visit_Or = _leaf
    visit_Eq = visit_NotEq = visit_Lt = visit_LtE = visit_Gt = visit_GtE = _leaf
    visit_Is = visit_IsNot = visit_In = visit_NotIn = _leaf
    visit_Await = visit_Yield = visit_YieldFrom = _parts
    visit_Expression = visit_keyword = visit_Call = _parts

    def visit_NamedExpr(self, node: ast.NamedExpr) -> Any:
        """Allow the walrus; its target is checked as any name is."""
        return self.node_contents_visit(node)
