"""Response frames on their way to the dispatcher that waits.

The frame of a lone response leaves at once. Those of several leave together with what comes up in
the same turn of the loop, or while a write is in flight: idle means no delay, load shares the round
trip. A streamed response spends credit, which the dispatcher renews as its client takes the bytes,
and has one piece at a time in line: nobody waits behind all that another's worker has to say.
"""

import asyncio
import logging
from functools import partial
from typing import Any

import redis.asyncio
from msgspec import Raw

from cloister.events import MAX_VALUE_BYTES
from cloister.link import LARGE_BYTES, Command, Link
from cloister.mailbox import REPLY_TTL_S, push_command
from cloister.messages import (
    CHUNK_BYTES,
    STREAM_WINDOW_BYTES,
    Chunk,
    End,
    Failure,
    Frame,
    Head,
    Headers,
    Reply,
    Returned,
    decode_frame,
    encode,
)
from cloister.outcomes import Outcome
from executor.work import Ended

log = logging.getLogger(__name__)

WHOLE_BYTES = CHUNK_BYTES
"""Longest body that travels with its head."""


class Undeliverable(Exception):
    """Nobody takes this response: it was given up, or a part of it was lost on the way."""


class Replies:
    """Writes frames, in order for each id, to reply lists. One for each executor."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._link = Link(client)
        self._pending: dict[str, list[tuple[str, bytes]]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._open: set[str] = set()
        self._lost: set[str] = set()
        self._in_line: list[asyncio.Future[None]] = []

    def send(self, reply_to: str, frame: Reply) -> None:
        """Send a frame, or queue it.

        Raises:
            Undeliverable: an earlier frame of this id was lost; a response with a hole in it
                must not look whole.
        """
        if frame.id in self._lost and not isinstance(frame, Failure):
            raise Undeliverable
        self._pending.setdefault(reply_to, []).append((frame.id, encode(frame)))
        if self._idle.is_set():
            self._idle.clear()
            if len(self._open) > 1:
                asyncio.get_running_loop().call_soon(self._write)
            else:
                self._write()

    async def room(self, reply_to: str, id_: str) -> None:
        """Wait until no frame of this id waits to be written. What comes meanwhile goes as one."""
        while any(id_ == each for each, _ in self._pending.get(reply_to, ())):
            self._in_line.append(asyncio.get_running_loop().create_future())
            await self._in_line[-1]

    def begin(self, id_: str) -> None:
        """This id is going to send several frames: remember if one is lost."""
        self._open.add(id_)

    def forget(self, id_: str) -> None:
        """This id sends nothing any more."""
        self._open.discard(id_)
        self._lost.discard(id_)

    async def drain(self) -> None:
        """Wait until everything queued is written."""
        await self._idle.wait()

    async def close(self) -> None:
        """Write what is queued, then stop."""
        await self.drain()
        await self._link.close()

    def _write(self) -> None:
        batch, self._pending = self._pending, {}
        commands: list[Command] = []
        for reply_to, frames in batch.items():
            if later := _held_back(frames):
                self._pending[reply_to] = later
            commands.append(push_command(reply_to, REPLY_TTL_S, *[data for _, data in frames]))
        self._link.send(commands, partial(self._written, batch))
        in_line, self._in_line = self._in_line, []
        for waiter in in_line:
            if not waiter.done():
                waiter.set_result(None)

    def _written(self, batch: dict[str, list[tuple[str, bytes]]], replies: list[Any]) -> None:
        for frames, pushed in zip(batch.values(), replies, strict=True):
            if isinstance(pushed, Exception):
                # Not tried again: the server may have done it, and frames must not come twice.
                log.warning("%d response frames were lost: %s", len(frames), pushed)
                self._lose({id_ for id_, _ in frames})
        if self._pending:
            self._write()
        else:
            self._idle.set()

    def _lose(self, ids: set[str]) -> None:
        """Of these ids a frame is lost: of what waits to be written, nothing but a failure goes on.
        Whoever sent it may be over, and would not hear of the loss."""
        self._lost |= ids & self._open
        for reply_to, frames in self._pending.items():
            self._pending[reply_to] = [frame for frame in frames if frame[0] not in ids] + [
                (id_, _failure(id_, waiting))
                for id_ in sorted(ids)
                if (waiting := [data for one, data in frames if one == id_])
            ]


def _failure(id_: str, waiting: list[bytes]) -> bytes:
    """The failure that waits, or that of a response which has lost a frame."""
    if isinstance(decode_frame(waiting[-1]), Failure):
        return waiting[-1]
    return encode(Failure(id=id_, outcome=Outcome.INTERNAL))


def _held_back(frames: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Take out what does not leave at once: of large frames all but one, which is then the last,
    and what follows those of the same ids. Valkey, and we, would else move megabytes about for a
    single command; small answers need not wait for that."""
    if not any(len(data) >= LARGE_BYTES for _, data in frames):
        return []
    now: list[tuple[str, bytes]] = []
    large: list[tuple[str, bytes]] = []
    later: list[tuple[str, bytes]] = []
    behind: set[str] = set()
    for frame in frames:
        id_, data = frame
        if id_ not in behind and len(data) < LARGE_BYTES:
            now.append(frame)
            continue
        (later if large else large).append(frame)
        behind.add(id_)
    frames[:] = now + large
    return later


