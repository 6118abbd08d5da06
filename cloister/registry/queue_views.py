"""What the registry tells of queues: frozen values, and the bounds on them.

Times are epoch milliseconds, unless a name says seconds.
"""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

QUEUE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
QUEUES = 10_000
"""Of one account."""

DELAY_S = 24 * 3_600
RETENTION_S = 14 * 24 * 3_600
SHORTEST_RETENTION_S = 60
DEFAULT_RETENTION_S = 4 * 24 * 3_600

MESSAGE_BYTES = 128_000
SENT_MESSAGES = 100
SENT_BYTES = 256_000
"""Of all messages that are sent at once."""

BATCH_MESSAGES = 100
BATCH_BYTES = 256_000
"""Of all messages of a delivery, unless one alone is larger."""

BACKLOG_BYTES = 25_000_000_000
BACKLOG_MESSAGES = 25_000_000
"""Of one queue. Messages take room without any body, too."""

RETRIES = 100
WAIT_MS = 60_000
CONCURRENCY = 250
VISIBILITY_MS = 12 * 3_600_000

ContentType = Literal["text", "bytes", "json", "v8"]

Delay = Annotated[int, Meta(ge=0, le=DELAY_S)]


class QueueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a queue treats its messages."""

    delay_s: Delay = 0
    paused: bool = False
    retention_s: Annotated[int, Meta(ge=SHORTEST_RETENTION_S, le=RETENTION_S)] = DEFAULT_RETENTION_S


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """A queue."""

    id: str
    account_id: str
    name: str
    settings: QueueSettings
    purged_at: int | None
    created_at: int
    modified_at: int


class ConsumerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How messages are taken. ``max_concurrency`` None is as many as may be."""

    batch_size: Annotated[int, Meta(ge=1, le=BATCH_MESSAGES)] = 10
    max_wait_ms: Annotated[int, Meta(ge=0, le=WAIT_MS)] = 5_000
    max_retries: Annotated[int, Meta(ge=0, le=RETRIES)] = 3
    max_concurrency: Annotated[int, Meta(ge=1, le=CONCURRENCY)] | None = None
    retry_delay_s: Delay = 0
    visibility_ms: Annotated[int, Meta(ge=1_000, le=VISIBILITY_MS)] = 30_000


class NewConsumer(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer to be. ``script_id`` None pulls over HTTP."""

    script_id: str | None
    dead_letter_queue: str | None
    settings: ConsumerSettings


class ConsumerView(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer. ``namespace`` and ``script`` are of the worker, if one is called."""

    id: str
    queue_id: str
    queue_name: str
    namespace: str | None
    script: str | None
    dead_letter_queue: str | None
    settings: ConsumerSettings
    created_at: int


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message to send. ``delay_s`` None is the queue's."""

    body: bytes
    content_type: ContentType
    delay_s: int | None = None


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A message. ``lease`` answers for it where it is taken; ``reference`` names it where it is
    only looked at."""

    id: str
    body: bytes
    content_type: ContentType
    sent_at: int
    attempts: int
    lease: str = ""
    reference: str = ""


class QueueMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a queue. ``oldest_at`` is 0 where nothing is."""

    count: int
    size_bytes: int
    oldest_at: int


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """Messages are stored. ``deliver_at`` says when the queue is to be looked at."""

    queue_id: str
    metrics: QueueMetrics
    deliver_at: int | None


class Retry(msgspec.Struct, frozen=True):
    """Wanted again. ``delay_s`` None is the consumer's."""

    delay_s: int | None = None


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of leases. ``stale`` are those that answer for nothing any more."""

    acked: int
    retried: int
    stale: list[str]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """Messages to be given to a worker."""

    id: str
    queue_id: str
    queue_name: str
    namespace: str
    script: str
    messages: list[MessageView]
