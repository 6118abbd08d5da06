"""Messages of queues reach their worker whatever dies meanwhile: real processes, killed."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from executor_house import ACCOUNT, House
from scheduler_rig import Scheduler

from cloister.broker import redis_url
from cloister.queues import QUEUES_CHANNEL
from cloister.registry.queue_messages import by_name
from cloister.registry.queue_views import (
    ConsumerSettings,
    NewConsumer,
    NewMessage,
    QueueSettings,
    QueueView,
)

DEADLINE_S = 60.0

KEEPS = """
from workers import WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def queue(self, batch, env, ctx):
        for message in batch.messages:
            place = f"{batch.queue}:{message.id}:{message.attempts}"
            await env.SEEN.put(f"{message.body}:{place}", batch.queue)
"""
FAILS = """
from workers import WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def queue(self, batch, env, ctx):
        for message in batch.messages:
            place = f"{batch.queue}:{message.id}:{message.attempts}"
            await env.SEEN.put(f"{message.body}:{place}", batch.queue)
            if message.body == "bad":
                message.retry()
            if message.body == "awful":
                message.ack()
                raise ValueError("no")
"""
SENDS = """
from workers import Response, WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await self.env.JOBS.send({"n": 1})
        await self.env.JOBS.sendBatch([{"body": "a", "contentType": "text"}, {"body": [2]}])
        return Response("sent")
    async def queue(self, batch, env, ctx):
        for message in batch.messages:
            place = f"{batch.queue}:{message.id}:{message.attempts}"
            await self.env.SEEN.put(f"{message.body}:{place}", batch.queue)
