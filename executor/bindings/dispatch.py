"""A dispatch namespace of the account: a plain Worker calls the workers in it, by name."""

from typing import Any

import msgspec
from msgspec import Raw

from cloister.limits import Limits
from executor.bindings.asked import read, read_request
from executor.bindings.base import Binding, Dispatched, Refused
from executor.egress.headers import outgoing
from executor.isolate.frames import NOTHING, plain
from executor.streams import as_request

OPTIONS_BYTES = 64 * 1024

_SPELLINGS = {"cpuMs": "cpu_ms", "subRequests": "subrequests"}


class _Options(msgspec.Struct):
    name: str
    limits: dict[str, int] | None = None
    outbound: Raw = NOTHING


_options = msgspec.msgpack.Decoder(_Options)


class Dispatch(Binding):
    """The worker is looked up with each request."""

    async def call(self, method: str, arguments: Raw, options: Raw) -> Any:
        """``fetch`` sends a request to the worker that the options name."""
        if method != "fetch":
            raise Refused("TypeError", f"A dispatched worker has no method {method[:40]!r}.")
        wanted = "get() takes a name, limits and outbound parameters"
        asked = read(_options, options, OPTIONS_BYTES, wanted)
        request = read_request(arguments)
        outgoing(request.headers)  # its own code may rely on it that headers are headers
        outbound, parameters = self._outbound(asked.outbound)
        dispatched = Dispatched(
            namespace=str(self.spec.get("namespace", "")),
            script=asked.name,
            limits=_limits(asked.limits or {}),
            outbound=outbound,
            parameters=parameters,
        )
        return await self.scope.dispatch(dispatched, as_request(request, self.scope.streams))

    def _outbound(self, given: Raw) -> tuple[str | None, dict[str, Any]]:
        """The outbound worker that the binding names, if it does, and the parameters given."""
        parameters = _parameters(given)
        rule = self.spec.get("outbound")
        if rule is None:
            return None, parameters
        unknown = set(parameters) - {item["name"] for item in rule.get("params", [])}
        if unknown:
            names = ", ".join(sorted(unknown))[:200]
            raise Refused("ValueError", f"Outbound parameters not declared: {names}.")
        return rule["worker"]["service"], parameters


def _parameters(given: Raw) -> dict[str, Any]:
    try:
        parameters = msgspec.json.decode(msgspec.json.encode(plain(given)))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as exc:
        raise Refused("TypeError", "Outbound parameters must be JSON.") from exc
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise Refused("TypeError", "Outbound parameters are an object.")
    return parameters


def _limits(given: dict[str, int]) -> Limits:
    said = {_SPELLINGS.get(name, name): value for name, value in given.items()}
    for name, value in said.items():
        if name not in Limits.__struct_fields__ or value < 1:
            raise Refused("ValueError", f"{name[:40]} is no limit, or not a whole number above 0.")
    return Limits(**said)
