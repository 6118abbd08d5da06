"""``traceback`` and ``warnings``: own frames, and the worker's log."""

import pprint as pprint_
import sys
import types
from collections.abc import Iterator
from typing import Any

from executor.isolate.policy import output
from executor.isolate.policy.tracebacks import (
    describe,
    format_traceback,
    frame_lines,
    own_frames,
)


def _given(exc: Any, value: Any) -> BaseException | None:
    error = value if isinstance(value, BaseException) else exc
    return error if isinstance(error, BaseException) else None


def format_exception(
    exc: Any, /, value: Any = None, tb: Any = None, limit: Any = None, chain: bool = True
) -> list[str]:
    """``traceback.format_exception``."""
    del tb, limit, chain
    error = _given(exc, value)
    return ["NoneType: None\n"] if error is None else [format_traceback(error)]


def format_exception_only(exc: Any, /, value: Any = None) -> list[str]:
    """``traceback.format_exception_only``."""
    error = _given(exc, value)
    return ["NoneType: None\n"] if error is None else [describe(error) + "\n"]


def format_exc(limit: Any = None, chain: bool = True) -> str:
    """``traceback.format_exc``."""
    return "".join(format_exception(sys.exception(), None, None, limit, chain))


def format_tb(tb: types.TracebackType | None, limit: Any = None) -> list[str]:
    """``traceback.format_tb``."""
    del limit
    return list(frame_lines(list(own_frames(tb))))


class FrameSummary:
    """``traceback.FrameSummary``: where a frame of the worker's was."""

    __slots__ = ("filename", "lineno", "name")
    line = ""

    def __init__(self, filename: str, lineno: int, name: str) -> None:
        self.filename, self.lineno, self.name = filename, lineno, name

    def __iter__(self) -> Iterator[Any]:
        return iter([self.filename, self.lineno, self.name, self.line])

    def __getitem__(self, index: Any) -> Any:
        return [*self][index]

    def __len__(self) -> int:
        return 4


def extract_tb(tb: types.TracebackType | None, limit: Any = None) -> list[FrameSummary]:
    """``traceback.extract_tb``, the worker's own frames."""
    frames = [FrameSummary(*frame) for frame in own_frames(tb)]
    return frames if limit is None else frames[:limit] if limit >= 0 else frames[limit:]


def format_list(extracted_list: Any) -> list[str]:
    """``traceback.format_list``."""
    return list(frame_lines([(str(f[0]), int(f[1]), str(f[2])) for f in extracted_list]))


def _emit(text: str, file: Any) -> None:
    if file is None:
        output.log("error", text.rstrip("\n"))
    else:
        file.write(text)


def print_exc(limit: Any = None, file: Any = None, chain: bool = True) -> None:
    """``traceback.print_exc``, to the worker's log."""
    _emit(format_exc(limit, chain), file)


def print_exception(
    exc: Any,
    /,
    value: Any = None,
    tb: Any = None,
    limit: Any = None,
    file: Any = None,
    chain: bool = True,
) -> None:
    """``traceback.print_exception``, to the worker's log."""
    _emit("".join(format_exception(exc, value, tb, limit, chain)), file)


def print_tb(tb: Any, limit: Any = None, file: Any = None) -> None:
    """``traceback.print_tb``, to the worker's log."""
    _emit("".join(format_tb(tb, limit)), file)


def warn(
    message: Any, category: Any = None, stacklevel: int = 1, source: Any = None, **_ignored: Any
) -> None:
    """``warnings.warn``: a line of the worker's log, or of the innermost record."""
    del stacklevel, source
    if isinstance(message, Warning):
        category = type(message)
    kind = UserWarning if category is None else category
    if not (isinstance(kind, type) and issubclass(kind, Warning)):
        raise TypeError("category must be a Warning subclass")
    warning = message if isinstance(message, Warning) else kind(message)
    if _records:
        if _records[-1] is not None:
            _records[-1].append(types.SimpleNamespace(message=warning, category=kind))
        return
    output.log("warn", f"{kind.__name__}: {warning}")


_records: list[list[Any] | None] = []


class catch_warnings:  # noqa: N801 - the library's name
    """``warnings.catch_warnings``: records the block's warnings, or drops them."""

    __slots__ = ("_record",)

    def __init__(self, *, record: bool = False, **_ignored: Any) -> None:
        self._record = record

    def __enter__(self) -> list[Any] | None:
        _records.append([] if self._record else None)
        return _records[-1]

    def __exit__(self, *exc_info: object) -> None:
        _records.pop()


def filterwarnings(*_arguments: Any, **_keywords: Any) -> None:
    """``warnings.filterwarnings``: every warning stays one line of the log."""


class PrettyPrinter(pprint_.PrettyPrinter):
    """``pprint.PrettyPrinter``, to the worker's log unless a stream is given."""

    def __init__(
        self, indent: int = 1, width: int = 80, depth: Any = None, stream: Any = None, **kwargs: Any
    ) -> None:
        stream = output.stdout if stream is None else stream
        super().__init__(indent, width, depth, stream, **kwargs)


def pprint(value: Any, stream: Any = None, *args: Any, **kwargs: Any) -> None:
    """``pprint.pprint``."""
    printer: Any = PrettyPrinter
    printer(*args, stream=stream, **kwargs).pprint(value)


def pp(value: Any, *args: Any, sort_dicts: bool = False, **kwargs: Any) -> None:
    """``pprint.pp``."""
    pprint(value, *args, sort_dicts=sort_dicts, **kwargs)


PPRINT: dict[str, Any] = {"PrettyPrinter": PrettyPrinter, "pprint": pprint, "pp": pp}
CONTEXTLIB: dict[str, Any] = {
    "redirect_stdout": output.redirect_stdout,
    "redirect_stderr": output.redirect_stderr,
}
TRACEBACK: dict[str, Any] = {
    "extract_tb": extract_tb,
    "format_list": format_list,
    "format_exception": format_exception,
    "format_exception_only": format_exception_only,
    "format_exc": format_exc,
    "format_tb": format_tb,
    "print_exc": print_exc,
    "print_exception": print_exception,
    "print_tb": print_tb,
}
WARNINGS: dict[str, Any] = {
    "warn": warn,
    "catch_warnings": catch_warnings,
    "filterwarnings": filterwarnings,
    "simplefilter": filterwarnings,
    "resetwarnings": filterwarnings,
}
