"""`python bench/r2.py`: an R2 bucket from inside a worker, beside the same by obstore in Python.

Both in one run, in turns, on the same disk. Small objects are put, looked at, read and listed; one
of 32 MiB is put as a stream, read, and passed on to a client. obstore only keeps files: it has no
metadata, checksums or conditions, and nothing of it is synced.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from inside import ROUNDS, both
from obstore.store import LocalStore
from run import cloister

from cloister.client import Client, Module
from cloister.credentials import Credentials

SMALL_BYTES = 4 * 1024
LARGE_MIB = 32
MIB = 1024 * 1024

WORKER = """
import time

from workers import Response, WorkerEntrypoint

SMALL = b"x" * 4096
PIECE = b"x" * 1048576


async def pieces():
    for _ in range(32):
        yield PIECE


async def drained(found):
    async for _ in found.body:
        pass


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        kind, _, count = request.url.partition("?")[2].partition("=")
        bucket = self.env.BUCKET
        if kind == "passed_on":
            return Response((await bucket.get("large")).body)

        async def get(n):
            return await (await bucket.get("a")).bytes()

        async def get_large(n):
            await drained(await bucket.get("large"))

        doing = {
            "put": lambda n: bucket.put(f"k{n}", SMALL),
            "replace": lambda n: bucket.put("a", SMALL),
            "head": lambda n: bucket.head("a"),
            "get": get,
            "list": lambda n: bucket.list(limit=100),
            "put_large": lambda n: bucket.put("large", pieces()),
            "get_large": get_large,
        }[kind]
        taken = []
        for number in range(int(count)):
            began = time.perf_counter()
            await doing(number)
            taken.append(time.perf_counter() - began)
        return Response.json(taken)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=40, help="operations of each kind in a round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloister-bench-") as name:
        directory = Path(name)
        with cloister(directory) as who:
            url = deploy(who)
            (directory / "direct").mkdir()
            direct = LocalStore(directory / "direct")
            print("| operation | in a worker, p50 | a second | obstore, p50 | a second |")
            print("| --- | --- | --- | --- | --- |")
            for kind in ("put", "replace", "head", "get", "list"):
                show(
                    kind, *both(url, kind, options.count, partial(DIRECT[kind], direct)), size_mib=0
                )
            for kind in ("put_large", "get_large"):
                show(kind, *both(url, kind, 2, partial(DIRECT[kind], direct)), size_mib=LARGE_MIB)
            show("passed on", passed_on(url), size_mib=LARGE_MIB)


def show(kind: str, *sides: list[float], size_mib: int) -> None:
    """One line of the table; of large objects it has MiB/s."""
    cells = []
    for each in sides:
        rate = len(each) * (size_mib or 1) / sum(each)
        unit = " MiB" if size_mib else ""
        cells.append(f"{statistics.median(each) * 1e3:,.2f} ms | {rate:,.0f}{unit}")
    cells += ["| "] * (2 - len(sides))
    print(f"| {kind.replace('_', ' ')} | {' | '.join(cells)} |", flush=True)


def passed_on(url: str) -> list[float]:
    """Seconds until a client has the large object."""
    taken_s = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        answer = httpx.get(f"{url}?passed_on", timeout=60, trust_env=False)
        assert len(answer.content) == LARGE_MIB * MIB
        taken_s.append(time.perf_counter() - began)
    return taken_s[1:]


SMALL = os.urandom(SMALL_BYTES)
PIECE = os.urandom(MIB)


def get_large(direct: LocalStore, _number: int) -> None:
    for _ in direct.get("large").stream(min_chunk_size=256 * 1024):
        pass


DIRECT: dict[str, Callable[[LocalStore, int], Any]] = {
    "put": lambda direct, number: direct.put(f"k{number}", SMALL),
    "replace": lambda direct, _: direct.put("a", SMALL),
    "head": lambda direct, _: direct.head("a"),
    "get": lambda direct, _: bytes(direct.get("a").bytes()),
    "list": lambda direct, _: direct.list(chunk_size=100).collect(),
    "put_large": lambda direct, _: direct.put("large", (PIECE for _ in range(LARGE_MIB))),
    "get_large": get_large,
}


def deploy(who: Credentials) -> str:
    """A worker with a bucket; its address."""
    with Client(who.control_url, who.account_id, who.api_token) as client:
        client.call("POST", "/r2/buckets", json={"name": "bench"})
        metadata = {
            "main_module": "worker.py",
            "bindings": [{"type": "r2_bucket", "name": "BUCKET", "bucket_name": "bench"}],
            "limits": {"cpu_ms": 30_000, "subrequests": 1_000},
        }
        module = Module(name="worker.py", content_type="text/x-python", data=WORKER.encode())
        client.deploy(who.namespace, "r2", metadata, [module])
    return f"{who.dispatch_url}/{who.namespace}/r2/"


if __name__ == "__main__":
    main()
