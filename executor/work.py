"""One invocation to run, whether a message asked for it or another worker."""

from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from cloister.limits import Limits
from cloister.messages import Headers, Outbound
from cloister.outcomes import ANSWERS, Outcome
from executor.egress.guard import HostRules
from executor.isolate import frames
from executor.streams import Readable

MAX_DEPTH = 16
"""Workers that call each other: 16 calls deep, then EXCEEDED_DEPTH."""

FAMILY_RUNNING = 32
"""Invocations at once that descend from one request."""

FAMILY_TOTAL = 1_000
"""Invocations in all that descend from one request."""


class Ended(Exception):
    """The invocation is over, and not well. ``name`` is the class of the tenant's exception."""

    def __init__(self, outcome: Outcome, message: str = "", name: str = "") -> None:
        answer = ANSWERS.get(outcome)
        super().__init__(message or (answer.title if answer else outcome.value))
        self.outcome = outcome
        self.message = str(self)
        self.name = name

    @property
    def told(self) -> str:
        """What the dispatch worker is told."""
        return f"{self.name}: {self.message}" if self.name else self.message


@dataclass
class Family:
    """What all invocations that descend from one request, or event, share."""

    running: int = 0
    total: int = 0
    is_tail: bool = False
    """Whether it is records that they descend from: then there are no tails of theirs."""

    def join(self) -> None:
        """Count one more.

        Raises:
            Ended: they are too many.
        """
        if self.running >= FAMILY_RUNNING or self.total >= FAMILY_TOTAL:
            raise Ended(Outcome.EXCEEDED_DEPTH, "Workers called each other too often.")
        self.running += 1
        self.total += 1

    def part(self) -> None:
        """One of them is over."""
        self.running -= 1


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What to run, as whom, within what.

    ``begin_by_s`` is the wall clock in epoch seconds after which nobody waits. ``rules`` are the
    host rules of those on whose behalf it runs; those of its own namespace come on top.
    """

    id: str
    namespace: str
    script: str
    version: str
    limits: Limits
    invoke: frames.Invoke
    body: Readable | None = None
    outbound: Outbound | None = None
    begin_by_s: float
    rules: tuple[HostRules, ...] = ()
    depth: int = 0
    objects: tuple[str, ...] = ()
    """Durable Objects that wait for its end, or that it is an event of."""
    family: Family = msgspec.field(default_factory=Family)

    @property
    def is_outbound(self) -> bool:
        """Whether this is the outbound worker itself, whose fetch() goes out."""
        return self.outbound is not None and (self.namespace, self.script) == (
            self.outbound.namespace,
            self.outbound.script,
        )

    def asked(self, log_bytes: int) -> frames.Invoke:
        """What the isolate is asked to do."""
        invoke = self.invoke
        if invoke.log_bytes != log_bytes:
            invoke = msgspec.structs.replace(invoke, log_bytes=log_bytes)
        if self.is_outbound and self.outbound is not None:
            return msgspec.structs.replace(invoke, env=self.outbound.parameters)
        return invoke


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a dispatch worker says of a call: limits that replace the stored ones, and whom the
    callee's fetch() goes through."""

    limits: Limits
    outbound: Outbound | None


class Sink(Protocol):
    """Where the response goes."""

    @property
    def is_full(self) -> bool:
        """Whether the next bytes have to wait."""

    async def wait_for_credit(self) -> None:
        """Wait until they need not."""

    async def head(self, status: int, headers: Headers, body: bytes, *, end: bool) -> None:
        """Status and headers, with all or none of the body."""

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """All of a response, of at most :data:`executor.replies.WHOLE_BYTES`."""

    async def chunk(self, data: bytes) -> None:
        """More of the body."""

    async def end(self) -> None:
        """That was all."""

    async def returned(self, value: Any) -> None:
        """The value of an RPC method."""

    async def fail(self, ended: Ended) -> None:
        """There is no (whole) response."""

    def abort(self) -> None:
        """Wake whoever waits in here: nothing more is sent."""
