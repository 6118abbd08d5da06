"""What is known of objects. Their bytes are blobs, which never change.

Nothing is half-written: a blob is noted as garbage before it is there, becomes an object's in the
transaction that writes the object, and what was there before becomes garbage in turn.
"""

import re
import threading
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, delete, insert, select, update

from cloister.registry import r2_errors as errors
from cloister.registry.cursors import decode_cursor, encode_cursor
from cloister.registry.database import CHUNK, Database, Work, chunks, now_ms
from cloister.registry.names import new_id
from cloister.registry.r2_conditions import OnlyIf
from cloister.registry.r2_models import Bucket, R2Garbage, R2Object, R2Part
from cloister.registry.r2_notifications import Action, notify, told
from cloister.registry.r2_rules import locks
from cloister.registry.r2_views import Blob, Listing, ObjectView, Piece, Said

KEY_BYTES = 1_024
METADATA_BYTES = 8_192
PER_PAGE = 1_000
DELETED_AT_ONCE = 1_000
ROW_BYTES = 1_024
"""What a bucket is charged for an object, upload or part beside its bytes: it has no end else."""

ABANDONED_MS = 24 * 3_600_000
"""After so long a blob that belongs to nothing will not be anything's: uploads take minutes."""

READERS_MS = 10 * 60_000
"""Whoever reads what was replaced meanwhile has so long to get to its end."""

NOTED_AT_ONCE = 32
NOTED_MS = 3_600_000
"""Blobs are noted some at a time, and used within that time: a note of its own is a write."""

_BEHIND = b"\xff"
"""In no UTF-8: a prefix with this is behind every key that begins with the prefix."""

_HEADER = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")

_COLUMNS = (
    *(R2Object.key, R2Object.version, R2Object.size, R2Object.part_size, R2Object.etag),
    *(R2Object.checksums, R2Object.http_metadata, R2Object.custom_metadata),
    *(R2Object.storage_class, R2Object.uploaded_at),
)


