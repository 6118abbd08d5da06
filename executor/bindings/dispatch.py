"""A dispatch namespace of the account: a plain Worker calls the workers in it, by name."""

from typing import Any

import msgspec
from msgspec import Raw

from cloister.limits import Limits
from executor.bindings.asked import check_method, read, read_request
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
    args: Raw = NOTHING


_options = msgspec.msgpack.Decoder(_Options)


class Dispatch(Binding):
    """The worker is looked up with each request."""

    async def call(self, method: str, arguments: Raw, options: Raw) -> Any:
        """``fetch`` sends a request to the worker that the options name; any other public name
        calls that method of it."""
        wanted = "get() takes a name, arguments, limits and outbound parameters"
        dispatched = self._dispatched(read(_options, options, OPTIONS_BYTES, wanted))
        if method != "fetch":
            check_method(method, arguments)
            return await self.scope.callees.dispatch_call(dispatched, method, arguments)
        request = read_request(arguments)
        outgoing(request.headers)  # its own code may rely on it that headers are headers
        return await self.scope.callees.dispatch(
            dispatched, as_request(request, self.scope.streams)
        )

    def _dispatched(self, asked: _Options) -> Dispatched:
        parameters = _json(asked.outbound, "Outbound parameters")
        worker = self._outbound(parameters)
        return Dispatched(
            namespace=str(self.spec.get("namespace", "")),
            script=asked.name,
            limits=_limits(asked.limits or {}),
            outbound=worker.get("service"),
            outbound_entrypoint=worker.get("entrypoint"),
            parameters=parameters,
            args=_json(asked.args, "Arguments"),
        )

    def _outbound(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The outbound worker that the binding names, if it does; for these parameters."""
        rule = self.spec.get("outbound")
        if rule is None:
            return {}
        unknown = set(parameters) - {item["name"] for item in rule.get("params", [])}
        if unknown:
            names = ", ".join(sorted(unknown))[:200]
            raise Refused("ValueError", f"Outbound parameters not declared: {names}.")
        worker: dict[str, Any] = rule["worker"]
        return worker


def _json(given: Raw, what: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(msgspec.json.encode(plain(given)))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as exc:
        raise Refused("TypeError", f"{what} must be JSON.") from exc
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused("TypeError", f"{what} are an object.")
    return value


def _limits(given: dict[str, int]) -> Limits:
    said = {_SPELLINGS.get(name, name): value for name, value in given.items()}
    for name, value in said.items():
        if name not in Limits.__struct_fields__ or value < 1:
            raise Refused("ValueError", f"{name[:40]} is no limit, or not a whole number above 0.")
    return Limits(**said)
