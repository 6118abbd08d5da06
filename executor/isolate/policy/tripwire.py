"""The last line of wall 1: the interpreter's own audit events.

CPython announces reads of frames and code objects, changes of an object's class, and everything
that makes or runs code, imports or opens a file. No worker's code does any of it under the policy,
so that one that does has found a way around: the event fails. A hook cannot be removed. It sees
neither reads of ``__globals__`` nor calls of functions, so that it hinders more than it proves.
"""

import ast
import sys
import types
from typing import Any

from executor.isolate.policy import generated, hints, modules, wrappers
from executor.isolate.policy.facades import structures
from executor.isolate.policy.names import STORABLE_DUNDERS
from executor.isolate.policy.ownership import is_own_code

_HARMLESS = frozenset({"builtins.id", "array.__new__", "time.sleep", "sys.unraisablehook"})
"""What a worker may do itself. Any other event in its own frame is refused."""

_LOOKING = frozenset({"sys._getframe", "object.__getattr__"})
"""What this module's own look at the frames announces. No other event is let pass meanwhile: the
garbage collector may run a worker's finalizer then."""

_MAKES_CODE = frozenset({"exec", "compile", "code.__new__", "function.__new__"})
"""Refused below a worker's frame, too, but for the places that are known to check what they run."""

_KNOWN = frozenset(
    function.__code__
    for function in (
        ast.parse,
        generated.run,
        hints.compile_annotation,
        hints.evaluate_annotation,
        modules.ModuleSpace._load,
        structures._library_namedtuple,
        wrappers._maker.__wrapped__,
    )
)
_set: list[bool] = []
_looking: list[bool] = []


class Tripped(RuntimeError):
    """A worker did what only the runtime does."""


def install() -> None:
    """Watch from now on, in this process and its forks."""
    if not _set:
        _set.append(True)
        sys.addaudithook(_on_event)


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _HARMLESS or (_looking and event in _LOOKING):
        return
    if event == "object.__setattr__" and arguments[1] in STORABLE_DUNDERS:
        return  # a class's name
    _looking.append(True)
    try:
        refused = _is_workers(sys._getframe().f_back, event)
    finally:
        _looking.pop()
    if refused:
        raise Tripped(f"a worker cannot do this ({event})")


def _is_workers(frame: types.FrameType | None, event: str) -> bool:
    if frame is None or is_own_code(frame.f_code):
        return frame is not None
    if event not in _MAKES_CODE or frame.f_code in _KNOWN:
        return False
    while frame is not None:
        if is_own_code(frame.f_code):
            return True
        frame = frame.f_back
    return False
