"""``logging.Logger`` and the functions of the module."""

import sys
from typing import Any

from executor.isolate.policy.facades import logs
from executor.isolate.policy.facades.logs import (
    CRITICAL,
    DEBUG,
    ERROR,
    INFO,
    NOTSET,
    WARNING,
    Filter,
    Formatter,
    Handler,
    LogRecord,
    NullHandler,
    StreamHandler,
)


class Logger(logs._Filtered):
    """``logging.Logger``."""

    def __init__(self, name: str, level: Any = NOTSET) -> None:
        super().__init__()
        self.name, self.level = name, logs._check_level(level)
        self.parent: Logger | None = None
        self.propagate, self.disabled = True, False
        self.handlers: list[Any] = []

    def setLevel(self, level: Any) -> None:
        """Set the level below which events are dropped."""
        self.level = logs._check_level(level)

    def getEffectiveLevel(self) -> int:
        """The level of this logger or of the nearest parent that has one."""
        logger: Logger | None = self
        while logger:
            if logger.level:
                return logger.level
            logger = logger.parent
        return NOTSET

    def isEnabledFor(self, level: int) -> bool:
        """Whether events of the level are logged."""
        return not self.disabled and level >= max(self.getEffectiveLevel(), _disabled[0] + 1)

    def addHandler(self, hdlr: Any) -> None:
        """Add a handler."""
        if hdlr not in self.handlers:
            self.handlers.append(hdlr)

    def removeHandler(self, hdlr: Any) -> None:
        """Remove a handler."""
        if hdlr in self.handlers:
            self.handlers.remove(hdlr)

    def hasHandlers(self) -> bool:
        """Whether this logger or a parent has a handler."""
        return any(logger.handlers for logger in self._chain())

    def getChild(self, suffix: str) -> "Logger":
        """The logger below this one."""
        return get_logger(suffix if self is root else f"{self.name}.{suffix}")

    def _chain(self) -> list["Logger"]:
        chain: list[Logger] = []
        logger: Logger | None = self
        while logger:
            chain.append(logger)
            logger = logger.parent if logger.propagate else None
        return chain

    def log(
        self,
        level: int,
        msg: Any,
        *args: Any,
        exc_info: Any = None,
        extra: dict[str, Any] | None = None,
        **_ignored: Any,
    ) -> None:
        """Log an event of a level."""
        if not self.isEnabledFor(level):
            return
        record = LogRecord(self.name, level, msg, args, _exception(exc_info))
        for key, value in (extra or {}).items():
            if key in vars(record) or key in ("message", "asctime"):
                raise KeyError(f"Attempt to overwrite {key!r} in LogRecord")
            vars(record)[key] = value
        self.handle(record)

    def handle(self, record: LogRecord) -> None:
        """Give a record to the handlers."""
        if self.disabled or not self.filter(record):
            return
        handlers = [h for logger in self._chain() for h in logger.handlers]
        for handler in handlers or [logs._last_resort]:
            if record.levelno >= handler.level:
                handler.handle(record)

    def debug(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log an event of level DEBUG."""
        self.log(DEBUG, msg, *args, **kwargs)

    def info(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log an event of level INFO."""
        self.log(INFO, msg, *args, **kwargs)

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log an event of level WARNING."""
        self.log(WARNING, msg, *args, **kwargs)

    def error(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log an event of level ERROR."""
        self.log(ERROR, msg, *args, **kwargs)

    def exception(self, msg: Any, *args: Any, exc_info: Any = True, **kwargs: Any) -> None:
        """Log an event of level ERROR with the current exception."""
        self.log(ERROR, msg, *args, exc_info=exc_info, **kwargs)

    def critical(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log an event of level CRITICAL."""
        self.log(CRITICAL, msg, *args, **kwargs)

    warn = warning
    fatal = critical


def _exception(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exception() if exc_info else None


class LoggerAdapter:
    """``logging.LoggerAdapter``."""

    def __init__(self, logger: Any, extra: dict[str, Any] | None = None) -> None:
        self.logger, self.extra = logger, extra

    def process(self, msg: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Add the adapter's context to an event."""
        return msg, {**kwargs, "extra": self.extra}

    def log(self, level: int, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log an event of a level."""
        msg, kwargs = self.process(msg, kwargs)
        self.logger.log(level, msg, *args, **kwargs)

    debug = Logger.debug
    info = Logger.info
    warning = Logger.warning
    error = Logger.error
    exception = Logger.exception
    critical = Logger.critical


root = Logger("root", WARNING)
_loggers: dict[str, Logger] = {}
_disabled = [NOTSET]


def get_logger(name: str | None = None) -> Logger:
    """``logging.getLogger``."""
    if not name or name == "root":
        return root
    if name not in _loggers:
        logger = _loggers[name] = Logger(name)
        logger.parent = get_logger(name.rpartition(".")[0]) if "." in name else root
    return _loggers[name]


def basic_config(
    *,
    level: Any = None,
    format: str | None = None,  # noqa: A002 - the library's name
    datefmt: str | None = None,
    style: str = "%",
    handlers: Any = None,
    stream: Any = None,
    force: bool = False,
    **_ignored: Any,
) -> None:
    """``logging.basicConfig``; a file cannot be given."""
    if force:
        root.handlers.clear()
    if not root.handlers:
        for handler in handlers or [StreamHandler(stream)]:
            if handler.formatter is None:
                handler.setFormatter(Formatter(format, datefmt, style))
            root.addHandler(handler)
    if level is not None:
        root.setLevel(level)


def existing() -> dict[str, Logger]:
    """Every logger that was asked for, by name, but for the root."""
    return dict(_loggers)


def disable(level: Any = CRITICAL) -> None:
    """``logging.disable``."""
    _disabled[0] = logs._check_level(level)


def _nothing(*_arguments: Any, **_keywords: Any) -> None:
    """Nothing needs doing here."""


LOGGING: dict[str, Any] = {
    "CRITICAL": CRITICAL, "FATAL": CRITICAL, "ERROR": ERROR, "WARNING": WARNING, "WARN": WARNING,
    "INFO": INFO, "DEBUG": DEBUG, "NOTSET": NOTSET,
    "Logger": Logger, "LoggerAdapter": LoggerAdapter, "LogRecord": LogRecord,
    "Handler": Handler, "StreamHandler": StreamHandler, "NullHandler": NullHandler,
    "Formatter": Formatter, "Filter": Filter,
    "getLogger": get_logger, "basicConfig": basic_config, "disable": disable, "root": root,
    "getLevelName": logs.get_level_name, "addLevelName": logs.add_level_name,
    "captureWarnings": _nothing, "shutdown": _nothing, "raiseExceptions": True,
    "log": root.log, "debug": root.debug, "info": root.info, "warning": root.warning,
    "warn": root.warning, "error": root.error, "exception": root.exception,
    "critical": root.critical,
}  # fmt: skip
BASES = (Logger, LoggerAdapter, Handler, StreamHandler, NullHandler, Formatter, Filter)
"""Classes that a worker may extend."""
