"""All duties. A new one is a module of its own and a row here."""

import asyncio
import math
from collections.abc import Callable

from cloister.collection import collect
from cloister.r2_store import R2Store
from scheduler import alarms, crons, queues
from scheduler.duty import Duty
from scheduler.house import House

PURGES = 100
"""Most transactions of one of these duties, each of which deletes a bounded number of rows."""


async def collect_blobs(house: House) -> None:
    """Delete the blobs that nothing names any more."""
    await asyncio.to_thread(collect, house.registry, house.blobs)


async def sweep_buckets(house: House) -> None:
    """Do what the lifecycle rules of R2 buckets say, and delete the bytes of what is no more."""
    await asyncio.to_thread(R2Store(house.registry.r2, house.blobs).sweep)


async def purge_pairs(house: House) -> None:
    """Delete key-value pairs that have expired."""
    await _until_none(house.registry.kv.purge)


async def trim_points(house: House) -> None:
    """Delete data points that are too old or too many."""
    await _until_none(house.registry.points.trim)


async def _until_none(purge: Callable[[], int]) -> None:
    for _ in range(PURGES):
        if await asyncio.to_thread(purge) == 0:
            return


DUTIES: tuple[Duty, ...] = (
    Duty(name="alarms", interval_s=0.5, longest_s=20, work=alarms.ring),
    Duty(name="crons", interval_s=0.5, longest_s=20, work=crons.fire),
    # As long as this scheduler is at work: waiting for a tick would be slow.
    Duty(name="queues", interval_s=1, longest_s=math.inf, work=queues.deliver),
    Duty(name="old_messages", interval_s=60, longest_s=600, work=queues.expire),
    Duty(name="expired_pairs", interval_s=60, longest_s=300, work=purge_pairs),
    Duty(name="data_points", interval_s=600, longest_s=300, work=trim_points),
    Duty(name="blobs", interval_s=3_600, longest_s=1_800, work=collect_blobs),
    Duty(name="buckets", interval_s=600, longest_s=1_800, work=sweep_buckets),
)
