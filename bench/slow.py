"""`python bench/slow.py`: many slow handlers at once, and a fast worker beside them.

Each slow handler awaits a fetch() that takes 2 s, from a server of this script. They are shared out
among so many workers. The fast worker is called all the while from one connection, and before that
alone.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from load import Figures, measure, pace
from run import cloister, deploy

FETCH_S = 2.0
ALONE_S = 3.0
ROOM = {"CLOISTER_EXECUTOR_CONCURRENCY": "1024", "CLOISTER_NAMESPACE_QUEUE": "4000"}
"""By default fewer run at once, and the others wait or are turned away."""

AT_ONCE = 1e6
"""Requests a second: as fast as connections open."""

SLOW = """\
from workers import Response, WorkerEntrypoint, fetch


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        answer = await fetch("http://127.0.0.1:{port}/")
        return Response(await answer.text())
# {number}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000, help="slow ones, at once")
    parser.add_argument("--workers", type=int, default=10, help="that they are shared out among")
    asyncio.run(run(parser.parse_args()))


async def run(options: argparse.Namespace) -> None:
    """Start everything, and measure."""
    with tempfile.TemporaryDirectory(prefix="cloister-bench-") as name:
        async with origin() as port:
            settings = {
                "CLOISTER_EGRESS_PRIVATE": "127.0.0.0/8",
                "CLOISTER_EGRESS_PORTS": str(port),
                **ROOM,
            }
            with cloister(Path(name), **settings) as who:
                numbers = range(options.workers)
                sources = {f"slow-{n}": SLOW.format(port=port, number=n).encode() for n in numbers}
                await asyncio.to_thread(deploy, who, sources)
                base = f"{who.dispatch_url}/{who.namespace}"
                await report(base, options)


async def report(base: str, options: argparse.Namespace) -> None:
    """The fast worker alone, the slow ones, and the fast one beside them."""
    fast = f"{base}/hello/"
    await measure(fast, connections=1, duration_s=1)
    alone = await measure(fast, connections=1, duration_s=ALONE_S)
    each = options.requests // options.workers
    calls = [
        pace(f"{base}/slow-{number}/", count=each, rate=AT_ONCE)
        for number in range(options.workers)
    ]
    beside = asyncio.create_task(measure(fast, connections=1, duration_s=FETCH_S + 1))
    begun = time.perf_counter()
    answers = await asyncio.gather(*calls)
    seconds = time.perf_counter() - begun
    failed = sum(figures.failed for figures in answers)
    taken_ms = sorted(one for figures in answers for one in figures.latencies_ms)
    print(
        f"{options.requests} handlers of {FETCH_S:g} s on {options.workers} workers: all answered "
        f"after {seconds:.2f} s, median {taken_ms[len(taken_ms) // 2] / 1000:.2f} s, "
        f"{failed} failed"
    )
    print(line("fast worker alone", alone))
    print(line("fast worker beside them", await beside))


def line(what: str, figures: Figures) -> str:
    """p50 and p99 of it."""
    return (
        f"{what:<26} p50 {figures.percentile(0.5):8.2f} ms   p99 {figures.percentile(0.99):8.2f} ms"
        f"   {figures.failed} of {len(figures.latencies_ms)} failed"
    )


@asynccontextmanager
async def origin() -> AsyncIterator[int]:
    """A server that answers each request after :data:`FETCH_S`; yields its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(FETCH_S)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nslow")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=2_048)
    async with server:
        yield server.sockets[0].getsockname()[1]


if __name__ == "__main__":
    main()
