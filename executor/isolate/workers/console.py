"""Lines of the worker's log: ``print``, and ``console`` where a level is wanted."""

from typing import Any

from executor.isolate.invocation import runtime


def write(*values: Any, sep: str | None = " ", end: str | None = "\n", **_others: Any) -> None:
    """``print``: one line of the worker's log a call."""
    text = (" " if sep is None else sep).join(map(str, values)) + ("" if end is None else end)
    runtime.log("log", text.removesuffix("\n"))


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
