"""Sending events to workers, from any process: the message, and how to wait for the answer.

An event travels as a request does: on the namespace's queue, within the same limits, and at most
once. Nobody knows what became of one that was taken and not answered.
"""

import asyncio
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import redis.asyncio
from msgspec import Struct

from cloister.broker import celery_message
from cloister.events import MAX_EVENT_BYTES, encode
from cloister.limits import Limits, effective
from cloister.mailbox import Mailbox
from cloister.messages import (
    DISPATCH_TASK,
    Batch,
    Failure,
    Invocation,
    Outbound,
    Returned,
    dispatch_queue,
)
from cloister.messages import encode as encode_message
from cloister.outcomes import Outcome
from cloister.registry.views import Route
from cloister.settings import Settings

BATCH = 32
BATCH_BYTES = 1024 * 1024
"""Events in one message: so many, or of so many bytes."""

ANSWER_SLACK_S = 5.0
"""An answer may come so long after the invocation's last moment."""


def event_invocation(
    settings: Settings,
    route: Route,
    handler: str,
    event: Struct,
    *,
    reply_to: str = "",
    entrypoint: str | None = None,
    limits: Limits | None = None,
) -> Invocation:
    """An event to a worker. It may take as long as anyone may, unless the worker's own limits, or
    ``limits``, say less; its fetch() goes where that of a request without outbound parameters does.

    ``route`` is one version: of a split, see :meth:`cloister.registry.RouteCache.chosen`.

    Raises:
        ValueError: the event is too long.
    """
    data = encode(event)
    if len(data) > MAX_EVENT_BYTES:
        raise ValueError(f"an event of {len(data)} bytes")
    bounds = event_limits(settings, route)
    rule = route.outbound
    return Invocation(
        id=uuid.uuid4().hex,
        namespace=route.namespace,
        script=route.script,
        version=route.version,
        method="",
        url="",
        headers=[],
        reply_to=reply_to,
        deadline=time.time() + settings.queue_wait_ms / 1000,
        limits=bounds if limits is None else bounds.tightest(limits),
        entrypoint=entrypoint,
        outbound=None if rule is None else Outbound(namespace=rule.namespace, script=rule.script),
        handler=handler,
        event=data,
    )


def event_limits(settings: Settings, route: Route) -> Limits:
    """The limits of an event: nobody waits for it, so that wall time is bounded by what namespace
    and script say, and by the platform's ceiling, not by what holds for requests."""
    said = route.namespace_limits.tightest(route.script_limits)
    wall = Limits(wall_ms=said.wall_ms or settings.max_wall_ms)
    return effective(settings, route.namespace_limits, route.script_limits, wall)


def messages(invocations: Iterable[Invocation]) -> Iterator[tuple[str, bytes, list[Invocation]]]:
    """The Celery messages of invocations: queue, message, and which of them are in it."""
    of_queue: dict[str, list[Invocation]] = {}
    for invocation in invocations:
        of_queue.setdefault(dispatch_queue(invocation.namespace), []).append(invocation)
    for queue, several in of_queue.items():
        for batch in _batches(several):
            payload = encode_message(Batch(invocations=batch))
            yield queue, celery_message(DISPATCH_TASK, payload, queue), batch


def _batches(invocations: Sequence[Invocation]) -> Iterator[list[Invocation]]:
    batch: list[Invocation] = []
    size = 0
    for each in invocations:
        length = len(each.event) + len(each.body)
        if batch and (len(batch) == BATCH or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += length
    if batch:
        yield batch


async def publish(
    client: redis.asyncio.Redis, invocations: Iterable[Invocation], bound: int
) -> list[Invocation]:
    """Put invocations on their queues; returns those that were not taken, since ``bound`` messages
    wait there already. Nothing is sent twice.

    Raises:
        redis.RedisError: Valkey is away, and nobody knows which were taken.
    """
    sent = list(messages(invocations))
    queues = sorted({queue for queue, _, _ in sent})
    lengths = client.pipeline(transaction=False)
    for queue in queues:
        lengths.llen(queue)
    depth: dict[str, int] = dict(zip(queues, await lengths.execute(), strict=True))
    refused: list[Invocation] = []
    pushes = client.pipeline(transaction=False)
    for queue, message, batch in sent:
        if depth[queue] >= bound:
            refused += batch
        else:
            depth[queue] += 1
            pushes.lpush(queue, message)
    await pushes.execute()
    return refused


async def ask(
    client: redis.asyncio.Redis, mailbox: Mailbox, invocation: Invocation, bound: int
) -> Returned | Failure:
    """Send one event, made with ``mailbox.reply_to``, and wait for its answer.

    No answer in time is a Failure, too, though the worker may have done all of its work.

    Raises:
        redis.RedisError: as :func:`publish`.
    """
    with mailbox.expect(invocation.id) as inbox:
        if await publish(client, [invocation], bound):
            return Failure(id=invocation.id, outcome=Outcome.OVERLOADED)
        left_s = invocation.deadline - time.time() + (invocation.limits.wall_ms or 0) / 1000
        try:
            async with asyncio.timeout(left_s + ANSWER_SLACK_S):
                answer: Any = await inbox.get()
        except TimeoutError:
            return Failure(id=invocation.id, outcome=Outcome.EXPIRED)
    is_known = isinstance(answer, Returned | Failure)
    return answer if is_known else Failure(id=invocation.id, outcome=Outcome.INTERNAL)
