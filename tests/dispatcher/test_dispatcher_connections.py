"""Connections: what is kept, what is closed, and who is told."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from dispatcher.connections import HELD_BYTES, WRITE_BYTES, Connection

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answers = Callable[[Message, Receive, Send], Awaitable[None]]

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HALF = b"GET / HTTP/1.1\r\nHo"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
SETTINGS = SimpleNamespace(
    keepalive=75,
    timeout=60,
    limit_request_line=1024,
    limit_request_fields=20,
    limit_request_field_size=1024,
)


def start(*headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": 200, "headers": list(headers)}


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


class House:
    """Stands for gunicorn's worker, and is the application: ``answers`` is called for each."""

    def __init__(self, answers: Answers) -> None:
        self.cfg = SETTINGS
        self.loop = asyncio.get_running_loop()
        self.alive = True
        self.nr = self.nr_conns = 0
        self.max_requests = sys.maxsize
        self.connections: set[Connection] = set()
        self.began = asyncio.Semaphore(0)
        self.canceled = asyncio.Event()
        self._answers = answers

    def keeps_on(self) -> bool:
        return self.alive

    async def asgi(self, scope: Message, receive: Receive, send: Send) -> None:
        self.began.release()
        try:
            await self._answers(scope, receive, send)
        except asyncio.CancelledError:
            self.canceled.set()
            raise


@dataclass
class Called:
    """A connection over a real socket, the application behind it, and the client's end."""

    connection: Connection
    house: House
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def pass_time(self, seconds: float) -> None:
        """What gunicorn's worker does every second, so much later."""
        self.connection.close_if_silent(self.house.loop.time() + seconds)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what no event tells."""
    deadline = asyncio.get_running_loop().time() + 20
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.001)


Connect = Callable[[Answers], Awaitable[Called]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connect a client to an application."""
    writers = []

    async def connected(answers: Answers) -> Called:
        house = House(answers)
        ours, theirs = socket.socketpair()
        connection = Connection(house)  # type: ignore[arg-type]
        await house.loop.connect_accepted_socket(lambda: connection, ours)
        reader, writer = await asyncio.open_connection(sock=theirs)
        writers.append(writer)
        return Called(connection, house, reader, writer)

    async with asyncio.timeout(20):
        yield connected
        for writer in writers:
            writer.close()
            await writer.wait_closed()


async def hello(scope: Message, receive: Receive, send: Send) -> None:
    while (await receive())["more_body"]:
        pass
    await send(start((b"content-length", b"5")))
    await send(body(b"hello"))


@pytest.mark.parametrize("sent", [b"", HALF, GET])
async def test_a_silent_client_is_let_go(connect: Connect, sent: bytes) -> None:
    """Who asks nothing, or never ends a head, is closed after the keep-alive time, not before."""
    called = await connect(hello)
    called.writer.write(sent)
    if sent == HALF:
        await until(lambda: bool(called.connection._parser._buffer))
    if sent == GET:
        assert (await called.reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 OK\r\n")
    called.pass_time(SETTINGS.keepalive - 1)
    assert called.house.connections
    called.pass_time(SETTINGS.keepalive + 1)
    assert await called.reader.read() == b""
    assert called.house.nr_conns == 0


async def test_a_body_that_stops_ends_its_request(connect: Connect) -> None:
    """The application is canceled when the rest of a body does not come, and nothing answered."""
    called = await connect(hello)
    called.writer.write(POST + b"ab")
    await called.house.began.acquire()
    called.pass_time(SETTINGS.timeout - 1)
    called.pass_time(SETTINGS.timeout + 1)
    assert await called.reader.read() == b""
    assert called.house.canceled.is_set()


async def test_an_application_may_take_its_time(connect: Connect) -> None:
    """Slowness of ours is no silence of the client's, also after a body that came in pieces."""
    gate, taken = asyncio.Event(), asyncio.Event()

    async def slow(scope: Message, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            taken.set()
        taken.set()
        await gate.wait()
        await hello(scope, receive, send)

    called = await connect(slow)
    called.writer.write(POST + b"ab")
    await taken.wait()
    taken.clear()
    called.writer.write(b"cd")
    await taken.wait()
    called.pass_time(10_000)
    gate.set()
    assert not called.house.canceled.is_set()
    assert called.house.connections


async def test_a_client_that_leaves_is_noticed(connect: Connect) -> None:
    """Its request is canceled at once."""

    async def waits(scope: Message, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    called = await connect(waits)
    called.writer.write(GET)
    await called.house.began.acquire()
    called.writer.close()
    await called.house.canceled.wait()
    assert called.house.nr_conns == 0


@pytest.mark.parametrize(("sent", "seen"), [(b"abc", b"abc"), (b"abcdefg", b"abcde")])
async def test_a_length_is_a_promise(connect: Connect, sent: bytes, seen: bytes) -> None:
    """More bytes than announced do not leave, and after fewer the connection ends, so that no
    client takes one response for part of another."""

    async def miscounts(scope: Message, receive: Receive, send: Send) -> None:
        await send(start((b"content-length", b"5")))
        await send(body(sent))

    called = await connect(miscounts)
    called.writer.write(GET * 2)
    head = await called.reader.readuntil(b"\r\n\r\n")
    assert b"content-length: 5\r\n" in head
    assert await called.reader.readexactly(len(seen)) == seen
    if len(seen) < 5:
        assert await called.reader.read() == b""
    else:
        assert await called.reader.readuntil(b"\r\n\r\n") == head


async def test_an_application_that_fails(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Before its response began it is a 500; after, the response is visibly cut off."""

    async def fails(scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"] != "/":
            await send(start())
            await send(body(b"abc", more=True))
        raise RuntimeError("ours")

    for request, end in ((GET, b"Internal Server Error"), (GET.replace(b"/ ", b"/x "), b"abc\r\n")):
        called = await connect(fails)
        called.writer.write(request)
        assert (await called.reader.read()).endswith(end)
    assert caplog.text.count("RuntimeError: ours") == 2


async def test_a_flood_of_requests_waits_outside(connect: Connect) -> None:
    """Behind a request under way only so much is read; what waited is served when it is over."""
    gate = asyncio.Event()

    async def waits(scope: Message, receive: Receive, send: Send) -> None:
        await gate.wait()
        await hello(scope, receive, send)

    called = await connect(waits)
    count = 2 * HELD_BYTES // len(GET)
    called.writer.write(GET * count)
    await until(lambda: not called.connection._is_reading)
    assert called.connection._held_bytes() < 3 * HELD_BYTES
    gate.set()
    for _ in range(count):
        assert (await called.reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 OK")


async def test_who_sends_waits_for_who_reads(connect: Connect) -> None:
    """A response that nobody reads is not produced further than a few pieces."""
    pieces = 0

    async def much(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal pieces
        await send(start((b"content-length", b"%d" % (100 * WRITE_BYTES))))
        for number in range(100):
            await send(body(bytes(WRITE_BYTES), more=number < 99))
            pieces += 1

    called = await connect(much)
    called.writer.transport.pause_reading()  # type: ignore[attr-defined]
    called.writer.write(GET)
    await until(lambda: called.connection._drained is not None)
    assert pieces < 50
    called.writer.transport.resume_reading()  # type: ignore[attr-defined]
    await called.reader.readuntil(b"\r\n\r\n")
    assert await called.reader.readexactly(100 * WRITE_BYTES) == bytes(100 * WRITE_BYTES)
    assert pieces == 100
