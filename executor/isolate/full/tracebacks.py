"""A worker's exceptions as its owner sees them: all frames but those of the runtime."""

import traceback

from executor.isolate.full.image import LIBRARY, PACKAGES, WORKER

RUNTIME = "/runtime"
"""Where the runtime's own code seems to be."""

_SHOWN = tuple(f"{root}/" for root in (WORKER, PACKAGES, LIBRARY))


def format_traceback(error: BaseException) -> str:
    """The traceback of an exception and of those that led to it, as Python prints it.

    Source lines are not shown: no source is kept beside the compiled code.
    """
    told = traceback.TracebackException(type(error), error, error.__traceback__, compact=True)
    _clean(told)
    return "".join(told.format())


def _clean(told: traceback.TracebackException) -> None:
    """Take the runtime's frames out, and the made-up roots."""
    told.stack[:] = [frame for frame in told.stack if not frame.filename.startswith(RUNTIME)]
    for frame in told.stack:
        for root in _SHOWN:
            frame.filename = frame.filename.removeprefix(root)
    for each in (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())):
        if each is not None:
            _clean(each)
