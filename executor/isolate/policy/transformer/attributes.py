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
from executor.isolate.policy.transformer.base import Walker, hidden_call
from executor.isolate.policy.transformer.formats import is_plain_format

_SUPER_PLAIN = frozenset({"__new__", "__init_subclass__", "__post_init__"})

_INSTEAD = {
    "__class__": "make an object of the other class",
    "__dict__": "use vars(x).update() and vars(x).clear()",
    "__defaults__": "write the default in the def statement",
    "__kwdefaults__": "write the default in the def statement",
    "__annotations__": "write the annotations in the statement, or add to the dictionary",
    "__module__": "it says where the object was defined",
}
"""What to do for an attribute that cannot be assigned."""


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
            return node
        if receiver and node.attr.startswith("_") and not is_dunder(node.attr):
            receiver.receiver_used = True
            return node

        def guarded(value: ast.expr) -> ast.expr:
            return hidden_call(
                hidden.GETATTR, value, ast.Constant(self.mangled(node.attr)), at=node
            )

        def plain_load(value: ast.expr) -> ast.expr:
            return ast.copy_location(ast.Attribute(value, node.attr, ast.Load()), node)

        if node.attr.startswith("_") and not is_dunder(node.attr):
            return self.if_own(node.value, plain_load, guarded)
        return guarded(node.value)

    def _is_super_call(self, node: ast.Attribute) -> bool:
        """Whether it is ``super().__init__`` or the like, and gives what is bound already.

        With a class for its receiver, ``super().__init__`` is a function that initialises anything;
        so the check of the receiver must not let a class pass.
        """
        match node:
            case ast.Attribute(value=ast.Call(func=ast.Name("super"), args=[], keywords=[])):
                if node.attr != "__init__":
                    return node.attr in _SUPER_PLAIN
            case _:
                return False
        if self.scope.receiver is None or self.scope.receiver_is_class:
            return False
        self.scope.receiver_used = self.scope.receiver_is_instance = True
        return True

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
        node.value = self.if_own(
            node.value, lambda value: value, lambda value: hidden_call(guard, value, at=value)
        )
        return node

    def _store_dunder(self, node: ast.Attribute) -> ast.Attribute:
        if node.attr in STORABLE_EXCEPTION_DUNDERS:
            node.value = hidden_call(hidden.WRITE, node.value, at=node.value)
        elif node.attr in STORABLE_DUNDERS:
            node.value = hidden_call(hidden.WRITE_DUNDER, node.value, at=node.value)
        else:
            instead = _INSTEAD.get(node.attr, "define it in the class statement")
            self.refuse(
                node,
                f'the attribute "{node.attr}" cannot be assigned: it belongs to the interpreter; '
                f"{instead}",
            )
        return node
