"""How invocations end that do not end well: what the tenant's code raised, said or died of."""

from cloister.outcomes import Outcome
from executor.isolate import frames
from executor.isolates import Death, IsolateDied
from executor.traces import Record
from executor.work import Ended

MEMORY = "memory"
"""The reason that the pool gives when an isolate holds more than its limit."""

MAX_MESSAGE_CHARS = 8 * 1024
MAX_NAME_CHARS = 256

_DEATHS = {
    Death.REFUSED_CALL: "The isolate was ended: it made a system call that is not allowed.",
    Death.FAULT: "The isolate was ended: it crashed.",
    Death.EXITED: "The isolate ended itself.",
    Death.KILLED: "The isolate was ended: it broke the protocol.",
}


def raised(record: Record, frame: frames.Failed) -> Ended:
    """The tenant's code raised."""
    if frame.memory:
        return Ended(Outcome.EXCEEDED_MEMORY)
    record.exception(frame.name, frame.message, frame.stack)
    return Ended(Outcome.EXCEPTION, frame.message[:MAX_MESSAGE_CHARS], frame.name[:MAX_NAME_CHARS])


def nonsense(record: Record, frame: frames.FromIsolate) -> Ended:
    """Only code that broke out of the language can make the isolate say this."""
    return _ended(record, f"The isolate was ended: it sent {type(frame).__name__} out of turn.")


def died(record: Record, death: IsolateDied) -> Ended:
    """The isolate is gone, by what the tenant's code did in it."""
    if death.death is Death.LOST:
        return Ended(Outcome.INTERNAL)
    if death.death is Death.KERNEL or death.reason == MEMORY:
        return Ended(Outcome.EXCEEDED_MEMORY)
    return _ended(record, _DEATHS[death.death])


def _ended(record: Record, message: str) -> Ended:
    record.exception("IsolateEnded", message)
    return Ended(Outcome.EXCEPTION, message, "IsolateEnded")
