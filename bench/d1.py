"""`python bench/d1.py`: a database from inside a worker, beside the same in Python's sqlite3.

Both in one run, in turns, on the same disk and with the same pragmas. A row is read by its key, a
row is written, a hundred rows are written as one transaction; and twenty reads are asked at once.
"""

import argparse
import sqlite3
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from inside import compare
from run import cloister

from cloister.client import Client, Module
from cloister.credentials import Credentials
from executor.databases.cell.connection import PRAGMAS

ROWS = 1_000
AT_ONCE = 20
BATCH = 100

WORKER = """
import asyncio
import time

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        kind, _, count = request.url.partition("?")[2].partition("=")
        db = self.env.DB
        read = db.prepare("SELECT b FROM t WHERE a = ?")
        write = db.prepare("INSERT INTO t (b) VALUES (?)")
        doing = {
            "read": lambda n: read.bind(n % 1000 + 1).first("b"),
            "write": lambda n: write.bind(f"row {n}").run(),
            "batch": lambda n: db.batch([write.bind(f"row {n}") for _ in range(100)]),
            "at once": lambda n: asyncio.gather(*[read.bind(n + 1).first() for _ in range(20)]),
        }[kind.replace("_", " ")]
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
    parser.add_argument("--count", type=int, default=200, help="operations of each kind in a round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloister-bench-") as name:
        directory = Path(name)
        with cloister(directory) as who:
            url = deploy(who)
            direct = opened(directory / "direct.sqlite")
            print("| operation | in a worker, p50 | a second | sqlite3, p50 | a second |")
            print("| --- | --- | --- | --- | --- |")
            for kind, count in (("read", 1), ("at_once", 20), ("write", 1), ("batch", 20)):
                compare(url, kind, max(5, options.count // count), partial(DIRECT[kind], direct))


def opened(path: Path) -> sqlite3.Connection:
    """A database as ours are, with the same rows."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    for statement in FIRST:
        connection.execute(statement)
    return connection


def read(direct: sqlite3.Connection, number: int) -> Any:
    return direct.execute("SELECT b FROM t WHERE a = ?", (number % ROWS + 1,)).fetchone()


def at_once(direct: sqlite3.Connection, number: int) -> None:
    for _ in range(AT_ONCE):
        read(direct, number)


def write(direct: sqlite3.Connection, number: int) -> None:
    direct.execute("INSERT INTO t (b) VALUES (?)", (f"row {number}",))


def batch(direct: sqlite3.Connection, number: int) -> None:
    direct.execute("BEGIN")
    for _ in range(BATCH):
        write(direct, number)
    direct.execute("COMMIT")


DIRECT = {"read": read, "at_once": at_once, "write": write, "batch": batch}

FIRST = (
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)",
    "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 1000) "
    "INSERT INTO t SELECT x, 'row ' || x FROM c",
)


def deploy(who: Credentials) -> str:
    """The worker with a database that has rows; its address."""
    with Client(who.control_url, who.account_id, who.api_token) as client:
        made = client.call("POST", "/d1/database", json={"name": "bench"})
        client.call("POST", f"/d1/database/{made['uuid']}/query", json={"sql": ";".join(FIRST)})
        metadata = {
            "main_module": "worker.py",
            "bindings": [{"type": "d1", "name": "DB", "id": made["uuid"]}],
            "limits": {"subrequests": 10_000, "cpu_ms": 30_000},
        }
        module = Module(name="worker.py", content_type="text/x-python", data=WORKER.encode())
        client.deploy(who.namespace, "bench", metadata, [module])
    return f"{who.dispatch_url}/{who.namespace}/bench/"


if __name__ == "__main__":
    main()
