"""The isolate's event loop: its only descriptor is the door.

No self-pipe, no signals, no threads: nothing here needs a system call that the sandbox refuses.
It runs one invocation's task at a time, together with the tasks that the tenant's code starts.
"""

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, NoReturn

from executor.isolate import frames
from executor.isolate.calls import Calls, Channel, leave

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
    """An event loop that waits for the door and for time, and for nothing else."""

    def __init__(self, channel: Channel, calls: Calls) -> None:
        super().__init__()
        self._selector = _DoorSelector(channel, self)
        self._channel = channel
        self._calls = calls
        self._stalled = False

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> bool:
        """Run until the coroutine is over, whatever the tasks beside it raise.

        False if it can never be: it waits, and nothing is left that could wake it.
        """
        task = self.create_task(self._stop_after(coroutine))
        self._stalled = False
        while not task.done() and not self._stalled:
            self._turn()
        if task.done() and not task.cancelled():
            task.exception()  # retrieved: what went wrong was told by the coroutine itself
        return task.done()

    @property
    def is_idle(self) -> bool:
        """Whether no task is left."""
        return not asyncio.all_tasks(self)

    def forget(self) -> bool:
        """Cancel every task that is left. False if a task refuses to end."""
        rounds = 0
        while (tasks := asyncio.all_tasks(self)) and rounds < CANCEL_ROUNDS:
            rounds += 1
            for task in tasks:
                task.cancel()
            self.call_soon(self.stop)
            self._turn()
        return not tasks

    def clear(self) -> None:
        """Drop what was to be called, now or later."""
        self._ready.clear()  # type: ignore[attr-defined]  # BaseEventLoop's own queues
        self._scheduled.clear()  # type: ignore[attr-defined]

    def is_stalled(self) -> bool:
        """Whether nothing can happen any more; if so, the loop stops."""
        if self._calls.pending:
            return False
        self._stalled = True
        self.stop()
        return True

    async def _stop_after(self, coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            await coroutine
        finally:
            self.stop()

    def _turn(self) -> None:
        try:
            self.run_forever()
        except (SystemExit, KeyboardInterrupt):
            return  # raised by a task of the tenant's, which keeps it as its result

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
