"""Rows of messages within a transaction that has their queue locked: leased, settled, cleared."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from cloister.errors import NotFound
from cloister.registry.database import Work, now_ms
from cloister.registry.queue_models import Queue, QueueConsumer, QueueDelivery, QueueMessage
from cloister.registry.queue_rows import ensure_queue
from cloister.registry.queue_views import (
    BATCH_BYTES,
    CONCURRENCY,
    MessageView,
    QueueSettings,
    Retry,
    Settled,
)

CLEARED_AT_ONCE = 20
"""Batches that one transaction clears out of the way."""


def locked(work: Work, queue_id: str) -> tuple[Queue, QueueConsumer | None]:
    """The queue, whose messages only the caller changes until the end of the transaction."""
    # Not against senders, who refer to the row: they would wait before they have to.
    query = select(Queue).where(Queue.id == queue_id).with_for_update(key_share=True)
    queue = work.scalar(query)
    if queue is None:
        raise no_queue()
    mine = select(QueueConsumer).where(QueueConsumer.queue_id == queue_id)
    return queue, work.scalar(mine)


def takeable(
    work: Work, queue: Queue, consumer: QueueConsumer | None, limit: int
) -> list[QueueMessage]:
    """Messages that may be taken now, up to one more than the limit. Those that are too old or
    have been tried too often are cleared out of the way; while there are many, none may be."""
    now = now_ms()
    query = (
        select(QueueMessage)
        .where(QueueMessage.queue_id == queue.id, QueueMessage.visible_at <= now)
        .order_by(QueueMessage.visible_at, QueueMessage.number)
        .limit(limit + 1)
    )
    for _ in range(CLEARED_AT_ONCE):
        rows = list(work.scalars(query))
        oldest = now - queue.retention_s * 1000
        old = [row for row in rows if row.sent_at < oldest]
        worn = [row for row in rows if row.sent_at >= oldest and _is_worn(row, consumer)]
        if not old and not worn:
            return rows
        drop_rows(work, queue, old)
        _bury(work, queue, consumer, worn)
        work.flush()
    return []


def next_batch(work: Work, queue: Queue, consumer: QueueConsumer) -> list[QueueMessage]:
    """The messages of the next delivery, or none, and then ``deliver_at`` is when to look again."""
    now = now_ms()
    mine = QueueDelivery.queue_id == queue.id
    lost = select(QueueDelivery.id).where(mine, QueueDelivery.until <= now)
    for delivery_id in work.scalars(lost).all():
        give_back(work, queue.id, delivery_id, now)
    running = select(func.count(), func.min(QueueDelivery.until)).where(mine)
    count, first_over = work.execute(running).one()
    if count >= (consumer.max_concurrency or CONCURRENCY):
        queue.deliver_at = first_over
        return []
    rows = takeable(work, queue, consumer, consumer.batch_size)
    chosen = _fitting(rows[: consumer.batch_size])
    is_full = len(chosen) == consumer.batch_size or len(chosen) < len(rows)
    ready_at = min((row.visible_at for row in chosen), default=now) + consumer.max_wait_ms
    if chosen and (is_full or ready_at <= now):
        return chosen
    queue.deliver_at = ready_at if chosen else next_at(work, queue.id)
    return []


def _fitting(rows: list[QueueMessage]) -> list[QueueMessage]:
    size = 0
    for place, row in enumerate(rows):
        size += row.size
        if place and size > BATCH_BYTES:
            return rows[:place]
    return rows


def lease_rows(rows: Sequence[QueueMessage], lease: str, until: int) -> list[MessageView]:
    """Take messages."""
    for row in rows:
        row.lease, row.visible_at, row.attempts = lease, until, row.attempts + 1
    return [message_view(row, lease=f"{row.number}.{lease}") for row in rows]


def give_back(work: Work, queue_id: str, delivery_id: str, at: int) -> None:
    """End a delivery of which nobody knows whether it reached a worker: its messages can be taken
    from then on, as if nobody had taken them."""
    work.execute(delete(QueueDelivery).where(QueueDelivery.id == delivery_id))
    work.execute(
        update(QueueMessage)
        .where(QueueMessage.queue_id == queue_id, QueueMessage.lease == delivery_id)
        .values(lease=None, visible_at=at, attempts=QueueMessage.attempts - 1)
    )


def settle_leases(
    work: Work, queue_id: str, acks: Iterable[str], retries: Mapping[str, Retry]
) -> Settled:
    queue, consumer = locked(work, queue_id)
    wanted = dict.fromkeys(acks) | dict(retries)
    numbers = {number for lease in wanted if (number := number_of(lease)) is not None}
    held = {f"{row.number}.{row.lease}": row for row in message_rows(work, queue_id, numbers)}
    rows = {lease: held[lease] for lease in wanted if lease in held}
    acked = [row for lease, row in rows.items() if wanted[lease] is None]
    drop_rows(work, queue, acked)
    retried = {lease: row for lease, row in rows.items() if wanted[lease] is not None}
    for lease, row in retried.items():
        said = retries[lease].delay_s
        delay_s = (consumer.retry_delay_s if consumer else 0) if said is None else said
        row.lease, row.visible_at = None, now_ms() + delay_s * 1000
    _bury(work, queue, consumer, [row for row in retried.values() if _is_worn(row, consumer)])
    work.flush()
    queue.deliver_at = next_at(work, queue_id)
    stale = [lease for lease in wanted if lease not in rows]
    return Settled(acked=len(acked), retried=len(retried), stale=stale)


def _is_worn(row: QueueMessage, consumer: QueueConsumer | None) -> bool:
    return consumer is not None and row.attempts > consumer.max_retries


def _bury(
    work: Work, queue: Queue, consumer: QueueConsumer | None, rows: list[QueueMessage]
) -> None:
    """Send messages that failed too often to the dead letter queue; without one they are gone."""
    if not rows:
        return
    if consumer is None or consumer.dead_letter_queue is None:
        drop_rows(work, queue, rows)
        return
    settings = QueueSettings()
    dead = ensure_queue(work, queue.account_id, consumer.dead_letter_queue, settings)
    now = now_ms()
    for row in rows:
        row.queue_id, row.lease, row.attempts = dead.id, None, 0
        row.sent_at, row.visible_at = now, now + dead.delay_s * 1000
    work.flush()
    size = sum(row.size for row in rows)
    _uncount(queue, len(rows), size)
    work.execute(
        update(Queue)
        .where(Queue.id == dead.id)
        .values(
            backlog_count=Queue.backlog_count + len(rows),
            backlog_bytes=Queue.backlog_bytes + size,
            deliver_at=now,
        )
    )


def drop_rows(work: Work, queue: Queue, rows: Sequence[Any]) -> None:
    if rows:
        numbers = [row.number for row in rows]
        work.execute(delete(QueueMessage).where(QueueMessage.number.in_(numbers)))
        _uncount(queue, len(rows), sum(row.size for row in rows))


def _uncount(queue: Queue, count: int, size: int) -> None:
    queue.backlog_count -= count
    queue.backlog_bytes -= size


def next_at(session: Session, queue_id: str) -> int | None:
    """When the next message of a queue can be taken, or one that is taken comes back."""
    query = select(func.min(QueueMessage.visible_at)).where(QueueMessage.queue_id == queue_id)
    return session.scalar(query)


def message_rows(session: Session, queue_id: str, numbers: Iterable[int]) -> list[QueueMessage]:
    query = select(QueueMessage).where(
        QueueMessage.queue_id == queue_id, QueueMessage.number.in_(list(numbers))
    )
    return list(session.scalars(query))


def number_of(text: str) -> int | None:
    """The number of the message that a lease or reference is about."""
    number = text.partition(".")[0]
    is_number = number.isascii() and number.isdigit() and len(number) < 19
    return int(number) if is_number else None


def reference_of(row: QueueMessage) -> str:
    return f"{row.number}.{row.id}"


def message_view(row: QueueMessage, *, lease: str = "", reference: str = "") -> MessageView:
    return MessageView(
        id=row.id,
        body=row.body,
        content_type=row.content_type,  # type: ignore[arg-type]  # one of them was written
        sent_at=row.sent_at,
        attempts=row.attempts,
        lease=lease,
        reference=reference,
    )


def no_queue() -> NotFound:
    return NotFound("The queue does not exist.")
