"""The reply list: one reader a process, an inbox an id."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis
import redis.asyncio

from cloister.broker import async_redis, redis_client
from cloister.mailbox import REPLY_TTL_S, Mailbox, push, wait_for_answer
from cloister.messages import (
    Chunk,
    CompileAnswer,
    End,
    Failure,
    encode,
    reply_list,
)
from cloister.outcomes import Outcome
from cloister.settings import Settings


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    async with async_redis(Settings(redis_url=redis_url)) as connection:
        yield connection


async def test_frames_reach_their_own_inbox_in_order(client: redis.asyncio.Redis) -> None:
    """A thousand frames of three ids, interleaved: each reader gets its own, in order."""
    ids = ["a", "b", "c"]
    async with Mailbox(client, "p1") as mailbox, asyncio.timeout(20):
        with mailbox.expect("a") as a, mailbox.expect("b") as b, mailbox.expect("c") as c:
            frames = [encode(Chunk(id=i, data=str(n).encode())) for n in range(400) for i in ids]
            await push(client, mailbox.reply_to, frames)
            for inbox in (a, b, c):
                got = [await inbox.get() for _ in range(400)]
                assert [int(f.data) for f in got if isinstance(f, Chunk)] == list(range(400))


async def test_what_is_on_its_way_is_not_written_to_disk(client: redis.asyncio.Redis) -> None:
    """A pushed piece leaves the append-only file as short as it was; what else is pushed does
    not."""

    async def written() -> int:
        info = await client.info("persistence")
        return int(info["aof_current_size"] + info["aof_buffer_length"])

    await client.config_set("appendonly", "yes")
    try:
        async with asyncio.timeout(20):
            while (await client.info("persistence"))["aof_rewrite_in_progress"]:
                pass
        before, piece = await written(), bytes(100_000)
        await push(client, "ours", [piece, piece])
        assert await client.lrange("ours", 0, -1) == [piece, piece]
        assert await written() - before < len(piece)
        await client.rpush("theirs", piece)
        assert await written() - before > len(piece)
    finally:
        await client.config_set("appendonly", "no")


async def test_unknown_and_broken_frames_are_dropped(client: redis.asyncio.Redis) -> None:
    """Frames that nobody expects, or that are not frames, do not stop the reader."""
    async with Mailbox(client, "p2") as mailbox, asyncio.timeout(20):
        with mailbox.expect("a") as inbox:
            frames = [encode(End(id="gone")), b"\xc1 junk", encode(End(id="a"))]
            await push(client, mailbox.reply_to, frames)
            assert await inbox.get() == End(id="a")
        assert mailbox._inboxes == {}


async def test_reader_survives_a_lost_connection(client: redis.asyncio.Redis) -> None:
    """When the server drops the connection the reader reconnects and goes on."""
    async with Mailbox(client, "p3") as mailbox, asyncio.timeout(20):
        with mailbox.expect("a") as inbox:
            await push(client, mailbox.reply_to, [encode(End(id="a"))])
            await inbox.get()
            await client.client_kill_filter(_type="normal", skipme=True)
            failure = Failure(id="a", outcome=Outcome.INTERNAL)
            await push(client, mailbox.reply_to, [encode(failure)])
            assert await inbox.get() == failure


async def test_list_of_a_dead_process_expires(client: redis.asyncio.Redis) -> None:
    """A push to a list that nobody reads leaves it with a time to live."""
    await push(client, reply_list("dead"), [encode(End(id="a"))])
    assert 0 < await client.ttl(reply_list("dead")) <= REPLY_TTL_S


async def test_close_removes_the_list(client: redis.asyncio.Redis) -> None:
    """A process that ends takes its list with it."""
    mailbox = Mailbox(client, "p4")
    await mailbox.start()
    await mailbox.close()
    await push(client, mailbox.reply_to, [encode(End(id="a"))])
    await mailbox.close()
    assert await client.exists(mailbox.reply_to) == 0


def test_wait_for_answer(redis_url: str) -> None:
    """The blocking form returns the answer asked for, skips others, and times out."""
    with redis_client(Settings(redis_url=redis_url)) as connection:
        reply_to = reply_list("job")
        connection.rpush(
            reply_to, encode(CompileAnswer(id="x")), encode(CompileAnswer(id="job", startup_ms=7))
        )
        answer = wait_for_answer(connection, reply_to, "job", timeout_s=5)
        assert answer.startup_ms == 7
        with pytest.raises(TimeoutError):
            wait_for_answer(connection, reply_to, "job", timeout_s=0.05)
