"""What an invocation needs of its executor."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from cloister.registry.views import Bundle
from cloister.settings import Settings
from executor.gate import Gate
from executor.isolate import frames
from executor.isolates import Isolate
from executor.tails import Tails
from executor.traces import Traces
from executor.turns import Turns
from executor.watch import Watches

if TYPE_CHECKING:
    from executor.invocation import Run

Spawn = Callable[[Coroutine[Any, Any, None]], object]
"""Runs a coroutine in a task."""


class Answerer(Protocol):
    """Serves the calls of one invocation."""

    async def take(self, call: frames.Call, size: int) -> None:
        """Begin to serve a call, whose frame has that size; waits while too much is open.

        Raises:
            TooManyCalls: the isolate is to be ended.
        """

    async def close(self) -> None:
        """Drop what is not served yet, and everything open."""


class Host(Protocol):
    """The executor, as an invocation sees it."""

    settings: Settings
    gate: Gate
    turns: Turns
    watches: Watches
    traces: Traces
    tails: Tails

    async def bundle(self, version: str) -> Bundle | None:
        """What running a version needs."""

    def bundle_now(self, version: str) -> Bundle | None:
        """The same, if it is at hand."""

    async def borrow(self, bundle: Bundle, memory_mb: int) -> Isolate:
        """An isolate of that version, perhaps not loaded yet. Raises ``Uncompilable`` if the code
        is not taken any more."""

    def borrow_now(self, bundle: Bundle, memory_mb: int) -> Isolate | None:
        """One that stands ready with its code loaded, if there is one."""

    def give_back(self, isolate: Isolate, *, reuse: bool) -> None:
        """Done with it."""

    def peak_kb(self, isolate: Isolate, cpu_ms: float) -> int:
        """The most memory that it held, after a run of so much CPU time."""

    def answerer(self, run: "Run", bundle: Bundle, isolate: Isolate) -> Answerer:
        """Who serves the isolate's calls."""
