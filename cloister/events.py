"""What a worker can be invoked for beside requests: the shape of each event, by its handler.

An :class:`~cloister.messages.Invocation` carries an event as msgpack (:func:`encode`). Who makes an
event and who reads it agree on the struct here; an isolate imports no more of the house than that.
"""

import msgspec

SCHEDULED = "scheduled"
TAIL = "tail"
QUEUE = "queue"

MAX_EVENT_BYTES = 1024 * 1024
"""Longest event."""

MAX_VALUE_BYTES = 256 * 1024
"""Longest answer to one, as msgpack."""

encode = msgspec.msgpack.Encoder().encode


class Scheduled(msgspec.Struct, frozen=True, kw_only=True):
    """The event of ``scheduled()``: a cron trigger fires.

    ``cron`` is the expression as configured, ``scheduled_time`` the time that it stands for, in
    epoch milliseconds.
    """

    cron: str
    scheduled_time: int


class Tailed(msgspec.Struct, frozen=True):
    """The event of ``tail()``: records of other workers, each a map of plain values."""

    items: list[msgspec.Raw]


class QueueMessage(msgspec.Struct, frozen=True, array_like=True):
    """A message. ``timestamp`` is when it was sent, in epoch milliseconds."""

    id: str
    timestamp: int
    attempts: int
    content_type: str
    body: bytes


class QueueBatch(msgspec.Struct, frozen=True, kw_only=True):
    """The event of ``queue()``. Answered by a :class:`QueueVerdict`."""

    queue: str
    messages: list[QueueMessage]


class QueueVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the messages of a batch, by their ids. Those that are not named are wanted
    again, as are those of ``retries``, in so many seconds."""

    acks: list[str] = []
    retries: dict[str, int | None] = {}
