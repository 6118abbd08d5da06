"""`python bench/scripts.py`: what a million registered scripts cost those who use one of them.

The same is measured twice in one run, with few scripts and with many, which are written into the
embedded database as copies of `hello`.
"""

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
from load import measure
from memory import pss_kb, tree
from run import HELLO, cloister, deploy
from stages import kind_of

from cloister.client import Client
from cloister.credentials import Credentials

REPEATS = 20
TAGGED_EVERY = 100

COPIES = """
CREATE TEMP TABLE numbers AS
    WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :end)
    SELECT i, printf('%032x', i) AS script, printf('00000000-0000-4000-8000-%012x', i) AS version
    FROM n
"""
SCRIPTS = """
INSERT INTO scripts (id, namespace_id, name, version_id, created_at, modified_at)
    SELECT n.script, namespace_id, 'copy-' || n.i, n.version, created_at, modified_at
    FROM numbers AS n, scripts WHERE name = 'hello'
"""
TAGS = f"""
INSERT INTO script_tags (script_id, tag, namespace_id, script)
    SELECT n.script, 'customer-' || (n.i / {TAGGED_EVERY}), namespace_id, 'copy-' || n.i
    FROM numbers AS n, scripts WHERE name = 'hello'
"""
EVERY_TAG = """
INSERT INTO script_tags (script_id, tag, namespace_id, script)
    SELECT n.script, 'every', namespace_id, 'copy-' || n.i
    FROM numbers AS n, scripts WHERE name = 'hello'
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--many", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloister-bench-") as name:
        directory = Path(name)
        with cloister(directory) as who:
            register(directory, 0, options.few)
            few = figures("few", who, directory)
            begun = time.perf_counter()
            register(directory, options.few, options.many)
            print(f"{options.many} scripts registered in {time.perf_counter() - begun:.0f} s\n")
            many = figures("many", who, directory)
    print(f"{'':<34}{options.few:>12}{options.many:>12}{'ratio':>8}")
    for what, first in few.items():
        print(f"{what:<34}{first:>12.2f}{many[what]:>12.2f}{many[what] / first:>8.2f}")


def register(directory: Path, first: int, end: int) -> None:
    """Write scripts of those numbers, each with a version and a tag."""
    path = directory / "cloister" / "registry.db"
    with closing(sqlite3.connect(path, timeout=60)) as database, database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(versions)")]
        kept = ", ".join(each for each in columns if each not in ("id", "script_id"))
        database.execute(COPIES, {"first": first, "end": end})
        database.execute(
            f"INSERT INTO versions (id, script_id, {kept}) SELECT n.version, n.script, {kept} "
            "FROM numbers AS n, versions WHERE versions.id = "
            "(SELECT version_id FROM scripts WHERE name = 'hello')"
        )
        database.execute(SCRIPTS)
        database.execute(TAGS)
        database.execute(EVERY_TAG)
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def figures(name: str, who: Credentials, directory: Path) -> dict[str, float]:
    """What is compared, by name and unit. Uploads scripts of that name."""
    url = f"{who.dispatch_url}/{who.namespace}"
    asyncio.run(measure(f"{url}/hello/", connections=1, duration_s=2))
    p50_ms = asyncio.run(measure(f"{url}/hello/", connections=1, duration_s=4)).percentile(0.5)
    namespace = f"/workers/dispatch/namespaces/{who.namespace}"
    with (
        Client(who.control_url, who.account_id, who.api_token) as client,
        httpx.Client(trust_env=False) as http,
    ):
        found = {
            "hello, p50 ms": p50_ms,
            "upload, ms": median_ms(lambda number: deploy(who, {f"{name}-{number}": HELLO})),
            "first call of that, ms": median_ms(
                lambda number: get(http, f"{url}/{name}-{number}/")
            ),
            "a page of 1,000 scripts, ms": median_ms(
                lambda _: client.call("GET", f"{namespace}/scripts?limit=1000")
            ),
            "scripts by tag, ms": median_ms(
                lambda _: client.call("GET", f"{namespace}/scripts?tags=customer-0:yes")
            ),
            "scripts by two tags, ms": median_ms(
                lambda _: client.call("GET", f"{namespace}/scripts?tags=every:yes,customer-0:no")
            ),
            "the namespace, ms": median_ms(lambda _: client.call("GET", namespace)),
        }
    return {**found, **memory_mib(tree(directory / "cloister"))}


def memory_mib(processes: set[int]) -> dict[str, float]:
    """What dispatchers and executors hold. Isolates are no part of it: of the 20 workers that are
    called here each has one, however many are registered."""
    held = dict.fromkeys(("dispatcher", "executor"), 0.0)
    for process in processes:
        if (kind := kind_of(process)) in held:
            held[kind] += pss_kb(process) / 1024
    return {f"memory of the {kind}, MiB": mib for kind, mib in held.items()}


def get(http: httpx.Client, url: str) -> None:
    """Call it. The copies cannot be called: what is sealed in a version is for that version."""
    http.get(url).raise_for_status()


def median_ms(call: Callable[[int], object]) -> float:
    """Median over some calls, which are given their number."""
    taken = []
    for number in range(REPEATS):
        begun = time.perf_counter()
        call(number)
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
