"""A worker's code on its way into an isolate: what runs before any invocation of it does."""

from collections.abc import Callable

from cloister.outcomes import Outcome
from executor import endings
from executor.build import LOAD_WALL_MS, Uncompilable
from executor.endings import MAX_MESSAGE_CHARS
from executor.host import Host
from executor.isolate import frames
from executor.isolates import Isolate
from executor.traces import Record
from executor.watch import Watch
from executor.work import Ended

_DECLINED = frames.Declined(count=1)


async def load(
    isolate: Isolate,
    host: Host,
    record: Record,
    on_overrun: Callable[[Outcome], None],
    invoke: frames.Invoke | None = None,
) -> bool:
    """Wait until an isolate, which was sent the code, has run its top level. That has the time for
    start-up, not that of a request. What is to be invoked then is sent behind the code, so that the
    isolate need not be woken for it again; whether it has taken that.

    Raises:
        Ended: the code fails.
        IsolateDied: it is gone.
    """
    watch = Watch(
        isolate,
        cpu_ms=host.settings.startup_cpu_ms,
        wall_ms=LOAD_WALL_MS,
        on_overrun=on_overrun,
        watches=host.watches,
    )
    watch.start()
    is_taken = invoke is not None
    try:
        if invoke is not None:
            await isolate.send(invoke)
        frame = await isolate.receive()
        if is_taken and frame == _DECLINED:  # by a loop that the top level runs
            is_taken = False
            frame = await isolate.receive()
        _check_loaded(frame, record)
    finally:
        watch.stop()
    isolate.is_loaded = True
    return is_taken


def _check_loaded(frame: frames.FromIsolate, record: Record) -> None:
    if isinstance(frame, frames.Failed):
        raise endings.raised(record, frame)
    if not isinstance(frame, frames.Loaded):
        raise endings.nonsense(record, frame)


def refused(record: Record, why: Uncompilable) -> Ended:
    """The code was taken when it was deployed, and is not any more."""
    message = f"The deployed code is refused now: {why}"[:MAX_MESSAGE_CHARS]
    return endings.raised(record, frames.Failed(name="SyntaxError", message=message))
