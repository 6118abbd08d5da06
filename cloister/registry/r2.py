"""R2 buckets, their rules, and what the rules do in time. What is in a bucket is elsewhere:
:mod:`cloister.registry.r2_objects`, :mod:`cloister.registry.r2_uploads`.
"""

import re
from typing import Any, Literal

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from cloister.errors import Conflict, Invalid, NotFound
from cloister.registry.cursors import decode_cursor, encode_cursor
from cloister.registry.database import Database, Work, now_ms
from cloister.registry.models import Account
from cloister.registry.names import new_id
from cloister.registry.r2_models import Bucket, R2Object, R2Upload
from cloister.registry.r2_notifications import Notifications, notify
from cloister.registry.r2_objects import Objects, remove_rows
from cloister.registry.r2_rules import LifecycleRule, due_before, lifecycle_rules, locks
from cloister.registry.r2_uploads import Uploads, abort
from cloister.registry.r2_views import BucketView, RuleList, StorageClass, Usage
from cloister.registry.views import Page

BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
PER_PAGE = 1_000
SWEPT_AT_ONCE = 500
"""Objects or uploads that one transaction deletes because a rule says so."""

Rules = Literal["cors", "lifecycle", "lock"]


class R2:
    """Buckets; ``objects`` and ``uploads`` are what is in them, ``notifications`` who is told."""

    def __init__(self, database: Database, bucket_bytes: int) -> None:
        self._database = database
        self.notifications = Notifications(database)
        self.objects = Objects(database, bucket_bytes)
        self.uploads = Uploads(database, bucket_bytes)

    def create(
        self, account_id: str, name: str, *, location: str, storage_class: StorageClass
    ) -> BucketView:
        """Make a bucket.

        Raises:
            Invalid: the name may not be one.
            Conflict: the account has one of this name.
            NotFound: there is no such account.
        """
        if not BUCKET_NAME.fullmatch(name):
            raise Invalid("A bucket's name has 3 to 63 lower-case letters, digits and dashes.")
        row = Bucket(
            id=new_id(),
            account_id=account_id,
            name=name,
            location=location,
            storage_class=storage_class,
            created_at=now_ms(),
        )
        try:
            with self._database.write() as work:
                if work.get(Account, account_id) is None:
                    raise NotFound("No account has this id.")
                work.add(row)
        except IntegrityError as exc:
            raise Conflict(f"The bucket {name!r} exists.") from exc
        return _view(row)

    def list(
        self,
        account_id: str,
        *,
        contains: str = "",
        after: str | None = None,
        limit: int = PER_PAGE,
        descending: bool = False,
        cursor: str | None = None,
    ) -> Page[BucketView]:
        """Buckets by name, page by page.

        Raises:
            Invalid: the cursor is not one of ours.
        """
        query = select(Bucket).where(Bucket.account_id == account_id)
        if contains:
            query = query.where(Bucket.name.contains(contains, autoescape=True))
        if cursor is not None:
            after = decode_cursor(cursor).decode(errors="replace")
        if after is not None:
            query = query.where(Bucket.name < after if descending else Bucket.name > after)
        by = Bucket.name.desc() if descending else Bucket.name
        with self._database.read() as session:
            found = [_view(row) for row in session.scalars(query.order_by(by).limit(limit + 1))]
        items = found[:limit]
        more = len(found) > limit
        return Page(items=items, cursor=encode_cursor(items[-1].name.encode()) if more else None)

    def get(self, account_id: str, name: str) -> BucketView:
        """Find a bucket. Raises NotFound."""
        with self._database.read() as session:
            row = session.scalar(_named(account_id, name))
        if row is None:
            raise _no_bucket(name)
        return _view(row)

    def usage(self, account_id: str, name: str) -> Usage:
        """How full a bucket is. Raises NotFound."""
        with self._database.read() as session:
            row = session.scalar(_named(account_id, name))
        if row is None:
            raise _no_bucket(name)
        return Usage(objects=row.objects, bytes=row.bytes)

    def set_class(self, account_id: str, name: str, storage_class: StorageClass) -> BucketView:
        """Change what objects are stored as from now on. Raises NotFound."""
        with self._database.write() as work:
            row = _locked(work, account_id, name)
            row.storage_class = storage_class
        return _view(row)

    def rules(self, account_id: str, name: str, kind: Rules) -> RuleList | None:
        """The rules of that kind, None if nobody has set them. Raises NotFound."""
        with self._database.read() as session:
            row = session.scalar(_named(account_id, name))
        if row is None:
            raise _no_bucket(name)
        kept: RuleList | None = getattr(row, kind)
        return kept

    def set_rules(self, account_id: str, name: str, kind: Rules, rules: RuleList | None) -> None:
        """Replace them. Raises NotFound."""
        with self._database.write() as work:
            setattr(_locked(work, account_id, name), kind, rules)

    def delete(self, account_id: str, name: str) -> None:
        """Delete an empty bucket, and give up what is being uploaded to it.

        Raises:
            NotFound: there is none.
            Conflict: it holds objects.
        """
        with self._database.write() as work:
            # Locked: an object that is being written waits, and finds no bucket.
            row = _locked(work, account_id, name)
            held = select(R2Object.key).where(R2Object.bucket_id == row.id).limit(1)
            if work.scalar(held) is not None:
                raise Conflict("The bucket is not empty: delete its objects first.")
            uploads = select(R2Upload.id).where(R2Upload.bucket_id == row.id)
            abort(work, row.id, work.scalars(uploads).all())
            work.execute(delete(Bucket).where(Bucket.id == row.id))

    def sweep(self) -> int:
        """Do what the lifecycle rules of all buckets say is due; how many objects and uploads that
        were. Each transaction is of one bucket, and short."""
        with self._database.read() as session:
            filled = (Bucket.objects > 0) | (Bucket.bytes > 0)
            buckets = session.execute(select(Bucket.id, Bucket.lifecycle).where(filled)).all()
        done = 0
        for bucket_id, kept in buckets:
            for rule in lifecycle_rules(kept):
                if rule.enabled:
                    done += self._apply(bucket_id, rule)
        return done

    def _apply(self, bucket_id: str, rule: LifecycleRule) -> int:
        now, done = now_ms(), 0
        uploads, objects = rule.abort_multipart_uploads_transition, rule.delete_objects_transition
        prefix = rule.conditions.prefix
        if uploads and (before := due_before(uploads.condition, now)) is not None:
            done += self._abort_old(bucket_id, prefix, before)
        if objects and (before := due_before(objects.condition, now)) is not None:
            done += self._delete_old(bucket_id, prefix, before)
        for change in rule.storage_class_transitions:
            if (before := due_before(change.condition, now)) is not None:
                done += self._change_old(bucket_id, prefix, before, change.storage_class)
        return done

    def _abort_old(self, bucket_id: str, prefix: str, before: int) -> int:
        query = select(R2Upload.id).where(
            R2Upload.bucket_id == bucket_id,
            R2Upload.created_at < before,
            *_with_prefix(R2Upload.key, prefix),
        )
        done = 0
        while True:
            with self._database.write() as work:
                _hold(work, bucket_id)
                old = work.scalars(query.limit(SWEPT_AT_ONCE).with_for_update()).all()
                abort(work, bucket_id, old)
            done += len(old)
            if len(old) < SWEPT_AT_ONCE:
                return done

    def _delete_old(self, bucket_id: str, prefix: str, before: int) -> int:
        done, after = 0, b""
        while True:
            query = (
                select(*R2Object.__table__.columns)
                .where(R2Object.bucket_id == bucket_id, R2Object.uploaded_at < before)
                .where(R2Object.key > after, *_with_prefix(R2Object.key, prefix))
                .order_by(R2Object.key)
                .limit(SWEPT_AT_ONCE)
            )
            with self._database.write() as work:
                rules = _hold(work, bucket_id)
                rows = work.execute(query).all()
                due = [
                    row
                    for row in rows
                    if not locks(rules, row.key.decode(), row.uploaded_at, now_ms())
                ]
                remove_rows(work, bucket_id, due)
                notify(work, bucket_id, "LifecycleDeletion", due)
            done += len(due)
            if len(rows) < SWEPT_AT_ONCE:
                return done
            after = rows[-1].key

    def _change_old(
        self, bucket_id: str, prefix: str, before: int, storage_class: StorageClass
    ) -> int:
        with self._database.write() as work:
            return work.rows_changed(
                update(R2Object)
                .where(
                    R2Object.bucket_id == bucket_id,
                    R2Object.uploaded_at < before,
                    R2Object.storage_class != storage_class,
                    *_with_prefix(R2Object.key, prefix),
                )
                .values(storage_class=storage_class)
            )


def _hold(work: Work, bucket_id: str) -> RuleList | None:
    """Have whoever else writes to the bucket wait; its lock rules."""
    query = select(Bucket.lock).where(Bucket.id == bucket_id).with_for_update()
    return work.scalar(query)


def _with_prefix(column: Any, prefix: str) -> list[Any]:
    first = prefix.encode()
    return [column >= first, column < first + b"\xff"] if first else []


def _locked(work: Work, account_id: str, name: str) -> Bucket:
    row: Bucket | None = work.scalar(_named(account_id, name).with_for_update())
    if row is None:
        raise _no_bucket(name)
    return row


def _named(account_id: str, name: str) -> Any:
    return select(Bucket).where(Bucket.account_id == account_id, Bucket.name == name)


def _no_bucket(name: str) -> NotFound:
    return NotFound(f"The account has no bucket {name[:64]!r}.")


def _view(row: Bucket) -> BucketView:
    return BucketView(
        id=row.id,
        account_id=row.account_id,
        name=row.name,
        location=row.location,
        storage_class=row.storage_class,  # type: ignore[arg-type]  # one of the two was written
        created_at=row.created_at,
    )
