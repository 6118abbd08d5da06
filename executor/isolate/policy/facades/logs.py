"""``logging`` for workers: the usual loggers, handlers and formatters over the worker's log.

The library's own package holds real streams and the runtime's handlers, and its ``{``-style
formatter reads attributes named in the text.
"""

import time
from typing import Any

from executor.isolate.policy import guards, output
from executor.isolate.policy.formatting import str_format_map
from executor.isolate.policy.tracebacks import format_traceback

CRITICAL, ERROR, WARNING, INFO, DEBUG, NOTSET = 50, 40, 30, 20, 10, 0
_NAMES = {50: "CRITICAL", 40: "ERROR", 30: "WARNING", 20: "INFO", 10: "DEBUG", 0: "NOTSET"}
_LEVELS = {name: level for level, name in _NAMES.items()} | {"WARN": 30, "FATAL": 50}


def get_level_name(level: Any) -> Any:
    """``logging.getLevelName``."""
    if isinstance(level, str):
        return _LEVELS.get(level, f"Level {level}")
    return _NAMES.get(level, f"Level {level}")


def add_level_name(level: int, name: str) -> None:
    """``logging.addLevelName``."""
    _NAMES[level] = name
    _LEVELS[name] = level


def _check_level(level: Any) -> int:
    if isinstance(level, int):
        return level
    if level in _LEVELS:
        return _LEVELS[level]
    raise ValueError(f"Unknown level: {level!r}")


class LogRecord:
    """One event. ``extra`` of the logging call becomes attributes."""

    def __init__(
        self, name: str, level: int, msg: Any, args: Any, exc_info: BaseException | None
    ) -> None:
        self.name, self.levelno, self.levelname = name, level, get_level_name(level)
        self.msg, self.args, self.exc_info = msg, args, exc_info
        self.created = time.time()
        self.msecs = int(self.created % 1 * 1000)
        self.exc_text: str | None = None

    def getMessage(self) -> str:
        """The message with its arguments filled in."""
        if not self.args:
            return str(self.msg)
        single = len(self.args) == 1 and isinstance(self.args[0], dict) and self.args[0]
        text: str = str(self.msg) % (self.args[0] if single else self.args)
        return text


class Formatter:
    """``logging.Formatter`` with all three styles."""

    default_time_format = "%Y-%m-%d %H:%M:%S"

    def __init__(
        self, fmt: str | None = None, datefmt: str | None = None, style: str = "%"
    ) -> None:
        if style not in ("%", "{", "$"):
            raise ValueError("Style must be one of: %,{,$")
        default = {"%": "%(message)s", "{": "{message}", "$": "${message}"}[style]
        self.fmt, self.datefmt, self.style = fmt or default, datefmt, style

    def formatTime(self, record: LogRecord, datefmt: str | None = None) -> str:
        """The record's time as text."""
        text = time.strftime(datefmt or self.default_time_format, time.gmtime(record.created))
        return text if datefmt else f"{text},{record.msecs:03d}"

    def formatException(self, ei: BaseException) -> str:
        """An exception as text."""
        return format_traceback(ei).rstrip("\n")

    def format(self, record: LogRecord) -> str:
        """The whole record as text."""
        values = {**guards.read(record, "__dict__"), "message": record.getMessage()}
        values["asctime"] = self.formatTime(record, self.datefmt)
        text = self._fill(values)
        if record.exc_info is not None:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return text

    def _fill(self, values: dict[str, Any]) -> str:
        if self.style == "%":
            return self.fmt % values
        if self.style == "{":
            return str_format_map(self.fmt, values)
        import string

        return string.Template(self.fmt).substitute(values)


class Filter:
    """``logging.Filter``: lets a logger and its children pass."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def filter(self, record: LogRecord) -> bool:
        """Whether the record passes."""
        return not self.name or f"{record.name}.".startswith(f"{self.name}.")


class _Filtered:
    def __init__(self) -> None:
        self.filters: list[Any] = []

    def addFilter(self, filter: Any) -> None:  # noqa: A002
        """Add a filter."""
        if filter not in self.filters:
            self.filters.append(filter)

    def removeFilter(self, filter: Any) -> None:  # noqa: A002
        """Remove a filter."""
        if filter in self.filters:
            self.filters.remove(filter)

    def filter(self, record: LogRecord) -> bool:
        """Whether all filters let the record pass."""
        return all((f.filter if hasattr(f, "filter") else f)(record) for f in self.filters)


class Handler(_Filtered):
    """``logging.Handler``: workers extend it and define ``emit``."""

    def __init__(self, level: Any = NOTSET) -> None:
        super().__init__()
        self.level = _check_level(level)
        self.formatter: Any = None

    def setLevel(self, level: Any) -> None:
        """Set the level below which records are dropped."""
        self.level = _check_level(level)

    def setFormatter(self, fmt: Any) -> None:
        """Set the formatter."""
        self.formatter = fmt

    def format(self, record: LogRecord) -> str:
        """The record as text."""
        return str((self.formatter or _default_formatter).format(record))

    def handle(self, record: LogRecord) -> bool:
        """Emit the record if the filters let it pass."""
        if passed := self.filter(record):
            self.emit(record)
        return passed

    def emit(self, record: LogRecord) -> None:
        """Write the record."""
        raise NotImplementedError("emit must be implemented by Handler subclasses")

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""


class StreamHandler(Handler):
    """``logging.StreamHandler``: to the worker's log, or to any object with ``write``."""

    terminator = "\n"

    def __init__(self, stream: Any = None) -> None:
        super().__init__()
        self.stream = stream

    def emit(self, record: LogRecord) -> None:
        """Write the record."""
        if self.stream in (None, output.stdout, output.stderr):
            output.log(_console_level(record.levelno), self.format(record))
        else:
            self.stream.write(self.format(record) + self.terminator)


class NullHandler(Handler):
    """``logging.NullHandler``."""

    def emit(self, record: LogRecord) -> None:
        """Drop the record."""


def _console_level(level: int) -> str:
    if level >= ERROR:
        return "error"
    if level >= WARNING:
        return "warn"
    return "info" if level >= INFO else "debug"


_default_formatter = Formatter()
_last_resort = StreamHandler()
