"""One connection driven by callbacks: replies in order, failures told, nothing sent twice."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from cloister import link as link_module
from cloister.broker import async_redis, redis_client
from cloister.link import LARGE_BYTES, Command, Link
from cloister.settings import Settings


def ask(link: Link, *commands: Command) -> "asyncio.Future[list[Any]]":
    """What the link's callback gets."""
    answered = asyncio.get_running_loop().create_future()
    link.send(commands, answered.set_result)
    return answered


@pytest.fixture
async def link(redis_url: str) -> AsyncIterator[Link]:
    async with async_redis(Settings(redis_url=redis_url)) as client, asyncio.timeout(20):
        link = Link(client)
        yield link
        await link.close()


async def test_replies_come_in_order(link: Link) -> None:
    """Also of commands sent before there is a connection; an error stands in its own place only."""
    first = ask(link, ("RPUSH", "list", b"\x00\r\n", "two"), ("INCR", "list"), ("LLEN", "list"))
    second = ask(link, ("LRANGE", "list", 0, -1))
    length, error, same = await first
    assert (length, same) == (2, 2)
    assert isinstance(error, redis.ResponseError)
    assert await second == [[b"\x00\r\n", b"two"]]


async def test_large_arguments_arrive_to_the_byte(link: Link) -> None:
    """Also behind text, numbers and other large ones."""
    large = bytes(range(256)) * (LARGE_BYTES // 256)
    (length, _, held) = await ask(
        link, ("RPUSH", "list", "é", 7, large, large), ("PING",), ("LRANGE", "list", 0, -1)
    )
    assert length == 4
    assert held == ["é".encode(), b"7", large, large]


async def test_a_lost_connection_fails_what_is_under_way(link: Link, redis_url: str) -> None:
    """Each command's reply is the error, once; what the callbacks send goes by a new one."""
    await ask(link, ("PING",))
    blocked, behind = ask(link, ("BLPOP", "none", 20)), ask(link, ("RPUSH", "l", 1), ("PING",))
    again: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
    behind.add_done_callback(lambda _: link.send([("EXISTS", "l")], again.set_result))
    with redis_client(Settings(redis_url=redis_url)) as client:
        client.client_kill_filter(_type="normal", skipme=True)
    replies = await blocked + await behind
    assert [type(reply) for reply in replies] == [redis.ConnectionError] * 3
    assert await again == [0]


async def test_a_silent_server_breaks_the_connection(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that is owed for too long is not waited for; the next command is answered."""
    monkeypatch.setattr(link_module, "SOCKET_TIMEOUT_S", 0.1)
    (reply,) = await ask(link, ("BLPOP", "none", 20))
    assert isinstance(reply, redis.ConnectionError)
    assert await ask(link, ("PING",)) == [b"PONG"]


async def test_no_server(tmp_path: Path) -> None:
    """Where nothing listens every command has failed, and the next one tries again."""
    async with async_redis(Settings(redis_url=f"unix://{tmp_path}/none.sock")) as client:
        link = Link(client)
        for _ in range(2):
            replies = await ask(link, ("PING",), ("PING",))
            assert [type(reply) for reply in replies] == [redis.ConnectionError] * 2
        await link.close()


async def test_the_url_says_who_and_where(redis_url: str) -> None:
    """User, password and database of the URL hold, as redis-py understands them."""
    with redis_client(Settings(redis_url=redis_url)) as admin:
        admin.acl_setuser("linked", enabled=True, passwords=["+secret"], categories=["+@all"])
        url = redis_url.replace("unix://", "unix://linked:secret@") + "?db=2"
        try:
            async with async_redis(Settings(redis_url=url)) as client:
                link = Link(client)
                (info,) = await ask(link, ("CLIENT", "INFO"))
                await link.close()
        finally:
            admin.acl_deluser("linked")
    assert {b"user=linked", b"db=2"} <= set(info.split())
