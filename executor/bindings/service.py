"""A service binding: another worker of the same namespace, called without a network hop."""

from typing import Any

import msgspec

from executor.bindings.base import Binding, Refused
from executor.isolate.frames import Outgoing
from executor.streams import as_request


class Service(Binding):
    """The target's live version is looked up with each call, by name."""

    async def call(self, method: str, arguments: list[Any], options: dict[str, Any]) -> Any:
        """``fetch`` sends a request; any other public name calls that method."""
        if method.startswith("_") or not method.isidentifier():
            raise Refused("TypeError", f"Method {method[:40]!r} does not exist")
        if options:
            arguments = [*arguments, options]
        script = str(self.spec.get("service", ""))
        entrypoint = self.spec.get("entrypoint") or None
        props = self.spec.get("props") or {}
        if method != "fetch":
            return await self.scope.call_worker(
                script, method, arguments, entrypoint=entrypoint, props=props
            )
        try:
            outgoing = msgspec.convert(arguments[0] if arguments else None, Outgoing)
        except msgspec.ValidationError as exc:
            raise Refused("TypeError", "fetch() takes a request.") from exc
        request = as_request(outgoing, self.scope.streams)
        return await self.scope.fetch_worker(script, request, entrypoint=entrypoint, props=props)
