"""The duty that fires cron triggers.

Triggers are claimed first and published then: if this process dies in between, those few do not
fire, and none fires twice.
"""

import asyncio
import logging

from cloister.events import SCHEDULED, Scheduled
from cloister.messages import Invocation
from cloister.publishing import event_invocation, publish
from cloister.registry import Route
from cloister.registry.schedules import Firing
from cloister.settings import Settings
from scheduler.house import House

log = logging.getLogger(__name__)

FIRED_A_TICK = 4_000
"""What is due beyond that has the next tick."""

CLAIMED_AT_ONCE = 500
"""So many are lost at most with a scheduler that dies."""

COUNTS = "scheduler:crons"
"""The Valkey hash of what is counted: triggers ``fired``; ``refused`` where the namespace's queue
was full; ``gone`` with their Worker."""


async def fire(house: House) -> None:
    """Send the event of each trigger that is due.

    Raises:
        redis.RedisError, NotReady: what was claimed last may have been sent, or not.
    """
    for _ in range(FIRED_A_TICK // CLAIMED_AT_ONCE):
        some = asyncio.ensure_future(_fire_some(house))
        try:
            if await asyncio.shield(some) < CLAIMED_AT_ONCE:
                return
        except asyncio.CancelledError:
            await some  # what is claimed is sent
            raise


async def _fire_some(house: House) -> int:
    """Claim some, and send them; how many were claimed."""
    firings = await asyncio.to_thread(house.registry.schedules.take, CLAIMED_AT_ONCE)
    if firings:
        await _send(house, firings)
    return len(firings)


async def _send(house: House, firings: list[Firing]) -> None:
    ids = sorted({firing.script_id for firing in firings})
    routes = await asyncio.to_thread(house.registry.routes, ids)
    found = [(each, routes[each.script_id]) for each in firings if each.script_id in routes]
    invocations = [
        _event(house.settings, firing, await house.routes.chosen(route))
        for firing, route in found
        if route.has_code
    ]
    refused = await publish(house.redis, invocations, house.settings.namespace_queue)
    if refused:
        log.warning("%d cron triggers did not fire: their queues are full", len(refused))
    counts = house.redis.pipeline(transaction=False)
    counts.hincrby(COUNTS, "fired", len(invocations) - len(refused))
    counts.hincrby(COUNTS, "refused", len(refused))
    counts.hincrby(COUNTS, "gone", len(firings) - len(invocations))
    await counts.execute()


def _event(settings: Settings, firing: Firing, route: Route) -> Invocation:
    event = Scheduled(cron=firing.cron, scheduled_time=firing.scheduled_at)
    return event_invocation(settings, route, SCHEDULED, event)
