"""Bodies through the door: ids, order, back pressure, ends."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from executor.budget import Budget, OverBudget
from executor.isolate.frames import Outgoing
from executor.streams import (
    MAX_OPEN,
    BytesReader,
    Chained,
    HeldReader,
    Pulled,
    Readable,
    StreamRefused,
    Streams,
    as_request,
)


def new_streams(body: Readable | None) -> Streams:
    """The streams of an invocation."""
    return Streams(body, Budget(1_000))


async def test_reading() -> None:
    """A body is read to its end, and stays at its end."""
    streams = new_streams(None)
    first, second = streams.open(BytesReader(bytes(600_000))), streams.open(BytesReader(b"x"))
    sizes = []
    while data := await streams.read(first):
        sizes.append(len(data))
    assert sum(sizes) == 600_000
    assert max(sizes) <= 256 * 1024
    assert await streams.read(first) == b""
    assert await streams.read(second) == b"x"


async def test_reading_twice_at_once() -> None:
    """The second read waits for the first, and gets what follows."""
    going_on = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        await going_on.wait()
        yield b"second"

    streams = new_streams(Pulled(pieces()))
    reads = [asyncio.create_task(streams.read(0)) for _ in range(4)]
    assert await reads[0] == b"first"
    going_on.set()
    assert await asyncio.gather(*reads) == [b"first", b"second", b"", b""]


async def test_the_request_body_is_stream_zero() -> None:
    """Without one it is empty."""
    assert await new_streams(BytesReader(b"body")).read(0) == b"body"
    assert await new_streams(None).read(0) == b""


@pytest.mark.parametrize("stream", [-1, 1, 7])
async def test_ids_that_were_never_given(stream: int) -> None:
    """An isolate cannot guess its way to a body."""
    with pytest.raises(StreamRefused):
        await new_streams(None).read(stream)


async def test_cancelling() -> None:
    """A body that was cancelled is closed and at its end."""
    closed = []

    class Noted(BytesReader):
        async def close(self) -> None:
            closed.append(self)

    streams = new_streams(None)
    stream = streams.open(Noted(b"x"))
    await streams.cancel(stream)
    assert len(closed) == 1
    assert await streams.read(stream) == b""
    streams.open(Noted(b"y"))
    await streams.close()
    assert len(closed) == 2


async def test_too_many() -> None:
    """Open bodies are bounded, in both directions."""
    streams = new_streams(None)
    for _ in range(MAX_OPEN):
        streams.open(BytesReader(b""))
    with pytest.raises(StreamRefused):
        streams.open(BytesReader(b""))
    for n in range(MAX_OPEN):
        streams.written(n)
    with pytest.raises(StreamRefused):
        await streams.write(MAX_OPEN + 1, b"x")


async def test_writing_waits_for_the_reader() -> None:
    """One piece is held; the next write is answered when the reader took it."""
    streams = new_streams(None)
    await streams.write(5, b"a")
    second = asyncio.create_task(streams.write(5, b"b"))
    await asyncio.sleep(0)
    assert not second.done()
    pieces = streams.written(5)
    assert await anext(pieces) == b"a"
    await asyncio.wait_for(second, 5)
    assert await anext(pieces) == b"b"
    await streams.write(5, b"")
    assert await anext(pieces, None) is None
    with pytest.raises(StreamRefused):
        await streams.write(5, b"more")


async def test_a_reader_that_goes_away_does_not_block_the_writer() -> None:
    """When nobody reads a body any more, writes are taken and dropped."""
    streams = new_streams(None)
    pieces = streams.written(1)
    await streams.write(1, b"a")
    await anext(pieces)
    await streams.write(1, b"b")
    stuck = asyncio.create_task(streams.write(1, b"c"))
    await asyncio.sleep(0)
    await pieces.aclose()  # type: ignore[attr-defined]
    await asyncio.wait_for(stuck, 5)
    for _ in range(3):
        await asyncio.wait_for(streams.write(1, b"d"), 5)


async def test_a_body_that_nobody_ever_read() -> None:
    """When its call is refused, its writes are answered."""
    streams = new_streams(None)
    await streams.write(1, b"a")
    stuck = asyncio.create_task(streams.write(1, b"b"))
    await asyncio.sleep(0)
    streams.drop(1)
    await asyncio.wait_for(stuck, 5)
    await asyncio.wait_for(streams.write(1, b"c"), 5)


async def test_a_chained_body() -> None:
    """What was read ahead comes first."""
    body = Chained(b"start", BytesReader(b"rest"))
    assert [await body.read() for _ in range(3)] == [b"start", b"rest", b""]


async def test_requests() -> None:
    """A body is inline, streamed or none."""
    streams = new_streams(None)
    assert as_request(Outgoing(url="u", method="post", body=b"x"), streams).body == b"x"
    assert as_request(Outgoing(url="u", method="post"), streams).method == "POST"
    assert as_request(Outgoing(url="u"), streams).body is None
    streamed = as_request(Outgoing(url="u", stream=3), streams).body
    await streams.write(3, b"piece")
    assert streamed is not None
    assert not isinstance(streamed, bytes)
    assert await anext(streamed) == b"piece"


async def test_values_held_in_memory_are_bounded() -> None:
    """For one invocation and for all together; what is closed is given back."""
    executor = Budget(1_500)
    one, other = Streams(None, Budget(1_000, executor)), Streams(None, Budget(1_000, executor))
    first = one.open(HeldReader(bytes(900), one.budget))
    with pytest.raises(OverBudget):
        HeldReader(bytes(200), one.budget)
    with pytest.raises(OverBudget):
        HeldReader(bytes(700), other.budget)
    await one.cancel(first)
    other.open(HeldReader(bytes(700), other.budget))
    one.open(HeldReader(bytes(800), one.budget))
    await one.close()
    await other.close()
    Budget(1_500, executor).take(1_500)


async def test_what_the_isolate_writes_is_held_within_the_budget() -> None:
    """Pieces that no reader took are counted, until one does or the body is dropped; then there is
    room again. What ends late gives nothing back twice."""
    executor = Budget(1_500)
    streams = Streams(None, Budget(1_000, executor))
    await streams.write(1, bytes(600))
    with pytest.raises(OverBudget):
        await streams.write(2, bytes(600))
    pieces = streams.written(1)
    assert len(await anext(pieces)) == 600
    await streams.write(2, bytes(600))
    streams.drop(2)
    await streams.write(3, bytes(600))
    late = streams.written(3)
    await streams.close()
    assert len(await anext(late)) == 600
    with pytest.raises(OverBudget):
        executor.take(1_501)
    with pytest.raises(OverBudget):
        await streams.write(4, b"x")
    executor.take(1_500)
