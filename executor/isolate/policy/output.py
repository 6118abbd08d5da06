"""Where ``print``, ``logging`` and ``warnings`` of a worker go."""

import sys
from collections.abc import Callable
from typing import Any

LEVELS = frozenset({"debug", "info", "log", "warn", "error"})

LogHook = Callable[[str, str], None]
"""Takes a level (debug, info, log, warn, error) and one line of text."""


def _to_stderr(level: str, text: str) -> None:
    sys.stderr.write(f"{level}: {text}\n")


_hook: list[LogHook] = [_to_stderr]


def set_log_hook(hook: LogHook) -> None:
    """Send every line that the worker writes to ``hook``."""
    _hook[0] = hook


def log(level: str, text: str) -> None:
    """Write one line to the worker's log. Of a worker's own kind of text, the text counts."""
    text = text if type(text) is str else str.__str__(text)
    _hook[0](level if level in LEVELS else "log", text)


class LogStream:
    """``sys.stdout`` and ``sys.stderr`` of a worker: each line is a log line."""

    __slots__ = ("_level", "_pending", "_redirections")
    encoding = "utf-8"
    errors = "strict"
    closed = False
    MAX_PENDING_CHARS = 64 * 1024

    def __init__(self, level: str) -> None:
        self._level = level
        self._pending = ""
        self._redirections: list[Any] = []

    @property
    def target(self) -> Any:
        """Where the innermost redirection sends what is written, or None."""
        return self._redirections[-1] if self._redirections else None

    def write(self, text: str, /) -> int:
        """Write text; whole lines reach the log at once."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self._redirections:
            self._redirections[-1].write(text)
            return len(text)
        *lines, rest = (self._pending + text).split("\n")
        for line in lines:
            log(self._level, line)
        self._pending = rest
        if len(rest) > self.MAX_PENDING_CHARS:
            self.flush()
        return len(text)

    def writelines(self, lines: Any, /) -> None:
        """Write several pieces of text."""
        for line in lines:
            self.write(line)

    def take(self) -> str:
        """The unfinished line, which the caller completes."""
        pending, self._pending = self._pending, ""
        return pending

    def flush(self) -> None:
        """Send an unfinished line."""
        if pending := self.take():
            log(self._level, pending)

    def isatty(self) -> bool:
        """It is never a terminal."""
        return False

    def writable(self) -> bool:
        """It can be written."""
        return True

    def readable(self) -> bool:
        """It cannot be read."""
        return False


stdout = LogStream("log")
stderr = LogStream("error")


class _Redirection:
    """A block in which what is written to a stream goes to a worker's own."""

    __slots__ = ("_target",)
    _stream = stdout

    def __init__(self, new_target: Any) -> None:
        self._target = new_target

    def __enter__(self) -> Any:
        self._stream._redirections.append(self._target)
        return self._target

    def __exit__(self, *exc_info: object) -> None:
        self._stream._redirections.pop()


class redirect_stdout(_Redirection):  # noqa: N801 - the library's name
    """``contextlib.redirect_stdout``."""

    __slots__ = ()


class redirect_stderr(_Redirection):  # noqa: N801 - the library's name
    """``contextlib.redirect_stderr``."""

    __slots__ = ()
    _stream = stderr


def guarded_print(
    *values: object,
    sep: str | None = " ",
    end: str | None = "\n",
    file: Any = None,
    flush: bool = False,
) -> None:
    """The builtin ``print``, with all its arguments."""
    for name, part in (("sep", sep), ("end", end)):
        if part is not None and not isinstance(part, str):
            raise TypeError(f"{name} must be None or a string, not {type(part).__name__}")
    text = (" " if sep is None else sep).join(map(str, values)) + ("\n" if end is None else end)
    file = stdout.target if file is None else file
    if file is not None and file is not stdout:
        file.write(text)
    elif end in (None, "\n"):
        log("log", (stdout.take() + text)[:-1])
    else:
        stdout.write(text)
    if flush:
        (stdout if file is None else file).flush()