class ReplySink:
    """One invocation's response, sent to whoever asked; with an empty ``reply_to`` to nobody."""

    def __init__(self, replies: Replies, reply_to: str, id_: str, executor_id: str) -> None:
        self._replies = replies
        self._reply_to = reply_to
        self._id = id_
        self._executor_id = executor_id
        self._window_bytes = STREAM_WINDOW_BYTES
        self._aborted = False
        self._renewed: asyncio.Event | None = None

    @property
    def is_full(self) -> bool:
        """Whether the next bytes have to wait for credit."""
        return self._window_bytes <= 0 and not self._aborted

    async def head(self, status: int, headers: Headers, body: bytes, *, end: bool) -> None:
        """Send status and headers, and what there is of the body."""
        if end and len(body) <= WHOLE_BYTES:
            self.whole(status, headers, body)
            return
        self._send(Head(id=self._id, status=status, headers=headers, executor=self._executor_id))
        if body:
            await self.chunk(body)
        if end:
            await self.end()

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole response, of at most :data:`WHOLE_BYTES`."""
        self._send(
            Head(
                id=self._id,
                status=status,
                headers=headers,
                executor=self._executor_id,
                body=body,
                end=True,
            )
        )

    async def chunk(self, data: bytes) -> None:
        """Send more of the body, once there is credit."""
        for start in range(0, len(data), CHUNK_BYTES):
            await self._replies.room(self._reply_to, self._id)
            await self.wait_for_credit()
            piece = data[start : start + CHUNK_BYTES]
            self._window_bytes -= len(piece)
            self._send(Chunk(id=self._id, data=piece))

    async def end(self) -> None:
        """The body is complete."""
        self._send(End(id=self._id))

    async def returned(self, value: Raw) -> None:
        """Send what is told of an event.

        Raises:
            Ended: it is more than an event's answer ever is.
        """
        if len(value) > MAX_VALUE_BYTES:
            raise Ended(Outcome.EXCEEDED_RESPONSE)
        self._send(Returned(id=self._id, value=bytes(value)))

    async def fail(self, ended: Ended) -> None:
        """There is no (whole) response."""
        self._send(Failure(id=self._id, outcome=ended.outcome, message=ended.told))

    async def wait_for_credit(self) -> None:
        """Return once bytes may be sent.

        Raises:
            Undeliverable: the response was aborted meanwhile.
        """
        while self.is_full:
            self._renewed = asyncio.Event()
            await self._renewed.wait()
        if self._aborted:
            raise Undeliverable

    def credit(self, granted_bytes: int) -> None:
        """The dispatcher takes so many bytes more."""
        self._window_bytes += granted_bytes
        self._wake()

    def abort(self) -> None:
        """Wake whoever waits for credit; no more of the body will be sent."""
        self._aborted = True
        self._wake()

    def _wake(self) -> None:
        if self._renewed is not None:
            self._renewed.set()

    def _send(self, frame: Frame | Returned) -> None:
        if self._reply_to:
            self._replies.send(self._reply_to, frame)
