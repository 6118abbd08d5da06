"""Bindings to a secret of a secrets store."""

from executor.isolate.invocation import runtime


class StoreSecret:
    """``await env.NAME.get()``."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    async def get(self) -> str:
        """The value as it is now. Raises ``Exception`` if the secret is not there any more."""
        return str(await runtime.ask(self._name, "get", []))

    def __repr__(self) -> str:
        return f"<secret {self._name}>"
