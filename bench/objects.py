"""`python bench/objects.py`: a Durable Object's operations, beside the same in Python's sqlite3.

Both in one run, in turns, on the same disk and with the same pragmas. A worker calls a method of
one object, which reads, adds one and writes, or reads only. Directly that is the same statements in
one transaction. With ``--increments`` sixteen clients do so many while executors are killed, and
each is looked for afterwards.
"""

import argparse
import itertools
import os
import signal
import sqlite3
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
from inside import compare
from run import cloister

from cloister.client import Client, Module
from cloister.credentials import Credentials
from executor.databases.cell.connection import PRAGMAS

CLIENTS = 16
KILL_S = 15.0
"""Between two kills of an executor."""

WORKER = """
import time

from workers import DurableObject, Response, WorkerEntrypoint


class Counter(DurableObject):
    async def increment(self, token=None):
        value = (self.ctx.storage.kv.get("value") or 0) + 1
        self.ctx.storage.kv.put("value", value)
        if token is not None:
            self.ctx.storage.kv.put(f"token {token}", value)
        return value

    async def value(self):
        return self.ctx.storage.kv.get("value") or 0

    async def tokens(self, start):
        return self.ctx.storage.kv.list(prefix="token ", startAfter=start, limit=1000)


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        kind, _, said = request.url.partition("?")[2].partition("=")
        stub = self.env.COUNTERS.getByName("bench")
        if kind == "token":
            return Response.json(await stub.increment(said))
        if kind == "tokens":
            return Response.json(await stub.tokens(f"token {said}"))
        doing = {"increment": stub.increment, "read": stub.value}[kind]
        taken = []
        for _ in range(int(said)):
            began = time.perf_counter()
            await doing()
            taken.append(time.perf_counter() - began)
        return Response.json(taken)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=500, help="operations in a round")
    parser.add_argument("--increments", type=int, default=0, help="while executors are killed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloister-bench-") as name:
        directory = Path(name)
        with cloister(directory, CLOISTER_EXECUTOR_PROCESSES="2") as who:
            url = deploy(who)
            direct = opened(directory / "direct.sqlite")
            print("| operation | of an object, p50 | a second | sqlite3, p50 | a second |")
            print("| --- | --- | --- | --- | --- |")
            for kind in ("read", "increment"):
                compare(url, kind, options.count, partial(DIRECT[kind], direct))
            if options.increments:
                survive(url, directory / "cloister", options.increments)


def opened(path: Path) -> sqlite3.Connection:
    """A database as an object's is, with its one pair."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
    connection.execute("INSERT INTO kv VALUES ('value', 0)")
    return connection


def read(direct: sqlite3.Connection, _number: int = 0) -> int:
    value: int = direct.execute("SELECT value FROM kv WHERE key = ?", ("value",)).fetchone()[0]
    return value


def increment(direct: sqlite3.Connection, _number: int) -> None:
    direct.execute("BEGIN IMMEDIATE")
    direct.execute("UPDATE kv SET value = ? WHERE key = ?", (read(direct) + 1, "value"))
    direct.execute("COMMIT")


DIRECT = {"read": read, "increment": increment}


def survive(url: str, data: Path, wanted: int) -> None:
    """Have so many increments acknowledged while executors are killed; then look for each."""
    numbers, kills = itertools.count(), itertools.count()
    told: dict[str, int] = {}
    done = threading.Event()

    def work(client: httpx.Client) -> None:
        while not done.is_set():
            token = str(next(numbers))
            try:
                answer = client.get(f"{url}?token={token}", timeout=15)
            except httpx.HTTPError:
                continue
            if answer.status_code == 200:
                told[token] = answer.json()
            if len(told) >= wanted:
                done.set()

    began = time.monotonic()
    with httpx.Client(trust_env=False) as client, ThreadPoolExecutor(CLIENTS) as pool:
        working = [pool.submit(work, client) for _ in range(CLIENTS)]
        while not done.wait(KILL_S):
            kill_one(data, next(kills))
        for each in working:
            each.result()
        took_s = time.monotonic() - began
        stored = every_token(client, url)
    lost = sum(stored.get(token) != value for token, value in told.items())
    doubled = len(stored) - len(set(stored.values()))
    print(
        f"\n{len(told):,} increments acknowledged in {took_s:.0f} s while {next(kills)} executors "
        f"were killed: {lost} lost, {doubled} doubled"
    )
    if lost or doubled:
        raise SystemExit(1)


def every_token(client: httpx.Client, url: str) -> dict[str, int]:
    """What the object holds: each token, and the value that it was given."""
    found: dict[str, int] = {}
    last = ""
    while page := client.get(f"{url}?tokens={last}", timeout=60).raise_for_status().json():
        found |= {name.removeprefix("token "): value for name, value in page.items()}
        last = next(reversed(page)).removeprefix("token ")
    return found


def kill_one(data: Path, number: int) -> None:
    """Kill one of the executors on that directory, in turn."""
    mark = f"CLOISTER_DATA={data}".encode()
    pids = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
            if b"executor.app" in command and mark in (entry / "environ").read_bytes():
                pids.append(int(entry.name))
        except (OSError, ValueError):
            continue
    if pids:
        os.kill(sorted(pids)[number % len(pids)], signal.SIGKILL)


def deploy(who: Credentials) -> str:
    """The worker with its class; its address."""
    with Client(who.control_url, who.account_id, who.api_token) as client:
        binding = {"type": "durable_object_namespace", "name": "COUNTERS", "class_name": "Counter"}
        metadata = {
            "main_module": "worker.py",
            "bindings": [binding],
            "migrations": {"new_tag": "v1", "new_sqlite_classes": ["Counter"]},
            "limits": {"subrequests": 10_000, "cpu_ms": 30_000},
        }
        module = Module(name="worker.py", content_type="text/x-python", data=WORKER.encode())
        client.deploy(who.namespace, "bench", metadata, [module])
    return f"{who.dispatch_url}/{who.namespace}/bench/"


if __name__ == "__main__":
    main()
