"""Framing on both sides of the door, without a sandbox."""

import asyncio
import socket

import pytest
import pytest_asyncio

from executor.isolate import door as doors
from executor.isolate.door import Door, DoorBroken, DoorClosed, HostDoor, Unpacker, pack
from executor.isolate.frames import (
    MAX_FRAME_BYTES,
    Chunk,
    Done,
    Invoke,
    Load,
    Log,
    Ready,
    decode_from_isolate,
)


def unpacker() -> Unpacker:
    return Unpacker(decode_from_isolate, MAX_FRAME_BYTES)


def test_frames_come_out_as_they_went_in_however_they_are_cut():
    """The stream may be cut anywhere: byte by byte, or many frames at once."""
    frames = [Ready(), Chunk(data=b"x" * 1000), Done()]
    stream = b"".join(map(pack, frames))
    for size in (1, 3, 7, len(stream)):
        taker = unpacker()
        taken = []
        for start in range(0, len(stream), size):
            taken += [frame for frame, _ in taker.feed(stream[start : start + size])]
        assert taken == frames
        assert not taker.is_amid_frame


@pytest.mark.parametrize(
    "stream",
    [
        b"\x00\x00\x00\x01\xc1",
        b"\x00\x00\x00\x00",
        b"\x00\x00\x00\x01\x2a",
        (MAX_FRAME_BYTES + 1).to_bytes(4, "big"),
        pack(Load(main="x", modules={})),
        len(b"\x91" * 100_000).to_bytes(4, "big") + b"\x91" * 100_000,
    ],
    ids=["no msgpack", "empty", "no frame", "too long", "of the other side", "too deep"],
)
def test_what_is_no_frame_is_refused(stream):
    """Whatever an isolate sends, the executor decodes a known frame or gives it up."""
    with pytest.raises(DoorBroken):
        unpacker().feed(stream)


@pytest_asyncio.fixture
async def sides():
    """An isolate's blocking door and a host's door, joined."""
    ours, theirs = socket.socketpair()
    ended: asyncio.Queue = asyncio.Queue()
    host = HostDoor(ended.put_nowait)
    await host.connect(ours)
    host.test_end = ended  # type: ignore[attr-defined]
    with theirs:
        yield host, Door(theirs), theirs
        host.close()
        await asyncio.sleep(0)


async def test_both_sides_talk(sides) -> None:
    """A frame each way."""
    host, isolate, _ = sides
    isolate.send(Ready())
    assert await host.receive() == Ready()
    await host.send(Invoke(url="http://x/"))
    assert isolate.receive() == Invoke(url="http://x/")


async def test_an_isolate_can_poll_its_door(sides) -> None:
    """What is there is handed out at once; nothing there is no wait."""
    host, isolate, _ = sides
    assert isolate.receive_ready() == []
    await host.send(Invoke(url="1"))
    await host.send(Invoke(url="2"))
    assert [frame.url for frame in isolate.receive_ready()] == ["1", "2"]


async def test_the_end_comes_after_the_last_frame(sides) -> None:
    """What was sent before the end is received before DoorClosed."""
    host, isolate, sock = sides
    isolate.send(Done())
    sock.shutdown(socket.SHUT_RDWR)
    assert await host.receive() == Done()
    with pytest.raises(DoorClosed):
        await host.receive()
    assert await host.test_end.get() is None
    with pytest.raises(DoorClosed):
        await host.send(Invoke())


async def test_a_broken_frame_is_the_end(sides) -> None:
    """Nothing is read after it; the reason is told."""
    host, isolate, sock = sides
    isolate.send(Done())
    assert await host.receive() == Done()
    sock.sendall(b"\x00\x00\x00\x01\xc1" + pack(Done()))
    with pytest.raises(DoorClosed):
        await host.receive()
    assert "no frame" in await host.test_end.get()


async def test_the_isolate_learns_that_the_executor_is_gone(sides) -> None:
    """Both ways of receiving say so, and sending too."""
    host, isolate, _ = sides
    host.close()
    await host.test_end.get()
    with pytest.raises(DoorClosed):
        isolate.receive_ready()
    with pytest.raises(DoorClosed):
        isolate.receive()
    with pytest.raises(DoorClosed):
        isolate.send(Done())


async def test_an_isolate_does_not_send_what_would_be_refused(sides) -> None:
    """A frame over the limit fails where it is made; the door stays whole."""
    host, isolate, _ = sides
    with pytest.raises(DoorBroken):
        isolate.send(Chunk(data=bytes(MAX_FRAME_BYTES)))
    isolate.send(Done())
    assert await host.receive() == Done()


