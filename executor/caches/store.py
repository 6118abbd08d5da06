"""Where cached responses are: a SQLite file in the data directory, shared by this machine's
executors. No tenant's SQL comes near it. Nothing is synced: what a crash takes is cached no more.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import msgspec

from cloister.settings import MIB

ITEM_BYTES = 16 * MIB
OWNER_BYTES = 64 * MIB
TOTAL_BYTES = 1024 * MIB
ENTRY_BYTES = 1024
"""What an entry counts for beside head and body, so that empty ones are bounded too."""

ABANDONED_S = 600.0
"""A response that is being written for longer will never be ready."""

BUSY_S = 5.0
_OLDEST = "SELECT id FROM entries WHERE ready = 1 ORDER BY id LIMIT 1"
_OLDEST_OF_OWNER = "SELECT id FROM entries WHERE owner = :owner AND ready = 1 ORDER BY id LIMIT 1"


class Head(msgspec.Struct, frozen=True, array_like=True):
    """Status and headers."""

    status: int
    headers: list[tuple[str, str]]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A cached response. Its body is read piece by piece."""

    id: int
    head: Head
    body_size: int
    age_s: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Head).decode


class CacheStore:
    """For any number of threads, one at a time. Every method raises sqlite3.Error."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def find(self, owner: str, key: bytes) -> Entry | None:
        """The response under a key, if it is fresh."""
        now = time.time()
        with self._open() as db:
            row = db.execute(
                "SELECT id, head, size, stored_at FROM entries"
                " WHERE owner = ? AND key = ? AND ready = 1 AND expires_at > ?",
                (owner, key, now),
            ).fetchone()
        if row is None:
            return None
        id_, head, size, stored_at = row
        return Entry(
            id=id_,
            head=_decode(head),
            body_size=size - len(head) - ENTRY_BYTES,
            age_s=max(int(now - stored_at), 0),
        )

    def piece(self, entry: int, number: int) -> bytes | None:
        """A piece of a body; None after the last one, and if the entry is gone."""
        with self._open() as db:
            row = db.execute(
                "SELECT data FROM pieces WHERE entry = ? AND number = ?", (entry, number)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def begin(self, owner: str, key: bytes, head: Head, ttl_s: float) -> int:
        """Begin to write a response; its number."""
        now = time.time()
        values = (owner, key, _encode(head), 0, now, now + ttl_s, 0)
        with self._open() as db:
            abandoned = now - ABANDONED_S
            db.execute("DELETE FROM entries WHERE ready = 0 AND stored_at < ?", (abandoned,))
            cursor = db.execute(
                "INSERT INTO entries (owner, key, head, size, stored_at, expires_at, ready)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            return int(cursor.lastrowid or 0)

    def add(self, entry: int, number: int, data: bytes) -> None:
        """Write a piece of its body, unless it was dropped meanwhile: it would stay for ever."""
        with self._open() as db:
            db.execute(
                "INSERT INTO pieces SELECT id, ?, ? FROM entries WHERE id = ? AND ready = 0",
                (number, data, entry),
            )

    def finish(self, entry: int, size: int) -> None:
        """It is whole, with a body of that size, and replaces what was there. The oldest of its
        owner, and of all, go if there is not room for all."""
        with self._open() as db:
            found = db.execute("SELECT owner, key, head FROM entries WHERE id = ?", (entry,))
            row = found.fetchone()
            if row is None:
                return
            owner, key, head = row
            db.execute(
                "DELETE FROM entries WHERE owner = ? AND key = ? AND ready = 1", (owner, key)
            )
            counted = size + len(head) + ENTRY_BYTES
            db.execute("UPDATE entries SET size = ?, ready = 1 WHERE id = ?", (counted, entry))
            _evict(db, owner, OWNER_BYTES)
            _evict(db, "", TOTAL_BYTES)

    def drop(self, entry: int) -> None:
        """It will not be finished."""
        with self._open() as db:
            db.execute("DELETE FROM entries WHERE id = ?", (entry,))

    def delete(self, owner: str, key: bytes) -> bool:
        """Delete what is there under a key; whether something was."""
        with self._open() as db:
            deleted = db.execute(
                "DELETE FROM entries WHERE owner = ? AND key = ? AND ready = 1", (owner, key)
            )
            return deleted.rowcount > 0

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The connection, in a transaction of its own."""
        with self._lock:
            if self._connection is None:
                self._connection = _connect(self._directory)
            with self._connection as connection:
                yield connection


def _evict(db: sqlite3.Connection, owner: str, bound: int) -> None:
    """Delete the oldest until an owner, or all (the empty name), have no more than that."""
    oldest = _OLDEST_OF_OWNER if owner else _OLDEST
    while _total(db, owner) > bound:
        row = db.execute(oldest, {"owner": owner}).fetchone()
        if row is None:
            return
        db.execute("DELETE FROM entries WHERE id = ?", row)


def _total(db: sqlite3.Connection, owner: str) -> int:
    row = db.execute("SELECT size FROM totals WHERE owner = ?", (owner,)).fetchone()
    return 0 if row is None else int(row[0])


def _connect(directory: Path) -> sqlite3.Connection:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "responses.db"
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False)
    for pragma in ("journal_mode=WAL", "synchronous=OFF", "journal_size_limit=16777216"):
        connection.execute(f"PRAGMA {pragma}")
    connection.executescript(files("executor.caches").joinpath("schema.sql").read_text())
    return connection
