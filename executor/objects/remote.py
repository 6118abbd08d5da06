"""Calls of objects that another executor runs: on its list, and the answer on ours."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import redis.asyncio
from msgspec import Raw
from redis.exceptions import RedisError

from cloister.link import Link
from cloister.mailbox import Inbox, Mailbox, push_command
from cloister.messages import (
    CHUNK_BYTES,
    Cancel,
    Chunk,
    Credit,
    End,
    Failure,
    Head,
    Invocation,
    Reply,
    Returned,
    body_list,
    encode,
    executor_channel,
)
from cloister.outcomes import Outcome
from executor.objects.lease import executor_of
from executor.streams import Readable
from executor.work import Ended, Sink

log = logging.getLogger(__name__)

BLOCK_S = 5.0
CALLS_A_POP = 8
RECONNECT_S = 0.1
CALL_TTL_S = 120
"""A list of calls that nobody reads goes away by itself."""

LOOK_S = 1.0
"""So long without a word, and it is looked whether the executor is still there."""

LAST_WORDS_S = 0.5
"""What an executor has sent before it was gone is here by then."""

PIECES_AHEAD = 8
"""Of a request's body, beyond what was read."""
PIECE_WAIT_S = 0.005

LOST = "The Durable Object was lost amid the call: nobody knows what became of it."

_call = msgspec.msgpack.Decoder(Invocation)


class Remote:
    """Takes calls that others send, and sends ours. Lives in one event loop."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        executor_id: str,
        take: Callable[[Invocation], None],
        is_alive: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._client = client
        self._take = take
        self._is_alive = is_alive
        self._list = _calls(executor_id)
        self._link = Link(client)
        self._out = Link(client)
        self._pop = ("BLMPOP", BLOCK_S, 1, self._list, "RIGHT", "COUNT", CALLS_A_POP)
        self._mailbox = Mailbox(client, f"objects:{executor_id}")
        self._is_listening = False
        self._is_reading = False

    def listen(self) -> None:
        """Take calls, from now on."""
        if not self._is_listening:
            self._is_listening = True
            self._read()

    async def close(self) -> None:
        """Take no more, and wait for nothing."""
        self._is_listening = False
        await self._link.close()
        await self._out.close()
        if self._is_reading:
            await self._mailbox.close()

    def _read(self) -> None:
        if self._is_listening:
            self._link.send([self._pop], self._popped)

    def _popped(self, replies: list[object]) -> None:
        (popped,) = replies
        if isinstance(popped, Exception):
            if self._is_listening:
                log.warning("calls of objects are not received (%s); trying again", popped)
                asyncio.get_running_loop().call_later(RECONNECT_S, self._read)
            return
        self._read()
        for data in popped[1] if isinstance(popped, list) else ():
            try:
                self._take(_call.decode(data))
            except msgspec.MsgspecError as exc:
                log.error("dropped a call that is none: %s", exc)  # noqa: TRY400 - no trace

    async def send(
        self, owner: str, invocation: Invocation, sink: Sink, body: Readable | None
    ) -> bool:
        """Have another executor do it; False if that is gone, and has not begun.

        Raises:
            Ended: it is gone, and nobody knows what it has done.
            RedisError: Valkey is away.
        """
        if not self._is_reading:
            self._is_reading = True
            await self._mailbox.start()
        call = msgspec.structs.replace(invocation, reply_to=self._mailbox.reply_to)
        data = encode(call)
        key = _calls(executor_of(owner))
        pump = None if body is None else asyncio.create_task(self._pump(call, body))
        with self._mailbox.expect(call.id) as inbox:
            try:
                await self._push(key, data)
                return await self._receive(owner, call, data, inbox, sink)
            except asyncio.CancelledError:
                await self._tell(owner, Cancel(id=call.id))
                raise
            finally:
                if pump is not None:
                    pump.cancel()
                    await asyncio.gather(pump, return_exceptions=True)

    async def _push(self, key: str, data: bytes) -> None:
        """On one connection, so that calls arrive in their order. Raises RedisError."""
        pushed: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()
        commands = ("LPUSH", key, data), ("EXPIRE", key, CALL_TTL_S)
        self._out.send(commands, partial(_settle, pushed))
        for reply in await pushed:
            if isinstance(reply, Exception):
                raise reply

    async def _receive(
        self, owner: str, call: Invocation, data: bytes, inbox: Inbox, sink: Sink
    ) -> bool:
        is_begun = False
        while True:
            frame = await self._next(owner, inbox)
            if frame is None:
                # A body that was sent along cannot be sent again.
                if (
                    not is_begun
                    and not call.body_is_streamed
                    and await self._take_back(owner, data)
                ):
                    return False
                raise Ended(Outcome.INTERNAL, LOST, "Error")
            is_begun = True
            if await self._pass_on(owner, call.id, frame, sink):
                return True

    async def _take_back(self, owner: str, data: bytes) -> bool:
        """Whether a call is still on the list, where nobody takes it any more."""
        key = _calls(executor_of(owner))
        return bool(await self._client.lrem(key, 1, data))  # type: ignore[arg-type]  # bytes are as good

    async def _next(self, owner: str, inbox: Inbox) -> Reply | None:
        """The next frame; None if none will come."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    return await inbox.get()
            with contextlib.suppress(RedisError):
                if not await self._is_alive(owner):
                    break
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                return await inbox.get()
        return None

    async def _pass_on(self, owner: str, id_: str, frame: Reply, sink: Sink) -> bool:
        """Whether it was the last."""
        match frame:
            case Head():
                await sink.head(frame.status, frame.headers, frame.body, end=frame.end)
                return frame.end
            case Chunk(data=data):
                await sink.chunk(data)
                await self._tell(owner, Credit(id=id_, bytes=len(data)))
                return False
            case End():
                await sink.end()
            case Returned(value=value):
                await sink.returned(Raw(value))
            case Failure():
                name, colon, message = frame.message.partition(": ")
                if not colon:
                    name, message = "", frame.message
                await sink.fail(Ended(frame.outcome, message, name))
        return True

    async def _tell(self, owner: str, note: Cancel | Credit) -> None:
        with contextlib.suppress(RedisError, OSError):
            await self._client.publish(executor_channel(executor_of(owner)), encode(note))

    async def _pump(self, call: Invocation, body: Readable) -> None:
        """Send a request's body beside the call, no faster than it is read."""
        key = body_list(call.id)
        ttl_s = int(max(call.deadline - time.time(), 0)) + CALL_TTL_S
        data = b"-"
        while data:
            data = await body.read()
            for start in range(0, max(len(data), 1), CHUNK_BYTES):
                command = push_command(key, ttl_s, data[start : start + CHUNK_BYTES])
                await self._client.execute_command(*command)  # type: ignore[no-untyped-call]
            while await self._client.llen(key) > PIECES_AHEAD:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(PIECE_WAIT_S)


def _settle(pushed: "asyncio.Future[list[object]]", replies: list[object]) -> None:
    """Hand over what came, unless who waited was cancelled."""
    if not pushed.done():
        pushed.set_result(replies)


def _calls(executor_id: str) -> str:
    return f"objects:{executor_id}"
