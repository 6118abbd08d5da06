"""Which queues this worker consumes: those of every namespace it serves, at any time, and that of
the databases while they are its own.

A namespace made while the worker runs is added at once, a deleted one goes, and after each
reconnect to the broker the whole set is built again, since Celery's consumer forgets what was added
to it (celery issue 7733). A queue of which enough waits already is left out for a while.
"""

import contextlib
import logging
from typing import Any

import celery.worker.consumer
from celery import bootsteps
from celery.worker.state import maybe_shutdown
from redis.exceptions import RedisError

from cloister.broker import celery_message, redis_client
from executor.engine import Engine
from executor.taking import Taker

log = logging.getLogger(__name__)

WAKE_TASK = "cloister.wake"
WAKE_TTL_S = 60

OUR_TASKS = "cloister."
"""Celery brings tasks of its own; nothing that a message could name runs here but ours."""


class Consumer(celery.worker.consumer.Consumer):  # type: ignore[misc]  # celery has no types
    """Celery's, which does not sleep while the broker is away: the isolates are supervised."""

    def connect(self) -> Any:
        """Connect once it answers; until then the engine's loop runs."""
        while not self.controller.engine.broker_answers():
            maybe_shutdown()
        return super().connect()


class NamespaceQueues(bootsteps.StartStopStep):  # type: ignore[misc]
    """Consumer bootstep, between Celery's task consumer and its event loop."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._engine: Engine = consumer.controller.engine
        self._wake_queue = f"wake.{self._engine.id}"
        self._consumed: frozenset[str] = frozenset()

    def start(self, consumer: Any) -> None:
        """Called after each connect, before the first message is taken."""
        consumer.task_consumer.no_ack = True
        engine = self._engine
        Taker(consumer.task_consumer.channel, engine.backlog, engine.loop.call_soon)
        consumer.strategies = {
            name: strategy
            for name, strategy in consumer.strategies.items()
            if name.startswith(OUR_TASKS)
        }
        consumer.add_task_queue(self._wake_queue)
        self._consumed = frozenset()
        self._apply(consumer, wake=False)
        self._engine.listen(lambda: consumer.call_soon(self._apply, consumer))
        self._engine.backlog.on_room = lambda: consumer.call_soon(_nothing)
        self._engine.backlog.on_open = lambda: consumer.call_soon(self._wake)

    def stop(self, consumer: Any) -> None:
        """Called before each reconnect and at the end."""
        self._engine.listen(_nothing)
        self._engine.backlog.on_room = self._engine.backlog.on_open = _nothing
        if consumer.blueprint.state != bootsteps.RUN:
            # Closing the channel waits for the answer to what it asked.
            with contextlib.suppress(RedisError):
                self._wake()

    def _apply(self, consumer: Any, *, wake: bool = True) -> None:
        """Consume what the engine serves by now, and nothing else."""
        if consumer.task_consumer is None:
            return
        queues = self._engine.queues
        for queue in sorted(queues - self._consumed):
            consumer.add_task_queue(queue)
        for queue in sorted(self._consumed - queues):
            consumer.cancel_task_queue(queue)
        if wake and queues != self._consumed:
            self._wake()
        self._consumed = queues

    def _wake(self) -> None:
        """Have what was asked answered, which still waits on the queues as they were."""
        message = celery_message(WAKE_TASK, b"", self._wake_queue)
        with redis_client(self._engine.settings) as client:
            client.lpush(self._wake_queue, message)
            client.expire(self._wake_queue, WAKE_TTL_S)


def _nothing() -> None:
    """Waking the event loop is the whole effect."""
