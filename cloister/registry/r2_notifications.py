"""Rules of buckets that have queues told what happens to objects.

A message is stored in the transaction that changes the object: there is one if and only if the
change is. It fails no change: a queue that is full, or goes meanwhile, is not told.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from cloister.errors import Invalid, NotFound
from cloister.registry.database import Database, Work, now_ms
from cloister.registry.names import new_id
from cloister.registry.queue_leases import no_queue
from cloister.registry.queue_models import Queue
from cloister.registry.queue_sending import Parcel, stored
from cloister.registry.queue_views import SENT_MESSAGES, NewMessage
from cloister.registry.r2_models import Bucket, R2Notification
from cloister.registry.r2_rules import Prefix

MOST_RULES = 100
"""Of one bucket, for all queues."""

MOST_QUEUES = 10
"""That are told of one bucket: each change stores a message for each of them."""

DESCRIPTION_CHARACTERS = 1_024

Action = Literal[
    "PutObject", "CopyObject", "DeleteObject", "CompleteMultipartUpload", "LifecycleDeletion"
]
_WITHOUT_OBJECT: tuple[Action, ...] = ("DeleteObject", "LifecycleDeletion")
"""What leaves nothing to say of the object but its key."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Which changes of which objects a queue is told."""

    actions: Annotated[list[Action], msgspec.Meta(min_length=1, max_length=5)]
    prefix: Prefix = ""
    suffix: Prefix = ""
    description: Annotated[str, msgspec.Meta(max_length=DESCRIPTION_CHARACTERS)] = ""


class KeptRule(Rule, frozen=True, kw_only=True):
    """A rule of a bucket for a queue."""

    id: str
    queue_id: str
    queue_name: str
    created_at: int


