"""The limits of time of a running isolate, measured from outside it. Memory is the pool's care."""

import asyncio
from collections.abc import Callable

from cloister.outcomes import Outcome
from executor.isolates import Isolate

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class Watch:
    """From :meth:`start` to :meth:`stop`. ``on_overrun`` is called once, with the limit's outcome.

    CPU time is the process's own clock. The watch sleeps exactly the budget that is left, which is
    the soonest that it can be used up, and looks again: an overrun is seen at once, in C code as
    in Python code, and a run within its budget costs one timer.
    """

    def __init__(
        self,
        isolate: Isolate,
        *,
        cpu_ms: int,
        wall_ms: float,
        on_overrun: Callable[[Outcome], None],
    ) -> None:
        self._isolate = isolate
        self._budget_ns = cpu_ms * NS_PER_MS
        self._left_s = wall_ms / 1000
        self._on_overrun = on_overrun
        self._loop = asyncio.get_running_loop()
        self._start_ns = isolate.cpu_ns()
        self._cpu_timer: asyncio.TimerHandle | None = None
        self._wall_timer: asyncio.TimerHandle | None = None
        self._wall_end_s = 0.0

    def start(self) -> None:
        """Begin to measure."""
        self._look()
        self.resume()

    @property
    def cpu_ms(self) -> float:
        """CPU time used since the watch was made."""
        return (self._isolate.cpu_ns() - self._start_ns) / NS_PER_MS

    @property
    def left_ms(self) -> float:
        """Wall time left."""
        held = self._wall_timer is None
        return 1000 * max(0.0, self._left_s if held else self._wall_end_s - self._loop.time())

    def hold(self) -> None:
        """Stop the wall clock: the tenant's code waits for the client, not the other way round."""
        if self._wall_timer is not None:
            self._wall_timer.cancel()
            self._wall_timer = None
            self._left_s = self._wall_end_s - self._loop.time()

    def resume(self) -> None:
        """Let the wall clock go on."""
        if self._wall_timer is None:
            self._wall_end_s = self._loop.time() + self._left_s
            self._wall_timer = self._loop.call_later(
                self._left_s, self._overrun, Outcome.EXCEEDED_WALL
            )

    def allow(self, wall_ms: float) -> None:
        """From now on, so much wall time instead of what was left."""
        self.hold()
        self._left_s = wall_ms / 1000
        self.resume()

    def stop(self) -> None:
        """Measure no more."""
        for timer in (self._cpu_timer, self._wall_timer):
            if timer is not None:
                timer.cancel()

    def _look(self) -> None:
        left_ns = self._budget_ns - (self._isolate.cpu_ns() - self._start_ns)
        if left_ns <= 0:
            self._overrun(Outcome.EXCEEDED_CPU)
        else:
            self._cpu_timer = self._loop.call_later(left_ns / NS_PER_S, self._look)

    def _overrun(self, outcome: Outcome) -> None:
        self.stop()
        self._on_overrun(outcome)
