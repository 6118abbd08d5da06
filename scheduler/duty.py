"""One thing that has to be done again and again, and the record of how that went."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

import redis.asyncio

log = logging.getLogger(__name__)

COUNTS = "scheduler:duties"
"""The Valkey hash of what is counted: ``{duty}:{runs|failures|overruns|took_ms}``."""

TURN_S = 30.0
"""A duty that is due less often keeps its turn in Valkey: a change of schedulers, or a restart,
brings no turn before its time."""


ENDING_S = 3.0
"""How long a duty that is cancelled may take to end before others go on."""


class Tools(Protocol):
    """What the bookkeeping of duties needs."""

    redis: redis.asyncio.Redis


Work = Callable[[Any], Coroutine[Any, Any, object]]
"""A duty's work, given the house."""


@dataclass(frozen=True, kw_only=True)
class Duty:
    """Work that is due every so many seconds, by one scheduler at a time.

    It never runs beside itself in one process, and is cancelled after ``longest_s``. It must not
    block the event loop, and must stand being ended at any point and run twice at once: by two
    schedulers, while the lease changes hands. What must not happen twice it claims in the registry.
    What blocks, it does in :func:`asyncio.to_thread`, in pieces that end by themselves: no thread
    can be cancelled.
    """

    name: str
    interval_s: float
    longest_s: float
    work: Work


class Watched:
    """A duty on the event loop."""

    def __init__(self, duty: Duty, house: Tools) -> None:
        self._duty = duty
        self._house = house
        self._due_s = 0.0
        self._task: asyncio.Task[None] | None = None

    def start_if_due(self) -> None:
        """Begin, unless it is not due, or still at work."""
        now_s = time.monotonic()
        if self._task is not None or now_s < self._due_s:
            return
        self._due_s = now_s + self._duty.interval_s
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._forget)

    async def stop(self) -> None:
        """End it, if it is at work, and wait for that, but not for ever."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=ENDING_S)

    def _forget(self, _task: "asyncio.Task[None]") -> None:
        self._task = None

    async def _run(self) -> None:
        """Raises nothing: one duty's failure is no other's."""
        duty, began_s = self._duty, time.monotonic()
        outcome = ""
        try:
            if not await self._has_turn():
                return
            async with asyncio.timeout(duty.longest_s):
                await duty.work(self._house)
        except TimeoutError:
            outcome = "overruns"
            log.exception("duty %s was ended after %g s", duty.name, duty.longest_s)
        except Exception:
            outcome = "failures"
            log.exception("duty %s failed", duty.name)
        await self._count(outcome, time.monotonic() - began_s)

    async def _has_turn(self) -> bool:
        """Whether nobody has had it for the interval, less what clocks and ticks may differ by."""
        if self._duty.interval_s < TURN_S:
            return True
        lives_s = int(self._duty.interval_s - TURN_S / 2)
        key = f"scheduler:turn:{self._duty.name}"
        return bool(await self._house.redis.set(key, b"", nx=True, ex=lives_s))

    async def _count(self, outcome: str, took_s: float) -> None:
        counts = self._house.redis.pipeline(transaction=False)
        name = self._duty.name
        counts.hincrby(COUNTS, f"{name}:runs", 1)
        counts.hincrby(COUNTS, f"{name}:took_ms", int(took_s * 1000))
        if outcome:
            counts.hincrby(COUNTS, f"{name}:{outcome}", 1)
        with contextlib.suppress(redis.RedisError):  # the next tick says that it is away
            await counts.execute()
