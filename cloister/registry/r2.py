"""R2 buckets and what is known of their objects; the bytes are blobs under :func:`blob_key`.

Nothing is half-written: a blob is noted as garbage before it is there, becomes an object's in the
transaction that writes the object, and the blob of what was there before becomes garbage in turn.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from cloister.errors import Conflict, Invalid, NotFound
from cloister.registry.cursors import decode_cursor, encode_cursor
from cloister.registry.database import Database, Work, now_ms
from cloister.registry.models import Account
from cloister.registry.names import new_id
from cloister.registry.r2_models import Bucket, R2Garbage, R2Object
from cloister.registry.views import Page

BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
KEY_BYTES = 1_024
METADATA_BYTES = 8_192
PER_PAGE = 1_000

ABANDONED_MS = 24 * 3_600_000
"""After so long a blob that belongs to nothing will not be anything's: uploads take minutes."""

StorageClass = Literal["Standard", "InfrequentAccess"]

_BEHIND = b"\xff"
"""In no UTF-8: a prefix with this is behind every key that begins with the prefix."""


class BucketView(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket."""

    id: str
    account_id: str
    name: str
    location: str
    storage_class: StorageClass
    created_at: int


class ObjectView(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an object. ``checksums`` are hex by algorithm; ``etag`` is the MD5."""

    key: str
    version: str
    size: int
    etag: str
    checksums: dict[str, str]
    http_metadata: dict[str, str]
    custom_metadata: dict[str, str]
    storage_class: StorageClass
    uploaded_at: int


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Objects, and the prefixes that stand for others. ``cursor`` is None at the end."""

    objects: list[ObjectView]
    prefixes: list[str]
    cursor: str | None


def blob_key(version: str) -> str:
    """Where the bytes of a version are."""
    return f"objects/{version}"


class R2:
    """Buckets and objects."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
        return _bucket(row)

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
            found = [_bucket(row) for row in session.scalars(query.order_by(by).limit(limit + 1))]
        items = found[:limit]
        more = len(found) > limit
        return Page(items=items, cursor=encode_cursor(items[-1].name.encode()) if more else None)

    def get(self, account_id: str, name: str) -> BucketView:
        """Find a bucket. Raises NotFound."""
        with self._database.read() as session:
            row = session.scalar(_named(account_id, name))
        if row is None:
            raise _no_bucket(name)
        return _bucket(row)

    def set_class(self, account_id: str, name: str, storage_class: StorageClass) -> BucketView:
        """Change what objects are stored as from now on. Raises NotFound."""
        with self._database.write() as work:
            row = work.scalar(_named(account_id, name).with_for_update())
            if row is None:
                raise _no_bucket(name)
            row.storage_class = storage_class
        return _bucket(row)

    def delete(self, account_id: str, name: str) -> None:
        """Delete an empty bucket.

        Raises:
            NotFound: there is none.
            Conflict: it holds objects.
        """
        with self._database.write() as work:
            # Locked: an object that is being written waits, and finds no bucket.
            row = work.scalar(_named(account_id, name).with_for_update())
            if row is None:
                raise _no_bucket(name)
            held = select(R2Object.key).where(R2Object.bucket_id == row.id).limit(1)
            if work.scalar(held) is not None:
                raise Conflict("The bucket is not empty: delete its objects first.")
            work.delete(row)

    def begin(self) -> str:
        """A version for bytes that are about to be stored: garbage until :meth:`put`."""
        version = new_id()
        with self._database.write() as work:
            work.add(R2Garbage(version=version, since=now_ms()))
        return version

    def put(self, bucket_id: str, written: ObjectView) -> str | None:
        """Make what was stored the object of this key; the version that was it before, if any.

        Raises:
            Invalid: the key is empty or too long, or the metadata too large.
            NotFound: the bucket is gone.
        """
        key = _key(written.key)
        said = {**written.http_metadata, **written.custom_metadata}
        if sum(len(name.encode()) + len(value.encode()) for name, value in said.items()) > (
            METADATA_BYTES
        ):
            raise Invalid(f"The metadata has more than {METADATA_BYTES} bytes.")
        values = {**msgspec.structs.asdict(written), "key": key}
        try:
            with self._database.write() as work:
                where = (R2Object.bucket_id == bucket_id, R2Object.key == key)
                before = work.scalar(select(R2Object.version).where(*where).with_for_update())
                upsert = work.insert(R2Object).values(bucket_id=bucket_id, **values)
                work.execute(
                    upsert.on_conflict_do_update(
                        index_elements=[R2Object.bucket_id, R2Object.key], set_=values
                    )
                )
                work.execute(delete(R2Garbage).where(R2Garbage.version == written.version))
                _discard(work, before)
        except IntegrityError as exc:
            raise NotFound("The bucket is gone.") from exc
        return before

    def find(self, bucket_id: str, key: str) -> ObjectView | None:
        """What is known of an object; None if there is none."""
        with self._database.read() as session:
            row = session.get(R2Object, (bucket_id, key.encode()))
        return None if row is None else _object(row)

    def remove(self, bucket_id: str, key: str) -> str | None:
        """Delete an object, which need not be there; the version that it was."""
        with self._database.write() as work:
            row = work.get(R2Object, (bucket_id, key.encode()), with_for_update=True)
            if row is None:
                return None
            work.delete(row)
            _discard(work, row.version)
        return row.version

    def objects(
        self,
        bucket_id: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        after: str | None = None,
        limit: int = PER_PAGE,
        cursor: str | None = None,
    ) -> Listing:
        """Objects in the order of their keys' bytes. Keys that have the ``delimiter`` behind the
        prefix are together one entry of the page.

        Raises:
            Invalid: the cursor is not one of ours.
        """
        first, split = prefix.encode(), delimiter.encode()
        at = decode_cursor(cursor) if cursor is not None else (after or "").encode()
        found: list[ObjectView] = []
        groups: list[bytes] = []
        more = True
        with self._database.read() as session:
            while more and len(found) + len(groups) < limit:
                room = limit - len(found) - len(groups)
                page = (
                    select(R2Object)
                    .where(R2Object.bucket_id == bucket_id, R2Object.key > at)
                    .where(R2Object.key >= first, R2Object.key < first + _BEHIND)
                    .order_by(R2Object.key)
                    .limit(room + 1)
                )
                rows = list(session.scalars(page))
                more = len(rows) > room
                for row in rows[:room]:
                    if groups and row.key.startswith(groups[-1]):
                        continue
                    cut = row.key.find(split, len(first)) if split else -1
                    at = row.key
                    if cut < 0:
                        found.append(_object(row))
                    else:
                        groups.append(row.key[: cut + len(split)])
                        at = groups[-1] + _BEHIND
        return Listing(
            objects=found,
            prefixes=[group.decode() for group in groups],
            cursor=encode_cursor(at) if more else None,
        )

    def abandoned(self, limit: int = 16) -> "Sequence[str]":
        """Versions whose bytes nothing refers to, and will not any more."""
        old = R2Garbage.since < now_ms() - ABANDONED_MS
        query = select(R2Garbage.version).where(old).order_by(R2Garbage.since).limit(limit)
        with self._database.read() as session:
            return tuple(session.scalars(query))

    def forget(self, version: str) -> None:
        """The bytes of this version are gone."""
        with self._database.write() as work:
            work.execute(delete(R2Garbage).where(R2Garbage.version == version))


def check_key(key: str) -> None:
    """Raise Invalid if an object cannot be called so."""
    _key(key)


def _key(key: str) -> bytes:
    data = key.encode()
    if not data or len(data) > KEY_BYTES or "\0" in key:
        raise Invalid(f"A key has 1 to {KEY_BYTES} bytes, none of which is NUL.")
    return data


def _discard(work: Work, version: str | None) -> None:
    if version is not None:
        work.add(R2Garbage(version=version, since=now_ms()))


def _named(account_id: str, name: str) -> Any:
    return select(Bucket).where(Bucket.account_id == account_id, Bucket.name == name)


def _no_bucket(name: str) -> NotFound:
    return NotFound(f"The account has no bucket {name[:64]!r}.")


def _bucket(row: Bucket) -> BucketView:
    return BucketView(
        id=row.id,
        account_id=row.account_id,
        name=row.name,
        location=row.location,
        storage_class=row.storage_class,  # type: ignore[arg-type]  # one of the two was written
        created_at=row.created_at,
    )


def _object(row: R2Object) -> ObjectView:
    values = {name: getattr(row, name) for name in ObjectView.__struct_fields__}
    return ObjectView(**{**values, "key": row.key.decode()})
