"""A service binding: another worker of the same namespace, called without a network hop."""

from typing import Any

from msgspec import Raw

from executor.bindings.asked import read_request
from executor.bindings.base import Binding, Refused
from executor.egress.headers import outgoing
from executor.streams import as_request

_ARRAYS = frozenset({*range(0x90, 0xA0), 0xDC, 0xDD})
"""The first byte of an array in msgpack."""


class Service(Binding):
    """The target's live version is looked up with each call, by name."""

    async def call(self, method: str, arguments: Raw, options: Raw) -> Any:  # noqa: ARG002 - none
        """``fetch`` sends a request; any other public name calls that method."""
        if method.startswith("_") or not method.isidentifier():
            raise Refused("TypeError", f"Method {method[:40]!r} does not exist")
        script = str(self.spec.get("service", ""))
        entrypoint = self.spec.get("entrypoint") or None
        props = self.spec.get("props") or {}
        if method != "fetch":
            if memoryview(arguments)[0] not in _ARRAYS:
                raise Refused("TypeError", "A method takes a list of arguments.")
            return await self.scope.call_worker(
                script, method, arguments, entrypoint=entrypoint, props=props
            )
        asked = read_request(arguments)
        outgoing(asked.headers)  # its own code may rely on it that headers are headers
        request = as_request(asked, self.scope.streams)
        return await self.scope.fetch_worker(script, request, entrypoint=entrypoint, props=props)
