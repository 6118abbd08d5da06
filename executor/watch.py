"""The limits of time of a running isolate, measured from outside it. Memory is the pool's care."""

import asyncio
import heapq
import logging
import math
from collections.abc import Callable

from cloister.outcomes import Outcome
from executor.isolates import Isolate

log = logging.getLogger(__name__)

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

BUSY_MS = 20
"""CPU time of a run that is no short one any more; and how old one is before it is looked at."""

BUSY_LOOK_MS = 100
"""Between looks at whether a busy run has come to wait for something."""

FRAME_NS = 2_000
CALL_NS = 20_000
"""What each frame, and each call, counts besides: about the executor's own time for it. Native code
makes thousands in no time."""

GRAIN_S = 0.005
"""Watches that are due within so long of each other are looked at together."""

LOOKED_AT_ONCE = 64
"""Then others have their turn of the loop."""


def _nothing(_is_busy: bool) -> None:
    """Nobody minds."""


class Watches:
    """All watches of an event loop, behind one timer. Those that are due within so long of each
    other (:data:`GRAIN_S`) are in one slot, and a thousand cost no more to keep than one."""

    def __init__(self) -> None:
        self._slots: dict[int, set[Watch]] = {}
        self._due: list[int] = []  # a heap of the slots
        self._looked = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, watch: "Watch") -> None:
        """Look at it when it is due, from now on. Also when that has changed."""
        slot = max(int(watch.due_s / GRAIN_S) + 1, self._looked + 1)
        if watch.slot == slot:
            return
        self.discard(watch)
        watch.slot = slot
        if slot in self._slots:
            self._slots[slot].add(watch)
            return
        self._slots[slot] = {watch}
        heapq.heappush(self._due, slot)
        if self._due[0] == slot:
            self._set_timer()

    def discard(self, watch: "Watch") -> None:
        """Look at it no more."""
        if watch.slot is not None and (slot := self._slots.get(watch.slot)) is not None:
            slot.discard(watch)
        watch.slot = None

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._due[0] * GRAIN_S, self._look) if self._due else None

    def _look(self) -> None:
        """Look at those that are due, but not at so many at once that others wait for it."""
        now_s = asyncio.get_running_loop().time()
        left = LOOKED_AT_ONCE
        while self._due and self._due[0] * GRAIN_S <= now_s:
            self._looked = max(self._looked, self._due[0])
            slot = self._slots[self._due[0]]
            while slot and left:
                left -= 1
                self._look_at(slot.pop(), now_s)
            if slot:
                break
            del self._slots[heapq.heappop(self._due)]
        self._set_timer()

    def _look_at(self, watch: "Watch", now_s: float) -> None:
        watch.slot = None
        try:
            watch.look(now_s)
        except Exception:
            log.exception("a limit cannot be enforced; what it is for ends")
            watch.give_up()


