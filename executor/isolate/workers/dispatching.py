"""A dispatch namespace as a plain Worker has it: workers by their names."""

from collections.abc import Callable, Coroutine
from typing import Any

from executor.isolate.workers.fetching import send
from executor.isolate.workers.requests import Request
from executor.isolate.workers.responses import Response
from executor.isolate.workers.services import remote


class DispatchNamespace:
    """``env.NAME.get(...)``."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def get(
        self,
        name: str,
        args: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        **named: Any,
    ) -> "Stub":
        """A stub for a worker of the namespace; nothing is looked up before it is used.

        ``args`` are the worker's ``ctx.props``. ``options``, or keywords: ``limits`` (``cpuMs``,
        ``subRequests``) and ``outbound``, values of the parameters that the binding declares.
        """
        if not isinstance(name, str):
            raise TypeError(f"A worker's name is a string, not {type(name).__name__}")
        return Stub(self._name, {**(options or {}), **named, "name": name, "args": args})

    def __repr__(self) -> str:
        return f"<dispatch namespace {self._name}>"


class Stub:
    """One worker, about to be called."""

    __slots__ = ("_name", "_options")

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self._name = name
        self._options = options

    async def fetch(self, resource: Request | str, **options: Any) -> Response:
        """Send a request to the worker. A missing one is an exception, ``Worker not found.``"""
        if options or not isinstance(resource, Request):
            resource = Request(resource, **options)
        return await send(self._name, resource, self._options)

    def __getattr__(self, method: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        if method.startswith("_"):
            raise AttributeError(method)
        return remote(self._name, method, self._options)

    def __repr__(self) -> str:
        return f"<worker {self._options['name']}>"
