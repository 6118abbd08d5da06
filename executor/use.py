"""The use of an isolate by one invocation: its limits, and what it costs."""

import math
import time
from collections.abc import Callable

from cloister.outcomes import Outcome
from executor.convoy import count_answer
from executor.host import Host
from executor.isolates import Isolate
from executor.traces import Record
from executor.watch import NS_PER_MS, Watch
from executor.work import Work


class Use:
    """From now to :meth:`end` the isolate's time counts as this invocation's. ``start_ns``: see
    :class:`Watch`."""

    def __init__(
        self,
        host: Host,
        work: Work,
        isolate: Isolate,
        *,
        on_overrun: Callable[[Outcome], None],
        start_ns: int | None,
    ) -> None:
        place = work.namespace, work.script
        self._host = host
        self._isolate = isolate
        self._began_s = time.monotonic()
        self.watch = Watch(
            isolate,
            cpu_ms=work.limits.cpu_ms or 0,
            wall_ms=work.limits.wall_ms or 0,
            on_overrun=on_overrun,
            on_busy=lambda is_busy: host.gate.burden(place, is_busy=is_busy),
            watches=host.watches,
            start_ns=start_ns,
        )
        self.watch.start()

    def end(self, record: Record, *, behind: int, is_plain: bool) -> int:
        """Record what it used; where its share of the isolate's CPU time ends. If those behind it
        have answered, too, all had the same share, as far as anybody knows."""
        isolate, watch = self._isolate, self.watch
        watch.stop()
        answered = 1 + min(behind, isolate.frames_pending // 2)
        used_ns = watch.used_ns // answered
        record.cpu_ms = cpu_ms = used_ns / NS_PER_MS
        record.peak_memory_kb = self._host.peak_kb(isolate, cpu_ms)
        wall_s = time.monotonic() - self._began_s
        count_answer(isolate, cpu_ms if is_plain else math.inf, wall_s)
        return watch.start_ns + used_ns
