"""The watch over a run's CPU time: when it looks, and who makes way."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, cast

import pytest

from cloister.outcomes import Outcome
from executor.isolates import Isolate
from executor.watch import BUSY_MS, GRAIN_S, LOOKED_AT_ONCE, NS_PER_MS, Watch, Watches


class Clocked:
    """An isolate whose clock stands where it is put."""

    def __init__(self) -> None:
        self.used_ms = 0.0
        self.looks = 0
        self.frames_arrived = 0
        self.waits = True
        self.said: asyncio.Queue[bool] = asyncio.Queue()

    def cpu_ns(self) -> int:
        self.looks += 1
        return int(self.used_ms * NS_PER_MS)

    def is_waiting(self) -> bool:
        return self.waits

    def make_way(self, *, is_busy: bool) -> None:
        self.said.put_nowait(is_busy)


def watch(isolate: Any, **more: Any) -> Watch:
    made = Watch(isolate, cpu_ms=60_000, wall_ms=60_000, on_overrun=lambda _outcome: None, **more)
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
    isolate.waits = False
    running._until_busy(worked_ns)
    running._until_busy(3 * worked_ns)
    isolate.waits = True
    running._until_busy(4 * worked_ns)
    running._until_busy(5 * worked_ns - 1)
    assert told == [True, False]
    running._until_busy(5 * worked_ns)
    running.stop()
    assert told == [True, False, True, False]
    assert [isolate.said.get_nowait() for _ in range(4)] == told


async def test_what_cannot_be_watched_ends(caplog: pytest.LogCaptureFixture) -> None:
    """A look that fails ends its run, and keeps no other from being looked at."""
    broken, whole, watches = Clocked(), Clocked(), Watches()
    ended: asyncio.Queue[Outcome] = asyncio.Queue()
    running = [
        Watch(
            cast("Isolate", isolate),
            cpu_ms=1,
            wall_ms=60_000,
            on_overrun=ended.put_nowait,
            watches=watches,
        )
        for isolate in (broken, whole)
    ]
    for each in running:
        each.start()
    broken.cpu_ns = None  # type: ignore[method-assign, assignment]
    whole.used_ms = 1
    async with asyncio.timeout(20):
        assert {await ended.get(), await ended.get()} == {
            Outcome.INTERNAL,
            Outcome.EXCEEDED_CPU,
        }
    assert "cannot be enforced" in caplog.text


async def test_a_run_that_is_kept_from_working_is_busy_too() -> None:
    """Where many want to compute, one that is not let to has used next to nothing."""
    isolate = Clocked()
    running = watch(isolate)
    isolate.waits = False
    running._until_busy(1)
    assert isolate.said.get_nowait() is True
    running.stop()


async def test_a_run_that_waits_is_looked_at_ever_less() -> None:
    """The twin: one that uses next to nothing is left alone, and costs a few looks however long
    it takes."""
    isolate = Clocked()
    running = watch(isolate)
    pauses = [running._until_busy(0) for _ in range(10)]
    assert all(later == 2 * sooner for sooner, later in itertools.pairwise(pauses))
    running.stop()
    assert isolate.said.empty()


async def test_what_nobody_waits_for_stays_behind_the_others() -> None:
    """From the response to its end, also while it waits; but it counts as busy only if it is."""
    isolate, told = Clocked(), list[bool]()
    running = watch(isolate, on_busy=told.append)
    running.step_back()
    assert isolate.said.get_nowait() is True
    isolate.used_ms, isolate.waits = BUSY_MS, False
    async with asyncio.timeout(20):
        assert await isolate.said.get() is True
        isolate.waits = True
        assert await isolate.said.get() is True
    assert told == [True, False]
    running.stop()
    assert isolate.said.get_nowait() is False
    assert told == [True, False]


class Due:
    """A watch that is due when it is told to be, and then does what it is told."""

    def __init__(self, due_s: float, then: Callable[["Due"], None]) -> None:
        self.due_s = due_s
        self.slot: int | None = None
        self.looks = 0
        self._then = then

    def look(self, now_s: float) -> None:
        assert now_s >= self.due_s
        self.looks += 1
        self._then(self)


async def test_each_watch_is_looked_at_once_when_it_is_due() -> None:
    """In their order, whatever order they came in; one that was discarded, or whose time came to be
    another, not at all or then."""
    now_s = asyncio.get_running_loop().time()
    watches, looked, over = Watches(), list[Any](), asyncio.Event()
    due = [Due(now_s + n * GRAIN_S, looked.append) for n in (3, 1, 2, 1)]
    last = Due(now_s + 5 * GRAIN_S, lambda _watch: over.set())
    gone = Due(now_s + 2 * GRAIN_S, looked.append)
    late = Due(now_s + GRAIN_S, looked.append)
    for each in (last, *due, gone, late):
        watches.add(cast("Watch", each))
    watches.discard(cast("Watch", gone))
    late.due_s = now_s + 4 * GRAIN_S
    watches.add(cast("Watch", late))
    async with asyncio.timeout(20):
        await over.wait()
    assert [each.looks for each in (*due, gone, late, last)] == [1, 1, 1, 1, 0, 1, 1]
    assert set(looked[:2]) == {due[1], due[3]}
    assert looked[2:] == [due[2], due[0], late]


async def test_a_watch_that_stops_another_is_obeyed_at_once() -> None:
    """Also if both were due together: what is over is not looked at."""
    watches, over = Watches(), asyncio.Event()
    pair: list[Any] = []

    def stop_the_other(watch: Any) -> None:
        watches.discard(next(each for each in pair if each is not watch))
        over.set()

    at_s = asyncio.get_running_loop().time()
    pair += [Due(at_s, stop_the_other), Due(at_s, stop_the_other)]
    for each in pair:
        watches.add(each)
    async with asyncio.timeout(20):
        await over.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    assert sorted(each.looks for each in pair) == [0, 1]


async def test_many_that_are_due_hold_up_nobody_else() -> None:
    """They are looked at a few at a time, all of them soon, and one that is due again at once
    keeps no other from it."""
    watches, looked, turns = Watches(), list[Any](), 0
    at_s = asyncio.get_running_loop().time()
    many = [Due(at_s, looked.append) for _ in range(3 * LOOKED_AT_ONCE)]
    again: Any = Due(at_s, lambda watch: watches.add(cast("Watch", watch)))
    for each in (*many, again):
        watches.add(cast("Watch", each))
    async with asyncio.timeout(20):
        while len(looked) < len(many):
            before = len(looked)
            await asyncio.sleep(0)
            assert len(looked) - before <= LOOKED_AT_ONCE
            turns += len(looked) > before
    assert turns >= 3
    watches.discard(again)
