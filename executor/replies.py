"""Response frames on their way to the dispatcher that waits.

The frame of a lone response leaves at once. Those of several leave together with what comes up in
the same turn of the loop, or while a write is in flight: idle means no delay, load shares the round
trip. A streamed response spends credit, which the dispatcher renews as its client takes the bytes.
"""

import asyncio
import logging
from functools import partial
from typing import Any

import redis.asyncio

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
            count = _fitting(frames)
            if count < len(frames):
                self._pending[reply_to] = frames[count:]
                del frames[count:]
            commands.append(push_command(reply_to, REPLY_TTL_S, *[data for _, data in frames]))
        self._link.send(commands, partial(self._written, batch))

    def _written(self, batch: dict[str, list[tuple[str, bytes]]], replies: list[Any]) -> None:
        for frames, pushed in zip(batch.values(), replies, strict=True):
            if isinstance(pushed, Exception):
                # Not tried again: the server may have done it, and frames must not come twice.
                log.warning("%d response frames were lost: %s", len(frames), pushed)
                self._lost.update(id_ for id_, _ in frames if id_ in self._open)
        if self._pending:
            self._write()
        else:
            self._idle.set()


def _fitting(frames: list[tuple[str, bytes]]) -> int:
    """How many leave at once: all, but of large ones one, with what is before it. Valkey, and we,
    would else move megabytes about for a single command."""
    for count, (_, data) in enumerate(frames, 1):
        if len(data) >= LARGE_BYTES:
            return count
    return len(frames)


class ReplySink:
    """One invocation's response, sent to its dispatcher."""

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
            await self.wait_for_credit()
            piece = data[start : start + CHUNK_BYTES]
            self._window_bytes -= len(piece)
            self._send(Chunk(id=self._id, data=piece))

    async def end(self) -> None:
        """The body is complete."""
        self._send(End(id=self._id))

    async def returned(self, value: Any) -> None:
        """A dispatcher asks for responses only."""
        raise Ended(Outcome.INTERNAL, f"a message got {type(value).__name__}, not a response")

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

    def _send(self, frame: Frame) -> None:
        self._replies.send(self._reply_to, frame)
