"""Whom a dispatch worker's call reaches, and whom the fetch() of that one goes through."""

from typing import Protocol

from cloister.messages import Outbound
from cloister.registry.names import is_plain
from cloister.registry.views import Bundle, NamespaceView, OutboundRule, Route
from executor.bindings.base import Dispatched, Refused
from executor.work import Terms


class Names(Protocol):
    """What is deployed."""

    async def namespace(self, name: str) -> NamespaceView | None:
        """The namespace of this name; None if there is none."""

    async def route(self, namespace: str, script: str) -> Route | None:
        """The live version under a name."""


async def terms(names: Names, caller: Bundle, asked: Dispatched) -> tuple[Route, Terms]:
    """A worker of a dispatch namespace of the caller's account, which only plain Workers may call.

    The namespace was the account's when the caller was uploaded; its name may be another's by now.

    Raises:
        Refused: there is no such worker for this caller, or no such outbound parameter.
    """
    found = await names.namespace(asked.namespace)
    mine = found is not None and found.account_id == caller.account_id
    route = None
    if mine and is_plain(caller.namespace) and not is_plain(asked.namespace):
        route = await names.route(asked.namespace, asked.script)
    if route is None:
        raise Refused("Error", "Worker not found.")
    through = _outbound(caller.namespace, asked, route.outbound)
    return route, Terms(limits=asked.limits, outbound=through)


def _outbound(plain: str, asked: Dispatched, rule: OutboundRule | None) -> Outbound | None:
    if asked.outbound is not None:
        return Outbound(
            namespace=plain,
            script=asked.outbound,
            parameters=asked.parameters,
            entrypoint=asked.outbound_entrypoint,
        )
    if unknown := set(asked.parameters) - set(rule.parameters if rule else ()):
        listed = ", ".join(sorted(unknown))[:200]
        raise Refused("ValueError", f"Outbound parameters not declared: {listed}.")
    if rule is None:
        return None
    return Outbound(namespace=rule.namespace, script=rule.script, parameters=asked.parameters)