async def test_the_host_stops_reading_what_nobody_asks_for(sides) -> None:
    """With enough unread frames the rest stays in the socket, and comes once asked for."""
    host, _, sock = sides
    sock.setblocking(False)
    sent = 0
    stream = pack(Chunk(data=bytes(30_000)))
    rest = stream
    while True:
        try:
            rest = rest[sock.send(rest) :] or stream
            sent += rest is stream
        except BlockingIOError:
            await asyncio.sleep(0)
            if not host._reading:
                break
    assert len(host._pending) <= doors.PENDING_FRAMES + 64
    assert host._pending_bytes <= doors.PENDING_BYTES + 2 * 256 * 1024
    got_bytes = 0
    while got_bytes < sent * 30_000:
        got_bytes += len((await host.receive()).data)


async def test_small_chunks_that_have_arrived_are_one(sides) -> None:
    """However small the pieces in which an isolate sends its response, the executor passes on what
    is there as one, in order, and does not mix it with what follows; the twin is a lone chunk."""
    host, _, sock = sides
    pieces = [bytes([n]) for n in range(200)]
    sock.sendall(b"".join(pack(Chunk(data=one)) for one in pieces) + pack(Done()))
    got = await host.receive()
    assert got == Chunk(data=b"".join(pieces[: len(got.data)]))
    rest = b""
    while isinstance(frame := await host.receive(), Chunk):
        rest += frame.data
    assert got.data + rest == b"".join(pieces)
    assert len(got.data) > 1
    assert frame == Done()
    assert host._pending_bytes == 0
    sock.sendall(pack(Chunk(data=b"alone")))
    assert await host.receive() == Chunk(data=b"alone")


async def test_the_host_waits_for_an_isolate_that_does_not_read(sides) -> None:
    """send() comes back once the frame is on its way, and fails if the isolate goes instead."""
    host, isolate, sock = sides
    big = Load(main="m", modules={"m": bytes(4_000_000)})
    sending = asyncio.create_task(host.send(big))
    await asyncio.sleep(0)
    assert not sending.done()
    assert await asyncio.to_thread(isolate.receive) == big
    await sending
    sending = asyncio.create_task(host.send(big))
    await asyncio.sleep(0)
    sock.shutdown(socket.SHUT_RDWR)
    with pytest.raises(DoorClosed):
        await sending


async def test_a_cancelled_wait_leaves_the_door_usable(sides) -> None:
    """Whoever gives up waiting takes no frame along."""
    host, isolate, _ = sides
    waiting = asyncio.create_task(host.receive())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    isolate.send(Done())
    assert await host.receive() == Done()


async def test_flooded_doors_take_turns_and_lose_nothing() -> None:
    """Doors full of small frames are read one at a time, however many they are, and the frames of
    all come in order; one that ends while it waits for its turn is passed over."""
    loop = asyncio.get_running_loop()
    pairs = [socket.socketpair() for _ in range(4)]
    hosts = [HostDoor(lambda _: None) for _ in pairs]
    stream = b"".join(pack(Log(level="log", text=str(n), timestamp=0)) for n in range(1_000))
    for host, (ours, theirs) in zip(hosts, pairs, strict=True):
        theirs.setblocking(False)
        await host.connect(ours)

    async def send(theirs: socket.socket) -> None:
        await loop.sock_sendall(theirs, stream)
        theirs.close()

    async def texts(host: HostDoor) -> list[str]:
        return [(await host.receive()).text for _ in range(1_000)]  # type: ignore[union-attr]

    arrived = asyncio.Event()
    hosts[0].on_frames = arrived.set
    sending = [asyncio.create_task(send(theirs)) for _, theirs in pairs]
    taken = [asyncio.create_task(texts(host)) for host in hosts[1:]]
    await arrived.wait()
    assert hosts[0]._is_flooded
    for _ in range(hosts[0].frames_pending):
        await hosts[0].receive()
    assert hosts[0]._is_in_lane
    hosts[0].close()
    assert await asyncio.gather(*taken) == [[str(n) for n in range(1_000)]] * 3
    await asyncio.gather(*sending, return_exceptions=True)
    for host in hosts:
        host.close()
        with pytest.raises(DoorClosed):
            await host.receive()


async def test_a_door_with_large_frames_is_read_at_once(sides) -> None:
    """It waits for no turn, and is read in large pieces."""
    host, _, theirs = sides
    theirs.setblocking(False)
    frames = [Chunk(data=bytes(200_000))] * 8
    sending = asyncio.create_task(
        asyncio.get_running_loop().sock_sendall(theirs, b"".join(map(pack, frames)))
    )
    for frame in frames:
        assert await host.receive() == frame
        assert not host._is_in_lane
    await sending
    assert host._reads_into is doors._incoming
