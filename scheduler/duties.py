"""All duties. A new one is a module of its own and a row here."""

import asyncio

from cloister.collection import collect
from scheduler.duty import Duty
from scheduler.house import House


async def collect_blobs(house: House) -> None:
    """Delete the blobs that nothing names any more."""
    await asyncio.to_thread(collect, house.registry, house.blobs)


DUTIES: tuple[Duty, ...] = (
    Duty(name="blobs", interval_s=3_600, longest_s=1_800, work=collect_blobs),
)
