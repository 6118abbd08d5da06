"""``asyncio`` and ``contextvars``: tasks and synchronisation, without the loop behind them."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

from executor.isolate.policy import kinds


def isfuture(obj: Any) -> bool:
    """``asyncio.isfuture``; an object of the worker is none, nor what stands for it."""
    return issubclass(type(obj), asyncio.Future)


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
    if type(context) is Context:
        return context._context
    if context is None:
        return None
    raise TypeError(f"expected contextvars.Context, got {type(context).__name__}")


def create_task(
    coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
) -> asyncio.Task[Any]:
    """``asyncio.create_task``."""
    return asyncio.create_task(coro, name=name, context=_real(context))


_library_create_task = asyncio.TaskGroup.create_task


def create_task_in_group(
    self: asyncio.TaskGroup, coro: Any, *, name: str | None = None, context: Context | None = None
) -> asyncio.Task[Any]:
    """``asyncio.TaskGroup.create_task``."""
    return _library_create_task(self, coro, name=name, context=_real(context))


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

    def run_in_executor(
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Call the function now: a worker has one thread."""
        del executor
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - the future's to raise
            future.set_exception(error)
        return future

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> asyncio.Handle:
        """Call the function in the loop's next turn."""
        return asyncio.get_running_loop().call_soon(callback, *args)

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any
    ) -> asyncio.TimerHandle:
        """Call the function after a delay in seconds."""
        return asyncio.get_running_loop().call_later(float(delay), callback, *args)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        """Call the function at a time of the loop's clock."""
        return asyncio.get_running_loop().call_at(float(when), callback, *args)


_loop = EventLoop()


def get_running_loop() -> EventLoop:
    """``asyncio.get_running_loop``.

    Raises:
        RuntimeError: no handler is running.
    """
    asyncio.get_running_loop()
    return _loop


def _check_loop(loop: Any) -> None:
    """Refuse another loop: it would be handed the runtime's contexts and callbacks."""
    if loop is not None and loop is not _loop:
        raise ValueError("there is one event loop; leave out loop=")


def ensure_future(coro_or_future: Any, *, loop: Any = None) -> Any:
    """``asyncio.ensure_future``."""
    _check_loop(loop)
    return asyncio.ensure_future(coro_or_future)


def current_task(loop: Any = None) -> asyncio.Task[Any] | None:
    """``asyncio.current_task``."""
    _check_loop(loop)
    return asyncio.current_task()


def _new_future(*, loop: Any = None) -> asyncio.Future[Any]:
    _check_loop(loop)
    return asyncio.get_running_loop().create_future()


def _new_task(coro: Any, *, loop: Any = None, **options: Any) -> asyncio.Task[Any]:
    _check_loop(loop)
    return create_task(coro, **options)


_gathering = vars(asyncio.tasks)["_GatheringFuture"]

Future = kinds.stand_in(asyncio.Future, "Future", make=_new_future, also=(_gathering,))
Task = kinds.stand_in(asyncio.Task, "Task", make=_new_task)
kinds.stand_in(contextvars.Context)


async def to_thread(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """``asyncio.to_thread``, inline: a worker has one thread."""
    return function(*args, **kwargs)


ASYNCIO: dict[str, Any] = {
    "Future": Future,
    "Task": Task,
    "Handle": kinds.stand_in(asyncio.Handle),
    "TimerHandle": kinds.stand_in(asyncio.TimerHandle),
    "ensure_future": ensure_future,
    "current_task": current_task,
    "create_task": create_task,
    "get_running_loop": get_running_loop,
    "get_event_loop": get_running_loop,
    "to_thread": to_thread,
    "AbstractEventLoop": EventLoop,
}
CONTEXTVARS: dict[str, Any] = {"Context": Context, "copy_context": copy_context}
