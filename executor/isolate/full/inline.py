"""Threads are not there: what asks for one to run a function in runs the function itself.

So a synchronous endpoint of FastAPI works, as do ``asyncio.to_thread``, ``run_in_executor``,
``anyio.to_thread`` and ``concurrent.futures``; the isolate serves one request at a time anyway.
``threading.Thread.start()`` fails: nobody could say when such a function is to run.
"""

import asyncio
import contextvars
import types
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from executor.isolate.full.importing import adjustments
from executor.isolate.loop import DoorLoop


class InlineLoop(DoorLoop):
    """The isolate's event loop, which also runs what is meant for its executor."""

    def run_in_executor(  # type: ignore[override]
        self, _executor: Any, func: Callable[..., Any], *arguments: Any
    ) -> "asyncio.Future[Any]":
        """Run the function now; its outcome as a future."""
        future = self.create_future()
        _settle(future, func, *arguments)
        return future


def _settle(future: Any, func: Callable[..., Any], *arguments: Any, **named: Any) -> None:
    try:
        result = func(*arguments, **named)
    except StopIteration as error:
        wrapped = RuntimeError("the function raised StopIteration")
        wrapped.__cause__ = error
        future.set_exception(wrapped)
    except BaseException as error:  # noqa: BLE001 - it is whoever awaits the future that gets it
        future.set_exception(error)
    else:
        future.set_result(result)


def _submit(_self: Any, fn: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
    """``ThreadPoolExecutor.submit``."""
    future: Future[Any] = Future()
    _settle(future, fn, *arguments, **named)
    return future


async def _run_sync(
    _backend: Any,
    func: Callable[..., Any],
    args: tuple[Any, ...],
    abandon_on_cancel: bool = False,  # noqa: ARG001 - anyio's signature
    limiter: Any = None,  # noqa: ARG001
) -> Any:
    """``anyio.to_thread.run_sync``."""
    await asyncio.sleep(0)
    return contextvars.copy_context().run(func, *args)


def _adjust_anyio(module: types.ModuleType) -> None:
    backend = vars(module).get("AsyncIOBackend")
    if backend is not None:
        backend.run_sync_in_worker_thread = classmethod(_run_sync)


def _adjust_futures(module: types.ModuleType) -> None:
    vars(module)["ThreadPoolExecutor"].submit = _submit


adjustments["anyio._backends._asyncio"] = _adjust_anyio
adjustments["concurrent.futures.thread"] = _adjust_futures
