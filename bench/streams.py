"""`python bench/streams.py`: how soon a streamed response's chunks arrive, and how fast bodies go.

A worker yields chunks that say when, by the machine's clock, and the client looks how long ago that
was. Then large bodies are answered, and uploaded, with the CPU time that they took; and one more,
while the memory of all processes is looked at. Each worker has answered once before.
"""

import argparse
import socket
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from memory import total_kb
from run import cloister, deploy
from stages import cpu_us

MIB = 1024 * 1024
CHUNK = 256 * 1024
LOOK_S = 0.1
SETTLE_S = 5.0
"""All processes have started by then."""

BODIES = 5
"""Measured, one after the other."""

Move = Callable[[httpx.Client, str, int], float]
"""Sends a body of so many bytes one way; returns MB/s."""

TICKS = b"""\
import asyncio, time
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(ticks())


async def ticks():
    for _ in range(200):
        await asyncio.sleep(0.005)
        yield f"{time.time_ns()}\\n"
"""

DOWN = b"""\
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(chunks(int(request.headers["x-bytes"])))


async def chunks(size):
    chunk = bytes(262_144)
    for _ in range(size // len(chunk)):
        yield chunk
"""

UP = b"""\
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        count = 0
        async for chunk in request.body:
            count += len(chunk)
        return Response(str(count))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=100, help="size of the large bodies")
    options = parser.parse_args()
    size = options.mib * MIB
    with tempfile.TemporaryDirectory(prefix="cloister-bench-") as name:
        directory = Path(name)
        with cloister(directory, CLOISTER_REQUEST_BODY_BYTES=str(size)) as who:
            deploy(who, {"ticks": TICKS, "down": DOWN, "up": UP})
            base = f"{who.dispatch_url}/{who.namespace}"
            time.sleep(SETTLE_S)
            print(f"the loopback alone: {loopback(size):,.0f} MB/s")
            with client() as http:
                print(first_bytes(http, f"{base}/ticks/"))
            large_bodies("response", down, f"{base}/down/", size, directory)
            large_bodies("request", up, f"{base}/up/", size, directory)


def client() -> httpx.Client:
    """One connection. What a kernel has learned of it, it keeps: BBR sends at the pace of what went
    before, so that a large body after small pieces says little of us."""
    return httpx.Client(trust_env=False, timeout=120)


def large_bodies(what: str, move: Move, url: str, size: int, directory: Path) -> None:
    """Print how fast such bodies go, and what they cost."""
    with client() as http:
        move(http, url, MIB)  # an isolate is made, not measured
        before = cpu_us(directory)
        rates = sorted(move(http, url, size) for _ in range(BODIES))
        print(
            f"{BODIES} {what} bodies of {size / MIB:.0f} MiB: median "
            f"{statistics.median(rates):,.0f} MB/s, slowest {rates[0]:,.0f}"
        )
        print(f"  CPU ms for each: {cpu_ms(directory, before, BODIES)}")
        with peak_kb(directory) as peak:
            move(http, url, size)
        print(f"  memory of all processes grew by {peak[0] / 1024:.0f} MiB at most")


def first_bytes(http: httpx.Client, url: str) -> str:
    """How old each chunk is when it arrives."""
    with http.stream("GET", url) as response:
        ages_ms = sorted((time.time_ns() - int(line)) / 1e6 for line in response.iter_lines())
    return (
        f"chunks arrive after p50 {statistics.median(ages_ms):.2f} ms, "
        f"p99 {ages_ms[int(len(ages_ms) * 0.99)]:.2f} ms"
    )


def down(http: httpx.Client, url: str, size: int) -> float:
    """MB/s of a response."""
    begun = time.perf_counter()
    with http.stream("GET", url, headers={"x-bytes": str(size)}) as response:
        taken = sum(len(chunk) for chunk in response.iter_raw(CHUNK))
    assert taken == size, f"{taken} of {size} bytes"
    return size / 1e6 / (time.perf_counter() - begun)


def up(http: httpx.Client, url: str, size: int) -> float:
    """MB/s of a request."""
    chunk = bytes(CHUNK)
    begun = time.perf_counter()
    response = http.post(url, content=(chunk for _ in range(size // CHUNK)))
    assert response.text == str(size), response.text
    return size / 1e6 / (time.perf_counter() - begun)


def loopback(size: int) -> float:
    """MB/s of one socket to another, of threads of this process: the ceiling of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = threading.Thread(
            target=lambda: socket.create_connection(server.getsockname()).sendall(bytes(size))
        )
        begun = time.perf_counter()
        sender.start()
        connection, _ = server.accept()
        with connection:
            left = size
            while left:
                left -= len(connection.recv(CHUNK))
        sender.join()
        return size / 1e6 / (time.perf_counter() - begun)


def cpu_ms(data: Path, before: Counter[str], bodies: int) -> str:
    """What each kind of process has used since then for a body, and all together."""
    used = cpu_us(data)
    used.subtract(before)
    parts = [f"{kind} {used[kind] / 1000 / bodies:.0f}" for kind in sorted(used)]
    return f"{', '.join(parts)}; together {sum(used.values()) / 1000 / bodies:.0f}"


@contextmanager
def peak_kb(data: Path) -> Iterator[list[int]]:
    """How far the memory rises above what it is now, KiB, looked at every :data:`LOOK_S`."""
    before, over, peak = total_kb(data), threading.Event(), [0]

    def look() -> None:
        while not over.wait(LOOK_S):
            peak[0] = max(peak[0], total_kb(data) - before)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield peak
    finally:
        over.set()
        looking.join()


if __name__ == "__main__":
    main()
