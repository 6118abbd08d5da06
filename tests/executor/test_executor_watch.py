"""The watch over a run's CPU time: when it looks, and who makes way."""

import asyncio
import itertools
from typing import Any, cast

from executor.isolates import Isolate
from executor.watch import BUSY_MS, NS_PER_MS, Watch


class Clocked:
    """An isolate whose clock stands where it is put."""

    def __init__(self) -> None:
        self.used_ms = 0.0
        self.looks = 0
        self.waits = False
        self.said: asyncio.Queue[bool] = asyncio.Queue()

    def cpu_ns(self) -> int:
        self.looks += 1
        return int(self.used_ms * NS_PER_MS)

    def is_waiting(self) -> bool:
        return self.waits

    def make_way(self, *, is_busy: bool) -> None:
        self.said.put_nowait(is_busy)


def watch(isolate: Any) -> Watch:
    made = Watch(isolate, cpu_ms=60_000, wall_ms=60_000, on_overrun=lambda _outcome: None)
    made.start()
    return made


async def test_a_run_that_is_long_at_work_makes_way_until_it_ends() -> None:
    """It is put behind others once, and back when it is over."""
    isolate = Clocked()
    running = watch(isolate)
    isolate.used_ms = BUSY_MS
    async with asyncio.timeout(20):
        assert await isolate.said.get() is True
    running.stop()
    assert isolate.said.get_nowait() is False
    running.stop()
    assert isolate.said.empty()


async def test_a_run_that_comes_to_wait_is_back_among_the_others() -> None:
    """What was long at work and waits now is in nobody's way, until it has worked as long again;
    whoever counts is told each time."""
    isolate, told = Clocked(), list[bool]()
    running = Watch(
        cast("Isolate", isolate),
        cpu_ms=60_000,
        wall_ms=60_000,
        on_overrun=lambda _outcome: None,
        on_busy=told.append,
    )
    worked_ns = BUSY_MS * NS_PER_MS
    running._until_busy(worked_ns)
    running._until_busy(3 * worked_ns)
    isolate.waits = True
    running._until_busy(4 * worked_ns)
    isolate.waits = False
    running._until_busy(5 * worked_ns - 1)
    assert told == [True, False]
    running._until_busy(5 * worked_ns)
    running.stop()
    assert told == [True, False, True, False]
    assert [isolate.said.get_nowait() for _ in range(4)] == told


async def test_a_run_that_waits_is_looked_at_ever_less() -> None:
    """The twin: one that uses next to nothing is left alone, and costs a few looks however long
    it takes."""
    isolate = Clocked()
    running = watch(isolate)
    pauses = [running._until_busy(0) for _ in range(10)]
    assert all(later == 2 * sooner for sooner, later in itertools.pairwise(pauses))
    running.stop()
    assert isolate.said.empty()
