"""``asyncio`` and ``contextvars``: tasks and synchronisation, without the loop behind them."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any


class Context:
    """``contextvars.Context`` of a worker: it runs functions and reads variables one holds.

    The interpreter's own can be iterated, and so lists the runtime's variables.
    """

    __slots__ = ("_context",)

    def __init__(self) -> None:
        self._context = contextvars.Context()

    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call the function in this context."""
        return self._context.run(function, *args, **kwargs)

    def copy(self) -> "Context":
        """A shallow copy."""
        return _wrapped(self._context.copy())

    def get(self, variable: contextvars.ContextVar[Any], default: Any = None, /) -> Any:
        """The variable's value here, or the default."""
        return self._context.get(variable, default)

    def __getitem__(self, variable: contextvars.ContextVar[Any], /) -> Any:
        return self._context[variable]

    def __contains__(self, variable: object) -> bool:
        return variable in self._context


def _wrapped(context: contextvars.Context) -> Context:
    wrapper = Context()
    wrapper._context = context
    return wrapper


def copy_context() -> Context:
    """``contextvars.copy_context``."""
    return _wrapped(contextvars.copy_context())


def _real(context: Context | None) -> contextvars.Context | None:
    return None if context is None else context._context


def create_task(
    coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
) -> asyncio.Task[Any]:
    """``asyncio.create_task``."""
    return asyncio.create_task(coro, name=name, context=_real(context))


class EventLoop:
    """What ``asyncio.get_running_loop()`` gives a worker: timers, tasks and futures."""

    __slots__ = ()

    def time(self) -> float:
        """The loop's monotonic clock, in seconds."""
        return asyncio.get_running_loop().time()

    def is_running(self) -> bool:
        """Whether a handler is being served."""
        return True

    def create_future(self) -> asyncio.Future[Any]:
        """A new future."""
        return asyncio.get_running_loop().create_future()

    def create_task(
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        """``asyncio.create_task``."""
        return create_task(coro, name=name, context=context)

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> asyncio.Handle:
        """Call the function in the loop's next turn."""
        return asyncio.get_running_loop().call_soon(callback, *args)

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any
    ) -> asyncio.TimerHandle:
        """Call the function after a delay in seconds."""
        return asyncio.get_running_loop().call_later(delay, callback, *args)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        """Call the function at a time of the loop's clock."""
        return asyncio.get_running_loop().call_at(when, callback, *args)


_loop = EventLoop()


def get_running_loop() -> EventLoop:
    """``asyncio.get_running_loop``.

    Raises:
        RuntimeError: no handler is running.
    """
    asyncio.get_running_loop()
    return _loop


async def to_thread(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """``asyncio.to_thread``, inline: a worker has one thread."""
    return function(*args, **kwargs)


ASYNCIO: dict[str, Any] = {
    "create_task": create_task,
    "get_running_loop": get_running_loop,
    "get_event_loop": get_running_loop,
    "to_thread": to_thread,
    "AbstractEventLoop": EventLoop,
}
CONTEXTVARS: dict[str, Any] = {"Context": Context, "copy_context": copy_context}
