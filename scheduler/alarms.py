"""Alarms of Durable Objects: whichever is due is sent to its object, and is due again a minute
later unless that comes to something."""

import asyncio
import time
import uuid
from typing import Protocol

import redis.asyncio

from cloister.limits import NO_LIMITS
from cloister.messages import Invocation, ObjectCall
from cloister.publishing import publish
from cloister.registry import Registry
from cloister.registry.objects import Due
from cloister.settings import Settings

ALARMS = 500
"""Taken at once."""

AGAIN_S = 60.0


class Tools(Protocol):
    """What of the house is needed."""

    settings: Settings
    redis: redis.asyncio.Redis
    registry: Registry


async def ring(house: Tools) -> None:
    """Send all alarms that are due. An object that has none by then takes no harm."""
    while True:
        now_s = time.time()
        due = await asyncio.to_thread(
            house.registry.objects.take_due,
            int(now_s * 1000),
            int((now_s + AGAIN_S) * 1000),
            ALARMS,
        )
        calls = [_call(each, now_s + AGAIN_S) for each in due]
        await publish(house.redis, calls, house.settings.namespace_queue)
        if len(due) < ALARMS:
            return


def _call(due: Due, deadline: float) -> Invocation:
    return Invocation(
        id=uuid.uuid4().hex,
        namespace=due.namespace,
        script=due.script,
        version="",
        method="",
        url="",
        headers=[],
        reply_to="",
        deadline=deadline,
        limits=NO_LIMITS,
        handler="alarm",
        object=ObjectCall(namespace_id=due.namespace_id, id=due.id),
    )
