"""Framing of the door, for both sides: a 4-byte big-endian length, then a msgpack body.

:class:`Door` is the isolate's side (blocking, no asyncio); :class:`HostDoor` the executor's
(asyncio). Both bound what they take in; what is malformed or too long is the end of the isolate.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast
from weakref import WeakKeyDictionary

import msgspec

from executor.isolate.frames import (
    MAX_FRAME_BYTES,
    MAX_LOAD_BYTES,
    Chunk,
    Done,
    FromIsolate,
    Head,
    Log,
    ToIsolate,
    decode_from_isolate,
    decode_to_isolate,
    encode,
)

T = TypeVar("T")

HEADER_BYTES = 4
_size_at = struct.Struct(">I").unpack_from

COPIED_BYTES = 1024
"""Frames up to this size are taken as bytes, which costs less than to look into a view of them."""

READ_BYTES = 64 * 1024

_incoming = memoryview(bytearray(256 * 1024))
"""Where the executor reads from every door, one read at a time. What stays of it is copied."""

_little = _incoming[: 16 * 1024]
"""Where it reads from a door of which no large frames are known."""

PENDING_FRAMES = 64
PENDING_BYTES = 1024 * 1024
"""With more than this received and not yet asked for, the executor stops reading."""

FLOOD_S = 0.002
"""Between two reads of doors from which more than :data:`PENDING_FRAMES` come at once, of all such
doors together: each frame costs the executor some microseconds, in which it serves nobody else."""


class DoorBroken(Exception):
    """The other side sent what is no frame, or too long a one."""


class DoorClosed(Exception):
    """The other side is gone."""


def pack(frame: Any) -> bytes:
    """The bytes of one frame."""
    body = encode(frame)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


class Unpacker(Generic[T]):
    """Cuts a stream of bytes into frames. Holds at most one incomplete frame."""

    def __init__(self, decode: Callable[[Any], T], max_bytes: int) -> None:
        self._decode = decode
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> list[tuple[T, int]]:
        """Take in bytes; return the frames now complete, each with its size in bytes.

        Raises:
            DoorBroken: a frame is too long or does not decode.
        """
        if self._buffer:
            self._buffer += data
            frames, taken = self._cut(self._buffer)
            del self._buffer[:taken]
        else:
            frames, taken = self._cut(data)
            if taken < len(data):
                self._buffer += data[taken:]
        return frames

    @property
    def is_amid_frame(self) -> bool:
        """Whether part of a frame is there."""
        return bool(self._buffer)

    def _cut(self, data: bytes | bytearray | memoryview) -> tuple[list[tuple[T, int]], int]:
        """The frames that are there as a whole, and how many bytes they take."""
        frames: list[tuple[T, int]] = []
        start, length = 0, len(data)
        with memoryview(data) as view:
            while (body := start + HEADER_BYTES) <= length:
                (size,) = _size_at(view, start)
                if size > self._max_bytes:
                    raise DoorBroken(f"a frame of {size} bytes")
                if (end := body + size) > length:
                    break
                frames.append((self._body(view[body:end]), end - start))
                start = end
        return frames, start

    def _body(self, body: memoryview) -> T:
        try:
            with body:
                return self._decode(body if len(body) > COPIED_BYTES else bytes(body))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            raise DoorBroken(f"no frame: {exc}") from exc


class Door:
    """The isolate's side, over a blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._unpacker = Unpacker(decode_to_isolate, MAX_LOAD_BYTES)
        self._pending: deque[ToIsolate] = deque()

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, frame: FromIsolate) -> None:
        """Send one frame; waits while the executor is not reading.

        Raises:
            DoorBroken: the frame is longer than the executor would take; nothing was sent.
            DoorClosed: the executor is gone.
        """
        data = pack(frame)
        if len(data) > MAX_FRAME_BYTES + HEADER_BYTES:
            raise DoorBroken(f"a frame of {len(data)} bytes")
        try:
            self._sock.sendall(data)
        except ConnectionError as exc:
            raise DoorClosed from exc

    def receive(self) -> ToIsolate:
        """The next frame; waits for it.

        Raises:
            DoorClosed: the executor is gone.
        """
        while not self._pending:
            self._take(self._sock.recv(READ_BYTES))
        return self._pending.popleft()

    def receive_ready(self) -> list[ToIsolate]:
        """The frames that are there already; never waits. For a loop that polls the door.

        Raises:
            DoorClosed: the executor is gone, and every frame of it was handed out.
        """
        try:
            self._take(self._sock.recv(READ_BYTES, socket.MSG_DONTWAIT))
        except BlockingIOError:
            pass
        except DoorClosed:
            if not self._pending:
                raise
        ready = list(self._pending)
        self._pending.clear()
        return ready

    def _take(self, data: bytes) -> None:
        if not data:
            raise DoorClosed
        self._pending.extend(frame for frame, _ in self._unpacker.feed(data))