class Watch:
    """From :meth:`start` to :meth:`stop`. ``on_overrun`` is called once, with the limit's outcome.

    CPU time is the process's own clock. It is looked at when the budget that is left is the soonest
    used up, and then again: an overrun is seen within :data:`GRAIN_S`, in C code as in Python code,
    and a short run is not looked at. One that has worked for more than :data:`BUSY_MS`, or is
    found at work at a look, makes way for others, until it is found waiting or is over; ``on_busy``
    is told. What the isolate says counts, too, with a fixed time for each frame and call.

    Attributes:
        due_s: when to look, by the loop's clock.
        slot: where :class:`Watches` keeps it.
        calls: how many it has made.
        start_ns: the process's CPU clock at the start: when the watch was made, if not given.
    """

    def __init__(
        self,
        isolate: Isolate,
        *,
        cpu_ms: int,
        wall_ms: float,
        on_overrun: Callable[[Outcome], None],
        on_busy: Callable[[bool], None] = _nothing,
        watches: Watches | None = None,
        start_ns: int | None = None,
    ) -> None:
        self._isolate = isolate
        self._budget_ns = cpu_ms * NS_PER_MS
        self._left_s = wall_ms / 1000
        self._on_overrun = on_overrun
        self._on_busy = on_busy
        self._watches = watches or Watches()
        self._time = asyncio.get_running_loop().time
        self.start_ns = isolate.cpu_ns() if start_ns is None else start_ns
        self._start_frames = isolate.frames_arrived
        self.calls = 0
        self.slot: int | None = None
        self._is_busy = False
        self._is_awaited = True
        self._rested_ns = 0
        self._pause_ns = BUSY_MS * NS_PER_MS
        self._cpu_due_s = self._wall_end_s = self.due_s = math.inf

    def start(self) -> None:
        """Begin to measure."""
        self._cpu_due_s = self._time() + min(self._budget_ns, self._next_pause_ns()) / NS_PER_S
        self.resume()

    @property
    def used_ns(self) -> int:
        """CPU time used since the start."""
        return self._isolate.cpu_ns() - self.start_ns

    @property
    def cpu_ms(self) -> float:
        """The same in milliseconds."""
        return self.used_ns / NS_PER_MS

    @property
    def left_ms(self) -> float:
        """Wall time left."""
        held = self._wall_end_s == math.inf
        return 1000 * max(0.0, self._left_s if held else self._wall_end_s - self._time())

    def hold(self) -> None:
        """Stop the wall clock: the tenant's code waits for the client, not the other way round."""
        if self._wall_end_s != math.inf:
            self._left_s = self._wall_end_s - self._time()
            self._wall_end_s = math.inf
            self._set_due()

    def resume(self) -> None:
        """Let the wall clock go on."""
        if self._wall_end_s == math.inf:
            self._wall_end_s = self._time() + self._left_s
            self._set_due()

    def allow(self, wall_ms: float) -> None:
        """From now on, so much wall time instead of what was left."""
        self._wall_end_s = self._time() + wall_ms / 1000
        self._set_due()

    def step_back(self) -> None:
        """Nobody waits for what goes on: from now to the end, all others run before it."""
        if self._is_awaited:
            self._is_awaited = False
            self._isolate.make_way(is_busy=True)

    def stop(self) -> None:
        """Measure no more."""
        self._watches.discard(self)
        if self._is_busy or not self._is_awaited:
            self._is_awaited = True
            self._set_busy(is_busy=False)

    def look(self, now_s: float) -> None:
        """It is due: see whether a limit is exceeded."""
        if self._cpu_due_s <= now_s:
            used_ns = self.used_ns + self._said_ns()
            left_ns = self._budget_ns - used_ns
            if left_ns <= 0:
                self._overrun(Outcome.EXCEEDED_CPU)
                return
            self._cpu_due_s = now_s + min(left_ns, self._until_busy(used_ns)) / NS_PER_S
        if self._wall_end_s <= now_s:
            self._overrun(Outcome.EXCEEDED_WALL)
        else:
            self._set_due()

    def _said_ns(self) -> int:
        frames = self._isolate.frames_arrived - self._start_frames
        return frames * FRAME_NS + self.calls * CALL_NS

    def give_up(self) -> None:
        """Nothing runs that cannot be watched."""
        self._overrun(Outcome.INTERNAL)

    def _until_busy(self, used_ns: int) -> int:
        """How long until the next look at whether it is busy: ever longer for a run that waits."""
        is_waiting = self._isolate.is_waiting()
        if self._is_busy and is_waiting:
            self._set_busy(is_busy=False)
            self._rested_ns = used_ns
            self._pause_ns = BUSY_MS * NS_PER_MS
        worked_ns = used_ns - self._rested_ns
        # One that would work and is not let to has used little, for want of processors.
        if not self._is_busy and (worked_ns >= BUSY_MS * NS_PER_MS or not is_waiting):
            self._set_busy(is_busy=True)
        if self._is_busy:
            return BUSY_LOOK_MS * NS_PER_MS
        return max(self._next_pause_ns(), BUSY_MS * NS_PER_MS - worked_ns)

    def _next_pause_ns(self) -> int:
        pause_ns, self._pause_ns = self._pause_ns, 2 * self._pause_ns
        return pause_ns

    def _set_busy(self, *, is_busy: bool) -> None:
        was_busy, self._is_busy = self._is_busy, is_busy
        self._isolate.make_way(is_busy=is_busy or not self._is_awaited)
        if is_busy != was_busy:
            self._on_busy(is_busy)

    def _set_due(self) -> None:
        self.due_s = min(self._cpu_due_s, self._wall_end_s)
        self._watches.add(self)

    def _overrun(self, outcome: Outcome) -> None:
        self.stop()
        self._on_overrun(outcome)
