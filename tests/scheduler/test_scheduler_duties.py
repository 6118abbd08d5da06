"""Duties: when they run, how they are bounded, and that none stops another."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis.asyncio

from scheduler.duties import DUTIES
from scheduler.duty import COUNTS, Duty, Watched
from scheduler.lease import KEY, LEASE_S, Lease


@dataclass
class Tools:
    """As much of a house as bookkeeping needs."""

    redis: redis.asyncio.Redis


@pytest.fixture
async def tools(redis_url: str) -> AsyncIterator[Tools]:
    """Tools with a real Valkey."""
    client = redis.asyncio.Redis.from_url(redis_url)
    yield Tools(client)
    await client.aclose()


def duty(work: Callable[[Any], Any], **fields: Any) -> Duty:
    return Duty(**{"name": "d", "interval_s": 0.0, "longest_s": 10.0, "work": work, **fields})


async def done(watched: Watched) -> None:
    """Begin it if it is due, and wait for its end."""
    watched.start_if_due()
    task = watched._task
    if task is not None:
        await asyncio.wait([task])
        await asyncio.sleep(0)


async def counted(tools: Tools) -> dict[str, int]:
    """What was counted of the duty, but for its time."""
    found = await tools.redis.hgetall(COUNTS)
    named = {key.decode().partition(":")[2]: int(value) for key, value in found.items()}
    return {name: count for name, count in named.items() if name != "took_ms"}


async def test_a_duty_runs_when_it_is_due_and_never_beside_itself(tools: Tools) -> None:
    """A tick while it is at work, or before its interval is over, begins nothing."""
    entered, go_on, runs = asyncio.Event(), asyncio.Event(), []

    async def work(house: Tools) -> None:
        runs.append(house)
        entered.set()
        await go_on.wait()

    watched = Watched(duty(work), tools)
    watched.start_if_due()
    await asyncio.wait_for(entered.wait(), 10)
    watched.start_if_due()
    go_on.set()
    await done(watched)
    assert runs == [tools]
    await done(watched)
    assert len(runs) == 2
    rare = Watched(duty(work, interval_s=20.0), tools)
    await done(rare)
    await done(rare)
    assert len(runs) == 3


async def test_a_failure_is_counted_and_goes_no_further(tools: Tools) -> None:
    """One that raises, and one that takes too long: both run again at the next tick."""

    async def fails(_house: Tools) -> None:
        raise ValueError("no")

    async def hangs(_house: Tools) -> None:
        await asyncio.Event().wait()

    failing = Watched(duty(fails), tools)
    await done(failing)
    await done(failing)
    assert await counted(tools) == {"runs": 2, "failures": 2}
    await tools.redis.delete(COUNTS)
    await done(Watched(duty(hangs, longest_s=0.01), tools))
    assert await counted(tools) == {"runs": 1, "overruns": 1}


async def test_a_rare_duty_keeps_its_turn(tools: Tools) -> None:
    """Another scheduler, or the same one started again, does not do it before its time."""
    runs = []

    async def work(house: Tools) -> None:
        runs.append(house)

    await done(Watched(duty(work, interval_s=3_600), tools))
    await done(Watched(duty(work, interval_s=3_600), tools))
    assert len(runs) == 1
    assert 3_500 < await tools.redis.ttl("scheduler:turn:d") <= 3_600
    await tools.redis.delete("scheduler:turn:d")
    await done(Watched(duty(work, interval_s=3_600), tools))
    assert len(runs) == 2


async def test_a_duty_is_ended_with_the_lease(tools: Tools) -> None:
    """What is at work when another scheduler takes over is cancelled, and that is no failure."""
    entered = asyncio.Event()

    async def hangs(_house: Tools) -> None:
        entered.set()
        await asyncio.Event().wait()

    watched = Watched(duty(hangs), tools)
    watched.start_if_due()
    await asyncio.wait_for(entered.wait(), 10)
    await asyncio.wait_for(watched.stop(), 10)
    assert await counted(tools) == {}


async def test_one_holds_the_lease(tools: Tools) -> None:
    """The first that asks; another after it let go, or was not heard of for long enough."""
    first, second = Lease(tools.redis), Lease(tools.redis)
    assert await first.hold()
    assert not await second.hold()
    assert await first.hold()
    assert (first.is_held, second.is_held) == (True, False)
    assert 0 < await tools.redis.pttl(KEY) <= LEASE_S * 1000
    await second.release()
    assert await first.hold()
    await first.release()
    assert not first.is_held
    assert await second.hold()
    await tools.redis.delete(KEY)  # as when it runs out
    assert await first.hold()
    assert not await second.hold()


def test_duties_have_names_of_their_own() -> None:
    """Counts and turns go by name, and each is bounded."""
    assert len({each.name for each in DUTIES}) == len(DUTIES)
    assert all(each.longest_s > 0 and ":" not in each.name for each in DUTIES)
