"""What is in queues, over REST: sent, pulled, answered for, looked at, purged."""

import base64
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint, Response
from msgspec import UNSET, Meta, UnsetType

from cloister.registry.queue_messages import by_id
from cloister.registry.queue_sending import BacklogFull
from cloister.registry.queue_views import (
    BATCH_MESSAGES,
    DELAY_S,
    SENT_MESSAGES,
    VISIBILITY_MS,
    MessageView,
    NewMessage,
    QueueMetrics,
    QueueView,
    Retry,
)
from control import auth, bodies, envelope
from control.errors import (
    CONSUMER_INVALID,
    MALFORMED_PARAMETER,
    QUEUE_LIMIT,
    QUEUE_NOT_FOUND,
    Refused,
    translated,
)
from control.house import house
from control.operation import operation
from control.queues import ONE, Queue, mine, shown, wake

blueprint = Blueprint("queue_messages", __name__)

MESSAGES = f"{ONE}/messages"
PURGE = f"{ONE}/purge"

LEASES = 1_000
"""That one request answers for."""

Delay = Annotated[int, Meta(ge=0, le=DELAY_S)]
BatchSize = Annotated[int, Meta(ge=1, le=BATCH_MESSAGES)]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message to send. The body of a text is a string, of JSON anything."""

    body: Any
    content_type: Literal["json", "text"] = "json"
    delay_seconds: Delay | None = None


class Messages(msgspec.Struct, frozen=True, kw_only=True):
    """Messages to send together."""

    messages: Annotated[list[Message], Meta(min_length=1, max_length=SENT_MESSAGES)]
    delay_seconds: Delay | None = None


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a queue, by now."""

    backlog_count: int
    backlog_bytes: int
    oldest_message_timestamp_ms: int


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What goes with an answer."""

    metrics: Metrics


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """Messages are stored."""

    metadata: Metadata


class Pull(msgspec.Struct, frozen=True, kw_only=True):
    """How much to take, and for how long."""

    batch_size: BatchSize | None = None
    visibility_timeout_ms: Annotated[int, Meta(ge=1_000, le=VISIBILITY_MS)] | None = None


class Shown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message. Its body is Base64 unless it is text. ``lease_id`` is there where it was pulled,
    ``ref`` where it was only looked at."""

    id: str
    body: str
    attempts: int
    timestamp_ms: int
    metadata: dict[str, str]
    lease_id: str | UnsetType = UNSET
    ref: str | UnsetType = UNSET


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """Messages taken, and what is in the queue, those included."""

    messages: list[Shown]
    message_backlog_count: int
    metadata: Metadata


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was handled."""

    lease_id: str


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is wanted again."""

    lease_id: str
    delay_seconds: Delay | None = None


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What became of messages that were pulled."""

    acks: Annotated[list[Lease], Meta(max_length=LEASES)] = []
    retries: Annotated[list[Again], Meta(max_length=LEASES)] = []


class Answered(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``warnings`` are by lease."""

    ack_count: int
    retry_count: int
    warnings: dict[str, str]


class Peek(msgspec.Struct, frozen=True, kw_only=True):
    """How many to look at."""

    batch_size: BatchSize = 10


