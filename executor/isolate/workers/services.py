"""Service bindings: another worker of the namespace, over HTTP or by its methods; and assets."""

from collections.abc import Callable, Coroutine
from typing import Any

from executor.isolate.invocation import runtime
from executor.isolate.workers.fetching import send
from executor.isolate.workers.requests import Request
from executor.isolate.workers.responses import Response
from executor.isolate.workers.rpc import python_from_rpc, python_to_rpc


def remote(
    target: str, method: str, options: dict[str, Any] | None = None
) -> Callable[..., Coroutine[Any, Any, Any]]:
    """A method of another worker, as a function."""

    async def call(*arguments: Any, **named: Any) -> Any:
        sent = [python_to_rpc(each) for each in (*arguments, *([named] if named else []))]
        return python_from_rpc(await runtime.ask(target, method, sent, options))

    return call


class Fetcher:
    """``env.NAME.fetch(...)``: all that the binding of a worker's assets has."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    async def fetch(self, resource: Request | str, **options: Any) -> Response:
        """Send a request to the service."""
        if options or not isinstance(resource, Request):
            resource = Request(resource, **options)
        return await send(self._name, resource)

    def __repr__(self) -> str:
        return f"<fetcher {self._name}>"


class Service(Fetcher):
    """``env.NAME.fetch(...)`` and ``env.NAME.method(...)``."""

    __slots__ = ()

    def __getattr__(self, method: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        if method.startswith("_"):
            raise AttributeError(method)
        return remote(self._name, method)

    def __repr__(self) -> str:
        return f"<service {self._name}>"
