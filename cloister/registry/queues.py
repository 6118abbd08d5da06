"""Queues and who consumes them; what is in them is :class:`Messages`."""

import builtins
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Text, cast, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cloister.errors import Conflict, Invalid, NotFound
from cloister.registry.database import Database, Work, now_ms
from cloister.registry.models import Account, Namespace, Script, Version
from cloister.registry.names import new_id
from cloister.registry.queue_messages import Messages
from cloister.registry.queue_models import Queue, QueueConsumer
from cloister.registry.queue_rows import ensure_queue, queue_view, settings_of
from cloister.registry.queue_views import (
    QUEUE_NAME,
    QUEUES,
    ConsumerView,
    NewConsumer,
    QueueSettings,
    QueueView,
)
from cloister.registry.views import Numbered

PRODUCERS = 1_000
"""Scripts that are looked through for bindings to queues."""
LARGEST_PAGE = 1_000_000


class TooManyQueues(Conflict):
    """The account has as many queues as it may have."""


class Queues:
    """Makes, finds, changes and deletes queues and their consumers.

    Attributes:
        messages: what is in them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.messages = Messages(database)

    def create(self, account_id: str, name: str, settings: QueueSettings) -> QueueView:
        """Make one.

        Raises:
            Invalid: it may not be called so.
            Conflict: the account has one of this name.
            TooManyQueues: it has too many.
            NotFound: there is no such account.
        """
        if not QUEUE_NAME.fullmatch(name):
            raise Invalid("That cannot be a queue's name.", pointer="/queue_name")
        try:
            with self._database.write() as work:
                if work.get(Account, account_id) is None:
                    raise NotFound("No account has this id.")
                if work.scalar(_named(account_id, name)) is not None:
                    raise _taken(name)
                _check_room(work, account_id)
                row = ensure_queue(work, account_id, name, settings)
        except IntegrityError as exc:
            raise _taken(name) from exc
        return queue_view(row)

    def list(
        self, account_id: str, *, names: Sequence[str] = (), page: int = 1, per_page: int = 100
    ) -> Numbered[QueueView]:
        """One page of the account's queues by name, and how many there are; only those of
        ``names``, if any are given."""
        mine = [Queue.account_id == account_id]
        if names:
            mine.append(Queue.name.in_(names))
        count = select(func.count()).select_from(Queue).where(*mine)
        offset = (min(page, LARGEST_PAGE) - 1) * per_page
        query = select(Queue).where(*mine).order_by(Queue.name).offset(offset).limit(per_page)
        with self._database.read() as session:
            found = [queue_view(row) for row in session.scalars(query)]
            return Numbered(items=found, total=session.scalar(count) or 0)

    def get(self, account_id: str, queue_id: str) -> QueueView:
        """Find one. Raises NotFound."""
        with self._database.read() as session:
            return queue_view(_mine(session.scalar(_by_id(account_id, queue_id)), queue_id))

    def find(self, account_id: str, name: str) -> QueueView | None:
        """The one of that name; None if there is none."""
        with self._database.read() as session:
            row = session.scalar(_named(account_id, name))
        return None if row is None else queue_view(row)

    def change(
        self, account_id: str, queue_id: str, name: str, settings: QueueSettings
    ) -> QueueView:
        """Name it so, and treat its messages so.

        Raises:
            NotFound: the account has none of this id.
            Invalid: it may not be called so.
            Conflict: another one is called so, or workers know it by the name that it has.
        """
        if not QUEUE_NAME.fullmatch(name):
            raise Invalid("That cannot be a queue's name.", pointer="/queue_name")
        try:
            with self._database.write() as work:
                row = _mine(work.scalar(_by_id(account_id, queue_id).with_for_update()), queue_id)
                if name != row.name:
                    self._check_unused(work, row)
                row.name, row.modified_at = name, now_ms()
                row.delay_s, row.paused = settings.delay_s, settings.paused
                row.retention_s = settings.retention_s
                row.deliver_at = now_ms()
        except IntegrityError as exc:
            raise _taken(name) from exc
        return queue_view(row)

    def delete(self, account_id: str, queue_id: str) -> None:
        """Delete one with what is in it.

        Raises:
            NotFound: the account has none of this id.
            Conflict: somebody sends to it, takes from it, or has what failed sent to it.
        """
        self._check_deletable(account_id, queue_id)
        self.messages.purge(account_id, queue_id)
        with self._database.write() as work:
            row = _mine(work.scalar(_by_id(account_id, queue_id).with_for_update()), queue_id)
            self._check_unused(work, row)
            work.delete(row)

    def _check_deletable(self, account_id: str, queue_id: str) -> None:
        with self._database.read() as session:
            row = _mine(session.scalar(_by_id(account_id, queue_id)), queue_id)
            self._check_unused(session, row)

    def _check_unused(self, session: Session, row: Queue) -> None:
        for namespace, script, names in _bound(session, row.account_id, row.name):
            if row.name not in names:
                continue
            place = "" if namespace.startswith("_") else f" of namespace {namespace!r}"
            raise Conflict(f"Queue {row.name!r} is still bound by Worker {script!r}{place}.")
        consumers = session.scalars(_consumers_of(row.id)).all()
        if consumers:
            raise Conflict(f"Queue {row.name!r} still has a consumer.")
        collecting = (
            select(Queue.name)
            .join(QueueConsumer, QueueConsumer.queue_id == Queue.id)
            .where(Queue.account_id == row.account_id)
            .where(QueueConsumer.dead_letter_queue == row.name)
        )
        for name in session.scalars(collecting.limit(1)):
            raise Conflict(f"Queue {row.name!r} is the dead letter queue of {name!r}.")

    def producers(self, account_id: str) -> dict[str, builtins.list[tuple[str, str]]]:
        """Scripts whose live version is bound to a queue, of some: their namespaces and names, by
        the queue's name."""
        found: dict[str, list[tuple[str, str]]] = {}
        with self._database.read() as session:
            for namespace, script, names in _bound(session, account_id, "queue_name"):
                for name in names:
                    found.setdefault(name, []).append((namespace, script))
        return found

    # Consumers:

    def consumers(self, queue_ids: Sequence[str]) -> builtins.list[ConsumerView]:
        """Who takes from these queues."""
        query = (
            select(QueueConsumer, Queue.name, Namespace.name, Script.name)
            .join(Queue, Queue.id == QueueConsumer.queue_id)
            .outerjoin(Script, Script.id == QueueConsumer.script_id)
            .outerjoin(Namespace, Namespace.id == Script.namespace_id)
            .where(QueueConsumer.queue_id.in_(queue_ids))
        )
        with self._database.read() as session:
            return [_consumer(*row) for row in session.execute(query)]

    def add_consumer(self, queue: QueueView, new: NewConsumer) -> ConsumerView:
        """Have somebody take from a queue. A dead letter queue that is not there is made.

        Raises:
            Conflict: somebody does already.
            TooManyQueues: that one would be too many.
            Invalid: the queue would be its own dead letter queue, or that may not be called so.
            NotFound: the queue or the script is gone.
        """
        row = QueueConsumer(id=new_id(), queue_id=queue.id, created_at=now_ms())
        with self._database.write() as work:
            _lock_and_wake(work, queue, new)
            if work.scalars(_consumers_of(queue.id)).first() is not None:
                raise Conflict(f"Queue {queue.name!r} already has a consumer.")
            _fill(work, queue, row, new)
            work.add(row)
        return self._consumer(queue, row.id)

    def change_consumer(self, queue: QueueView, consumer_id: str, new: NewConsumer) -> ConsumerView:
        """Replace all of a consumer but its id. Raises as :meth:`add_consumer` does."""
        with self._database.write() as work:
            _lock_and_wake(work, queue, new)
            _fill(work, queue, _consumer_row(work, queue, consumer_id), new)
        return self._consumer(queue, consumer_id)

    def remove_consumer(self, queue: QueueView, consumer_id: str) -> None:
        """Have nobody take from it. What is in a worker's hands is still settled. Raises
        NotFound."""
        with self._database.write() as work:
            work.delete(_consumer_row(work, queue, consumer_id))

    def _consumer(self, queue: QueueView, consumer_id: str) -> ConsumerView:
        for each in self.consumers([queue.id]):
            if each.id == consumer_id:
                return each
        raise NotFound("The consumer is gone.")


