"""What a dispatch worker can catch, and what the front door refuses.

Uncaught, each becomes the answer of its row in ``cloister.outcomes.ANSWERS``::

    DispatchFailure           an invocation ended without a (whole) response
    ├── WorkerNotFound        no worker of that name
    ├── WorkerThrew           the tenant's code failed
    ├── CpuLimitExceeded, MemoryLimitExceeded, WallLimitExceeded, ResponseTooLarge, DepthExceeded
    ├── Overloaded            too much waits already
    ├── NoAnswer              no executor answered in time
    ├── InvocationCanceled    nobody waited any more
    └── PlatformFailure       our fault
    Refusal                   the request itself cannot be served (400, 404, 413, ...)
"""

from typing import ClassVar

from cloister.outcomes import ANSWERS, Outcome


class DispatchFailure(Exception):
    """An invocation ended without a (whole) response; ``outcome`` says how."""

    outcome: ClassVar[Outcome]

    def __init__(self, message: str = "") -> None:
        super().__init__(message or f"{ANSWERS[self.outcome].title}.")


class WorkerNotFound(DispatchFailure):
    """No worker of that name in the namespace. The message starts with ``Worker not found``."""

    outcome = Outcome.SCRIPT_NOT_FOUND


class WorkerThrew(DispatchFailure):
    """The tenant's code raised, or answered with no valid response."""

    outcome = Outcome.EXCEPTION


class CpuLimitExceeded(DispatchFailure):
    """The message contains ``CPU time limit``."""

    outcome = Outcome.EXCEEDED_CPU


class MemoryLimitExceeded(DispatchFailure):
    """The isolate needed more than its memory."""

    outcome = Outcome.EXCEEDED_MEMORY


class WallLimitExceeded(DispatchFailure):
    """The invocation took longer than its wall time."""

    outcome = Outcome.EXCEEDED_WALL


class ResponseTooLarge(DispatchFailure):
    """The response was larger than allowed."""

    outcome = Outcome.EXCEEDED_RESPONSE


class DepthExceeded(DispatchFailure):
    """Workers called each other too deeply."""

    outcome = Outcome.EXCEEDED_DEPTH


class Overloaded(DispatchFailure):
    """Too many requests of this namespace or worker wait already."""

    outcome = Outcome.OVERLOADED


class NoAnswer(DispatchFailure):
    """No executor answered before the deadline."""

    outcome = Outcome.EXPIRED


class InvocationCanceled(DispatchFailure):
    """The invocation was canceled before it answered."""

    outcome = Outcome.CANCELED


class PlatformFailure(DispatchFailure):
    """The platform failed, not the tenant."""

    outcome = Outcome.INTERNAL


_BY_OUTCOME: dict[Outcome, type[DispatchFailure]] = {
    Outcome.RESPONSE_DISCONNECTED: InvocationCanceled,
    **{
        kind.outcome: kind
        for kind in (
            *(WorkerNotFound, WorkerThrew, CpuLimitExceeded, MemoryLimitExceeded),
            *(WallLimitExceeded, ResponseTooLarge, DepthExceeded, Overloaded, NoAnswer),
            *(InvocationCanceled, PlatformFailure),
        )
    },
}


def failure_of(outcome: Outcome, message: str) -> DispatchFailure:
    """The exception of an outcome. The tenant's own message is kept only for its own failure."""
    kind = _BY_OUTCOME.get(outcome, PlatformFailure)
    return kind(message if kind is WorkerThrew else "")


class Refusal(Exception):
    """The request cannot be served as it is: ``status`` says why to the client."""

    def __init__(self, status: int, title: str) -> None:
        super().__init__(title)
        self.status = status
        self.title = title


class BodyTooLarge(Refusal):
    """The request's body is larger than ``request_body_bytes``."""

    def __init__(self) -> None:
        super().__init__(413, "Request body too large")


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""
