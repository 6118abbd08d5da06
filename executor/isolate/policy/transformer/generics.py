"""Type parameters in brackets and ``type`` statements, which Python has from 3.12 on."""

from typing import Any

from executor.isolate.policy.transformer.base import Walker
from executor.isolate.policy.transformer.scopes import Scope


class Generics(Walker):
    """Names that are bound, and expressions that run later: whenever somebody reads the value.

    So nothing is known there of any variable, and every access is guarded when it runs. The nodes
    have no types here: an older interpreter does not know them.
    """

    def visit_TypeAlias(self, node: Any) -> Any:
        """Allow ``type X[T] = value``."""
        node.name = self.visit(node.name)
        with self.inside(Scope("function", "<type alias>")), self.type_scope(node):
            node.value = self.visit(node.value)
        return node

    def _parameter(self, node: Any) -> Any:
        """Allow a parameter; its bound and its default are expressions."""
        self.check_binding(node, node.name)
        return self.node_contents_visit(node)

    visit_TypeVar = visit_ParamSpec = visit_TypeVarTuple = _parameter
