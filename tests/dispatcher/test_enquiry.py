"""What counts as lost, round by round: a real Valkey, real mailboxes, scripted executors."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Self

import pytest
import redis.asyncio
from dispatcher_rig import valkey

from cloister import enquiry
from cloister.broker import async_redis
from cloister.enquiry import Enquiry
from cloister.limits import NO_LIMITS
from cloister.mailbox import Inbox, Mailbox, push, stop
from cloister.messages import (
    EXECUTORS_CHANNEL,
    Alive,
    Ask,
    Chunk,
    End,
    Failure,
    Invocation,
    decode_note,
    dispatch_queue,
    encode,
)
from cloister.outcomes import Outcome
from cloister.settings import Settings

ROUND_S = 0.05
ROUNDS = 8


class Executor:
    """Listens, and answers with what it holds; or does not."""

    def __init__(self, client: redis.asyncio.Redis, *held: str, mute: bool = False) -> None:
        self._client = client
        self._held = set(held)
        self._mute = mute
        self.asked: asyncio.Queue[Ask] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)
        await self._pubsub.subscribe(EXECUTORS_CHANNEL)
        await self._pubsub.get_message(timeout=5)
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        await stop(self._task)
        await self._pubsub.aclose()

    async def _listen(self) -> None:
        async for message in self._pubsub.listen():
            ask = decode_note(message["data"])
            assert isinstance(ask, Ask)
            self.asked.put_nowait(ask)
            if not self._mute:
                ids = [id_ for id_ in ask.ids if id_ in self._held]
                answer = Alive(id=ask.id, executor="x", ids=ids)
                await push(self._client, ask.reply_to, [encode(answer)])

    async def rounds(self, count: int = ROUNDS) -> None:
        """Wait until it was asked so often."""
        for _ in range(count):
            await self.asked.get()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with valkey() as url:
        yield url


@pytest.fixture
async def client(server: str) -> AsyncIterator[redis.asyncio.Redis]:
    async with async_redis(Settings(redis_url=server)) as connection:
        await connection.flushall()
        yield connection


@pytest.fixture
async def mailbox(client: redis.asyncio.Redis) -> AsyncIterator[Mailbox]:
    async with Mailbox(client, "me") as started:
        yield started


@pytest.fixture
async def asking(
    client: redis.asyncio.Redis, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Enquiry]:
    monkeypatch.setattr(enquiry, "ROUND_S", ROUND_S)
    monkeypatch.setattr(enquiry, "SILENCE_S", ROUND_S)
    monkeypatch.setattr(enquiry, "ANSWER_S", 0.2)
    started = Enquiry(client, mailbox)
    await started.start()
    yield started
    await started.close()


def invocation(id_: str, namespace: str = "production") -> Invocation:
    return Invocation(
        id=id_,
        namespace=namespace,
        script="s",
        version="v",
        method="GET",
        url="http://s.localhost/",
        headers=[],
        reply_to="reply:me",
        deadline=0,
        limits=NO_LIMITS,
    )


LOST = Failure(id="a", outcome=Outcome.INTERNAL, message="the executor was lost")


async def test_lost_when_everybody_says_so_twice(
    client: redis.asyncio.Redis, mailbox: Mailbox, asking: Enquiry
) -> None:
    """What no executor has is lost after the second round; what one of them has is not."""
    with mailbox.expect("a") as a, mailbox.expect("b") as b:
        async with Executor(client) as one, Executor(client, "b"):
            asking.watch(invocation("a"), a)
            asking.watch(invocation("b"), b)
            assert await a.get() == LOST
            assert one.asked.qsize() >= 2
            await one.rounds()
            assert not b.has_end
            assert (await one.asked.get()).ids == ["b"]


async def test_lost_when_nobody_is_left(mailbox: Mailbox, asking: Enquiry) -> None:
    """Without any executor, what has left its queue is lost."""
    with mailbox.expect("a") as inbox:
        asking.watch(invocation("a"), inbox)
        assert await inbox.get() == LOST


async def test_queued_work_is_not_lost(
    client: redis.asyncio.Redis, mailbox: Mailbox, asking: Enquiry
) -> None:
    """While the namespace has messages in its queue, this may be one of them; another namespace's
    queue says nothing."""
    queue = dispatch_queue("production")
    await client.lpush(queue, b"message")
    with mailbox.expect("a") as a, mailbox.expect("b") as b:
        async with Executor(client) as executor:
            asking.watch(invocation("a"), a)
            asking.watch(invocation("b", "staging"), b)
            assert isinstance(await b.get(), Failure)
            await executor.rounds()
            assert not a.has_end
            await client.delete(queue)
            assert await a.get() == LOST


async def test_a_silent_executor_leaves_the_question_open(
    client: redis.asyncio.Redis, mailbox: Mailbox, asking: Enquiry
) -> None:
    """One that listens but does not answer, because it is slow, may have it."""
    with mailbox.expect("a") as inbox:
        async with Executor(client), Executor(client, mute=True) as slow:
            asking.watch(invocation("a"), inbox)
            await slow.rounds(4)
            assert not inbox.has_end
        assert await inbox.get() == LOST


async def test_frames_that_come_in_time(
    client: redis.asyncio.Redis, mailbox: Mailbox, asking: Enquiry
) -> None:
    """A frame between two rounds starts the count anew, and a last one ends the question."""
    with mailbox.expect("a") as a, mailbox.expect("b") as b:
        async with Executor(client) as executor:
            asking.watch(invocation("a"), a)
            asking.watch(invocation("b"), b)
            await push(client, mailbox.reply_to, [encode(End(id="b"))])
            for _ in range(ROUNDS):
                await executor.asked.get()
                await push(client, mailbox.reply_to, [encode(Chunk(id="a", data=b"x"))])
            assert [await a.get() for _ in range(ROUNDS)] == [Chunk(id="a", data=b"x")] * ROUNDS
            assert await a.get() == LOST
            assert await b.get() == End(id="b")


async def test_what_is_forgotten_is_not_asked_about(
    client: redis.asyncio.Redis, mailbox: Mailbox, asking: Enquiry
) -> None:
    """Nobody is asked about what is over, and nobody at all when nothing waits."""
    inbox = Inbox()
    async with Executor(client, "a") as executor:
        asking.watch(invocation("a"), inbox)
        await executor.rounds(1)
        asking.forget("a")
        asking.forget("a")
        await asyncio.sleep(ROUND_S * 3)  # for a note that must not come there is no event
        assert executor.asked.empty()
