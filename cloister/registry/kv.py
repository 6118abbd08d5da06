"""Key-value pairs. A write is visible to every reader as soon as it returns; the last one wins.

Keys are ordered by their UTF-8 bytes. An expired pair reads as missing at once; each write of a
pair that expires deletes a few that have, so that they do not gather (:meth:`Kv.purge` deletes
more). A database that is a file answers sooner than a cache would; what another server has is read
through :class:`KvCache`.

Nothing here asks whose namespace it is: that is settled when a worker is uploaded with a binding to
it, and by :class:`KvNamespaces` for the API.
"""

import builtins
import time
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, bindparam, case, delete, func, or_, select, tuple_
from sqlalchemy.exc import IntegrityError

from cloister.errors import Invalid, NotFound, NotReady
from cloister.registry.cursors import decode_cursor, encode_cursor
from cloister.registry.database import Database, NearQuery, Work, chunks
from cloister.registry.kv_cache import KvCache
from cloister.registry.kv_namespaces import KvNamespaces
from cloister.registry.models import KvPair
from cloister.registry.views import KvKey, KvPut, KvValue, Page
from cloister.settings import MIB

KEY_BYTES = 512
VALUE_BYTES = 25 * MIB
METADATA_BYTES = 1_024
LIST_LIMIT = 1_000
LAST_SECOND = 2**53
PURGED_AT_WRITE = 2
"""Expired pairs deleted for each one written that expires: more go than come."""

NEAR_BYTES = 64 * 1024
"""Largest value that is read without a wait."""

SHORTEST_TTL_S = 60
"""For so long a cached value is kept at least."""

# Built once: that takes longer than to ask the database.
_THIS = (
    (KvPair.namespace_id == bindparam("namespace_id"))
    & (KvPair.key == bindparam("key"))
    & (KvPair.expires_at.is_(None) | (KvPair.expires_at > bindparam("now")))
)
_ONE = select(KvPair.value, KvPair.metadata_json, KvPair.expires_at).where(_THIS)
_NEAR = NearQuery(
    select(
        case((func.length(KvPair.value) <= NEAR_BYTES, KvPair.value)).label("value"),
        KvPair.metadata_json,
        KvPair.expires_at,
    ).where(_THIS)
)


