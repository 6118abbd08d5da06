"""The invocation that runs now: its log, its background work, its calls.

An isolate serves one at a time, so there is one :data:`runtime` a process; the ``workers`` package
reaches the executor through it.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

from executor.isolate import frames
from executor.isolate.calls import Calls, Channel
from executor.isolate.text import MAX_LINES, NOTICE_BYTES, cut, line_bytes

MAX_MESSAGE_CHARS = 8 * 1024
MAX_STACK_CHARS = 64 * 1024
MAX_EARLY_LINES = 64
"""Log lines written while the code loads are kept for the first invocation's log."""

_PLAIN_FUTURES = (asyncio.Future, asyncio.Task)
"""Whose methods are no code of the tenant's."""

Report = Callable[[BaseException], str]
"""The tenant's own traceback of an exception."""


class Runtime:
    """What tenant code's API rests on, in this process."""

    def __init__(self) -> None:
        self.channel: Channel | None = None
        self.calls: Calls | None = None
        self.invocation: Invocation | None = None
        self.format_traceback: Report = lambda error: type(error).__name__
        self._early: list[frames.Log] = []

    def open(self, channel: Channel, format_traceback: Report) -> Calls:
        """Take the door into use."""
        self.channel = channel
        self.calls = Calls(channel)
        self.format_traceback = format_traceback
        return self.calls

    def begin(self, invocation: "Invocation") -> None:
        """Make it the current one; what the code wrote while loading opens its log."""
        self.invocation = invocation
        early, self._early = self._early, []
        for line in early:
            invocation.log(line)

    def end(self) -> None:
        """Nothing runs now."""
        self.invocation = None
        if self.calls is not None:
            self.calls.forget()

    def current(self) -> "Invocation":
        """The invocation that runs. Raises ``RuntimeError`` where none does."""
        if self.invocation is None:
            raise RuntimeError("Disallowed operation called within global scope")
        return self.invocation

    async def ask(
        self,
        target: str,
        method: str,
        arguments: list[Any],
        options: dict[str, Any] | None = None,
    ) -> Any:
        """Ask the executor, on behalf of the current invocation."""
        self.current()
        assert self.calls is not None  # noqa: S101 - an invocation came through the door
        return await self.calls.ask(target, method, arguments, options)

    def ask_now(self, target: str, method: str, arguments: list[Any]) -> Any:
        """The same, with nothing else running in here until the answer has come."""
        self.current()
        assert self.calls is not None  # noqa: S101 - as above
        return self.calls.ask_now(target, method, arguments)

    def new_stream(self) -> int:
        """An id for a body that this isolate writes."""
        assert self.calls is not None  # noqa: S101 - as above
        return self.calls.new_stream()

    def log(self, level: Any, text: str) -> None:
        """Write one line to the worker's log."""
        line = frames.Log(
            level=level if level in frames.LEVELS else "log",
            text=text.encode(errors="replace").decode(),
            timestamp=time.time_ns() // 1_000_000,
        )
        if self.invocation is not None:
            self.invocation.log(line)
        elif len(self._early) < MAX_EARLY_LINES:
            self._early.append(line)

    def failure(
        self, error: BaseException, phase: str = "invoke", *, pass_through: bool = False
    ) -> frames.Failed:
        """What an exception of the tenant's code is to the executor."""
        return frames.Failed(
            name=_told(lambda: type(error).__name__)[:MAX_MESSAGE_CHARS],
            message=_told(lambda: str(error))[:MAX_MESSAGE_CHARS],
            stack=_told(lambda: self.format_traceback(error))[:MAX_STACK_CHARS],
            memory=issubclass(type(error), MemoryError),
            phase=phase,
            pass_through=pass_through,
        )


runtime = Runtime()


class Invocation:
    """One run of one handler."""

    def __init__(self, frame: frames.Invoke, channel: Channel) -> None:
        self.frame = frame
        self.channel = channel
        self.pass_through = False
        self.background: set[asyncio.Future[Any]] = set()
        self._log_bytes_left = max(frame.log_bytes - NOTICE_BYTES, 0)
        self._lines_left = MAX_LINES

    def wait_until(self, awaitable: Awaitable[Any]) -> None:
        """Keep the invocation going until that is over, too."""
        if not inspect.isawaitable(awaitable):
            raise TypeError(f"waitUntil() takes an awaitable, not {type(awaitable).__name__}")
        if isinstance(awaitable, asyncio.Future) and type(awaitable) in _PLAIN_FUTURES:
            self.background.add(awaitable)
        else:
            task = asyncio.get_running_loop().create_task(_awaited(awaitable))
            self.background.add(task)

    def log(self, line: frames.Log) -> None:
        """Send a log line, within the bytes and lines that this invocation may write."""
        if self._lines_left < 0:
            return
        size = line_bytes(line.text)
        if size > self._log_bytes_left or not self._lines_left:
            text = self._last(line.text)
            line = frames.Log(level="warn", text=text, timestamp=line.timestamp, last=True)
            self._lines_left = 0
        self._lines_left -= 1
        self._log_bytes_left -= size
        self.channel.send(line)

    def _last(self, text: str) -> str:
        """The end of the log: why there is no more, after what still fits."""
        if not self._lines_left:
            return f"[log truncated at {MAX_LINES} lines]"
        start = cut(text, self._log_bytes_left)
        return f"{start}... [log truncated at {self.frame.log_bytes} bytes]"


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _told(tell: Callable[[], str]) -> str:
    """What an exception says of itself, which is the tenant's code and may do anything."""
    try:
        return str(tell()).encode(errors="replace").decode()
    except BaseException as error:  # noqa: BLE001 - see above
        return f"<{type(error).__name__} while describing the error>"
