"""One connection to Valkey for the hot path: no task, timer or pool is touched for a command.

redis-py makes the connection, so that URL forms, TLS, authentication and databases are its own;
then its socket is driven from here, by callbacks.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, cast

import hiredis
import redis
import redis.asyncio

from cloister.broker import SOCKET_TIMEOUT_S

SEND_BYTES = 208 * 1024
"""What the kernel holds for the server. It doubles that: a whole piece of a body fits."""

Command = tuple[str | bytes | int | float, ...]
Done = Callable[[list[Any]], None]
"""Gets one reply a command, in order; an exception in the place of each that failed."""

_NOTHING = object()

LARGE_BYTES = 16 * 1024
"""A last argument from this size on is not copied into its command."""


class Link(asyncio.Protocol):
    """Sends commands in the order given; connects when there is something to send.

    Nothing is sent twice: what was under way when a connection broke has failed. It breaks too when
    the server owes an answer for :data:`SOCKET_TIMEOUT_S`. For one event loop.
    """

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._pool = client.connection_pool
        self._connection: redis.asyncio.Connection | None = None
        self._transport: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._unsent: deque[bytes] = deque()
        self._waiting: deque[tuple[int, Done, float]] = deque()
        self._reader: hiredis.Reader
        self._replies: list[Any] = []
        self._watch: asyncio.TimerHandle | None = None

    def send(self, commands: Sequence[Command], done: Done) -> None:
        """Send at least one command; ``done`` is called later, once."""
        loop = asyncio.get_running_loop()
        self._waiting.append((len(commands), done, loop.time()))
        data = b"".join(chain.from_iterable(map(_packed, commands)))
        if self._transport is not None:
            self._transport.write(data)
            return
        self._unsent.append(data)
        if self._opening is None:
            self._opening = loop.create_task(self._open(), name="link")

    async def close(self) -> None:
        """Break the connection; what is under way fails."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        self.connection_lost(None)
        await self._disconnect()

    async def _open(self) -> None:
        try:
            await self._disconnect()
            connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
            self._connection = connection
            await connection.connect()
        except (redis.RedisError, OSError) as exc:
            self._opening = None
            self._fail(exc)
        else:
            self._opening = None
            self._take_over(connection)

    def _take_over(self, connection: redis.asyncio.Connection) -> None:
        writer = cast("asyncio.StreamWriter", connection._writer)
        self._transport = cast("asyncio.Transport", writer.transport)
        if self._transport.is_closing():
            self.connection_lost(None)
            return
        self._transport.set_protocol(self)
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        self._reader = hiredis.Reader(replyError=redis.ResponseError, notEnoughData=_NOTHING)
        self._transport.writelines(self._unsent)
        self._unsent.clear()
        self._look_at_the_time()

    async def _disconnect(self) -> None:
        """Have redis-py let go of a connection that is not used any more."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.disconnect(nowait=True)

    def _look_at_the_time(self) -> None:
        loop = asyncio.get_running_loop()
        if self._waiting and loop.time() - self._waiting[0][2] > SOCKET_TIMEOUT_S:
            self._break()
        else:
            self._watch = loop.call_later(SOCKET_TIMEOUT_S / 8, self._look_at_the_time)

    def _break(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        reader = self._reader
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _NOTHING:
                if not isinstance(reply, hiredis.PushNotification):
                    self._take(reply)
        except hiredis.ProtocolError:
            self._break()

    def _take(self, reply: Any) -> None:
        replies = self._replies
        replies.append(reply)
        count, done, _ = self._waiting[0]
        if len(replies) == count:
            self._waiting.popleft()
            self._replies = []
            done(replies)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._transport = None
        if self._watch is not None:
            self._watch.cancel()
        self._fail(redis.ConnectionError(str(exc or "the connection was closed")))

    def _fail(self, error: Exception) -> None:
        """Nothing comes any more. What the callbacks send is for the next connection."""
        waiting, self._waiting = self._waiting, deque()
        self._replies = []
        self._unsent.clear()
        for count, done, _ in waiting:
            done([error] * count)


def _packed(command: Command) -> list[bytes]:
    """The bytes of a command, in parts."""
    last = command[-1]
    if not isinstance(last, bytes) or len(last) < LARGE_BYTES:
        return [hiredis.pack_command(command)]  # type: ignore[arg-type]  # any length
    before = [each if isinstance(each, bytes) else str(each).encode() for each in command[:-1]]
    head = [b"$%d\r\n%b\r\n" % (len(each), each) for each in before]
    return [b"*%d\r\n" % len(command), *head, b"$%d\r\n" % len(last), last, b"\r\n"]
