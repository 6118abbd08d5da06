"""`python bench/kv.py`: KV from inside a worker, beside the same done directly from Python.

A read's time is taken in the worker, around each `get`, with few keys in the namespace and with
many, in turns. The CPU time of an operation is of all processes, the isolate among them, less what
an invocation costs that does nothing.
"""

import argparse
import contextlib
import sqlite3
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from run import cloister
from stages import cpu_us

from cloister import credentials
from cloister.client import Client, Module
from cloister.registry import Registry, open_registry
from cloister.settings import Settings

OPERATIONS = 400
"""Of one invocation."""

WRITES = 20
"""The same of writes, each of which is synced."""

ROUNDS = 10
FILL = """\
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?)
INSERT INTO kv_pairs (namespace_id, key, value)
SELECT ?, CAST(printf('key-%07d', n) AS BLOB), ? FROM numbers
"""
VALUE = b"v" * 100

SOURCE = b"""\
import json
import time

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        name, what, count, start, keys = request.url.rpartition("?")[2].split(",")
        kv = {"FEW": self.env.FEW, "MANY": self.env.MANY}[name]
        took = []
        for n in range(int(count)):
            key = f"key-{(int(start) + n * 7919) % int(keys):07d}"
            begun = time.perf_counter()
            if what == "get":
                await kv.get(key)
            else:
                await kv.put(key, "v" * 100)
            took.append(time.perf_counter() - begun)
        return Response(json.dumps(took))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--few", type=int, default=1_000, help="keys of the small namespace")
    parser.add_argument("--many", type=int, default=1_000_000, help="keys of the large one")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="cloister-bench-") as name,
        cloister(Path(name)) as who,
        contextlib.closing(open_registry(Settings(data=f"{name}/cloister"))) as registry,
    ):
        report(who, registry, Path(name) / "cloister", options)


def report(
    who: credentials.Credentials, registry: Registry, data: Path, options: argparse.Namespace
) -> None:
    """Fill two namespaces, and print a line for each operation."""
    ids = {name: fill(registry, who, data, name, getattr(options, name.lower())) for name in NAMES}
    deploy(who, ids)
    base = f"{who.dispatch_url}/{who.namespace}/kv/"
    ask(base, "FEW", "get", 1)
    took = {name: [] for name in NAMES}
    for number in range(ROUNDS):
        for name in NAMES:
            took[name] += ask(base, name, "get", OPERATIONS, number, getattr(options, name.lower()))
    few, many = (statistics.median(took[name]) for name in NAMES)
    line("get, in a worker", took["FEW"], cpu(data, base, "get", OPERATIONS))
    line("get, directly", direct(lambda key: registry.kv.get(ids["FEW"], key)))
    puts = [each for n in range(ROUNDS) for each in ask(base, "FEW", "put", WRITES, n)]
    line("put, in a worker", puts, cpu(data, base, "put", WRITES))
    line("put, directly", direct(lambda key: registry.kv.put(ids["FEW"], key, VALUE)))
    print(f"get with {options.many} keys to get with {options.few}: p50 {many / few:.2f}")


NAMES = ("FEW", "MANY")


def fill(
    registry: Registry, who: credentials.Credentials, data: Path, name: str, count: int
) -> str:
    """Make a namespace of so many keys, by one statement; its id."""
    made = registry.kv.namespaces.create(who.account_id, name).id
    with contextlib.closing(sqlite3.connect(data / "registry.db", timeout=30)) as database:
        database.execute(FILL, (count, made, VALUE))
        database.commit()
    return made


def deploy(who: credentials.Credentials, ids: dict[str, str]) -> None:
    """A worker that is bound to both."""
    bindings = [{"type": "kv_namespace", "name": n, "namespace_id": i} for n, i in ids.items()]
    limits = {"subrequests": 1_000, "cpu_ms": 30_000}
    metadata = {"main_module": "entry.py", "bindings": bindings, "limits": limits}
    module = Module(name="entry.py", content_type="text/x-python", data=SOURCE)
    with Client(who.control_url, who.account_id, who.api_token) as client:
        client.deploy(who.namespace, "kv", metadata, [module])


def ask(
    base: str, name: str, what: str, count: int, start: int = 0, keys: int = 1_000
) -> list[float]:
    """How long each of so many operations took in a worker, in seconds."""
    with urllib.request.urlopen(f"{base}?{name},{what},{count},{start * 131_071},{keys}") as answer:
        found: list[float] = msgspec.json.decode(answer.read())
    return found


def cpu(data: Path, base: str, what: str, count: int) -> float:
    """CPU microseconds of an operation, in all processes but this one."""
    idle = _used(data, lambda: ask(base, "FEW", what, 0))
    busy = _used(data, lambda: ask(base, "FEW", what, count))
    return (busy - idle) / count


def _used(data: Path, work: Callable[[], Any]) -> float:
    before = cpu_us(data)
    for _ in range(ROUNDS):
        work()
    used = cpu_us(data)
    used.subtract(before)
    return sum(us for kind, us in used.items() if kind != "load") / ROUNDS


def direct(operation: Callable[[str], object]) -> list[float]:
    """How long each of some operations takes here, in seconds."""

    def each() -> Iterator[float]:
        for number in range(OPERATIONS):
            key = f"key-{number * 7919 % 1000:07d}"
            begun = time.perf_counter()
            operation(key)
            yield time.perf_counter() - begun

    return list(each())


def line(name: str, took: list[float], cpu_us_: float | None = None) -> None:
    """Print what was measured of an operation."""
    p50 = statistics.median(took) * 1e6
    rate = len(took) / sum(took)
    used = "" if cpu_us_ is None else f", CPU {cpu_us_:.0f} us"
    print(f"{name:18} p50 {p50:7.0f} us, {rate:7.0f}/s{used}")


if __name__ == "__main__":
    main()
