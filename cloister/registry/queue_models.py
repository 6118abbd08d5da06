"""Tables of queues: what they are, who takes from them, what is in them and what is being handled.

Messages are here and nowhere else: Valkey carries the work of delivering them, and may lose it.
"""

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from cloister.registry.models import Base

_NAME = String(63).with_variant(String(63, collation="C"), "postgresql")


class Queue(Base):
    """A queue of an account. Who changes what is in it writes this row, too, and last: the counts
    are exact, and ``deliver_at`` never misses a message."""

    __tablename__ = "queues"
    __table_args__ = (
        UniqueConstraint("account_id", "name"),
        Index("queues_by_delivery", "deliver_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(_NAME)
    delay_s: Mapped[int]
    """Of messages that say nothing themselves."""
    paused: Mapped[bool]
    retention_s: Mapped[int]
    backlog_count: Mapped[int]
    backlog_bytes: Mapped[int]
    deliver_at: Mapped[int | None]
    """When somebody is to see whether a batch can be delivered; None: not before something else
    happens."""
    purged_at: Mapped[int | None]
    created_at: Mapped[int]
    modified_at: Mapped[int]


class QueueConsumer(Base):
    """Who takes from a queue: a script that is called, or without one whoever pulls over HTTP."""

    __tablename__ = "queue_consumers"
    __table_args__ = (
        UniqueConstraint("queue_id"),
        Index("queue_consumers_by_script", "script_id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    queue_id: Mapped[str] = mapped_column(ForeignKey("queues.id", ondelete="CASCADE"))
    script_id: Mapped[str | None] = mapped_column(ForeignKey("scripts.id", ondelete="CASCADE"))
    dead_letter_queue: Mapped[str | None] = mapped_column(_NAME)
    batch_size: Mapped[int]
    max_wait_ms: Mapped[int]
    max_retries: Mapped[int]
    max_concurrency: Mapped[int | None]
    retry_delay_s: Mapped[int]
    visibility_ms: Mapped[int]
    created_at: Mapped[int]


class QueueMessage(Base):
    """A message. Whoever has taken it holds the ``lease``, until it is ``visible_at``."""

    __tablename__ = "queue_messages"
    __table_args__ = (
        Index("queue_messages_by_visibility", "queue_id", "visible_at"),
        Index("queue_messages_by_age", "queue_id", "sent_at"),
        Index(
            "queue_messages_by_lease",
            "lease",
            sqlite_where=text("lease IS NOT NULL"),
            postgresql_where=text("lease IS NOT NULL"),
        ),
    )

    number: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    id: Mapped[str] = mapped_column(String(32))
    queue_id: Mapped[str] = mapped_column(ForeignKey("queues.id", ondelete="CASCADE"))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    content_type: Mapped[str] = mapped_column(String(8))
    size: Mapped[int]
    sent_at: Mapped[int]
    visible_at: Mapped[int]
    attempts: Mapped[int]
    lease: Mapped[str | None] = mapped_column(String(32))


class QueueDelivery(Base):
    """A batch in a worker's hands. Whoever looks after it lets it live on; at ``until`` it is lost,
    and its messages are delivered again."""

    __tablename__ = "queue_deliveries"
    __table_args__ = (Index("queue_deliveries_by_queue", "queue_id", "until"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    queue_id: Mapped[str] = mapped_column(ForeignKey("queues.id", ondelete="CASCADE"))
    until: Mapped[int]