class Notifications:
    """Rules of buckets for queues of the same account.

    Every method raises NotFound if the account has no such bucket.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, account_id: str, bucket: str, queue_id: str, rules: Sequence[Rule]) -> None:
        """Have a queue told more.

        Raises:
            Invalid: the bucket would have too many rules, or tell too many queues.
            NotFound: the account has no such queue.
        """
        rows = [_row(rule, queue_id) for rule in rules]
        mine = (Queue.id == queue_id, Queue.account_id == account_id)
        try:
            with self._database.write() as work:
                found = work.scalar(_named(account_id, bucket).with_for_update())
                if found is None:
                    raise _no_bucket()
                if work.scalar(select(Queue.id).where(*mine)) is None:
                    raise no_queue()
                self._check_room(work, found, queue_id, len(rows))
                work.add_all(R2Notification(**row, bucket_id=found) for row in rows)
        except IntegrityError as exc:
            raise no_queue() from exc

    def _check_room(self, work: Work, bucket_id: str, queue_id: str, count: int) -> None:
        held = select(R2Notification.queue_id).where(R2Notification.bucket_id == bucket_id)
        queues = work.scalars(held).all()
        if len(queues) + count > MOST_RULES:
            raise Invalid(f"A bucket has at most {MOST_RULES} rules.", pointer="/rules")
        if len({*queues, queue_id}) > MOST_QUEUES:
            raise Invalid(f"A bucket tells at most {MOST_QUEUES} queues.")

    def list(self, account_id: str, bucket: str, queue_id: str | None = None) -> list[KeptRule]:
        """The rules of a bucket, the oldest first; those for one queue."""
        with self._database.read() as session:
            found = session.scalar(_named(account_id, bucket))
            if found is None:
                raise _no_bucket()
            query = (
                select(R2Notification, Queue.name)
                .join(Queue, Queue.id == R2Notification.queue_id)
                .where(R2Notification.bucket_id == found, *_for(queue_id))
                .order_by(R2Notification.number)
            )
            return [_kept(row, name) for row, name in session.execute(query)]

    def remove(
        self, account_id: str, bucket: str, queue_id: str, ids: Sequence[str] | None = None
    ) -> None:
        """Delete the rules for a queue, or those with these ids, which need not be there."""
        with self._database.write() as work:
            found = work.scalar(_named(account_id, bucket).with_for_update())
            if found is None:
                raise _no_bucket()
            gone = delete(R2Notification).where(R2Notification.bucket_id == found, *_for(queue_id))
            work.execute(gone if ids is None else gone.where(R2Notification.id.in_(ids)))


def told(bucket_id: Any) -> Any:
    """Whether any queue is told of a bucket, to be asked with something else."""
    return select(R2Notification.id).where(R2Notification.bucket_id == bucket_id).exists()


def notify(work: Work, bucket_id: str, action: Action, objects: Sequence[Any]) -> None:
    """Tell queues what happened to objects (``key``, ``size``, ``etag``) of a locked bucket: each
    queue at most once of each."""
    query = (
        select(*R2Notification.__table__.columns, Bucket.name, Bucket.account_id)
        .join(Bucket, Bucket.id == R2Notification.bucket_id)
        .where(R2Notification.bucket_id == bucket_id)
    )
    rules: list[Any] = [rule for rule in work.execute(query).all() if action in rule.actions]
    if not rules or not objects:
        return
    # Held, so that none is deleted before its messages are stored.
    queues = select(Queue.id).where(Queue.id.in_({rule.queue_id for rule in rules}))
    held = work.scalars(queues.order_by(Queue.id).with_for_update(read=True, key_share=True)).all()
    changes = [(_key(each), _message(rules[0], action, each)) for each in objects]
    parcels: list[Parcel] = []
    for queue_id in held:
        mine = [rule for rule in rules if rule.queue_id == queue_id]
        messages = [
            message for key, message in changes if any(_matches(rule, key) for rule in mine)
        ]
        parcels += _parcels(rules[0].account_id, queue_id, messages)
    stored(work, parcels)


def _parcels(account_id: str, queue_id: str, messages: list[NewMessage]) -> list[Parcel]:
    """So that of many messages a queue that is almost full takes some."""
    chunks = [messages[at : at + SENT_MESSAGES] for at in range(0, len(messages), SENT_MESSAGES)]
    return [
        Parcel(
            account_id=account_id,
            wanted=Queue.id == queue_id,
            messages=chunk,
            size=sum(len(message.body) for message in chunk),
        )
        for chunk in chunks
    ]


def _message(rule: Any, action: Action, changed: Any) -> NewMessage:
    said: dict[str, Any] = {"key": _key(changed)}
    if action not in _WITHOUT_OBJECT:
        said |= {"size": changed.size, "eTag": changed.etag}
    now = datetime.fromtimestamp(now_ms() / 1000, UTC).isoformat(timespec="milliseconds")
    body = {
        "account": rule.account_id,
        "action": action,
        "bucket": rule.name,
        "object": said,
        "eventTime": now.replace("+00:00", "Z"),
    }
    return NewMessage(body=msgspec.json.encode(body), content_type="json")


def _key(changed: Any) -> str:
    return changed.key.decode() if isinstance(changed.key, bytes) else changed.key


def _matches(rule: Any, key: str) -> bool:
    return key.startswith(rule.prefix) and key.endswith(rule.suffix)


def _row(rule: Rule, queue_id: str) -> dict[str, Any]:
    return {
        "id": new_id(),
        "queue_id": queue_id,
        "actions": list(dict.fromkeys(rule.actions)),
        "prefix": rule.prefix,
        "suffix": rule.suffix,
        "description": rule.description,
        "created_at": now_ms(),
    }


def _kept(row: R2Notification, queue_name: str) -> KeptRule:
    return KeptRule(
        id=row.id,
        queue_id=row.queue_id,
        queue_name=queue_name,
        actions=row.actions,  # type: ignore[arg-type]  # such were written
        prefix=row.prefix,
        suffix=row.suffix,
        description=row.description,
        created_at=row.created_at,
    )


def _for(queue_id: str | None) -> list[Any]:
    return [] if queue_id is None else [R2Notification.queue_id == queue_id]


def _named(account_id: str, name: str) -> Any:
    return select(Bucket.id).where(Bucket.account_id == account_id, Bucket.name == name)


def _no_bucket() -> NotFound:
    return NotFound("The account has no such bucket.")