def _check_room(work: Work, account_id: str) -> None:
    """Raise TooManyQueues if the account may have no other queue."""
    mine = select(func.count()).select_from(Queue).where(Queue.account_id == account_id)
    if (work.scalar(mine) or 0) >= QUEUES:
        raise TooManyQueues(f"An account has at most {QUEUES} queues.")


def _fill(work: Work, queue: QueueView, row: QueueConsumer, new: NewConsumer) -> None:
    if new.dead_letter_queue is not None:
        if new.dead_letter_queue == queue.name:
            raise Invalid(
                "A queue cannot be its own dead letter queue.", pointer="/dead_letter_queue"
            )
        if not QUEUE_NAME.fullmatch(new.dead_letter_queue):
            raise Invalid("That cannot be a queue's name.", pointer="/dead_letter_queue")
        if work.scalar(_named(queue.account_id, new.dead_letter_queue)) is None:
            _check_room(work, queue.account_id)
        ensure_queue(work, queue.account_id, new.dead_letter_queue, QueueSettings())
    said = new.settings
    row.script_id, row.dead_letter_queue = new.script_id, new.dead_letter_queue
    row.batch_size, row.max_wait_ms = said.batch_size, said.max_wait_ms
    row.max_retries, row.max_concurrency = said.max_retries, said.max_concurrency
    row.retry_delay_s, row.visibility_ms = said.retry_delay_s, said.visibility_ms


