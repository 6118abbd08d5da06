"""`python bench/queues.py`: a queue from inside a worker, beside the same done directly in Python.

Directly is by the registry, in this process, on a database of its own on the same disk: what a send
costs without the worker, its isolate and its executor. In turns, in one run. One message is sent, a
hundred are sent together, and twenty are sent at once. Then a queue that is full is delivered, and
one message is timed from send() in one worker to queue() in the other.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from inside import asked, compare
from run import cloister

from cloister.client import Client, Module
from cloister.credentials import Credentials
from cloister.registry import Registry, open_registry
from cloister.registry.queue_messages import by_name
from cloister.registry.queue_views import NewMessage, QueueSettings
from cloister.settings import Settings

DELIVERED = 1_000
TIMED = 20
ACCOUNT = "a" * 32

WORKER = """
import asyncio
import time

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        kind, _, count = request.url.partition("?")[2].partition("=")
        q = self.env.KEPT
        doing = {
            "send": lambda: q.send({"n": 1}),
            "send_100": lambda: q.sendBatch([{"body": {"n": 1}} for _ in range(100)]),
            "20_at_once": lambda: asyncio.gather(*[q.send({"n": 1}) for _ in range(20)]),
            "timed": lambda: self.env.DELIVERED.send({"at": time.time()}),
        }[kind]
        taken = []
        for _ in range(int(count)):
            began = time.perf_counter()
            await doing()
            taken.append(time.perf_counter() - began)
        return Response.json(taken)

    async def queue(self, batch, env, ctx):
        now = time.time()
        for message in batch.messages:
            at = message.body.get("at")
            if at:
                await env.SEEN.put(message.id, str(now - at))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="operations of each kind in a round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloister-bench-") as name:
        directory = Path(name)
        direct = opened(directory / "direct")
        with (
            cloister(directory) as who,
            Client(who.control_url, who.account_id, who.api_token) as client,
        ):
            bench = Bench(who, client)
            print("| operation | in a worker, p50 | a second | directly, p50 | a second |")
            print("| --- | --- | --- | --- | --- |")
            for kind, share in (("send", 1), ("send_100", 10), ("20_at_once", 20)):
                count = max(5, options.count // share)
                compare(bench.url, kind, count, partial(DIRECT[kind], direct))
            bench.deliver()
        direct.close()


class Bench:
    """A worker that sends to two queues, and consumes one."""

    def __init__(self, who: Credentials, client: Client) -> None:
        self._client = client
        self.url = f"{who.dispatch_url}/{who.namespace}/bench"
        self._kept, self._queue = (self._made(name) for name in ("kept", "delivered"))
        kv = client.call("POST", "/storage/kv/namespaces", json={"title": "seen"})["id"]
        self._values = f"/storage/kv/namespaces/{kv}"
        metadata = {
            "main_module": "worker.py",
            "bindings": [
                {"type": "queue", "name": "KEPT", "queue_name": "kept"},
                {"type": "queue", "name": "DELIVERED", "queue_name": "delivered"},
                {"type": "kv_namespace", "name": "SEEN", "namespace_id": kv},
            ],
            "limits": {"subrequests": 10_000, "cpu_ms": 30_000},
        }
        modules = [Module(name="worker.py", content_type="text/x-python", data=WORKER.encode())]
        client.deploy(who.namespace, "bench", metadata, modules)
        consumer = {"type": "worker", "script_name": "bench", "namespace": who.namespace}
        settings = {"batch_size": 100, "max_wait_time_ms": 0}
        path = f"/queues/{self._queue}/consumers"
        client.call("POST", path, json=consumer | {"settings": settings})

    def _made(self, name: str) -> str:
        made = self._client.call("POST", "/queues", json={"queue_name": name})
        return str(made["queue_id"])

    def deliver(self) -> None:
        """How fast a backlog goes, and how long one message takes."""
        queue = f"/queues/{self._queue}"
        self._client.call("PATCH", queue, json={"settings": {"delivery_paused": True}})
        batch = {"messages": [{"body": {}}] * 100}
        for _ in range(DELIVERED // 100):
            self._client.call("POST", f"{queue}/messages/batch", json=batch)
        began = time.perf_counter()
        self._client.call("PATCH", queue, json={"settings": {"delivery_paused": False}})
        self._until_empty()
        rate = DELIVERED / (time.perf_counter() - began)
        for _ in range(TIMED):
            asked(self.url, "timed", 1)
            self._until_empty()
        keys = [key["name"] for key in self._client.call("GET", f"{self._values}/keys")]
        found = self._client.call("POST", f"{self._values}/bulk/get", json={"keys": keys})
        taken = [float(each) for each in found["values"].values()]
        p50_ms = statistics.median(taken) * 1e3
        print(f"\n{rate:,.0f} messages a second delivered, 100 in a batch; ", end="")
        print(f"{p50_ms:,.0f} ms from send() to queue(), p50 of {len(taken)}")

    def _until_empty(self) -> None:
        while self._client.call("GET", f"/queues/{self._queue}/metrics")["backlog_count"]:
            time.sleep(0.01)


def opened(directory: Path) -> Registry:
    """A registry with a queue."""
    registry = open_registry(Settings(data=str(directory), secret_key="k" * 64))
    registry.accounts.ensure(ACCOUNT, "bench")
    registry.queues.create(ACCOUNT, "kept", QueueSettings())
    return registry


def send(direct: Registry, count: int) -> None:
    """Store messages."""
    messages = [NewMessage(body=b'{"n":1}', content_type="json")] * count
    direct.queues.messages.send(ACCOUNT, by_name("kept"), messages)


def send_one_by_one(direct: Registry, _number: int) -> None:
    """Store twenty, one after the other."""
    for _ in range(20):
        send(direct, 1)


DIRECT: dict[str, Callable[[Registry, int], Any]] = {
    "send": lambda direct, _: send(direct, 1),
    "send_100": lambda direct, _: send(direct, 100),
    "20_at_once": send_one_by_one,
}

if __name__ == "__main__":
    main()
