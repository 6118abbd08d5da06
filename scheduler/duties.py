"""All duties. A new one is a module of its own and a row here."""

import asyncio
import math

from cloister.collection import collect
from cloister.r2_store import R2Store
from scheduler import alarms, crons, queues
from scheduler.duty import Duty
from scheduler.house import House


async def collect_blobs(house: House) -> None:
    """Delete the blobs that nothing names any more."""
    await asyncio.to_thread(collect, house.registry, house.blobs)


async def sweep_buckets(house: House) -> None:
    """Do what the lifecycle rules of R2 buckets say, and delete the bytes of what is no more."""
    await asyncio.to_thread(R2Store(house.registry.r2, house.blobs).sweep)


DUTIES: tuple[Duty, ...] = (
    Duty(name="alarms", interval_s=0.5, longest_s=20, work=alarms.ring),
    Duty(name="crons", interval_s=0.5, longest_s=20, work=crons.fire),
    # As long as this scheduler is at work: waiting for a tick would be slow.
    Duty(name="queues", interval_s=1, longest_s=math.inf, work=queues.deliver),
    Duty(name="old_messages", interval_s=60, longest_s=600, work=queues.expire),
    Duty(name="blobs", interval_s=3_600, longest_s=1_800, work=collect_blobs),
    Duty(name="buckets", interval_s=600, longest_s=1_800, work=sweep_buckets),
)
