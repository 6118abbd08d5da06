"""Sending to queues: what several threads of a process send at once is stored together.

A transaction costs a sync of the disk, whatever is in it. So whoever sends while another one's
transaction is under way waits for that, and then one thread stores for all that wait.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from sqlalchemy import case, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from cloister.errors import Conflict, Invalid, NotFound
from cloister.registry.database import Database, Work, now_ms
from cloister.registry.names import new_id
from cloister.registry.queue_leases import no_queue
from cloister.registry.queue_models import Queue, QueueMessage
from cloister.registry.queue_views import (
    BACKLOG_BYTES,
    BACKLOG_MESSAGES,
    MESSAGE_BYTES,
    SENT_BYTES,
    SENT_MESSAGES,
    NewMessage,
    QueueMetrics,
    Sent,
)

TOGETHER = 32
"""Senders that one transaction stores for."""


class BacklogFull(Conflict):
    """The queue holds as much as it may."""


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """What one caller sends, and what comes of it."""

    account_id: str
    wanted: Any
    messages: Sequence[NewMessage]
    size: int
    sent: "Future[Sent]" = field(default_factory=Future)


class Sender:
    """Stores messages. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[Parcel] = deque()
        self._writing = Lock()

    def send(self, account_id: str, wanted: Any, messages: Sequence[NewMessage]) -> Sent:
        """See :meth:`cloister.registry.queue_messages.Messages.send`."""
        size = check_sent(messages)
        mine = Parcel(account_id=account_id, wanted=wanted, messages=messages, size=size)
        self._waiting.append(mine)
        with self._writing:
            while not mine.sent.done():
                count = min(len(self._waiting), TOGETHER)
                self._write([self._waiting.popleft() for _ in range(count)])
        return mine.sent.result()

    def _write(self, parcels: list[Parcel]) -> None:
        """Store them, whatever each of them comes to; raises nothing."""
        try:
            with self._database.write() as work:
                outcomes = stored(work, parcels)
        except IntegrityError:
            # A queue was deleted meanwhile. Each alone, then, for the sake of the others.
            if len(parcels) == 1:
                parcels[0].sent.set_exception(no_queue())
            else:
                for each in parcels:
                    self._write([each])
        except BaseException as exc:  # noqa: BLE001 - whoever sent raises it
            for each in parcels:
                each.sent.set_exception(exc)
        else:
            for each, outcome in zip(parcels, outcomes, strict=True):
                if isinstance(outcome, Sent):
                    each.sent.set_result(outcome)
                else:
                    each.sent.set_exception(outcome)


def check_sent(messages: Sequence[NewMessage]) -> int:
    """The bytes of messages that are sent together. Raises Invalid, in the product's words."""
    if not messages:
        raise Invalid("At least one message is needed.", pointer="/messages")
    if len(messages) > SENT_MESSAGES:
        raise Invalid(
            f"batch message count of {len(messages)} exceeds limit of {SENT_MESSAGES}",
            pointer="/messages",
        )
    size = 0
    for each in messages:
        if len(each.body) > MESSAGE_BYTES:
            raise Invalid(
                f"message length of {len(each.body)} bytes exceeds limit of {MESSAGE_BYTES}"
            )
        size += len(each.body)
    if size > SENT_BYTES:
        raise Invalid(f"batch size of {size} bytes exceeds limit of {SENT_BYTES}")
    return size


def stored(work: Work, parcels: list[Parcel]) -> "list[Sent | NotFound | BacklogFull]":
    """Store them in a transaction; what comes of each."""
    now = now_ms()
    rows: dict[str, list[dict[str, Any]]] = {}
    places: list[str | NotFound | BacklogFull] = []
    for each in parcels:
        mine = Queue.account_id == each.account_id
        columns = (Queue.id, Queue.delay_s, Queue.backlog_bytes, Queue.backlog_count)
        found = work.execute(select(*columns).where(mine, each.wanted)).one_or_none()
        if found is None:
            places.append(no_queue())
            continue
        queued = rows.setdefault(found.id, [])
        if found.backlog_bytes + sum(row["size"] for row in queued) + each.size > BACKLOG_BYTES:
            full = f"The queue holds {BACKLOG_BYTES} bytes and takes no more."
            places.append(BacklogFull(full))
            continue
        if found.backlog_count + len(queued) + len(each.messages) > BACKLOG_MESSAGES:
            full = f"The queue holds {BACKLOG_MESSAGES} messages and takes no more."
            places.append(BacklogFull(full))
            continue
        queued += [_row(found.id, found.delay_s, message, now) for message in each.messages]
        places.append(found.id)
    arrived = [row for queued in rows.values() for row in queued]
    if arrived:
        work.execute(insert(QueueMessage), arrived)
    # In one order, whoever does so: two transactions that each wait for the other would not end.
    sent = {id_: _arrived(work, id_, rows[id_], now) for id_ in sorted(rows) if rows[id_]}
    return [sent[place] if isinstance(place, str) else place for place in places]


def _row(queue_id: str, default_s: int, message: NewMessage, now: int) -> dict[str, Any]:
    delay_s = default_s if message.delay_s is None else message.delay_s
    return {
        "id": new_id(),
        "queue_id": queue_id,
        "body": message.body,
        "content_type": message.content_type,
        "size": len(message.body),
        "sent_at": now,
        "visible_at": now + delay_s * 1000,
        "attempts": 0,
        "lease": None,
    }


def _arrived(work: Work, queue_id: str, rows: list[dict[str, Any]], now: int) -> Sent:
    """Count messages that were inserted, and have the queue looked at when the first is due."""
    first = min(row["visible_at"] for row in rows)
    later = Queue.deliver_at.is_(None) | (Queue.deliver_at > first)
    work.execute(
        update(Queue)
        .where(Queue.id == queue_id)
        .values(
            backlog_count=Queue.backlog_count + len(rows),
            backlog_bytes=Queue.backlog_bytes + sum(row["size"] for row in rows),
            deliver_at=case((later, first), else_=Queue.deliver_at),
        )
    )
    columns = (Queue.backlog_count, Queue.backlog_bytes, Queue.deliver_at)
    counted = work.execute(select(*columns).where(Queue.id == queue_id)).one()
    oldest = select(func.min(QueueMessage.sent_at)).where(QueueMessage.queue_id == queue_id)
    metrics = QueueMetrics(
        count=counted.backlog_count,
        size_bytes=counted.backlog_bytes,
        oldest_at=work.scalar(oldest) or now,
    )
    return Sent(queue_id=queue_id, metrics=metrics, deliver_at=counted.deliver_at)
