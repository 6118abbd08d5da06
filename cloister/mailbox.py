"""Replies: one list a process in Valkey, one reader, and an inbox for each id that waits.

Senders use :func:`push` or :func:`push_command`: the list goes away by itself when its reader is
gone.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import msgspec
import redis
import redis.asyncio

from cloister.databases import DatabaseAnswer
from cloister.link import Command, Link
from cloister.messages import CompileAnswer, End, Failure, Reply, decode_frame, reply_list

log = logging.getLogger(__name__)

Answer = TypeVar("Answer", CompileAnswer, DatabaseAnswer)

REPLY_TTL_S = 120
"""A reply list lives so long after the last frame was pushed on it."""

FRAMES_A_POP = 128
BLOCK_S = 5.0
RECONNECT_S = 0.1


_PUSH = """\
redis.set_repl(redis.REPL_NONE)
local length
for i = 2, #ARGV do length = redis.call('RPUSH', KEYS[1], ARGV[i]) end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return length"""
"""What is on its way is worth nothing after a restart: it goes to no append-only file, for which
Valkey would write all bodies to disk, and to no replica."""


def push_command(key: str, ttl_s: int, *pieces: bytes) -> Command:
    """The command that appends to a list which lives so long from then on; its length answers."""
    return ("EVAL", _PUSH, 1, key, ttl_s, *pieces)


async def push(client: redis.asyncio.Redis, reply_to: str, frames: Iterable[bytes]) -> None:
    """Send encoded frames, in order, to whoever reads the list ``reply_to``."""
    command = push_command(reply_to, REPLY_TTL_S, *frames)
    await client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis has few types


async def stop(task: asyncio.Task[None]) -> None:
    """Cancel ``task`` and wait for its end.

    Repeated, because redis-py sends through ``asyncio.wait_for``, which before Python 3.12 loses a
    cancellation that arrives together with its result.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)


class Inbox:
    """The frames of one id, in the order sent. ``heard_at`` is when the last one came."""

    def __init__(self) -> None:
        self.heard_at = time.monotonic()
        self._frames: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None

    @property
    def has_frames(self) -> bool:
        """Whether there is a frame to take at once."""
        return bool(self._frames)

    @property
    def has_end(self) -> bool:
        """Whether the last frame is here, though not taken yet."""
        return bool(self._frames) and isinstance(self._frames[-1], End | Failure)

    async def get(self) -> Reply:
        """The next frame; waits as long as it takes (use ``asyncio.timeout``). One reader only."""
        while not self._frames:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._frames.popleft()

    def put(self, frame: Reply) -> None:
        """Hand over a frame; wakes the reader."""
        self._frames.append(frame)
        self.heard_at = time.monotonic()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Mailbox:
    """Reads ``reply_list(process_id)`` from :meth:`start` to :meth:`close`, many frames a pop.

    Frames of ids that nobody expects are dropped: their client has gone. After a lost connection
    it goes on; what the server lost stays lost and its reader meets its own deadline.
    """

    def __init__(self, client: redis.asyncio.Redis, process_id: str) -> None:
        self.reply_to = reply_list(process_id)
        self._redis = client
        self._link = Link(client)
        self._pop = ("BLMPOP", BLOCK_S, 1, self.reply_to, "LEFT", "COUNT", FRAMES_A_POP)
        self._inboxes: dict[str, Inbox] = {}
        self._is_reading = False

    async def start(self) -> None:
        """Begin reading."""
        self._is_reading = True
        self._read()

    async def close(self) -> None:
        """Stop reading and drop the list."""
        self._is_reading = False
        await self._link.close()
        with contextlib.suppress(redis.RedisError):
            await self._redis.delete(self.reply_to)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def open(self, answer_id: str) -> Inbox:
        """An inbox for the frames of ``answer_id``; open it before the question is sent."""
        inbox = self._inboxes[answer_id] = Inbox()
        return inbox

    def shut(self, answer_id: str) -> None:
        """Expect no more frames of ``answer_id``. Harmless when called again."""
        self._inboxes.pop(answer_id, None)

    @contextlib.contextmanager
    def expect(self, answer_id: str) -> Iterator[Inbox]:
        """An inbox for the length of a ``with`` block."""
        try:
            yield self.open(answer_id)
        finally:
            self.shut(answer_id)

    def _read(self) -> None:
        if self._is_reading:
            self._link.send([self._pop], self._popped)

    def _popped(self, replies: list[Any]) -> None:
        (popped,) = replies
        if not isinstance(popped, Exception):
            self._read()
            for data in popped[1] if popped else ():
                self._deliver(data)
        elif self._is_reading:
            log.warning("cannot read the reply list (%s); trying again", popped)
            asyncio.get_running_loop().call_later(RECONNECT_S, self._read)

    def _deliver(self, data: bytes) -> None:
        try:
            frame = decode_frame(data)
        except msgspec.DecodeError:
            log.exception("dropped a reply that does not decode")
            return
        inbox = self._inboxes.get(frame.id)
        if inbox is not None:
            inbox.put(frame)


def wait_for_answer(
    client: redis.Redis, reply_to: str, answer_id: str, *, timeout_s: float
) -> CompileAnswer:
    """Block until the compile answer ``answer_id`` arrives on the list ``reply_to``.

    For synchronous callers, which use a list for each question: ``reply_list(job.id)``.

    Raises:
        TimeoutError: none came within ``timeout_s``.
    """
    return wait_for(CompileAnswer, client, reply_to, answer_id, timeout_s=timeout_s)


def wait_for(
    kind: type[Answer], client: redis.Redis, reply_to: str, answer_id: str, *, timeout_s: float
) -> Answer:
    """The same for an answer of any kind. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while (left := deadline - time.monotonic()) > 0:
        popped = client.blpop([reply_to], timeout=max(0.01, min(left, BLOCK_S)))
        if popped is None:
            continue
        answer = decode_frame(cast("list[bytes]", popped)[1])
        if isinstance(answer, kind) and answer.id == answer_id:
            return answer
    raise TimeoutError(f"no answer to {answer_id} within {timeout_s:g} s")
