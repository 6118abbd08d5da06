"""`python bench/slow.py`: many slow handlers at once, and a fast worker beside them.

Each slow handler awaits a fetch() that takes 2 s. They are shared out among so many workers. The
fast worker is called all the while from one connection, and before that alone. The server that is
fetched from, and who calls the fast worker, are processes of their own: who opens a thousand
connections at once is late for everything else.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

from load import Figures, measure, pace
from run import cloister, deploy
from stages import cpu_us

FETCH_S = 2.0
ALONE_S = 3.0
ROOM = {"CLOISTER_EXECUTOR_CONCURRENCY": "2048", "CLOISTER_NAMESPACE_QUEUE": "4000"}
"""By default fewer run at once, and the others wait or are turned away."""

AT_ONCE = 1e6
"""Requests a second: as fast as connections open."""

SLICE_S = 0.5
"""The fast worker is called for so long at a time, until the slow ones are over."""

SLOW = """\
from workers import Response, WorkerEntrypoint, fetch


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        answer = await fetch("http://127.0.0.1:{port}/")
        return Response(await answer.text())
# {number}
"""

processes = multiprocessing.get_context("spawn")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000, help="slow ones, at once")
    parser.add_argument("--workers", type=int, default=10, help="that they are shared out among")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloister-bench-") as name, origin() as port:
        settings = {
            "CLOISTER_EGRESS_PRIVATE": "127.0.0.0/8",
            "CLOISTER_EGRESS_PORTS": str(port),
            **ROOM,
        }
        with cloister(Path(name), **settings) as who:
            numbers = range(options.workers)
            sources = {f"slow-{n}": SLOW.format(port=port, number=n).encode() for n in numbers}
            deploy(who, sources)
            report(f"{who.dispatch_url}/{who.namespace}", options, Path(name) / "cloister")


def report(base: str, options: argparse.Namespace, data: Path) -> None:
    """The fast worker alone, the slow ones, and the fast one beside them."""
    fast = f"{base}/hello/"
    asyncio.run(measure(fast, connections=1, duration_s=1))
    with beside(fast) as alone:
        time.sleep(ALONE_S)
    before = cpu_us(data)
    with beside(fast) as meanwhile:
        answers, seconds = asyncio.run(slow_ones(base, options))
    used = cpu_us(data)
    used.subtract(before)
    failed = sum(figures.failed for figures in answers)
    taken_ms = sorted(one for figures in answers for one in figures.latencies_ms)
    print(
        f"{options.requests} handlers of {FETCH_S:g} s on {options.workers} workers: all answered "
        f"after {seconds:.2f} s, median {taken_ms[len(taken_ms) // 2] / 1000:.2f} s, "
        f"{failed} failed"
    )
    parts = [f"{kind} {used[kind] / 1000 / options.requests:.2f}" for kind in sorted(used)]
    print(f"CPU ms a handler, with what the fast worker took: {', '.join(parts)}")
    print(line("fast worker alone", alone))
    print(line("fast worker beside them", meanwhile))


async def slow_ones(base: str, options: argparse.Namespace) -> tuple[list[Figures], float]:
    """All of them, and how long they took."""
    each = options.requests // options.workers
    begun = time.perf_counter()
    answers = await asyncio.gather(
        *(
            pace(f"{base}/slow-{number}/", count=each, rate=AT_ONCE)
            for number in range(options.workers)
        )
    )
    return answers, time.perf_counter() - begun


@contextlib.contextmanager
def beside(url: str, connections: int = 1) -> Iterator[list[Figures]]:
    """Call a URL meanwhile, from a process of its own; the figures are there at the end."""
    over = processes.Event()
    ours, theirs = processes.Pipe(duplex=False)
    process = processes.Process(target=call_until, args=(url, connections, over, theirs))
    process.start()
    found: list[Figures] = []
    ours.recv()
    try:
        yield found
    finally:
        over.set()
        found += ours.recv()
        process.join()


def call_until(url: str, connections: int, over: Event, told: Connection) -> None:
    """Call a URL until it is over; tell when it begins, and what it found."""
    told.send(None)
    figures: list[Figures] = []
    while not over.is_set():
        figures.append(asyncio.run(measure(url, connections=connections, duration_s=SLICE_S)))
    told.send(figures)


def line(what: str, slices: list[Figures]) -> str:
    """What latencies it had."""
    latencies_ms = sorted(one for figures in slices for one in figures.latencies_ms)
    figures = Figures(
        seconds=sum(figures.seconds for figures in slices),
        latencies_ms=latencies_ms,
        failed=sum(figures.failed for figures in slices),
    )
    return (
        f"{what:<39} p50 {figures.percentile(0.5):8.2f} ms   p99 {figures.percentile(0.99):8.2f} ms"
        f"   max {latencies_ms[-1]:8.2f} ms   {figures.failed} of {len(latencies_ms)} failed"
    )


@contextlib.contextmanager
def origin() -> Iterator[int]:
    """A server that answers each request after :data:`FETCH_S`; yields its port."""
    ours, theirs = processes.Pipe(duplex=False)
    process = processes.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def serve(told: Connection) -> None:
    """Be that server."""
    asyncio.run(served(told))


async def served(told: Connection) -> None:
    """The same, in a loop."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Late, "127.0.0.1", 0, backlog=2_048)
    told.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


class Late(asyncio.Protocol):
    """Answers late, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            asyncio.get_running_loop().call_later(FETCH_S, self._answer)

    def _answer(self) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nslow"
        )
        self._transport.close()


if __name__ == "__main__":
    main()
