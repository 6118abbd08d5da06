"""Response frames on their way to the dispatcher: order, credit, loss; notes the other way."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import redis.asyncio

from cloister.link import LARGE_BYTES, Command, Done, Link
from cloister.messages import (
    CHUNK_BYTES,
    STREAM_WINDOW_BYTES,
    Cancel,
    Chunk,
    Credit,
    End,
    Failure,
    Head,
    Note,
    body_list,
    decode_frame,
    encode,
    executor_channel,
)
from cloister.outcomes import Outcome
from executor.egress.response import FetchFailed
from executor.notes import Notes
from executor.replies import Replies, ReplySink, Undeliverable
from executor.request_body import RequestBody
from executor.work import Ended


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    """A client of a real server."""
    made = redis.asyncio.Redis.from_url(redis_url)
    yield made
    await made.aclose()


@pytest.fixture
async def replies(client: redis.asyncio.Redis) -> AsyncIterator[Replies]:
    """What is tested."""
    made = Replies(client)
    yield made
    await made.close()


async def sent(client: redis.asyncio.Redis, replies: Replies) -> list[object]:
    """The frames on the list ``r``."""
    await asyncio.wait_for(replies.drain(), 5)
    return [decode_frame(data) for data in await client.lrange("r", 0, -1)]


async def test_a_small_response_is_one_frame(client: redis.asyncio.Redis, replies: Replies) -> None:
    """Head, body and end together; the list does not live for ever."""
    await ReplySink(replies, "r", "i", "me").head(200, [("a", "b")], b"hi", end=True)
    whole = Head(id="i", status=200, headers=[("a", "b")], executor="me", body=b"hi", end=True)
    assert await sent(client, replies) == [whole]
    assert 0 < await client.ttl("r") <= 120


async def test_large_frames_leave_one_by_one(
    client: redis.asyncio.Redis, replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What gathered while a write was under way is no command of many large frames; all arrive, in
    order, and small ones leave together."""
    commands: list[Sequence[Command]] = []
    send = Link.send

    def watched(self: Link, sending: Sequence[Command], done: Done) -> None:
        commands.append(sending)
        send(self, sending, done)

    monkeypatch.setattr(Link, "send", watched)
    frames = [Chunk(id="i", data=bytes([n]) * LARGE_BYTES) for n in range(3)]
    small = [Chunk(id="i", data=b"small"), End(id="i")]
    for frame in [*frames, *small]:
        replies.send("r", frame)
    assert await sent(client, replies) == [*frames, *small]
    assert [len(command) for (command,) in commands] == [6, 6, 6, 7]


async def test_nobody_waits_behind_the_pieces_of_others(
    client: redis.asyncio.Redis, replies: Replies
) -> None:
    """A small answer leaves before large pieces that were there first; pieces of one response keep
    their order, and what ends it comes last."""
    for id_ in "abc":
        replies.send("r", Chunk(id=id_, data=bytes(LARGE_BYTES)))
        replies.send("r", End(id=id_))
    replies.send("r", Head(id="quick", status=200, headers=[], executor="me", end=True))
    frames = await sent(client, replies)
    order = [(frame.id, type(frame)) for frame in frames]  # type: ignore[attr-defined]
    assert order.index(("quick", Head)) <= 2  # a write was under way, with what was there first
    assert order[0] == ("a", Chunk)
    for id_ in "abc":
        assert [kind for one, kind in order if one == id_] == [Chunk, End]


async def test_a_response_has_one_piece_in_line(replies: Replies) -> None:
    """While a write is under way, the next piece waits for it; the one after waits for that one, so
    that what the isolate says meanwhile becomes one piece, or the isolate waits."""
    sink = ReplySink(replies, "r", "i", "me")
    async with asyncio.timeout(5):
        await sink.chunk(b"under way")
        await sink.chunk(b"in line")
        following = asyncio.create_task(sink.chunk(b"waits"))
        await asyncio.sleep(0)
        assert not following.done()
        await following
        other = ReplySink(replies, "r", "j", "me")
        await other.chunk(b"another's")
    await replies.drain()


async def test_a_large_body_is_cut_into_chunks(
    client: redis.asyncio.Redis, replies: Replies
) -> None:
    """No chunk is larger than the messages allow."""
    sink = ReplySink(replies, "r", "i", "me")
    await sink.head(200, [], bytes(CHUNK_BYTES + 1), end=True)
    head, *rest = await sent(client, replies)
    assert head == Head(id="i", status=200, headers=[], executor="me")
    assert [len(each.data) for each in rest if isinstance(each, Chunk)] == [CHUNK_BYTES, 1]
    assert rest[-1] == End(id="i")


async def test_credit(client: redis.asyncio.Redis, replies: Replies) -> None:
    """When the window is used up, the next chunk waits until more is granted."""
    sink = ReplySink(replies, "r", "i", "me")
    await sink.chunk(bytes(STREAM_WINDOW_BYTES))
    assert sink.is_full
    waiting = asyncio.create_task(sink.chunk(b"x"))
    await asyncio.sleep(0)
    assert not waiting.done()
    sink.credit(10)
    await asyncio.wait_for(waiting, 5)
    assert not sink.is_full
    assert (await sent(client, replies))[-1] == Chunk(id="i", data=b"x")