"""


class Rig:
    """An executor and a scheduler on one registry and Valkey, and a worker that writes down what
    it is given."""

    def __init__(self, directory: Path) -> None:
        self.house = House(directory, blank_isolates=1)
        self.scheduler: Scheduler | None = None

    def start(self) -> None:
        self.house.start()
        self.house.start_worker()
        self.house.namespace("ns")
        self.seen_id = self.house.registry.kv.namespaces.create(ACCOUNT, "seen").id
        self.start_scheduler()

    def start_scheduler(self) -> None:
        settings = self.house.settings
        secret = {"CLOISTER_SECRET_KEY": settings.secret_key}
        self.scheduler = Scheduler(self.house.directory, redis_url(settings), **secret)

    def stop(self) -> None:
        try:
            if self.scheduler is not None:
                self.scheduler.end()
        finally:
            self.house.stop()

    def queue(self, name: str, source: str, dead: str | None = None, **settings: Any) -> QueueView:
        """A queue, and a worker of that name that consumes it."""
        queues = self.house.registry.queues
        made = queues.create(ACCOUNT, name, QueueSettings())
        bindings = [{"type": "kv_namespace", "name": "SEEN", "namespace_id": self.seen_id}]
        if "JOBS" in source:
            bindings.append({"type": "queue", "name": "JOBS", "queue_name": name})
        self.house.deploy("ns", name, source, bindings=bindings)
        namespace = self.house.registry.namespaces.get(ACCOUNT, "ns")
        script = self.house.registry.scripts.get(namespace.id, name)
        chosen = ConsumerSettings(**{"max_wait_ms": 0, **settings})
        new = NewConsumer(script_id=script.id, dead_letter_queue=dead, settings=chosen)
        queues.add_consumer(made, new)
        return made

    def send(self, name: str, *bodies: str) -> None:
        messages = [NewMessage(body=body.encode(), content_type="text") for body in bodies]
        self.house.registry.queues.messages.send(ACCOUNT, by_name(name), messages)

    def wake(self) -> None:
        self.house.redis.publish(QUEUES_CHANNEL, b"")

    def seen(self, queue: str) -> Counter[str]:
        """How often each body was given to the queue's worker."""
        kv, found = self.house.registry.kv, Counter[str]()
        cursor: str | None = None
        while True:
            page = kv.list(self.seen_id, limit=1_000, cursor=cursor)
            for key in page.items:
                value = kv.get(self.seen_id, key.name)
                if value is not None and value.value == queue.encode():
                    found[key.name.partition(":")[0]] += 1
            if (cursor := page.cursor) is None:
                return found

    def left(self, queue: QueueView) -> int:
        return self.house.registry.queues.messages.metrics(queue.id).count

    def wait_for(self, condition: Callable[[], Any]) -> Any:
        """Poll until it holds."""
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            if found := condition():
                return found
            time.sleep(0.02)
        output = self.scheduler.output if self.scheduler else []
        raise AssertionError("".join([*self.house.output, *output]) or "it did not come to be")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("faults"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_a_worker_sends_and_consumes(rig: Rig) -> None:
    """From env.JOBS.send() of one invocation to queue() of another, at once: nobody waits for a
    tick to be told."""
    queue = rig.queue("own", SENDS)
    assert rig.house.call("ns", "own").body == b"sent"
    rig.wait_for(lambda: sum(rig.seen("own").values()) == 3)
    assert set(rig.seen("own")) == {"{'n'", "a", "[2]"}
    rig.wait_for(lambda: rig.left(queue) == 0)


def test_a_missing_queue(rig: Rig) -> None:
    """A queue that was deleted since refuses what is sent, with words for the worker."""
    source = SENDS.replace('"sent"', "'sent'").replace("JOBS", "GONE")
    binding = {"type": "queue", "name": "GONE", "queue_name": "gone"}
    rig.house.deploy("ns", "gone", source, bindings=[binding])
    assert rig.house.call("ns", "gone").failure is not None
    trace = rig.house.traces("ns", "gone")[0]
    assert trace.exceptions[0].message == "Queue send failed: The queue does not exist."


def test_retries_and_dead_letters(rig: Rig) -> None:
    """What the worker wants again comes again, so often; then it is in the dead letter queue, which
    has a consumer of its own. What it acknowledged before it failed does not come again."""
    rig.queue("last", KEEPS)
    queue = rig.queue("first", FAILS, dead="last", max_retries=2, batch_size=1)
    rig.send("first", "good", "bad", "awful")
    rig.wake()
    rig.wait_for(lambda: rig.seen("last") == {"bad": 1})
    rig.wait_for(lambda: rig.left(queue) == 0)
    assert rig.seen("first") == {"good": 1, "bad": 3, "awful": 1}
    traces = rig.house.traces("ns", "first", 5)
    assert traces[0].event == {"queue": "first", "batchSize": 1}
    failed = [each.exceptions[0].message for each in traces if each.exceptions]
    assert failed == ["no"]


def test_none_is_lost(rig: Rig) -> None:
    """Messages are sent while the executor, the scheduler and Valkey are killed and started again:
    each is delivered, and none is left. A few come twice."""
    queue = rig.queue("steady", KEEPS, batch_size=5, max_concurrency=4)
    sent: list[str] = []
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            batch = [f"m{len(sent) + number}" for number in range(5)]
            rig.send("steady", *batch)
            sent.extend(batch)
            over.wait(0.05)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for kill in (_kill_executor, _kill_scheduler, _kill_valkey):
            before = sum(rig.seen("steady").values())
            rig.wait_for(lambda before=before: sum(rig.seen("steady").values()) > before)
            kill(rig)
    finally:
        over.set()
        sender.join()
    rig.wait_for(lambda: rig.left(queue) == 0)
    seen = rig.seen("steady")
    assert set(seen) == set(sent)
    assert len(sent) > 20


def _kill_executor(rig: Rig) -> None:
    worker = rig.house.worker
    assert worker is not None
    os.killpg(worker.pid, signal.SIGKILL)
    rig.house.stop_worker()
    rig.house.start_worker()


def _kill_scheduler(rig: Rig) -> None:
    assert rig.scheduler is not None
    rig.scheduler.end(signal.SIGKILL)
    rig.start_scheduler()


def _kill_valkey(rig: Rig) -> None:
    rig.house.stop_valkey()
    (rig.house.directory / "valkey.sock").unlink(missing_ok=True)
    rig.house.start_valkey()
