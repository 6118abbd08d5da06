"""Whom a dispatch worker may call: workers of its account's namespaces, whoever has their names."""

from typing import Any

import msgspec
import pytest

from cloister.limits import NO_LIMITS, Limits
from cloister.messages import Outbound
from cloister.registry.names import plain_namespace
from cloister.registry.views import Bundle, NamespaceView, OutboundRule, Route
from executor.bindings import Refused
from executor.bindings.base import Dispatched
from executor.dispatching import terms

MINE, THEIRS = "a" * 32, "b" * 32
PLAIN = plain_namespace(MINE)
ASKED = Dispatched(namespace="shops", script="one", limits=NO_LIMITS, outbound=None, parameters={})
CALLER = Bundle(
    version="v",
    namespace=PLAIN,
    script="dispatcher",
    account_id=MINE,
    digest="d",
    main_module="m",
    env={},
    live={},
    limits=NO_LIMITS,
    compatibility_date="",
    compatibility_flags=[],
    handlers={},
)


class Deployed:
    """Every worker named one, in namespaces of the account ``owner``."""

    def __init__(self, owner: str = MINE, rule: OutboundRule | None = None) -> None:
        self._owner = owner
        self._rule = rule

    async def namespace(self, name: str) -> NamespaceView | None:
        return NamespaceView(id="n", account_id=self._owner, name=name)

    async def route(self, namespace: str, script: str) -> Route | None:
        if script != "one":
            return None
        return Route(
            namespace=namespace,
            script=script,
            version="w",
            trusted=False,
            namespace_limits=NO_LIMITS,
            script_limits=NO_LIMITS,
            outbound=self._rule,
        )


def asked(**changes: Any) -> Dispatched:
    given = {name: getattr(ASKED, name) for name in ASKED.__dataclass_fields__}
    return Dispatched(**given | changes)


async def test_a_worker_of_the_account_is_found() -> None:
    """The allowed twin of all below, with what the dispatch worker says of it."""
    limits = Limits(cpu_ms=5)
    route, said = await terms(Deployed(), CALLER, asked(limits=limits))
    assert (route.namespace, route.script) == ("shops", "one")
    assert (said.limits, said.outbound) == (limits, None)


@pytest.mark.parametrize(
    ("deployed", "caller", "wanted"),
    [
        (Deployed(THEIRS), CALLER, ASKED),
        (Deployed(), CALLER, asked(script="two")),
        (Deployed(), CALLER, asked(namespace=PLAIN)),
        (Deployed(), msgspec.structs.replace(CALLER, namespace="production"), ASKED),
    ],
    ids=["of another account by now", "missing", "a plain one", "asked by a user worker"],
)
async def test_others_are_not(deployed: Deployed, caller: Bundle, wanted: Dispatched) -> None:
    """Each is missing, in the words that a dispatch worker looks for."""
    with pytest.raises(Refused, match=r"^Worker not found\.$"):
        await terms(deployed, caller, wanted)


async def test_outbound_workers() -> None:
    """The binding's is a plain Worker of the account; without one the namespace's rule holds, and
    what it does not declare is refused."""
    named = asked(outbound="gate", parameters={"customer": "x"})
    _, said = await terms(Deployed(), CALLER, named)
    assert said.outbound == Outbound(namespace=PLAIN, script="gate", parameters={"customer": "x"})
    rule = OutboundRule(namespace="own", script="out", parameters=["customer"])
    _, said = await terms(Deployed(rule=rule), CALLER, asked(parameters={"customer": "x"}))
    assert said.outbound == Outbound(namespace="own", script="out", parameters={"customer": "x"})
    for deployed in (Deployed(), Deployed(rule=rule)):
        with pytest.raises(Refused, match="not declared: other"):
            await terms(deployed, CALLER, asked(parameters={"other": 1}))