def _lock_and_wake(work: Work, queue: QueueView, new: NewConsumer) -> None:
    """Let nobody else change who takes from a queue, nor delete the script that is to. The script
    is locked before its consumers, as by whoever deletes it."""
    row = work.get(Queue, queue.id, with_for_update=True)
    if row is None:
        raise _no_queue(queue.id)
    row.deliver_at = now_ms()
    if new.script_id is not None:
        script = select(Script.id).where(Script.id == new.script_id)
        if work.scalar(script.with_for_update(read=True, key_share=True)) is None:
            raise NotFound("The script is gone.")


def _consumer_row(work: Work, queue: QueueView, consumer_id: str) -> QueueConsumer:
    query = _consumers_of(queue.id).where(QueueConsumer.id == consumer_id)
    row: QueueConsumer | None = work.scalar(query.with_for_update())
    if row is None:
        raise NotFound(f"Queue {queue.name!r} has no consumer {consumer_id[:64]!r}.")
    return row


def _bound(
    session: Session, account_id: str, said: str
) -> Iterator[tuple[str, str, builtins.list[str]]]:
    """Scripts whose bindings say that: their namespaces, names, and the names of their queues."""
    query = (
        select(Namespace.name, Script.name, Version.bindings)
        .join(Script, Script.namespace_id == Namespace.id)
        .join(Version, Script.version_id == Version.id)
        .where(Namespace.account_id == account_id)
        .where(cast(Version.bindings, Text).contains(f'"{said}"', autoescape=True))
        .order_by(Namespace.name, Script.name)
        .limit(PRODUCERS)
    )
    for namespace, script, bindings in session.execute(query):
        names = [each["queue_name"] for each in bindings if each["type"] == "queue"]
        yield namespace, script, names


def _by_id(account_id: str, queue_id: str) -> Any:
    return select(Queue).where(Queue.id == queue_id, Queue.account_id == account_id)


def _named(account_id: str, name: str) -> Any:
    return select(Queue).where(Queue.account_id == account_id, Queue.name == name)


def _consumers_of(queue_id: str) -> Any:
    return select(QueueConsumer).where(QueueConsumer.queue_id == queue_id)


def _mine(row: Queue | None, queue_id: str) -> Queue:
    if row is None:
        raise _no_queue(queue_id)
    return row


def _no_queue(queue_id: str) -> NotFound:
    return NotFound(f"Queue {queue_id[:64]!r} does not exist.")


def _taken(name: str) -> Conflict:
    return Conflict(f"Queue name {name!r} is already taken. Please use a different name.")


def _consumer(
    row: QueueConsumer, queue_name: str, namespace: str | None, script: str | None
) -> ConsumerView:
    return ConsumerView(
        id=row.id,
        queue_id=row.queue_id,
        queue_name=queue_name,
        namespace=namespace,
        script=script,
        dead_letter_queue=row.dead_letter_queue,
        settings=settings_of(row),
        created_at=row.created_at,
    )