class Notes:
    """Blobs that are noted as garbage before they are there."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._ready: list[str] = []
        self._until_ms = 0

    def take(self) -> str:
        """A version for bytes that are about to be stored."""
        with self._lock:
            now = now_ms()
            if not self._ready or now > self._until_ms:
                self._ready = self._noted(now)
                self._until_ms = now + NOTED_MS
            return self._ready.pop()

    def _noted(self, now: int) -> list[str]:
        versions = [new_id() for _ in range(NOTED_AT_ONCE)]
        with self._database.write() as work:
            discard(work, versions, due_at=now + NOTED_MS + ABANDONED_MS)
        return versions


class Objects:
    """Objects of buckets, which are named by id."""

    def __init__(self, database: Database, bucket_bytes: int) -> None:
        self._database = database
        self._bucket_bytes = bucket_bytes
        self._notes = Notes(database)

    def begin(self) -> str:
        """A version for bytes that are about to be stored: garbage until :meth:`put`."""
        return self._notes.take()

    def check(self, bucket_id: str, key: str, only_if: OnlyIf | None = None) -> None:
        """Refuse early what :meth:`put` would refuse: before bytes come that nobody wants.

        Raises:
            R2Error: see there.
        """
        with self._database.read() as session:
            row = session.execute(_old(bucket_id, key_bytes(key))).one_or_none()
            found = session.execute(_bucket(bucket_id)).one_or_none()
        if found is None:
            raise errors.no_such_bucket()
        _allow(row, found.lock, key, only_if)

    def put(
        self, bucket_id: str, key: str, said: Said, blob: Blob, only_if: OnlyIf | None = None
    ) -> tuple[ObjectView, str | None]:
        """Make what was stored the object of this key; the object, and the blob that was it before,
        if it was one.

        Raises:
            R2Error: the key cannot be one, the metadata are too large, the bucket is gone or full,
                the object is locked, or a condition does not hold.
        """
        check_said(said)
        view = ObjectView(
            **msgspec.structs.asdict(said),
            key=key,
            version=blob.version,
            size=blob.size,
            etag=blob.md5,
            checksums=blob.checksums,
            uploaded_at=now_ms(),
        )
        with self._database.write() as work:
            most = self._bucket_bytes
            gone = replace(work, bucket_id, view, only_if, "PutObject", bucket_bytes=most)
            work.execute(delete(R2Garbage).where(R2Garbage.version == blob.version))
        return view, gone

    def find(self, bucket_id: str, key: str) -> ObjectView | None:
        """What is known of an object; None if there is none."""
        query = select(*_COLUMNS).where(
            R2Object.bucket_id == bucket_id, R2Object.key == key_bytes(key)
        )
        with self._database.read() as session:
            row = session.execute(query).one_or_none()
        return None if row is None else _view(row)

    def pieces(self, view: ObjectView, start: int, length: int) -> list[Piece]:
        """Where some bytes of an object are, in order. Raises :func:`errors.no_such_key` if the
        object is no more, which only one in parts tells."""
        if not length:
            return []
        if not view.part_size:
            return [Piece(version=view.version, start=start, length=length)]
        first = start // view.part_size
        last = (start + length - 1) // view.part_size
        query = (
            select(R2Part.version, R2Part.size)
            .where(R2Part.owner == view.version)
            .order_by(R2Part.number)
            .offset(first)
            .limit(last - first + 1)
        )
        with self._database.read() as session:
            rows = session.execute(query).all()
        pieces = []
        skip, left = start - first * view.part_size, length
        for version, size in rows:
            taken = min(size - skip, left)
            pieces.append(Piece(version=version, start=skip, length=taken))
            skip, left = 0, left - taken
        if left:
            raise errors.no_such_key()
        return pieces

    def remove(self, bucket_id: str, *keys: str) -> list[str]:
        """Delete objects, which need not be there, all or none; the blobs that some of them were.

        Raises:
            R2Error: there is no such bucket, one of them is locked, or a key cannot be one.
        """
        wanted = sorted({key_bytes(key) for key in keys})
        gone: list[str] = []
        with self._database.write() as work:
            bucket = _locked_bucket(work, bucket_id)
            for some in chunks(wanted):
                these = (R2Object.bucket_id == bucket_id) & R2Object.key.in_(some)
                rows = work.execute(select(*_COLUMNS).where(these)).all()
                for row in rows:
                    _allow(row, bucket.lock, row.key.decode(), None)
                gone += remove_rows(work, bucket_id, rows)
                if bucket.told:
                    notify(work, bucket_id, "DeleteObject", rows)
        return gone

    def list(
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
                    select(*_COLUMNS)
                    .where(R2Object.bucket_id == bucket_id, R2Object.key > at)
                    .where(R2Object.key >= first, R2Object.key < first + _BEHIND)
                    .order_by(R2Object.key)
                    .limit(room + 1)
                )
                rows = session.execute(page).all()
                more = len(rows) > room
                for row in rows[:room]:
                    if groups and row.key.startswith(groups[-1]):
                        continue
                    cut = row.key.find(split, len(first)) if split else -1
                    at = row.key
                    if cut < 0:
                        found.append(_view(row))
                    else:
                        groups.append(row.key[: cut + len(split)])
                        at = groups[-1] + _BEHIND
        return Listing(
            objects=found,
            prefixes=[group.decode() for group in groups],
            cursor=encode_cursor(at) if more else None,
        )

    def garbage(self, limit: int = CHUNK) -> tuple[str, ...]:
        """Blobs that nothing refers to, and will not any more."""
        due = R2Garbage.due_at < now_ms()
        query = select(R2Garbage.version).where(due).order_by(R2Garbage.due_at).limit(limit)
        with self._database.read() as session:
            return tuple(session.scalars(query))

    def forget(self, versions: Sequence[str]) -> None:
        """These blobs are gone."""
        with self._database.write() as work:
            work.execute(delete(R2Garbage).where(R2Garbage.version.in_(versions)))


def key_bytes(key: str) -> bytes:
    """A key as it is kept. Raises :func:`errors.invalid_name` if it cannot be one."""
    try:
        data = key.encode()
    except UnicodeEncodeError as exc:
        raise errors.invalid_name() from exc
    if not data or len(data) > KEY_BYTES or b"\0" in data:
        raise errors.invalid_name()
    return data


def check_said(said: Said) -> None:
    """Raise R2Error if there is too much of it, or it cannot be headers where it has to."""
    if not all(_HEADER.fullmatch(value) for value in said.http_metadata.values()):
        raise errors.invalid_metadata()
    pairs = (*said.http_metadata.items(), *said.custom_metadata.items())
    if sum(len(name.encode()) + len(value.encode()) for name, value in pairs) > METADATA_BYTES:
        raise errors.metadata_too_large()


def charge(work: Work, bucket_id: str, *, rows: int, size: int, objects: int = 0) -> None:
    """Add to what a bucket is charged for: so many rows, and their bytes."""
    work.execute(
        update(Bucket)
        .where(Bucket.id == bucket_id)
        .values(objects=Bucket.objects + objects, bytes=Bucket.bytes + size + rows * ROW_BYTES)
    )


def discard(work: Work, versions: Sequence[str], *, due_at: int) -> None:
    """Note blobs as garbage."""
    if versions:
        work.execute(insert(R2Garbage), [{"version": each, "due_at": due_at} for each in versions])


def replace(
    work: Work,
    bucket_id: str,
    view: ObjectView,
    only_if: OnlyIf | None,
    action: Action,
    *,
    bucket_bytes: int,
    charged: int = 0,
) -> str | None:
    """Write an object in the place of what is there, and tell queues that by ``action`` it is
    there; the blob that was there before, if it was one.
    ``charged`` is what the bucket is charged for already of what is written.

    Raises:
        R2Error: see :meth:`Objects.put`.
    """
    key = key_bytes(view.key)
    bucket = _locked_bucket(work, bucket_id)
    old = work.execute(_old(bucket_id, key)).one_or_none()
    _allow(old, bucket.lock, view.key, only_if)
    gone = remove_rows(work, bucket_id, [old]) if old is not None else []
    size = view.size + ROW_BYTES - charged
    released = 0 if old is None else old.size + ROW_BYTES
    if size > released and bucket.bytes - released + size > bucket_bytes:
        raise errors.full()
    work.execute(
        insert(R2Object).values(
            {**msgspec.structs.asdict(view), "bucket_id": bucket_id, "key": key}
        )
    )
    charge(work, bucket_id, rows=1, size=view.size - charged, objects=1)
    if bucket.told:
        notify(work, bucket_id, action, [view])
    return gone[0] if gone else None


def remove_rows(work: Work, bucket_id: str, rows: Sequence[Row[Any]]) -> list[str]:
    """Delete these objects of a locked bucket; the blobs that some of them were. Those of objects
    in parts stay for a while."""
    if not rows:
        return []
    work.execute(
        delete(R2Object).where(
            R2Object.bucket_id == bucket_id, R2Object.key.in_([row.key for row in rows])
        )
    )
    whole = [row.version for row in rows if not row.part_size]
    parts = [row.version for row in rows if row.part_size]
    discard(work, whole, due_at=(due_at := now_ms() + READERS_MS))
    part_rows = discard_parts(work, parts, due_at=due_at)[0]
    size = sum(row.size for row in rows)
    charge(work, bucket_id, rows=-len(rows) - part_rows, size=-size, objects=-len(rows))
    return whole


def discard_parts(work: Work, owners: Sequence[str], *, due_at: int) -> tuple[int, int]:
    """Delete the parts of uploads or objects; how many, and how many bytes, that were."""
    count = size = 0
    for owner in owners:
        parts = work.execute(select(R2Part.version, R2Part.size).where(R2Part.owner == owner)).all()
        discard(work, [part.version for part in parts], due_at=due_at)
        work.execute(delete(R2Part).where(R2Part.owner == owner))
        count += len(parts)
        size += sum(part.size for part in parts)
    return count, size


def _allow(
    old: Row[Any] | None, rules: list[dict[str, Any]] | None, key: str, only_if: OnlyIf | None
) -> None:
    """Raise if what is there is not to be replaced or deleted."""
    if old is not None and rules and locks(rules, key, old.uploaded_at, now_ms()):
        raise errors.locked()
    if only_if is not None and not (
        only_if.holds(None) if old is None else only_if.holds(old.etag, old.uploaded_at)
    ):
        raise errors.unmet()


def _old(bucket_id: str, key: bytes) -> Any:
    return select(*_COLUMNS).where(R2Object.bucket_id == bucket_id, R2Object.key == key)


def _bucket(bucket_id: str) -> Any:
    columns = (Bucket.lock, Bucket.bytes, told(bucket_id).label("told"))
    return select(*columns).where(Bucket.id == bucket_id)


def _locked_bucket(work: Work, bucket_id: str) -> Row[Any]:
    """The bucket: whoever else writes to it waits."""
    found: Row[Any] | None = work.execute(_bucket(bucket_id).with_for_update()).one_or_none()
    if found is None:
        raise errors.no_such_bucket()
    return found


def _view(row: Row[Any]) -> ObjectView:
    return ObjectView(**{**row._mapping, "key": row.key.decode()})
