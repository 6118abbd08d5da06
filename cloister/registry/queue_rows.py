"""Rows of queues that their nouns find, make and show alike."""

from sqlalchemy import select

from cloister.registry.database import Work, now_ms
from cloister.registry.names import new_id
from cloister.registry.queue_models import Queue, QueueConsumer
from cloister.registry.queue_views import ConsumerSettings, QueueSettings, QueueView


def ensure_queue(work: Work, account_id: str, name: str, settings: QueueSettings) -> Queue:
    """The account's queue of that name, made so if there is none."""
    now = now_ms()
    values = {
        "id": new_id(),
        "account_id": account_id,
        "name": name,
        "delay_s": settings.delay_s,
        "paused": settings.paused,
        "retention_s": settings.retention_s,
        "backlog_count": 0,
        "backlog_bytes": 0,
        "created_at": now,
        "modified_at": now,
    }
    insert = work.insert(Queue).values(**values)
    work.execute(insert.on_conflict_do_nothing(index_elements=[Queue.account_id, Queue.name]))
    named = select(Queue).where(Queue.account_id == account_id, Queue.name == name)
    return work.scalars(named).one()


def queue_view(row: Queue) -> QueueView:
    """As it leaves the registry."""
    return QueueView(
        id=row.id,
        account_id=row.account_id,
        name=row.name,
        settings=QueueSettings(delay_s=row.delay_s, paused=row.paused, retention_s=row.retention_s),
        purged_at=row.purged_at,
        created_at=row.created_at,
        modified_at=row.modified_at,
    )


def settings_of(row: QueueConsumer) -> ConsumerSettings:
    """How that consumer takes messages."""
    return ConsumerSettings(
        batch_size=row.batch_size,
        max_wait_ms=row.max_wait_ms,
        max_retries=row.max_retries,
        max_concurrency=row.max_concurrency,
        retry_delay_s=row.retry_delay_s,
        visibility_ms=row.visibility_ms,
    )
