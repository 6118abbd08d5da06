"""Delivers what is in queues to the workers that consume them.

Messages are leased in the registry, sent as an event, and settled by the worker's verdict. While a
worker has them, their lease is kept alive; it ends by itself when this process does. Whatever the
platform fails at gives them back, and is no attempt.
"""

import asyncio
import contextlib
import logging
import time
from typing import Any

import msgspec
import redis

from cloister.enquiry import Enquiry
from cloister.errors import CloisterError
from cloister.events import QUEUE, QueueBatch, QueueMessage, QueueVerdict
from cloister.messages import Failure, Invocation, Returned
from cloister.outcomes import ANSWERS, Kind, Outcome
from cloister.publishing import ANSWER_SLACK_S, event_invocation, publish
from cloister.queues import QUEUES_CHANNEL
from cloister.registry.queue_messages import LEASE_MS
from cloister.registry.queue_views import DELAY_S, Delivery, Retry
from scheduler.house import House

log = logging.getLogger(__name__)

AT_ONCE = 500
"""Deliveries under way."""

NAMESPACE_AT_ONCE = 100
"""Of them for the workers of one namespace: slow ones are in nobody else's way."""

LOOKED_AT_ONCE = 64
LOOK_S = 1.0
"""Without being told, this looks so often for what is due."""

KEEP_S = LEASE_MS / 1000 / 4
BACK_MS = 1_000
"""After a failure of the platform a delivery is made again so much later."""

DELAYED_MS = 10_000
"""The same where the worker is not to be found."""

FAILURES = (Kind.TENANT, Kind.LIMIT)
"""What counts as an attempt; of the limits, all but that of how much may run."""

_verdict = msgspec.msgpack.Decoder(QueueVerdict).decode


async def deliver(house: House) -> None:
    """Deliver, until this scheduler is not at work any more."""
    await Deliverer(house).run()


async def expire(house: House) -> None:
    """Delete what is older than its queue keeps it."""
    while await asyncio.to_thread(house.registry.queues.messages.expire):
        pass