class Peeked(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that were looked at."""

    messages: list[Shown]


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was looked at."""

    ref: str


class References(msgspec.Struct, frozen=True, kw_only=True):
    """Some."""

    refs: Annotated[list[Reference], Meta(max_length=LEASES)]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong."""

    message: str


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """``warnings`` are by reference: those that name nothing (any more)."""

    errors: list[Fault]
    warnings: dict[str, str]


class PurgeWanted(msgspec.Struct, frozen=True, kw_only=True):
    """That it is meant."""

    delete_messages_permanently: bool = False


class PurgeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Of the last purge; nulls where there was none. It is over when it is answered."""

    started_at: envelope.Time | None
    completed: str | None


@blueprint.get(f"{ONE}/metrics")
@operation(Metrics)
def metrics(account_id: str, queue_id: str) -> Response:
    """What is in a queue."""
    return envelope.success(_metrics(mine(account_id, queue_id)))


@blueprint.post(MESSAGES)
@operation(Pushed, body=bodies.Json(Message))
def push(account_id: str, queue_id: str, body: bodies.Body[Message]) -> Response:
    """Send a message."""
    mine(account_id, queue_id)
    return _send(account_id, queue_id, [_message(body(), None, "")])


@blueprint.post(f"{MESSAGES}/batch")
@operation(Pushed, body=bodies.Json(Messages))
def push_many(account_id: str, queue_id: str, body: bodies.Body[Messages]) -> Response:
    """Send messages, all or none."""
    mine(account_id, queue_id)
    said = body()
    return _send(
        account_id,
        queue_id,
        [
            _message(each, said.delay_seconds, f"/messages/{place}")
            for place, each in enumerate(said.messages)
        ],
    )


@blueprint.post(f"{MESSAGES}/pull")
@operation(Pulled, body=bodies.Json(Pull))
def pull(account_id: str, queue_id: str, body: bodies.Body[Pull]) -> Response:
    """Take messages, which nobody else gets for a while."""
    queue = mine(account_id, queue_id)
    said = body()
    consumers = house().registry.queues.consumers([queue.id])
    if not consumers or consumers[0].script is not None:
        raise Refused(CONSUMER_INVALID, "The queue has no consumer of the type http_pull.")
    settings = consumers[0].settings
    with translated(QUEUE_NOT_FOUND):
        taken = house().registry.queues.messages.pull(
            queue.id,
            said.batch_size or settings.batch_size,
            said.visibility_timeout_ms or settings.visibility_ms,
        )
    measured = _metrics(queue)
    return envelope.success(
        Pulled(
            messages=[_shown(each) for each in taken],
            message_backlog_count=measured.backlog_count,
            metadata=Metadata(metrics=measured),
        )
    )


@blueprint.post(f"{MESSAGES}/ack")
@operation(Answered, body=bodies.Json(Answers))
def ack(account_id: str, queue_id: str, body: bodies.Body[Answers]) -> Response:
    """Answer for messages that were pulled: they are done, or wanted again."""
    queue = mine(account_id, queue_id)
    said = body()
    retries = {each.lease_id: Retry(each.delay_seconds) for each in said.retries}
    with translated(QUEUE_NOT_FOUND):
        settled = house().registry.queues.messages.settle(
            queue.id, [each.lease_id for each in said.acks], retries
        )
    if settled.retried:
        wake()  # to a dead letter queue, which may have a Worker
    stale = "This lease is not known, or has expired."
    return envelope.success(
        Answered(
            ack_count=settled.acked,
            retry_count=settled.retried,
            warnings=dict.fromkeys(settled.stale, stale),
        )
    )


@blueprint.post(f"{MESSAGES}/peek")
@auth.reads
@operation(Peeked, body=bodies.Json(Peek))
def peek(account_id: str, queue_id: str, body: bodies.Body[Peek]) -> Response:
    """Look at the oldest messages, which stay where they are."""
    queue = mine(account_id, queue_id)
    found = house().registry.queues.messages.peek(queue.id, body().batch_size)
    return envelope.success(Peeked(messages=[_shown(each) for each in found]))


@blueprint.post(f"{MESSAGES}/purge")
@operation(Removed, body=bodies.Json(References))
def remove(account_id: str, queue_id: str, body: bodies.Body[References]) -> Response:
    """Delete messages that were looked at."""
    queue = mine(account_id, queue_id)
    wanted = [each.ref for each in body().refs]
    with translated(QUEUE_NOT_FOUND):
        unknown = house().registry.queues.messages.remove(queue.id, wanted)
    gone = "This message is not there, or no more."
    return envelope.success(Removed(errors=[], warnings=dict.fromkeys(unknown, gone)))


@blueprint.post(PURGE)
@operation(Queue, body=bodies.Json(PurgeWanted))
def purge(account_id: str, queue_id: str, body: bodies.Body[PurgeWanted]) -> Response:
    """Delete all that is in a queue."""
    queue = mine(account_id, queue_id)
    if not body().delete_messages_permanently:
        raise Refused(
            MALFORMED_PARAMETER,
            "delete_messages_permanently must be true.",
            pointer="/delete_messages_permanently",
        )
    with translated(QUEUE_NOT_FOUND):
        house().registry.queues.messages.purge(account_id, queue.id)
    return envelope.success(shown(queue))


@blueprint.get(PURGE)
@operation(PurgeStatus)
def purge_status(account_id: str, queue_id: str) -> Response:
    """What became of the last purge."""
    at = mine(account_id, queue_id).purged_at
    return envelope.success(
        PurgeStatus(started_at=None, completed=None)
        if at is None
        else PurgeStatus(started_at=envelope.timestamp(at), completed="true")
    )


def _send(account_id: str, queue_id: str, messages: list[NewMessage]) -> Response:
    try:
        with translated(QUEUE_NOT_FOUND):
            sent = house().registry.queues.messages.send(account_id, by_id(queue_id), messages)
    except BacklogFull as exc:
        raise Refused(QUEUE_LIMIT, str(exc)) from exc
    wake()
    return envelope.success(Pushed(metadata=Metadata(metrics=_counted(sent.metrics))))


def _message(said: Message, delay_s: int | None, pointer: str) -> NewMessage:
    if said.content_type == "json":
        body = msgspec.json.encode(said.body)
    elif isinstance(said.body, str):
        body = said.body.encode()
    else:
        raise Refused(
            MALFORMED_PARAMETER, "The body of a text must be a string.", pointer=f"{pointer}/body"
        )
    own = said.delay_seconds
    return NewMessage(
        body=body,
        content_type=said.content_type,
        delay_s=delay_s if own is None else own,
    )


def _metrics(queue: QueueView) -> Metrics:
    with translated(QUEUE_NOT_FOUND):
        return _counted(house().registry.queues.messages.metrics(queue.id))


def _counted(found: QueueMetrics) -> Metrics:
    return Metrics(
        backlog_count=found.count,
        backlog_bytes=found.size_bytes,
        oldest_message_timestamp_ms=found.oldest_at,
    )


def _shown(message: MessageView) -> Shown:
    is_text = message.content_type == "text"
    body = message.body if is_text else base64.b64encode(message.body)
    return Shown(
        id=message.id,
        body=body.decode(),
        attempts=message.attempts,
        timestamp_ms=message.sent_at,
        metadata={"CF-Content-Type": message.content_type},
        lease_id=message.lease or UNSET,
        ref=message.reference or UNSET,
    )
