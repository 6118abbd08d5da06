"""A secret of a secrets store: ``await env.NAME.get()``."""

from typing import Any

from msgspec import Raw

from cloister.errors import CloisterError, NotFound
from executor.bindings.base import Binding, Refused


class Secret(Binding):
    """Read anew in each invocation, so that an edited secret needs no deploy."""

    async def call(self, method: str, arguments: Raw, options: Raw) -> Any:  # noqa: ARG002 - none
        """``get`` is all there is."""
        if method != "get":
            raise Refused("TypeError", f"A secret has no method {method[:40]!r}.")
        self.scope.count()
        store, name = str(self.spec.get("store_id")), str(self.spec.get("secret_name"))
        read = self.scope.registry.secret_stores.value
        try:
            return await self.scope.in_thread(read, self.scope.bundle.account_id, store, name)
        except NotFound as exc:
            raise Refused("Error", f'Secret "{name[:100]}" not found') from exc
        except CloisterError as exc:
            raise Refused("Error", "The secret cannot be read at the moment.") from exc
