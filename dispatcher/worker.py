"""The operator's dispatch worker: its base class, and how it is loaded and called."""

import asyncio
import importlib
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from cloister.errors import SettingInvalid
from cloister.registry import Registry
from dispatcher.environment import Environment, KvBinding
from dispatcher.messages import Request, Response


class Context:
    """``ctx``: work that goes on after the response."""

    def __init__(self, background: set[asyncio.Task[Any]]) -> None:
        self._background = background

    def wait_until(self, awaitable: Awaitable[Any]) -> None:
        """Keep the process alive until this is done; its exceptions are logged."""
        task = asyncio.ensure_future(_done(awaitable))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    waitUntil = wait_until  # noqa: N815 - the product's name


async def _done(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


class DispatchWorker:
    """Base of dispatch workers: trusted code of the operator's, one instance a process.

    ``kv_namespaces`` maps names on ``env`` to titles of KV namespaces; ``vars`` are put on ``env``
    as they are. ``fetch`` may be ``async`` or not (then it runs in a thread, and may return the
    awaitable that a stub's ``fetch`` gives), and may take ``ctx`` as a third argument.
    """

    kv_namespaces: ClassVar[dict[str, str]] = {}
    vars: ClassVar[dict[str, Any]] = {}

    async def fetch(self, request: Request, env: Environment) -> Response:
        """Answer one request."""
        raise NotImplementedError


class LoadedWorker:
    """A dispatch worker ready to be called."""

    def __init__(self, worker: Any) -> None:
        self._fetch: Callable[..., Any] = worker.fetch
        self._takes_ctx = len(inspect.signature(self._fetch).parameters) > 2
        self._is_async = inspect.iscoroutinefunction(self._fetch)
        self._worker = worker

    def declared(self, registry: Registry) -> dict[str, Any]:
        """What the class puts on ``env``."""
        kv = getattr(self._worker, "kv_namespaces", {})
        bindings = {name: KvBinding(registry, title) for name, title in kv.items()}
        return {**getattr(self._worker, "vars", {}), **bindings}

    async def call(self, request: Request, env: Environment, ctx: Context) -> Response:
        """Run ``fetch``. Raises what it raises, and TypeError if it returns no Response."""
        arguments = (request, env, ctx) if self._takes_ctx else (request, env)
        if self._is_async:
            response = await self._fetch(*arguments)
        else:
            response = await asyncio.to_thread(self._fetch, *arguments)
            if inspect.isawaitable(response):
                response = await response
        if not isinstance(response, Response):
            raise TypeError(f"the dispatch worker returned {type(response).__name__}, no Response")
        return response


def load_worker(reference: str) -> LoadedWorker:
    """Import ``module:Class`` and make its instance.

    Raises:
        SettingInvalid: there is no such class, or it has no ``fetch``.
    """
    module_name, colon, class_name = reference.partition(":")
    if not colon:
        raise SettingInvalid(f"CLOISTER_DISPATCH_WORKER={reference!r} must be module:Class.")
    try:
        kind = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as exc:
        raise SettingInvalid(f"CLOISTER_DISPATCH_WORKER={reference!r}: {exc}.") from exc
    worker = kind()
    if not callable(getattr(worker, "fetch", None)):
        raise SettingInvalid(f"CLOISTER_DISPATCH_WORKER={reference!r} has no fetch method.")
    return LoadedWorker(worker)
