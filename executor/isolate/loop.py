"""The isolate's event loop: its only descriptor is the door.

No self-pipe, no signals, no threads: nothing here needs a system call that the sandbox refuses.
It runs one invocation's task at a time, together with the tasks that the tenant's code starts.
"""

import asyncio
import contextvars
import math
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVarTuple, cast

from executor.isolate import frames
from executor.isolate.calls import Calls, Channel, leave

Arguments = TypeVarTuple("Arguments")

_Step = tuple[Callable[[], object], contextvars.Context]

_NO_STEP: _Step = (lambda: None, contextvars.Context())

CANCEL_ROUNDS = 64
"""How many times a task that survives its invocation may refuse to be cancelled."""


class _DoorSelector:
    """What ``BaseEventLoop`` asks for events; it knows one descriptor."""

    def __init__(self, channel: Channel, loop: "DoorLoop") -> None:
        self._channel = channel
        self._loop = loop

    def select(self, timeout_s: float | None) -> list[bool]:
        if timeout_s is None and self._loop.is_stalled():
            return []
        timeout_ms = None if timeout_s is None else math.ceil(max(timeout_s, 0) * 1000)
        return [True] if self._channel.wait(timeout_ms) else []

    def close(self) -> None:
        """Nothing to close: the door outlives the loop."""


class DoorLoop(asyncio.BaseEventLoop):
    """An event loop that waits for the door and for time, and for nothing else.

    What the base class does before and after each run is left out: there is no thread, signal or
    debugger to mind, and most invocations are over within their first turn.
    """

    def __init__(self, channel: Channel, calls: Calls) -> None:
        super().__init__()
        self._selector = _DoorSelector(channel, self)
        self._channel = channel
        self._calls = calls
        self._stalled = False
        self._called = 0
        self._first: _Step | None = _NO_STEP
        """The first step of the invocation's task, which needs no handle; None while it is asked
        for."""
        self._no_handle = asyncio.Handle(_NO_STEP[0], (), self, _NO_STEP[1])

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> bool:
        """Run until the coroutine is over, whatever the tasks beside it raise.

        False if it can never be: it waits, and nothing is left that could wake it.
        """
        self._called = 0
        self._stalled = False
        self._enter()
        try:
            self._first = None
            task = asyncio.Task(coroutine, loop=self)  # asks for its first step
            step, context = cast("_Step", self._first)
            self._turn(context.run, step)
            self._turn(self._run_ready)
            while not task.done() and not self._stalled:
                self._turn(self._run_once)  # type: ignore[attr-defined]  # BaseEventLoop's turn
        finally:
            self._leave()
        if task.done() and not task.cancelled():
            task.exception()  # retrieved: what went wrong was told by the coroutine itself
        return task.done()

    @property
    def is_idle(self) -> bool:
        """Whether no task is left. A task is born with a call, so that one call is one task."""
        return self._called <= 1 or not asyncio.all_tasks(self)

    def forget(self) -> bool:
        """Cancel every task that is left. False if a task refuses to end."""
        rounds = 0
        self._enter()
        try:
            while (tasks := asyncio.all_tasks(self)) and rounds < CANCEL_ROUNDS:
                rounds += 1
                for task in tasks:
                    task.cancel()
                self._turn(self._run_ready)
        finally:
            self._leave()
        return not tasks

    def clear(self) -> None:
        """Drop what was to be called, now or later."""
        self._ready.clear()  # type: ignore[attr-defined]  # BaseEventLoop's own queues
        self._scheduled.clear()  # type: ignore[attr-defined]

    def is_stalled(self) -> bool:
        """Whether nothing can happen any more; if so, the run is over."""
        self._stalled = not self._calls.pending
        return self._stalled

    def call_soon(
        self,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """See asyncio."""
        self._called += 1
        if self._first is None:
            self._first = cast("_Step", (callback, context))
            return self._no_handle
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]  # as above
        return handle

    def _enter(self) -> None:
        """From here on it is the running loop."""
        loop: Any = self
        loop._check_running()
        loop._thread_id = threading.get_ident()
        if sys.get_asyncgen_hooks().firstiter != loop._asyncgen_firstiter_hook:
            # Set once and left: to set them is two events for the audit hook each time.
            sys.set_asyncgen_hooks(loop._asyncgen_firstiter_hook, loop._asyncgen_finalizer_hook)
        asyncio._set_running_loop(self)

    def _leave(self) -> None:
        """It is no more."""
        loop: Any = self
        loop._thread_id = None
        self._first = _NO_STEP  # also where memory for a task was wanting
        asyncio._set_running_loop(None)

    def _turn(self, run: Callable[[*Arguments], object], *args: *Arguments) -> None:
        try:
            run(*args)
        except (SystemExit, KeyboardInterrupt):
            return  # raised by a task of the tenant's, which keeps it as its result

    def _run_ready(self) -> None:
        """Call what is to be called now, without a look at the door or the clock."""
        ready = self._ready  # type: ignore[attr-defined]  # as above
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _process_events(self, events: list[bool]) -> None:
        if not events:
            return
        for frame in self._channel.arrived():
            if not isinstance(frame, frames.Reply | frames.Refusal):
                leave()
            self._calls.settle(frame)

    def _write_to_self(self) -> None:
        """There is no other thread to be woken by."""


def _refuse(*_arguments: object, **_options: object) -> NoReturn:
    raise PermissionError("A worker has no threads, sockets or processes; use fetch()")


for _name in (
    "run_in_executor",
    "getaddrinfo",
    "getnameinfo",
    "create_connection",
    "create_server",
    "create_datagram_endpoint",
    "connect_accepted_socket",
    "connect_read_pipe",
    "connect_write_pipe",
    "subprocess_exec",
    "subprocess_shell",
    "sendfile",
    "start_tls",
    "set_default_executor",
):
    setattr(DoorLoop, _name, staticmethod(_refuse))
