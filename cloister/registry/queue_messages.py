"""What is in queues: sent, taken under a lease, settled; nothing is lost in between.

A message is there until somebody acknowledges it, it has failed too often, it is too old, or it is
purged. Who takes it holds a lease; a lease that ends gives it back. So it is delivered at least
once, and twice where the one who had it was too slow to say so.

Who changes a queue's messages locks its row first, except senders, who only insert and write that
row last: they wait for nobody before.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select, update

from cloister.errors import NotFound
from cloister.registry.database import Database, now_ms
from cloister.registry.models import Namespace, Script
from cloister.registry.names import new_id
from cloister.registry.queue_leases import (
    drop_rows,
    give_back,
    lease_rows,
    locked,
    message_rows,
    message_view,
    next_at,
    next_batch,
    no_queue,
    number_of,
    reference_of,
    settle_leases,
    takeable,
)
from cloister.registry.queue_models import Queue, QueueDelivery, QueueMessage
from cloister.registry.queue_sending import Sender
from cloister.registry.queue_views import (
    Delivery,
    MessageView,
    NewMessage,
    QueueMetrics,
    Retry,
    Sent,
    Settled,
)

LEASE_MS = 15_000
"""Of a delivery, from each time that somebody looks after it."""

ROWS_AT_ONCE = 1_000
"""Messages that one transaction deletes."""


class Messages:
    """Sends, leases, settles and clears messages."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sender = Sender(database)

    def send(self, account_id: str, wanted: Any, messages: Sequence[NewMessage]) -> Sent:
        """Store messages, all or none, in the queue that ``wanted`` (a condition) finds.

        Raises:
            Invalid: there are none or too many, or they are too large.
            NotFound: the account has no such queue.
            BacklogFull: it takes no more.
        """
        return self._sender.send(account_id, wanted, messages)

    def metrics(self, queue_id: str) -> QueueMetrics:
        """What is in a queue. Raises NotFound."""
        query = select(Queue.backlog_count, Queue.backlog_bytes).where(Queue.id == queue_id)
        with self._database.read() as session:
            found = session.execute(query).one_or_none()
            if found is None:
                raise no_queue()
            oldest = session.scalar(_oldest(queue_id))
        return QueueMetrics(
            count=found.backlog_count, size_bytes=found.backlog_bytes, oldest_at=oldest or 0
        )

    # Whoever pulls:

    def pull(self, queue_id: str, limit: int, visibility_ms: int) -> list[MessageView]:
        """Take up to so many messages, which nobody else gets for that long.

        Raises:
            NotFound: the queue is gone.
        """
        with self._database.write() as work:
            queue, consumer = locked(work, queue_id)
            rows = takeable(work, queue, consumer, limit)
            taken = lease_rows(rows[:limit], new_id(), now_ms() + visibility_ms)
            work.flush()
            queue.deliver_at = next_at(work, queue_id)
        return taken

    def settle(self, queue_id: str, acks: Iterable[str], retries: Mapping[str, Retry]) -> Settled:
        """Forget what is acknowledged, and have again what is wanted again; by leases, each of
        which answers for its message until somebody else takes that.

        Raises:
            NotFound: the queue is gone.
        """
        with self._database.write() as work:
            return settle_leases(work, queue_id, acks, retries)

    def peek(self, queue_id: str, limit: int) -> list[MessageView]:
        """The oldest messages, taken or not; they stay where they are."""
        query = select(QueueMessage).where(QueueMessage.queue_id == queue_id)
        order = query.order_by(QueueMessage.sent_at, QueueMessage.number).limit(limit)
        with self._database.read() as session:
            return [
                message_view(row, reference=reference_of(row)) for row in session.scalars(order)
            ]

    def remove(self, queue_id: str, references: Iterable[str]) -> list[str]:
        """Delete messages that were looked at; the references that name none (any more)."""
        wanted = set(references)
        numbers = {number for text in wanted if (number := number_of(text)) is not None}
        with self._database.write() as work:
            queue, _ = locked(work, queue_id)
            named = message_rows(work, queue_id, numbers)
            rows = [row for row in named if reference_of(row) in wanted]
            drop_rows(work, queue, rows)
        return sorted(wanted - {reference_of(row) for row in rows})

    def purge(self, account_id: str, queue_id: str) -> None:
        """Delete all that is in a queue by now. Raises NotFound."""
        with self._database.write() as work:
            queue, _ = locked(work, queue_id)
            if queue.account_id != account_id:
                raise no_queue()
            queue.purged_at = now_ms()
            last = work.scalar(
                select(func.max(QueueMessage.number)).where(QueueMessage.queue_id == queue_id)
            )
        while last is not None and self._clear(queue_id, QueueMessage.number <= last):
            pass

    # Whoever delivers to workers:

    def due(self, limit: int) -> list[str]:
        """Queues that are to be looked at now."""
        query = select(Queue.id).where(Queue.deliver_at <= now_ms()).order_by(Queue.deliver_at)
        with self._database.read() as session:
            return list(session.scalars(query.limit(limit)))

    def next_due(self) -> int | None:
        """When the next queue is; None if none is."""
        with self._database.read() as session:
            return session.scalar(select(func.min(Queue.deliver_at)))

    def take(self, queue_id: str) -> Delivery | None:
        """A batch to give to the queue's worker, leased for :data:`LEASE_MS`; None if there is
        nothing to give yet. Either way the queue knows when to be looked at again."""
        with self._database.write() as work:
            try:
                queue, consumer = locked(work, queue_id)
            except NotFound:
                return None
            if consumer is None or consumer.script_id is None or queue.paused:
                queue.deliver_at = None
                return None
            rows = next_batch(work, queue, consumer)
            if not rows:
                return None
            id_, until = new_id(), now_ms() + LEASE_MS
            work.add(QueueDelivery(id=id_, queue_id=queue_id, until=until))
            messages = lease_rows(rows, id_, until)
            work.flush()
            queue.deliver_at = next_at(work, queue_id)
            place = work.execute(
                select(Namespace.name, Script.name)
                .join(Script, Script.namespace_id == Namespace.id)
                .where(Script.id == consumer.script_id)
            ).one()
            return Delivery(
                id=id_,
                queue_id=queue_id,
                queue_name=queue.name,
                namespace=place[0],
                script=place[1],
                messages=messages,
            )

    def keep(self, deliveries: Sequence[Delivery]) -> None:
        """They are in good hands still: give them another :data:`LEASE_MS`."""
        until, ids = now_ms() + LEASE_MS, [each.id for each in deliveries]
        queues = Queue.id.in_({each.queue_id for each in deliveries})
        with self._database.write() as work:
            lock = select(Queue.id).where(queues).order_by(Queue.id)
            work.execute(lock.with_for_update(key_share=True)).all()
            held = QueueMessage.lease.in_(ids)
            work.execute(update(QueueMessage).where(held).values(visible_at=until))
            mine = QueueDelivery.id.in_(ids)
            work.execute(update(QueueDelivery).where(mine).values(until=until))

    def conclude(
        self, delivery: Delivery, acks: Iterable[str], retries: Mapping[str, Retry]
    ) -> Settled | None:
        """A delivery is over: settle its messages, by leases. None if the queue is gone."""
        with self._database.write() as work:
            try:
                locked(work, delivery.queue_id)
            except NotFound:
                return None
            work.execute(delete(QueueDelivery).where(QueueDelivery.id == delivery.id))
            return settle_leases(work, delivery.queue_id, acks, retries)

    def give_back(self, delivery: Delivery, delay_ms: int) -> None:
        """The platform failed a delivery, which is no attempt: have it made again, later."""
        with self._database.write() as work:
            try:
                queue, _ = locked(work, delivery.queue_id)
            except NotFound:
                return
            give_back(work, queue.id, delivery.id, now_ms() + delay_ms)
            queue.deliver_at = next_at(work, queue.id)

    def expire(self, limit: int = 100) -> int:
        """Delete some of what is older than its queue keeps; how many queues had any."""
        too_old = (
            select(QueueMessage.number)
            .where(QueueMessage.queue_id == Queue.id)
            .where(QueueMessage.sent_at < now_ms() - Queue.retention_s * 1000)
        )
        query = select(Queue.id, Queue.retention_s)
        query = query.where(Queue.backlog_count > 0, too_old.exists()).limit(limit)
        with self._database.read() as session:
            found = session.execute(query).all()
        for queue_id, retention_s in found:
            self._clear(queue_id, QueueMessage.sent_at < now_ms() - retention_s * 1000)
        return len(found)

    def _clear(self, queue_id: str, which: Any) -> int:
        with self._database.write() as work:
            try:
                queue, _ = locked(work, queue_id)
            except NotFound:
                return 0
            query = select(QueueMessage.number, QueueMessage.size).where(
                QueueMessage.queue_id == queue_id, which
            )
            rows = work.execute(query.limit(ROWS_AT_ONCE)).all()
            drop_rows(work, queue, rows)
        return len(rows)


def by_name(name: str) -> Any:
    """Finds an account's queue by its name."""
    return Queue.name == name


def by_id(queue_id: str) -> Any:
    """Finds an account's queue by its id."""
    return Queue.id == queue_id


def _oldest(queue_id: str) -> Any:
    return select(func.min(QueueMessage.sent_at)).where(QueueMessage.queue_id == queue_id)
