"""Attributes: public ones are plain loads, the others go through a guard or a checked receiver."""

import ast
from typing import Any

from executor.isolate.policy.names import (
    RESERVED_NAMES,
    STORABLE_DUNDERS,
    STORABLE_EXCEPTION_DUNDERS,
    is_dunder,
    is_plain,
    refusal,
)
from executor.isolate.policy.transformer import hidden
from executor.isolate.policy.transformer.base import Walker, hidden_call, if_own
from executor.isolate.policy.transformer.formats import is_plain_format

_SUPER_PLAIN = frozenset({"__init__", "__new__", "__init_subclass__", "__post_init__"})


class Attributes(Walker):
    """Reads, writes and deletions of attributes."""

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        """Guard what the name alone does not prove."""
        if reason := refusal(node.attr):
            self.refuse(node, f'the attribute "{node.attr}" is not available: {reason}')
            return self.node_contents_visit(node)
        if isinstance(node.ctx, ast.Load):
            return self._load(node)
        return self._store(node)

    def _load(self, node: ast.Attribute) -> ast.expr:
        receiver = self.receiver_scope(node.value)
        plain = is_plain(node.attr) or is_plain_format(node) or self._is_super_call(node)
        node.value = self.visit(node.value)
        if plain:
            return self._super_init(node) if node.attr == "__init__" else node
        if receiver and node.attr.startswith("_") and not is_dunder(node.attr):
            receiver.receiver_used = True
            return node
        name = ast.Constant(self.mangled(node.attr))
        guarded = hidden_call(hidden.GETATTR, node.value, name, at=node)
        if self.is_local(node.value) and node.attr.startswith("_") and not is_dunder(node.attr):
            return if_own(node.value, node, guarded)
        return guarded

    def _super_init(self, node: ast.Attribute) -> ast.expr:
        """``super().__init__``: bound to the first argument, unless that is a class."""
        guarded = hidden_call(hidden.GETATTR, node.value, ast.Constant("__init__"), at=node)
        if not self.scope.receiver:
            return guarded
        first = ast.Name(self.scope.receiver, ast.Load())
        kind = ast.Call(ast.Name(hidden.TYPE, ast.Load()), [first], [])
        test = ast.Compare(kind, [ast.In()], [ast.Name(hidden.OWN, ast.Load())])
        choice = ast.IfExp(test=test, body=node, orelse=guarded)
        return ast.fix_missing_locations(ast.copy_location(choice, node))

    def _is_super_call(self, node: ast.Attribute) -> bool:
        """``super().__new__`` and the like, whose result is harmless or bound to the receiver."""
        if node.attr not in _SUPER_PLAIN or not isinstance(node.value, ast.Call):
            return False
        call = node.value
        return (
            isinstance(call.func, ast.Name)
            and call.func.id == "super"
            and not call.args
            and not call.keywords
        )

    def _store(self, node: ast.Attribute) -> ast.Attribute:
        """``x.a = v`` becomes ``$write(x).a = v``, evaluated after ``v`` as the plain form is."""
        if node.attr in RESERVED_NAMES:
            self.refuse(node, f'"{node.attr}" cannot be rebound: {RESERVED_NAMES[node.attr]}')
        receiver = self.receiver_scope(node.value)
        node.value = self.visit(node.value)
        if is_dunder(node.attr):
            return self._store_dunder(node)
        if receiver:
            receiver.receiver_used = True
            return node
        guard = hidden.WRITE_OWN if node.attr.startswith("_") else hidden.WRITE
        guarded = hidden_call(guard, node.value, at=node.value)
        local = self.is_local(node.value)
        node.value = if_own(node.value, node.value, guarded) if local else guarded
        return node

    def _store_dunder(self, node: ast.Attribute) -> ast.Attribute:
        if node.attr in STORABLE_EXCEPTION_DUNDERS:
            node.value = hidden_call(hidden.WRITE, node.value, at=node.value)
        elif node.attr in STORABLE_DUNDERS:
            node.value = hidden_call(hidden.WRITE_DUNDER, node.value, at=node.value)
        else:
            self.refuse(
                node,
                f'the attribute "{node.attr}" cannot be assigned: it belongs to the interpreter; '
                "define it in the class statement",
            )
        return node