class Deliverer:
    """Everything that delivers in one process."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._messages = house.registry.queues.messages
        self._enquiry = Enquiry(house.redis, house.mailbox)
        self._woken = asyncio.Event()
        self._under_way: dict[str, Delivery] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Deliver for ever. What is under way at the end comes again when its lease is over."""
        await self._enquiry.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen())
                group.create_task(self._keep())
                group.create_task(self._look())
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._enquiry.close()

    async def _listen(self) -> None:
        """Wake when somebody has stored something."""
        while True:
            try:
                async with self._house.redis.pubsub() as told:
                    await told.subscribe(QUEUES_CHANNEL)
                    async for _ in told.listen():
                        self._woken.set()
            except (redis.RedisError, OSError) as exc:
                log.warning("nobody tells of messages (%s); looking for them all the same", exc)
            await asyncio.sleep(LOOK_S)

    async def _keep(self) -> None:
        """Keep the leases of what is under way."""
        while True:
            await asyncio.sleep(KEEP_S)
            if held := list(self._under_way.values()):
                try:
                    await asyncio.to_thread(self._messages.keep, held)
                except CloisterError as exc:
                    log.warning("leases are not kept: %s", exc)

    async def _look(self) -> None:
        while True:
            self._woken.clear()
            wait_s = LOOK_S
            try:
                while await self._begin_due():
                    pass
                wait_s = await self._until_next_s()
            except CloisterError as exc:
                log.warning("queues cannot be looked at: %s", exc)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()

    async def _until_next_s(self) -> float:
        if len(self._under_way) >= AT_ONCE:
            return LOOK_S  # one that is over wakes it
        at = await asyncio.to_thread(self._messages.next_due)
        return LOOK_S if at is None else min(max(at / 1000 - time.time(), 0.01), LOOK_S)

    async def _begin_due(self) -> bool:
        """Begin what is due; whether there may be more."""
        due = await asyncio.to_thread(self._messages.due, LOOKED_AT_ONCE)
        begun = False
        for queue_id in due:
            if len(self._under_way) >= AT_ONCE:
                return False
            delivery = await asyncio.to_thread(self._messages.take, queue_id)
            if delivery is not None:
                begun = True
                self._begin(delivery)
        return begun

    def _begin(self, delivery: Delivery) -> None:
        self._under_way[delivery.id] = delivery
        task = asyncio.get_running_loop().create_task(self._deliver(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, delivery: Delivery) -> None:
        """Raises nothing. What is not settled comes again when its lease is over."""
        try:
            answer = await self._answer(delivery)
            await asyncio.to_thread(self._settle, delivery, answer)
        except (CloisterError, redis.RedisError, OSError) as exc:
            log.warning("delivery %s is not settled: %s", delivery.id, exc)
        except Exception:
            log.exception("delivery %s failed", delivery.id)
        finally:
            del self._under_way[delivery.id]
            self._woken.set()

    async def _answer(self, delivery: Delivery) -> Returned | Failure:
        beside = sum(each.namespace == delivery.namespace for each in self._under_way.values())
        if beside > NAMESPACE_AT_ONCE:
            return Failure(id=delivery.id, outcome=Outcome.OVERLOADED)
        invocation = await self._invocation(delivery)
        if invocation is None:
            return Failure(id=delivery.id, outcome=Outcome.SCRIPT_NOT_FOUND)
        house = self._house
        with house.mailbox.expect(invocation.id) as inbox:
            if await publish(house.redis, [invocation], house.settings.namespace_queue):
                return Failure(id=delivery.id, outcome=Outcome.OVERLOADED)
            self._enquiry.watch(invocation, inbox)
            left_s = invocation.deadline - time.time() + (invocation.limits.wall_ms or 0) / 1000
            try:
                async with asyncio.timeout(left_s + ANSWER_SLACK_S):
                    answer: Any = await inbox.get()
            except TimeoutError:
                return Failure(id=delivery.id, outcome=Outcome.EXPIRED)
            finally:
                self._enquiry.forget(invocation.id)
        is_known = isinstance(answer, Returned | Failure)
        return answer if is_known else Failure(id=delivery.id, outcome=Outcome.INTERNAL)

    async def _invocation(self, delivery: Delivery) -> Invocation | None:
        routes = self._house.routes
        route = await routes.route(delivery.namespace, delivery.script)
        if route is None or not route.has_code:
            return None
        messages = [
            QueueMessage(each.id, each.sent_at, each.attempts, each.content_type, each.body)
            for each in delivery.messages
        ]
        batch = QueueBatch(queue=delivery.queue_name, messages=messages)
        return event_invocation(
            self._house.settings,
            await routes.chosen(route),
            QUEUE,
            batch,
            reply_to=self._house.mailbox.reply_to,
        )

    def _settle(self, delivery: Delivery, answer: Returned | Failure) -> None:
        verdict = QueueVerdict()
        if isinstance(answer, Returned):
            verdict = _read(answer.value)
        elif answer.outcome is Outcome.OVERLOADED or (ANSWERS[answer.outcome].kind not in FAILURES):
            is_missing = answer.outcome is Outcome.SCRIPT_NOT_FOUND
            self._messages.give_back(delivery, DELAYED_MS if is_missing else BACK_MS)
            return
        leases = {each.id: each.lease for each in delivery.messages}
        acks = [leases.pop(id_) for id_ in verdict.acks if id_ in leases]
        retries = {lease: Retry(verdict.retries.get(id_)) for id_, lease in leases.items()}
        self._messages.conclude(delivery, acks, retries)


def _read(value: bytes) -> QueueVerdict:
    """What an isolate says, which may be anything: then nothing of the batch was done."""
    try:
        verdict = _verdict(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return QueueVerdict()
    delays = {
        id_: delay if delay is None else min(max(delay, 0), DELAY_S)
        for id_, delay in verdict.retries.items()
    }
    return QueueVerdict(acks=verdict.acks, retries=delays)
