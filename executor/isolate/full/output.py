"""``print``, ``sys.stderr``, ``logging`` and ``warnings``: lines of the worker's log."""

import io
import logging
import sys
import warnings
from collections.abc import Callable
from typing import Any

LogHook = Callable[[str, str], None]

MAX_PENDING_CHARS = 64 * 1024

_hook: list[LogHook] = []


def set_log_hook(hook: LogHook) -> None:
    """Send every line that the worker writes to ``hook``."""
    _hook[:] = [hook]


def log(level: str, text: str) -> None:
    """Write one line to the worker's log."""
    for hook in _hook:
        hook(level, text)


class LogStream(io.TextIOBase):
    """``sys.stdout`` or ``sys.stderr``: each line is a log line."""

    encoding = "utf-8"
    errors = "strict"

    def __init__(self, level: str) -> None:
        super().__init__()
        self._level = level
        self._pending = ""

    def writable(self) -> bool:
        """It can be written."""
        return True

    def write(self, text: str, /) -> int:
        """Write text; whole lines reach the log at once."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        *lines, rest = (self._pending + text).split("\n")
        self._pending = rest
        for line in lines:
            log(self._level, line)
        if len(rest) > MAX_PENDING_CHARS:
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Send an unfinished line."""
        pending, self._pending = self._pending, ""
        if pending:
            log(self._level, pending)


class LogHandler(logging.Handler):
    """Log records as lines of their own level."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one."""
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - the library's way with a bad record
            self.handleError(record)
            return
        log(_level(record.levelno), text)


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warn"
    return "info" if number >= logging.INFO else "debug"


def _show_warning(message: Any, category: type[Warning], *_rest: Any, **_more: Any) -> None:
    log("warn", f"{category.__name__}: {message}")


def install() -> None:
    """Take the process's standard streams, which lead nowhere."""
    sys.stdout, sys.stderr = LogStream("log"), LogStream("error")
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc, assignment]
    logging.lastResort = LogHandler(logging.WARNING)
    logging.basicConfig = _with_our_handler(logging.basicConfig)
    warnings.showwarning = _show_warning


def _with_our_handler(real: Callable[..., None]) -> Callable[..., None]:
    """``logging.basicConfig``, whose default are lines of the right level."""

    def basic_config(**options: Any) -> None:
        if not options.keys() & {"stream", "filename", "handlers"}:
            options["handlers"] = [LogHandler()]
        real(**options)

    return basic_config
