"""Literals, operators, comprehensions, f-strings: nothing in them needs a guard."""

import ast
from typing import Any

from executor.isolate.policy.names import is_plain
from executor.isolate.policy.transformer import hidden
from executor.isolate.policy.transformer.base import Walker, hidden_call
from executor.isolate.policy.transformer.scopes import Scope

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


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
    visit_UnaryOp = visit_BinOp = visit_BoolOp = visit_Compare = visit_IfExp = _parts
    visit_UAdd = visit_USub = visit_Not = visit_Invert = _leaf
    visit_Add = visit_Sub = visit_Mult = visit_Div = visit_FloorDiv = visit_Mod = _leaf
    visit_Pow = visit_MatMult = visit_LShift = visit_RShift = _leaf
    visit_BitOr = visit_BitXor = visit_BitAnd = visit_And = visit_Or = _leaf
    visit_Eq = visit_NotEq = visit_Lt = visit_LtE = visit_Gt = visit_GtE = _leaf
    visit_Is = visit_IsNot = visit_In = visit_NotIn = _leaf
    visit_Await = visit_Yield = visit_YieldFrom = _parts
    visit_Expression = visit_keyword = _parts

    def visit_Call(self, node: ast.Call) -> Any:
        """Allow calls.

        ``type(x)`` goes straight to what the ``type`` of workers does, and ``getattr`` of a name
        that is harmless on every object to the interpreter's own.
        """
        self.node_contents_visit(node)
        if not isinstance(node.func, ast.Name) or node.func.id in self.defined or node.keywords:
            return node
        if any(isinstance(argument, ast.Starred) for argument in node.args):
            return node
        match node.func.id, node.args:
            case "type", [_]:
                return self._type_of(node)
            case "getattr" | "hasattr", [_, ast.Constant(value=str(name)), *_] if is_plain(name):
                plain = hidden.GETATTR_PLAIN if node.func.id == "getattr" else hidden.HASATTR_PLAIN
                node.func = ast.copy_location(ast.Name(plain, ast.Load()), node)
            case _:
                pass
        return node

    def _type_of(self, node: ast.Call) -> ast.expr:
        return self.if_own(
            node.args[0],
            lambda value: hidden_call(hidden.TYPE, value, at=node),
            lambda value: hidden_call(hidden.TYPE_OF, value, at=node),
        )

    def _comprehension(self, node: Comprehension) -> Any:
        """Allow comprehensions: the first iterable is evaluated outside, the rest inside."""
        first = node.generators[0]
        first.iter = self.visit(first.iter)
        targets = {
            name.id
            for generator in node.generators
            for name in ast.walk(generator.target)
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
        }
        scope = Scope("function", "<comprehension>", frozenset(targets), locals=frozenset(targets))
        with self.inside(scope):
            for generator in node.generators:
                generator.target = self.visit(generator.target)
                generator.ifs = self.visited(generator.ifs)
                if generator is not first:
                    generator.iter = self.visit(generator.iter)
            for part in ("elt", "key", "value"):
                if hasattr(node, part):
                    setattr(node, part, self.visit(getattr(node, part)))
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_NamedExpr(self, node: ast.NamedExpr) -> Any:
        """Allow the walrus; its target is checked as any name is."""
        return self.node_contents_visit(node)
