"""A closed-loop load generator on raw sockets: keep-alive, one request at a time a connection."""

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one run measured. ``latencies_ms`` is sorted; ``failed`` answers had another status."""

    seconds: float
    latencies_ms: list[float]
    failed: int

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return (len(self.latencies_ms) - self.failed) / self.seconds

    def percentile(self, share: float) -> float:
        """Latency in milliseconds that this share of requests did not exceed."""
        if not self.latencies_ms:
            return float("nan")
        return self.latencies_ms[
            min(len(self.latencies_ms) - 1, int(len(self.latencies_ms) * share))
        ]


async def measure(url: str, *, connections: int, duration_s: float) -> Figures:
    """Call ``url`` with GET from so many connections for so long."""
    target = urlsplit(url)
    assert target.hostname is not None
    request = (f"GET {target.path or '/'} HTTP/1.1\r\nHost: {target.netloc}\r\n\r\n").encode()
    latencies: list[float] = []
    failed = [0]
    start = time.perf_counter()

    async def client() -> None:
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        while (begun := time.perf_counter()) < start + duration_s:
            writer.write(request)
            status = await _answer(reader)
            latencies.append((time.perf_counter() - begun) * 1000)
            failed[0] += status != 200
        writer.close()
        await writer.wait_closed()

    async with asyncio.TaskGroup() as clients:
        for _ in range(connections):
            clients.create_task(client())
    seconds = time.perf_counter() - start
    return Figures(seconds=seconds, latencies_ms=sorted(latencies), failed=failed[0])


async def pace(url: str, *, count: int, rate: float) -> Figures:
    """Call ``url`` so many times, ``rate`` times a second whether or not answers are there yet.

    Latency counts from when a call was due, so that a late one is not taken for a fast one.
    """
    target = urlsplit(url)
    request = (
        f"GET {target.path or '/'} HTTP/1.1\r\nHost: {target.netloc}\r\nConnection: close\r\n\r\n"
    ).encode()
    latencies: list[float] = []
    failed = [0]
    start = time.perf_counter()

    async def call(due: float) -> None:
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        writer.write(request)
        try:
            failed[0] += await _answer(reader) != 200
        except (asyncio.IncompleteReadError, ConnectionError):
            failed[0] += 1
        latencies.append((time.perf_counter() - due) * 1000)
        writer.close()

    async with asyncio.TaskGroup() as calls:
        for number in range(count):
            due = start + number / rate
            await asyncio.sleep(due - time.perf_counter())
            calls.create_task(call(due))
    seconds = time.perf_counter() - start
    return Figures(seconds=seconds, latencies_ms=sorted(latencies), failed=failed[0])


async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str) -> int:
    """Call ``url`` once, on a connection that stays; returns the status."""
    target = urlsplit(url)
    writer.write(f"GET {target.path or '/'} HTTP/1.1\r\nHost: {target.netloc}\r\n\r\n".encode())
    return await _answer(reader)


async def _answer(reader: asyncio.StreamReader) -> int:
    """Read one response to its end; returns its status."""
    head = await reader.readuntil(HEAD_END)
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if b"content-length" in fields:
        await reader.readexactly(int(fields[b"content-length"]))
    elif b"chunked" in fields.get(b"transfer-encoding", b""):
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readuntil(b"\r\n")
    return int(head[9:12])
