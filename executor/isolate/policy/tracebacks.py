"""A worker's exceptions as its owner sees them: own frames only, own files and lines."""

import types
from collections.abc import Iterator
from typing import Any

from executor.isolate.policy.ownership import is_own_code

MAX_FRAMES = 40
MAX_CHAIN = 8
MAX_MESSAGE_CHARS = 4_000

_cause_of, _context_of, _suppressed_by, _traceback_of = (
    vars(BaseException)[f"__{name}__"]
    for name in ("cause", "context", "suppress_context", "traceback")
)
"""The interpreter's own; a worker's class may answer these names as it likes, or fail."""

_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"
_HEAD = "Traceback (most recent call last):\n"


def format_traceback(error: BaseException) -> str:
    """The traceback of an exception and of those that led to it, as Python prints it.

    Source lines are not shown: no source is kept beside the compiled code.
    """
    return "".join(_chain(error, MAX_CHAIN))


def _chain(error: BaseException, left: int) -> Iterator[str]:
    cause, context = _cause_of.__get__(error), _context_of.__get__(error)
    if left and cause is not None:
        yield from _chain(cause, left - 1)
        yield _CAUSE
    elif left and context is not None and not _suppressed_by.__get__(error):
        yield from _chain(context, left - 1)
        yield _CONTEXT
    frames = list(own_frames(_traceback_of.__get__(error)))
    if frames:
        yield _HEAD
    yield from frame_lines(frames)
    yield describe(error) + "\n"
    if left and issubclass(type(error), BaseExceptionGroup):
        group: Any = error
        for index, part in enumerate(group.exceptions[:MAX_CHAIN], 1):
            yield f"---------------- {index} ----------------\n"
            yield from _chain(part, left - 1)


def own_frames(traceback: types.TracebackType | None) -> Iterator[tuple[str, int, str]]:
    """File, line and function of each frame of the worker's, outermost first."""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if is_own_code(code):
            yield code.co_filename, traceback.tb_lineno, code.co_qualname
        traceback = traceback.tb_next


def frame_lines(frames: list[tuple[str, int, str]]) -> Iterator[str]:
    """The frames as text; of a deep recursion only both ends."""
    half = MAX_FRAMES // 2
    for index, (file, line, function) in enumerate(frames):
        if half <= index < len(frames) - half:
            if index == half:
                yield f"  [{len(frames) - MAX_FRAMES} more frames]\n"
            continue
        name = function.rpartition("<locals>.")[2]
        yield f'  File "{file}", line {line}, in {name}\n'


def describe(error: BaseException) -> str:
    """The exception's class and text; the text is the worker's own code and may fail."""
    name = type(error).__qualname__
    try:
        text = str(error)[:MAX_MESSAGE_CHARS]
    except Exception:  # noqa: BLE001 - whatever its __str__ does, the report goes on
        text = "<the exception's text could not be made>"
    return f"{name}: {text}" if text else name
