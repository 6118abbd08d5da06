"""A closed-loop load generator on raw sockets: keep-alive, one request at a time a connection."""

import asyncio
import itertools
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

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
    return await _closed_loop(
        target, itertools.repeat(_request(target)), connections=connections, duration_s=duration_s
    )


async def each(urls: Iterable[str], *, connections: int) -> Figures:
    """Call each of these URLs of one server once, in turn, from so many connections."""
    targets = [urlsplit(url) for url in urls]
    requests = iter([_request(target) for target in targets])
    return await _closed_loop(targets[0], requests, connections=connections, duration_s=math.inf)


async def _closed_loop(
    target: SplitResult, requests: Iterator[bytes], *, connections: int, duration_s: float
) -> Figures:
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    clients = [_Client(requests, start + duration_s) for _ in range(connections)]
    for client in clients:
        await loop.create_connection(lambda it=client: it, target.hostname, target.port)
    await asyncio.gather(*(client.over for client in clients))
    seconds = time.perf_counter() - start
    latencies = sorted(one for client in clients for one in client.latencies_ms)
    failed = sum(client.failed for client in clients)
    return Figures(seconds=seconds, latencies_ms=latencies, failed=failed)


class _Client(asyncio.Protocol):
    """One connection of a closed loop. It does little, so that what it measures has the machine.
    An answer ends by its Content-Length, or with the last chunk."""

    def __init__(self, requests: Iterator[bytes], end: float) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.latencies_ms: list[float] = []
        self.failed = 0
        self._requests = requests
        self._end = end
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer = data = self._buffer + data if self._buffer else data
        if (length := self._whole(data)) is None:
            return
        self._buffer = data[length:]
        self.latencies_ms.append((time.perf_counter() - self._begun) * 1000)
        self.failed += data[9:12] != b"200"
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(exc or ConnectionError("the server closed the connection"))

    def _ask(self) -> None:
        self._begun = time.perf_counter()
        request = next(self._requests, None) if self._begun < self._end else None
        if request is None:
            self.over.set_result(None)
            self._transport.close()
        else:
            self._transport.write(request)

    def _whole(self, data: bytes) -> int | None:
        """The length of the answer, once all of it is there."""
        end = data.find(HEAD_END)
        if end < 0:
            return None
        fields = data[:end].lower()
        at = fields.find(b"\r\ncontent-length:")
        if at >= 0:
            length = end + 4 + int(fields[at + 17 :].split(b"\r\n", 1)[0])
            return length if len(data) >= length else None
        return len(data) if data.endswith(b"0\r\n\r\n") else None


async def pace(url: str, *, count: int, rate: float) -> Figures:
    """Call ``url`` so many times, ``rate`` times a second whether or not answers are there yet.

    Latency counts from when a call was due, so that a late one is not taken for a fast one.
    """
    target = urlsplit(url)
    loop = asyncio.get_running_loop()
    request = _request(target, "Connection: close\r\n")
    latencies: list[float] = []
    failed = [0]
    start = time.perf_counter()

    async def call(due: float) -> None:
        client = _Client(iter([request]), math.inf)
        try:
            await loop.create_connection(lambda: client, target.hostname, target.port)
            await client.over
            failed[0] += client.failed
        except OSError:
            failed[0] += 1
        latencies.append((time.perf_counter() - due) * 1000)

    async with asyncio.TaskGroup() as calls:
        for number in range(count):
            due = start + number / rate
            await asyncio.sleep(due - time.perf_counter())
            calls.create_task(call(due))
    seconds = time.perf_counter() - start
    return Figures(seconds=seconds, latencies_ms=sorted(latencies), failed=failed[0])


async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str) -> int:
    """Call ``url`` once, on a connection that stays; returns the status."""
    writer.write(_request(urlsplit(url)))
    return await _answer(reader)


def _request(target: SplitResult, fields: str = "") -> bytes:
    path = target.path or "/"
    return f"GET {path} HTTP/1.1\r\nHost: {target.netloc}\r\n{fields}\r\n".encode()


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