class Kv:
    """Reads and writes pairs; ``namespaces`` makes and deletes what they live in.

    Every method that takes a key raises:
        Invalid: the key is empty, longer than 512 bytes, "." or "..".
    """

    def __init__(self, database: Database, cache: KvCache | None = None) -> None:
        self._database = database
        self._cache = cache
        self.namespaces = KvNamespaces(database, cache)

    def get(
        self, namespace_id: str, key: str, *, ttl_s: int = SHORTEST_TTL_S, wait: bool = True
    ) -> KvValue | None:
        """The value, or None: no such key, expired, or no such namespace.

        A cache keeps it for ``ttl_s``. Without ``wait``, only a database that is a file is asked.

        Raises:
            NotReady: the database does not answer; without ``wait`` also if it is not near, or
                the value is large.
        """
        name = check_key(key)
        if not wait:
            return self._near(namespace_id, name)
        if self._cache is None:
            return self._one(namespace_id, name)
        return self._cache.get(namespace_id, name, ttl_s, self._one)

    def _near(self, namespace_id: str, key: bytes) -> KvValue | None:
        values = {"namespace_id": namespace_id, "key": key, "now": _now_s()}
        row = self._database.near_row(_NEAR, values)
        if row is None:
            return None
        value, metadata, expires_at = row
        if value is None:
            raise NotReady("The value is too large to be read at once.")
        return KvValue(value=value, metadata=metadata, expires_at=expires_at)

    def _one(self, namespace_id: str, key: bytes) -> KvValue | None:
        values = {"namespace_id": namespace_id, "key": key, "now": _now_s()}
        row = self._database.row(_ONE, values, wait=True)
        if row is None:
            return None
        value, metadata, expires_at = row
        return KvValue(value=value, metadata=metadata, expires_at=expires_at)

    def get_many(
        self, namespace_id: str, keys: Iterable[str], *, limit_bytes: int | None = None
    ) -> dict[str, KvValue]:
        """Those of the keys that are there, all of one moment on SQLite.

        Raises:
            Invalid: the values together have more bytes than the limit; none was read.
        """
        wanted = [check_key(key) for key in dict.fromkeys(keys)]
        found: dict[str, KvValue] = {}
        with self._database.read() as session:
            for chunk in chunks(wanted):
                these = (KvPair.namespace_id == namespace_id) & KvPair.key.in_(chunk) & _alive()
                if limit_bytes is not None:
                    size = session.scalar(select(func.sum(func.length(KvPair.value))).where(these))
                    limit_bytes -= size or 0
                    if limit_bytes < 0:
                        raise Invalid("The values together are too large; get fewer keys.")
                rows = session.scalars(select(KvPair).where(these))
                found |= {row.key.decode(): _value(row) for row in rows}
        return found

    def put(
        self,
        namespace_id: str,
        key: str,
        value: bytes,
        *,
        metadata: str | None = None,
        expires_at: int | None = None,
    ) -> None:
        """Write a pair, whole, over what was there. ``metadata`` is JSON text.

        Raises:
            NotFound: there is no such namespace.
            Invalid: value or metadata are too large, or the metadata is not JSON.
        """
        pair = KvPut(key=key, value=value, metadata=metadata, expires_at=expires_at)
        self.put_many(namespace_id, [pair])

    def put_many(self, namespace_id: str, pairs: Iterable[KvPut]) -> None:
        """Write all of the pairs or, on any error, none. Of one key twice, the last wins.

        Raises as :meth:`put`.
        """
        last = {check_key(pair.key): pair for pair in pairs}
        # In one order, so that two writers of the same keys never wait for each other in a circle.
        rows = [_row(namespace_id, key, last[key]) for key in sorted(last)]
        if not rows:
            return
        try:
            with self._database.write() as work:
                insert = work.insert(KvPair)
                upsert = insert.on_conflict_do_update(
                    index_elements=[KvPair.namespace_id, KvPair.key],
                    set_={
                        "value": insert.excluded.value,
                        "metadata_json": insert.excluded.metadata_json,
                        "expires_at": insert.excluded.expires_at,
                    },
                )
                try:
                    work.execute(upsert, rows)
                except IntegrityError as exc:
                    raise NotFound("There is no such KV namespace.") from exc
                expiring = sum(row["expires_at"] is not None for row in rows)
                if expiring:
                    _purge(work, expiring * PURGED_AT_WRITE)
        finally:  # of a commit that failed it may not be known whether it did
            self._forget(namespace_id, last)

    def delete(self, namespace_id: str, key: str) -> None:
        """Delete a pair, which need not be there."""
        self.delete_many(namespace_id, [key])

    def delete_many(self, namespace_id: str, keys: Iterable[str]) -> None:
        """Delete pairs, all in one transaction; they need not be there."""
        wanted = sorted({check_key(key) for key in keys})
        try:
            with self._database.write() as work:
                for chunk in chunks(wanted):
                    mine = (KvPair.namespace_id == namespace_id) & KvPair.key.in_(chunk)
                    work.execute(delete(KvPair).where(mine))
        finally:
            self._forget(namespace_id, wanted)

    def _forget(self, namespace_id: str, keys: Iterable[bytes]) -> None:
        """What the cache has of these keys is old, now that the write is over."""
        if self._cache is not None:
            self._cache.forget(namespace_id, keys)

    def list(
        self,
        namespace_id: str,
        *,
        prefix: str = "",
        limit: int = LIST_LIMIT,
        cursor: str | None = None,
    ) -> Page[KvKey]:
        """Keys in the order of their UTF-8 bytes.

        Raises:
            Invalid: the limit is not 1 to 1000, or the cursor is not one of ours.
        """
        if not 1 <= limit <= LIST_LIMIT:
            raise Invalid(f"limit must be 1 to {LIST_LIMIT}.")
        query = (
            select(KvPair.key, KvPair.metadata_json, KvPair.expires_at)
            .where(KvPair.namespace_id == namespace_id, *_beginning(prefix), _alive())
            .order_by(KvPair.key)
            .limit(limit + 1)
        )
        if cursor is not None:
            query = query.where(KvPair.key > decode_cursor(cursor))
        with self._database.read() as session:
            rows = session.execute(query).all()
        keys = [
            KvKey(name=row.key.decode(), metadata=row.metadata_json, expires_at=row.expires_at)
            for row in rows[:limit]
        ]
        return Page(items=keys, cursor=encode_cursor(rows[limit - 1].key) if rows[limit:] else None)

    def purge(self, limit: int = 1_000) -> int:
        """Delete up to so many expired pairs, of all namespaces; how many it were."""
        with self._database.write() as work:
            return _purge(work, limit)