async def test_an_aborted_response_stops_waiting(
    client: redis.asyncio.Redis, replies: Replies
) -> None:
    """Nobody waits for credit that will not come; the failure still goes out."""
    sink = ReplySink(replies, "r", "i", "me")
    await sink.chunk(bytes(STREAM_WINDOW_BYTES))
    waiting = asyncio.create_task(sink.chunk(b"x"))
    await asyncio.sleep(0)
    sink.abort()
    with pytest.raises(Undeliverable):
        await asyncio.wait_for(waiting, 5)
    await sink.fail(Ended(Outcome.EXCEPTION, "no", "ValueError"))
    last = (await sent(client, replies))[-1]
    assert last == Failure(id="i", outcome=Outcome.EXCEPTION, message="ValueError: no")


async def test_a_response_with_a_hole_never_looks_whole(
    client: redis.asyncio.Redis, replies: Replies
) -> None:
    """After a lost frame, only a failure is sent on; other responses are not concerned."""
    replies.begin("i")
    sink = ReplySink(replies, "r", "i", "me")
    good = replies._link
    away = redis.asyncio.Redis(unix_socket_path="/nonexistent", retry=None)
    replies._link = Link(away)
    await sink.head(200, [], b"", end=False)
    await replies.drain()
    await away.aclose()
    replies._link = good
    with pytest.raises(Undeliverable):
        await sink.chunk(b"x")
    await sink.fail(Ended(Outcome.INTERNAL))
    await ReplySink(replies, "r", "other", "me").end()
    frames = await sent(client, replies)
    assert [type(each) for each in frames] == [Failure, End]
    replies.forget("i")
    await sink.end()


async def test_what_waits_behind_a_lost_frame_is_not_sent(
    client: redis.asyncio.Redis, replies: Replies
) -> None:
    """The rest of a response was in line when a piece of it was lost, and whoever sent it is over:
    its reader gets a failure, its own if there is one, and others get what is theirs."""
    good = replies._link
    away = redis.asyncio.Redis(unix_socket_path="/nonexistent", retry=None)
    replies._link = Link(away)
    failed = Failure(id="j", outcome=Outcome.EXCEPTION, message="own")
    replies.begin("i")
    replies.begin("j")
    replies.send("r", Chunk(id="i", data=b"lost"))
    replies.send("r", Chunk(id="j", data=b"lost"))
    await asyncio.sleep(0)  # on its way by now
    for frame in (Chunk(id="i", data=b"more"), End(id="i"), failed, End(id="other")):
        replies.send("r", frame)
    replies.forget("i")
    replies._link, away_link = good, replies._link
    frames = await sent(client, replies)
    await away_link.close()
    await away.aclose()
    assert frames == [End(id="other"), Failure(id="i", outcome=Outcome.INTERNAL), failed]


async def test_notes(client: redis.asyncio.Redis) -> None:
    """Those to this executor and to all arrive; junk and other executors' do not."""
    taken: asyncio.Queue[Note] = asyncio.Queue()
    notes = Notes(client, "me", taken.put_nowait)
    await asyncio.wait_for(notes.start(), 5)
    await client.publish(executor_channel("other"), encode(Cancel(id="no")))
    await client.publish(executor_channel("me"), b"junk")
    await client.publish(executor_channel("me"), encode(Credit(id="a", bytes=5)))
    await client.publish("executors", encode(Cancel(id="b")))
    assert await asyncio.wait_for(taken.get(), 5) == Credit(id="a", bytes=5)
    assert await asyncio.wait_for(taken.get(), 5) == Cancel(id="b")
    await notes.close()


async def test_a_request_body_beside_the_message(client: redis.asyncio.Redis) -> None:
    """Chunks in order, whether they are there or still to come; then the end, again and again."""
    body = RequestBody(client, "i")
    await client.rpush(body_list("i"), b"one")
    assert await body.read() == b"one"
    waiting = asyncio.create_task(body.read())
    await asyncio.sleep(0)
    await client.rpush(body_list("i"), b"two", b"", b"not of it")
    assert await asyncio.wait_for(waiting, 5) == b"two"
    assert [await body.read(), await body.read()] == [b"", b""]
    await body.close()


async def test_the_rest_of_a_body_is_dropped(client: redis.asyncio.Redis) -> None:
    """What the worker did not read does not stay in Valkey."""
    body = RequestBody(client, "i")
    await client.rpush(body_list("i"), b"one", b"two", b"")
    assert await body.read() == b"one"
    await body.close()
    assert not await client.exists(body_list("i"))
    assert await body.read() == b""


async def test_a_body_that_is_lost() -> None:
    """Without the server the body breaks off, as an error."""
    away = redis.asyncio.Redis(unix_socket_path="/nonexistent", retry=None)
    body = RequestBody(away, "i")
    with pytest.raises(FetchFailed):
        await body.read()
    await body.close()
    await away.aclose()
