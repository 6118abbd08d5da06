"""``console``: lines of the worker's log, with a level."""

from typing import Any

from executor.isolate.invocation import runtime


class Console:
    """The levels of the product's console."""

    __slots__ = ()

    def debug(self, *values: Any) -> None:
        """Log at level debug."""
        runtime.log("debug", _line(values))

    def info(self, *values: Any) -> None:
        """Log at level info."""
        runtime.log("info", _line(values))

    def log(self, *values: Any) -> None:
        """Log at level log."""
        runtime.log("log", _line(values))

    def warn(self, *values: Any) -> None:
        """Log at level warn."""
        runtime.log("warn", _line(values))

    def error(self, *values: Any) -> None:
        """Log at level error."""
        runtime.log("error", _line(values))


console = Console()


def _line(values: tuple[Any, ...]) -> str:
    return " ".join(map(str, values))
