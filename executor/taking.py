"""How messages are taken: several of a queue in one round trip, and no more than find a place."""

import logging
import time
from collections.abc import Callable
from queue import Empty
from typing import Any

import msgspec

from executor.backlog import Backlog

log = logging.getLogger(__name__)

MESSAGES = 4
"""Taken at once, at most: the other executors want some."""

MESSAGE_PLACES = 32
"""A message may bring so many invocations."""

_envelope = msgspec.json.Decoder().decode


class Taker:
    """Stands in for the BRPOP of a kombu Redis channel, which takes one message.

    Without priorities a queue is one list. What is used of the channel is internal to kombu 5.7, to
    which ``pyproject.toml`` holds us. When it has an answer it asks again by itself, but has the
    loop begin first with what came.
    """

    def __init__(
        self, channel: Any, backlog: Backlog, call_soon: Callable[[Callable[[], None]], object]
    ) -> None:
        self._channel = channel
        self._call_soon = call_soon
        self._backlog = backlog
        channel.qos.can_consume = backlog.has_room
        channel._brpop_start = self._start
        channel._brpop_read = channel.handlers["BRPOP"] = self._read

    def _start(self) -> None:
        """Ask for messages of the queues that are open, the one served last coming last."""
        channel = self._channel
        queues = channel._queue_cycle.consume(len(channel._active_queues))
        keys = [queue for queue in queues if self._backlog.is_open(queue)]
        if not keys:
            return
        channel._in_poll = connection = channel.client.connection
        channel._brpop_sent_at = time.monotonic()
        count = max(1, min(MESSAGES, self._backlog.free // MESSAGE_PLACES))
        pop = ("BLMPOP", channel.brpop_timeout, len(keys), *keys, "RIGHT", "COUNT", count)
        connection.send_command(*pop)

    def _read(self) -> bool:
        """Deliver what came.

        Raises:
            Empty: nothing did in time.
        """
        channel = self._channel
        try:
            taken = channel.client.connection.read_response()
        except channel.connection_errors:
            channel.client.connection.disconnect()  # the next one connects again
            raise
        finally:
            channel._in_poll = None
        if not taken:
            self._ask_again()  # kombu does so only when its hub wakes, up to a second later
            raise Empty
        queue = taken[0].decode()
        channel._queue_cycle.rotate(queue)
        for data in taken[1]:
            self._deliver(data, queue)
        self._ask_again()
        return True

    def _ask_again(self) -> None:
        if not self._channel._closing:
            self._call_soon(self._go_on)

    def _go_on(self) -> None:
        channel = self._channel
        if not channel._in_poll and not channel._closing and self._backlog.has_room():
            self._start()

    def _deliver(self, data: bytes, queue: str) -> None:
        try:
            message = _envelope(data)
        except msgspec.MsgspecError as exc:
            log.error("dropped what is no message: %s", exc)  # noqa: TRY400 - no trace
        else:
            self._channel.connection._deliver(message, queue)
