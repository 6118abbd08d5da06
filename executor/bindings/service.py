"""A service binding: another worker of the same namespace, or a plain Worker of the account, called
without a network hop."""

from typing import Any

from msgspec import Raw

from executor.bindings.asked import check_method, read_request
from executor.bindings.base import Binding, Called
from executor.egress.headers import outgoing
from executor.streams import as_request


class Service(Binding):
    """The target's live version is looked up with each call, by name."""

    async def call(self, method: str, arguments: Raw, options: Raw) -> Any:  # noqa: ARG002 - none
        """``fetch`` sends a request; any other public name calls that method."""
        called = Called(
            script=str(self.spec.get("service", "")),
            entrypoint=self.spec.get("entrypoint") or None,
            props=self.spec.get("props") or {},
            is_plain=bool(self.spec.get("plain")),
        )
        if method != "fetch":
            check_method(method, arguments)
            return await self.scope.callees.call_worker(called, method, arguments)
        asked = read_request(arguments)
        outgoing(asked.headers)  # its own code may rely on it that headers are headers
        return await self.scope.callees.fetch_worker(called, as_request(asked, self.scope.streams))
