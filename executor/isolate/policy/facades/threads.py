"""``threading`` and ``concurrent.futures`` of a worker, which has one thread.

An executor runs what it is given at once, so that its futures are done when they are returned.
"""

import concurrent.futures
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Self

CancelledError = concurrent.futures.CancelledError
InvalidStateError = concurrent.futures.InvalidStateError
_PENDING, _FINISHED, _CANCELLED = "PENDING", "FINISHED", "CANCELLED"


class Thread:
    """``threading.current_thread()``: the one thread."""

    __slots__ = ()
    name = "MainThread"
    daemon = False

    @property
    def ident(self) -> int:
        """The thread's number."""
        return threading.get_ident()

    native_id = ident

    def is_alive(self) -> bool:
        """It is."""
        return True


_thread = Thread()


def current_thread() -> Thread:
    """``threading.current_thread``."""
    return _thread


def enumerate_threads() -> list[Thread]:
    """``threading.enumerate``."""
    return [_thread]


def active_count() -> int:
    """``threading.active_count``."""
    return 1


class Future:
    """``concurrent.futures.Future``."""

    def __init__(self) -> None:
        self._state = _PENDING
        self._result: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Any], Any]] = []

    def _settle(self, state: str, result: Any, error: BaseException | None) -> None:
        if self._state != _PENDING:
            raise InvalidStateError(f"{self._state}: {self!r}")
        self._state, self._result, self._error = state, result, error
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def cancel(self) -> bool:
        """Cancel the future, unless it is done."""
        if self._state == _PENDING:
            self._settle(_CANCELLED, None, CancelledError())
        return self._state == _CANCELLED

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._state == _CANCELLED

    def running(self) -> bool:
        """What runs is done before anybody can ask."""
        return False

    def done(self) -> bool:
        """Whether it has a result, or was cancelled."""
        return self._state != _PENDING

    def result(self, timeout: float | None = None) -> Any:
        """The result.

        Raises:
            TimeoutError: nobody has set one, and nobody can while this waits.
        """
        if (error := self.exception(timeout)) is not None:
            raise error
        return self._result

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What was raised instead of a result."""
        del timeout
        if self._state == _PENDING:
            raise TimeoutError("a worker has one thread; nothing happens while it waits")
        if self._state == _CANCELLED:
            raise CancelledError
        return self._error

    def add_done_callback(self, fn: Callable[[Any], Any]) -> None:
        """Call the function with the future when it is done."""
        if self.done():
            fn(self)
        else:
            self._callbacks.append(fn)

    def set_result(self, result: Any) -> None:
        """Set the result."""
        self._settle(_FINISHED, result, None)

    def set_exception(self, exception: BaseException | None) -> None:
        """Set what is raised instead."""
        self._settle(_FINISHED, None, exception)


class Executor:
    """``concurrent.futures.Executor``."""

    def __init__(self) -> None:
        self._open = True

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Run the function, now.

        Raises:
            RuntimeError: the executor was shut down.
        """
        if not self._open:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = Future()
        try:
            result = fn(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the future's to raise
            future.set_exception(error)
        else:
            future.set_result(result)
        return future

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[Any]:
        """The results of the function for each item, which has run for all when this returns."""
        del timeout, chunksize
        futures = [self.submit(fn, *items) for items in zip(*iterables, strict=False)]
        return (future.result() for future in futures)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing more."""
        del wait, cancel_futures
        self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()


class ThreadPoolExecutor(Executor):
    """``concurrent.futures.ThreadPoolExecutor``, with the one thread."""

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., Any] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        super().__init__()
        del thread_name_prefix
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None:
            initializer(*initargs)


class DoneAndNotDoneFutures(NamedTuple):
    """What :func:`wait` returns."""

    done: set[Future]
    not_done: set[Future]


def as_completed(fs: Iterable[Future], timeout: float | None = None) -> Iterator[Future]:
    """``concurrent.futures.as_completed``."""
    del timeout
    return iter(dict.fromkeys(fs))


def wait(
    fs: Iterable[Future], timeout: float | None = None, return_when: str = "ALL_COMPLETED"
) -> Any:
    """``concurrent.futures.wait``."""
    del timeout, return_when
    futures = set(fs)
    done = {future for future in futures if future.done()}
    return DoneAndNotDoneFutures(done, futures - done)


THREADING: dict[str, Any] = {
    "current_thread": current_thread,
    "main_thread": current_thread,
    "enumerate": enumerate_threads,
    "active_count": active_count,
}
FUTURES: dict[str, Any] = {
    "Executor": Executor,
    "Future": Future,
    "ThreadPoolExecutor": ThreadPoolExecutor,
    "as_completed": as_completed,
    "wait": wait,
}