class _SlowLane:
    """Doors that are flooded, one after the other. For one event loop."""

    def __init__(self) -> None:
        self._line: deque[Callable[[], None]] = deque()

    def join(self, read_on: Callable[[], None]) -> None:
        """Have it called when it may be read on."""
        self._line.append(read_on)
        if len(self._line) == 1:
            self._wait()

    def _wait(self) -> None:
        asyncio.get_running_loop().call_later(FLOOD_S, self._next)

    def _next(self) -> None:
        read_on = self._line.popleft()
        if self._line:
            self._wait()
        read_on()


_slow_lanes: WeakKeyDictionary[asyncio.AbstractEventLoop, _SlowLane] = WeakKeyDictionary()


class HostDoor(asyncio.BufferedProtocol):
    """The executor's side. One task receives; any task sends. All doors are of one event loop.

    ``on_end`` is called once, when the socket is closed, with what was wrong with the last frame
    (None: nothing). ``frame_bytes`` is the size of the frame received last, ``frames_arrived`` how
    many have come in all.
    """

    def __init__(self, on_end: Callable[[str | None], None]) -> None:
        self._on_end = on_end
        self._unpacker = Unpacker(decode_from_isolate, MAX_FRAME_BYTES)
        self._pending: deque[tuple[FromIsolate, int]] = deque()
        self._pending_bytes = 0
        self.frame_bytes = 0
        self.frames_arrived = 0
        self._reading = True
        self._reads_into = _little
        self._is_flooded = False
        self._is_in_lane = False
        self._ended = False
        self._broken: str | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.on_frames: Callable[[], None] | None = None
        """Called when there is something to be received, or will never be, and nobody waits."""
        self._writable: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    async def connect(self, sock: socket.socket) -> None:
        """Take over a connected socket. Once."""
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self, sock=sock)

    async def send(self, frame: ToIsolate) -> None:
        """Send one frame; waits while the isolate is not reading.

        Raises:
            DoorClosed: the isolate is gone.
        """
        if self._writable is not None:
            await self._wait_until_writable()
        self._write(pack(frame))
        if self._writable is not None:
            await self._wait_until_writable()

    @property
    def is_writable(self) -> bool:
        """Whether the isolate is there, and reads what it is sent."""
        is_open = self._transport is not None and not self._transport.is_closing()
        return is_open and not self._ended and self._writable is None

    def send_now(self, data: bytes) -> None:
        """Send what is packed already, while it is writable.

        Raises:
            DoorClosed: the isolate is gone.
        """
        self._write(data)

    async def send_packed(self, data: bytes) -> None:
        """Send what is packed already, and hold no more than that of what the isolate does not
        read: waits until what was sent before is on its way.

        Raises:
            DoorClosed: the isolate is gone.
        """
        if self._writable is not None:
            await self._wait_until_writable()
        self._write(data)

    async def receive(self) -> FromIsolate:
        """The next frame. What came before the end is handed out first.

        Raises:
            DoorClosed: the isolate is gone.
        """
        while not self._pending:
            if self._ended:
                raise DoorClosed
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        frame, self.frame_bytes = self._pending.popleft()
        if isinstance(frame, Chunk):
            frame = self._with_following(frame)
        self._pending_bytes -= self.frame_bytes
        self._read_on()
        return frame

    def _read_on(self) -> None:
        if self._reading or self._is_in_lane or self._is_full():
            return
        if self._is_flooded:
            self._is_in_lane = True
            lane = _slow_lanes.setdefault(asyncio.get_running_loop(), _SlowLane())
            lane.join(self._resume)
        else:
            self._resume()

    def _resume(self) -> None:
        self._is_in_lane = False
        if not self._ended and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()

    def whole_answer(self) -> Head | None:
        """The next response, if it is there as a whole, and that the isolate is done with it."""
        if len(self._pending) < 2:
            return None
        head, done = self._pending[0][0], self._pending[1][0]
        if isinstance(head, Head) and head.end and isinstance(done, Done):
            return head
        return None

    def take_answer(self) -> None:
        """Count it as received."""
        self._drop_first()
        self._drop_first()

    def take_log(self) -> Log | None:
        """The next frame, if it is there and a line of the log."""
        frame = self._pending[0][0] if self._pending else None
        if not isinstance(frame, Log):
            return None
        self._drop_first()
        return frame

    def _drop_first(self) -> None:
        _, size = self._pending.popleft()
        self._pending_bytes -= size
        self._read_on()

    @property
    def is_silent(self) -> bool:
        """Whether there is no frame to be received, but may be some day."""
        return not (self._pending or self._ended)

    @property
    def frames_pending(self) -> int:
        """How many frames are there to be received."""
        return len(self._pending)

    def _with_following(self, first: Chunk) -> Chunk:
        """One chunk of those that have arrived by now: each costs much more from here on than it
        cost the isolate, which may send them byte by byte."""
        parts = [first.data]
        while self._pending and self.frame_bytes < READ_BYTES:
            frame, size = self._pending[0]
            if not isinstance(frame, Chunk):
                break
            self._pending.popleft()
            self.frame_bytes += size
            parts.append(frame.data)
        return first if len(parts) == 1 else Chunk(data=b"".join(parts))

    @property
    def is_quiet(self) -> bool:
        """Whether the other side is there, and has said nothing that nobody asked for yet, not even
        part of a frame."""
        return not (self._ended or self._pending or self._unpacker.is_amid_frame)

    def close(self) -> None:
        """Close at once; what is not sent yet is dropped."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._reads_into

    def buffer_updated(self, nbytes: int) -> None:
        is_filled = nbytes == len(self._reads_into)
        self.take(_incoming[:nbytes])
        if is_filled or self._is_flooded:
            self._reads_into = _little if self._is_flooded else _incoming

    def take(self, data: bytes | memoryview) -> None:
        """Take in what was read."""
        if self._ended or self._transport is None:
            return
        try:
            frames = self._unpacker.feed(data)
        except DoorBroken as exc:
            self._broken = str(exc)
            self._end()
            self._transport.abort()
            return
        self.frames_arrived += len(frames)
        self._is_flooded = len(frames) > PENDING_FRAMES
        for frame in frames:
            self._pending.append(frame)
            self._pending_bytes += frame[1]
        if self._is_full():
            self._reading = False
            self._transport.pause_reading()
        if frames:
            self._tell()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._end()
        self._on_end(self._broken)

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    async def _wait_until_writable(self) -> None:
        while self._writable is not None:
            await asyncio.shield(self._writable)
        if self._ended:
            raise DoorClosed

    def _write(self, data: bytes) -> None:
        if self._ended or self._transport is None or self._transport.is_closing():
            raise DoorClosed
        self._transport.write(data)

    def _is_full(self) -> bool:
        return len(self._pending) > PENDING_FRAMES or self._pending_bytes > PENDING_BYTES

    def _end(self) -> None:
        self._ended = True
        self.resume_writing()
        self._tell()

    def _tell(self) -> None:
        if self._waiter is None:
            if self.on_frames is not None:
                self.on_frames()
        elif not self._waiter.done():
            self._waiter.set_result(None)
