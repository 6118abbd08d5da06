"""Servers that fetch() reaches and that mean no good: what they send never becomes what another
request gets, never grows without end, and never leads anywhere else."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from executor_fakes import until
from executor_origin import LOOPBACK, Origin, Seen, Unmetered, ok, redirect

from cloister.settings import Settings
from executor.egress.client import Client
from executor.egress.connection import HELD_BYTES
from executor.egress.guard import FetchRefused, HostRules
from executor.egress.redirects import OutgoingRequest
from executor.egress.response import FetchedResponse, FetchFailed
from executor.egress.slots import SLOTS

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


async def resolve(host: str, port: int) -> list[str]:
    """Every name is this machine, but for one."""
    return ["10.0.0.7"] if host == "inside.example" else ["127.0.0.1"]


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    """A listening origin."""
    server = Origin()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(origin: Origin) -> AsyncIterator[Client]:
    """A client that may reach the origin."""
    made = client_for(origin.port)
    yield made
    await made.close()


def client_for(port: int, **more: int) -> Client:
    """A client that may reach a port of this machine."""
    settings = Settings(egress_ports=(port,), egress_private=LOOPBACK, **more)
    return Client(settings, resolve, [HostRules()], Unmetered())


def get(url: str, method: str = "GET", **more: object) -> OutgoingRequest:
    """A request."""
    return OutgoingRequest(url=url, headers=[], method=method, **more)  # type: ignore[arg-type]


async def whole(response: FetchedResponse) -> bytes:
    """All of a body."""
    parts = []
    while data := await response.body.read():
        parts.append(data)
    return b"".join(parts)


async def test_a_connection_serves_the_next_request(origin: Origin, client: Client) -> None:
    """Of the same invocation, to the same origin, once a response was read to its end."""
    origin.answers["/"] = ok()
    for _ in range(3):
        await whole(await client.fetch(get(origin.url("/"))))
    assert origin.connections == 1
    await whole(await client.fetch(get(origin.url("/", "b.example"))))
    assert origin.connections == 2
    other = client_for(origin.port)
    await whole(await other.fetch(get(origin.url("/"))))
    assert origin.connections == 3
    await other.close()


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("GET", ok() + ok(b"poison")),  # more than was asked for
        ("GET", ok(connection="close")),
        ("GET", ok().replace(b"HTTP/1.1", b"HTTP/1.0")),
        ("GET", b"HTTP/1.1 204 None\r\ncontent-length: 6\r\n\r\npoison"),
        ("HEAD", ok(b"poison")),  # a body where none may be
        ("GET", CHUNKED + b"2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    ],
)
async def test_a_server_out_of_step_answers_one_request_only(
    origin: Origin, client: Client, method: str, answer: bytes
) -> None:
    """What it sends besides is no answer to the next request, which has a connection of its own."""
    origin.answers |= {"/1": answer, "/2": ok(b"mine")}
    body = await whole(await client.fetch(get(origin.url("/1"), method)))
    assert body in (b"ok", b"")
    assert await whole(await client.fetch(get(origin.url("/2")))) == b"mine"
    assert origin.connections == 2


async def test_what_comes_unasked_ends_an_idle_connection(origin: Origin, client: Client) -> None:
    """An answer that was there before its question is none."""
    late = asyncio.Event()
    sent = asyncio.Event()

    async def twice(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(ok())
        await late.wait()
        writer.write(ok(b"poison"))
        await writer.drain()
        sent.set()

    origin.answers |= {"/1": twice, "/2": ok(b"mine")}
    assert await whole(await client.fetch(get(origin.url("/1")))) == b"ok"
    late.set()
    await asyncio.wait_for(sent.wait(), 5)
    await until(lambda: not next(iter(client._idle)).may_be_used_again)
    assert await whole(await client.fetch(get(origin.url("/2")))) == b"mine"
    assert origin.connections == 2


async def test_half_a_request_is_followed_by_none(origin: Origin, client: Client) -> None:
    """A body that breaks off after the answer came leaves a connection whose server waits for the
    rest: another request would be taken for that."""
    answered = asyncio.Event()

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ok())
        await writer.drain()
        answered.set()
        await reader.read()
        writer.close()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        await answered.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        raise OSError("the tenant's body broke off")

    async with await asyncio.start_server(early, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        own = client_for(port)
        with pytest.raises(OSError, match="broke off"):
            await own.fetch(get(f"http://127.0.0.1:{port}/", "POST", body=pieces()))
        assert not own._idle
        await own.close()


async def test_idle_connections_are_few(client: Client, origin: Origin) -> None:
    """One to each of many hosts is not kept."""
    origin.answers["/"] = ok()
    for number in range(2 * SLOTS):
        await whole(await client.fetch(get(origin.url("/", f"h{number}.example"))))
    assert len(client._idle) == SLOTS


async def test_a_body_without_end_is_cut_off(origin: Origin) -> None:
    """It is read no faster than the tenant takes it, and no further than the limit."""
    sent = 0

    async def endless(seen: Seen, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(CHUNKED)
        while True:
            writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
            await writer.drain()
            sent += 65536

    origin.answers["/"] = endless
    client = client_for(origin.port, egress_body_bytes=32 * 1024 * 1024)
    response = await client.fetch(get(origin.url("/")))
    connection = next(iter(client._in_use))
    await until(lambda: connection._is_paused)
    assert connection._response is not None
    assert connection._response.held_bytes <= 2 * HELD_BYTES
    with pytest.raises(FetchFailed, match="too large"):
        await whole(response)
    assert sent <= 32 * 1024 * 1024 + 64 * HELD_BYTES  # some of it the kernel holds
    await client.close()


async def test_an_endless_head_is_given_up(origin: Origin, client: Client) -> None:
    """Over a real connection, which is closed."""
    gone = asyncio.Event()

    async def endless(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        try:
            while True:
                writer.write(b"x: " + b"y" * 1000 + b"\r\n")
                await writer.drain()
        finally:
            gone.set()

    origin.answers["/"] = endless
    with pytest.raises(FetchFailed, match="lost"):
        await client.fetch(get(origin.url("/")))
    await asyncio.wait_for(gone.wait(), 5)


async def test_a_head_that_trickles_is_given_up(origin: Origin) -> None:
    """The wait is for the head, not for its next byte."""

    async def trickle(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        while True:
            writer.write(b"x: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    origin.answers["/"] = trickle
    client = client_for(origin.port, egress_wait_s=1)
    with pytest.raises(FetchFailed, match="in time"):
        await client.fetch(get(origin.url("/")))
    await client.close()


async def test_a_body_that_stops_is_given_up(origin: Origin) -> None:
    """Some of it came, and the tenant has that."""
    never = asyncio.Event()

    async def stops(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"content-length: 9\r\n\r\nhalf")
        await never.wait()

    origin.answers["/"] = stops
    client = client_for(origin.port, egress_wait_s=1)
    response = await client.fetch(get(origin.url("/")))
    assert await response.body.read() == b"half"
    with pytest.raises(FetchFailed, match="stopped arriving"):
        await response.body.read()
    await client.close()


async def test_a_broken_chunk_ends_the_body(origin: Origin, client: Client) -> None:
    """What came before it was handed out."""

    async def broken(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"2\r\nok\r\nxx\r\n")

    origin.answers["/"] = broken
    response = await client.fetch(get(origin.url("/")))
    assert await response.body.read() == b"ok"
    with pytest.raises(FetchFailed, match="lost"):
        await response.body.read()


async def test_a_closed_client_leaves_no_connection(origin: Origin, client: Client) -> None:
    """Neither one in the middle of a body nor an idle one."""
    gone = asyncio.Event()

    async def endless(seen: Seen, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(CHUNKED)
            while True:
                writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
                await writer.drain()
        finally:
            gone.set()

    origin.answers |= {"/": endless, "/idle": ok()}
    await whole(await client.fetch(get(origin.url("/idle"))))
    response = await client.fetch(get(origin.url("/")))
    await response.body.read()
    await client.close()
    await asyncio.wait_for(gone.wait(), 5)


async def test_an_idle_connection_leads_nowhere_else(origin: Origin, client: Client) -> None:
    """A redirect to a private address is refused also where a connection stands ready."""
    origin.answers["/"] = redirect(f"http://inside.example:{origin.port}/")
    for _ in range(2):
        with pytest.raises(FetchRefused):
            await client.fetch(get(origin.url("/")))
    assert origin.connections == 1