def check_key(key: str) -> bytes:
    """The key's UTF-8 bytes.

    Raises:
        Invalid: it may not be a key.
    """
    try:
        data = key.encode()
    except UnicodeEncodeError as exc:
        raise Invalid("A key must be valid Unicode text.") from exc
    if not data or key in {".", ".."}:
        raise Invalid('A key must not be empty, "." or "..".')
    if len(data) > KEY_BYTES:
        raise Invalid(f"A key has at most {KEY_BYTES} bytes of UTF-8; this one has {len(data)}.")
    return data


def _purge(work: Work, limit: int) -> int:
    query = (
        select(KvPair.namespace_id, KvPair.key)
        .where(KvPair.expires_at <= _now_s())
        .order_by(KvPair.expires_at)
        .limit(limit)
        # What others are writing is not expired any more, or theirs to delete.
        .with_for_update(skip_locked=True)
    )
    found = [(row.namespace_id, row.key) for row in work.execute(query)]
    for chunk in chunks(found):
        named = tuple_(KvPair.namespace_id, KvPair.key).in_(chunk)
        work.execute(delete(KvPair).where(named))
    return len(found)


def _row(namespace_id: str, key: bytes, pair: KvPut) -> dict[str, Any]:
    if len(pair.value) > VALUE_BYTES:
        raise Invalid(f"A value has at most {VALUE_BYTES} bytes; this one has {len(pair.value)}.")
    if pair.expires_at is not None and not 0 < pair.expires_at < LAST_SECOND:
        raise Invalid("An expiration is in seconds since 1970.")
    if pair.metadata is not None:
        _check_metadata(pair.metadata)
    return {
        "namespace_id": namespace_id,
        "key": key,
        "value": pair.value,
        "metadata_json": pair.metadata,
        "expires_at": pair.expires_at,
    }


def _check_metadata(metadata: str) -> None:
    try:
        data = metadata.encode()
        msgspec.json.decode(data)
    except (UnicodeEncodeError, msgspec.DecodeError) as exc:
        raise Invalid("Metadata must be JSON.") from exc
    if len(data) > METADATA_BYTES:
        raise Invalid(f"Metadata has at most {METADATA_BYTES} bytes; this has {len(data)}.")


def _beginning(prefix: str) -> builtins.list[ColumnElement[bool]]:
    """The range of the keys that begin so; an index finds it, as it would not find a LIKE."""
    if not prefix:
        return []
    first = check_key(prefix) if prefix not in {".", ".."} else prefix.encode()
    # UTF-8 has no byte 255: the last byte can always be one more.
    after = first[:-1] + bytes([first[-1] + 1])
    return [KvPair.key >= first, KvPair.key < after]


def _alive() -> ColumnElement[bool]:
    return or_(KvPair.expires_at.is_(None), KvPair.expires_at > _now_s())


def _now_s() -> int:
    return int(time.time())


def _value(row: KvPair) -> KvValue:
    return KvValue(value=row.value, metadata=row.metadata_json, expires_at=row.expires_at)
