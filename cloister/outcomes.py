"""What an invocation can end in, and what the client then sees: the one table.

Three kinds stay apart: the tenant's code failed, a limit was hit, the platform failed.
Names are the product's tail outcomes where it has one; codes are those of its error pages.
"""

from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """Whose failure an outcome is."""

    OK = "ok"  # nobody's
    TENANT = "tenant"  # the tenant's code failed
    LIMIT = "limit"  # a limit was hit
    PLATFORM = "platform"  # ours; the only kind that should page an operator
    CLIENT = "client"  # the client went away, or asked for what is not there


class Outcome(Enum):
    """How an invocation ended."""

    OK = "ok"
    EXCEPTION = "exception"  # the handler raised, or answered with no Response
    EXCEEDED_CPU = "exceededCpu"
    EXCEEDED_MEMORY = "exceededMemory"
    EXCEEDED_WALL = "exceededWallTime"
    EXCEEDED_RESPONSE = "exceededResponseSize"
    EXCEEDED_DEPTH = "exceededDepth"  # workers called each other too deeply
    OVERLOADED = "overloaded"  # queue or concurrency bound reached
    SCRIPT_NOT_FOUND = "scriptNotFound"
    CANCELED = "canceled"  # the client went away before the response began
    RESPONSE_DISCONNECTED = "responseStreamDisconnected"  # ... while it was being sent
    EXPIRED = "expired"  # nobody waited any more when the message was taken
    INTERNAL = "internalError"  # the platform failed


class Answer(NamedTuple):
    """What a client sees: HTTP status, error code, title, and whose failure it is."""

    status: int
    code: int
    title: str
    kind: Kind


ANSWERS: dict[Outcome, Answer] = {
    Outcome.EXCEPTION: Answer(500, 1101, "Worker threw exception", Kind.TENANT),
    Outcome.EXCEEDED_CPU: Answer(503, 1102, "Worker exceeded CPU time limit", Kind.LIMIT),
    Outcome.EXCEEDED_MEMORY: Answer(503, 1102, "Worker exceeded memory limit", Kind.LIMIT),
    Outcome.EXCEEDED_WALL: Answer(504, 1102, "Worker exceeded wall time limit", Kind.LIMIT),
    Outcome.EXCEEDED_RESPONSE: Answer(502, 1102, "Worker response too large", Kind.LIMIT),
    Outcome.EXCEEDED_DEPTH: Answer(508, 1019, "Worker call depth exceeded", Kind.LIMIT),
    Outcome.OVERLOADED: Answer(503, 1015, "Too many requests for this worker", Kind.LIMIT),
    Outcome.SCRIPT_NOT_FOUND: Answer(404, 1022, "Worker not found", Kind.CLIENT),
    Outcome.CANCELED: Answer(499, 1499, "Client closed request", Kind.CLIENT),
    Outcome.RESPONSE_DISCONNECTED: Answer(499, 1499, "Client closed request", Kind.CLIENT),
    Outcome.EXPIRED: Answer(504, 1105, "No executor answered in time", Kind.PLATFORM),
    Outcome.INTERNAL: Answer(500, 1100, "Internal error", Kind.PLATFORM),
}
