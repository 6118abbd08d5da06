"""What a database was: each transaction of some time back can be returned to.

SQLite's log (WAL) is emptied by us alone, and kept before that, as one *generation* of it. A point
in time is a generation and a number of pages in it, both of which only grow. Kept are two stretches
of time, each a copy of the database and the generations from then on; when the newer one is long
enough, the older one makes room for the next.
"""

import os
import sqlite3
import struct
import time
from contextlib import closing
from hashlib import md5
from pathlib import Path
from typing import BinaryIO, NamedTuple

from executor.databases.cell.connection import PAGE_BYTES, Database, Refused
from executor.databases.files import BASES, DATABASE, LOGS, RESTORED

MIB = 1024 * 1024
GENERATION_BYTES = 4 * MIB
"""Of the log when it is emptied."""
GENERATION_S = 60.0
"""A generation that something was written to is closed after so long: to the minute, the product
says, a database can be restored."""

STRETCH_BYTES = 128 * MIB
"""Of generations in a stretch, or as much as the database has, if that is more."""
STRETCH_GENERATIONS = 10_000
KEPT_S = 30 * 24 * 3600
LARGEST_BYTES = 512 * MIB
"""A larger database has no history: to copy it would hold up its queries for too long."""

LOG_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES

_record = struct.Struct(">IQI")
_frame = struct.Struct(">II16x")

TOO_OLD = "Time travel does not reach back that far for this database."


class Point(NamedTuple):
    """A moment between two transactions."""

    generation: int
    pages: int


class Kept(NamedTuple):
    """A generation in a stretch, when (epoch milliseconds) it ended, and where it is."""

    generation: int
    ended_ms: int
    start: int
    pages: int


class History:
    """Of one database, which nothing else checkpoints."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = md5(name.encode(), usedforsecurity=False).hexdigest()
        self._log = Path(f"{DATABASE}-wal")
        self._stretches = [_read(Path(log)) for log in LOGS]
        known = [each[-1].generation for each in self._stretches if each]
        self._generation = max(known, default=int(time.time())) + 1
        self._pages = 0
        self._is_blurred = False
        self._changed_ms = 0
        self._rolled_s = time.monotonic()
        database.connection.execute("PRAGMA wal_autocheckpoint=0")
        if not known:
            self._empty_log()
            self._begin_stretch()
        elif self._log_pages():
            self._changed_ms = _now_ms()  # whoever had it open was killed
            self.roll()
        database.on_settled = self._settled

    @property
    def bookmark(self) -> str:
        """Where the database is now."""
        return self._text(Point(self._generation, self._pages))

    def bookmark_at(self, at_ms: int | None) -> str:
        """Where it was at that time, to the end of a generation. Raises :class:`Refused`."""
        if at_ms is None or (self._pages and at_ms >= self._changed_ms):
            return self.bookmark
        before = [kept for kept in self._all() if kept.ended_ms <= at_ms]
        if not before or at_ms < _now_ms() - KEPT_S * 1000:
            raise Refused("sql", TOO_OLD)
        return self._text(Point(before[-1].generation + 1, 0))

    def restore(self, bookmark: str) -> str:
        """Make the database what it was there, in one transaction, which is history as well; the
        bookmark before that.

        Raises:
            Refused: it is no bookmark of this database, or too old.
        """
        point = self._point(bookmark)
        if point > Point(self._generation, self._pages):
            raise Refused("sql", f"Invalid bookmark: {bookmark[:80]!r}.")
        if self._pages:
            self.roll()
        previous = self.bookmark
        try:
            self._build(point, Path(RESTORED))
            with closing(sqlite3.connect(RESTORED)) as restored:
                restored.execute("PRAGMA locking_mode=EXCLUSIVE")
                restored.backup(self._database.connection)
        finally:
            for name in (RESTORED, f"{RESTORED}-wal", f"{RESTORED}-journal"):
                Path(name).unlink(missing_ok=True)
        self._settled(is_committed=True)
        return previous

    def keep(self) -> None:
        """Close the generation if it is due. To be called when nobody waits."""
        due_s = self._rolled_s + GENERATION_S
        is_large = self._pages * FRAME_BYTES >= GENERATION_BYTES
        if self._is_blurred or is_large or (self._pages and time.monotonic() >= due_s):
            self.roll()

    def close(self) -> None:
        """Keep what was written, before the database is closed."""
        if self._pages or self._is_blurred:
            self.roll()

    def roll(self) -> None:
        """Close the generation: what is in SQLite's log is kept, and gone from there."""
        _, pages, _ = self._database.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        slot = self._newer()
        is_kept = slot is not None and self._keep(slot, pages)
        self._generation += pages > 0
        self._empty_log()
        self._pages, self._is_blurred = 0, False
        self._rolled_s = time.monotonic()
        if slot is None or not is_kept or self._is_long(slot):
            self._begin_stretch()

    # Points:

    def _settled(self, *, is_committed: bool) -> None:
        """A transaction is over."""
        pages = self._log_pages()
        if not is_committed:
            self._is_blurred |= pages != self._pages  # there is more in the log than counts
        elif pages != self._pages:
            self._pages, self._changed_ms = pages, _now_ms()

    def _log_pages(self) -> int:
        try:
            size = self._log.stat().st_size
        except FileNotFoundError:
            return 0
        return max(0, size - LOG_HEADER_BYTES) // FRAME_BYTES

    def _text(self, point: Point) -> str:
        return f"{point.generation:08x}-{point.pages:08x}-{0:08x}-{self._name}"

    def _point(self, bookmark: str) -> Point:
        parts = bookmark.split("-")
        if len(parts) == 4 and parts[3] == self._name:
            try:
                found = Point(int(parts[0], 16), int(parts[1], 16))
            except ValueError:
                found = None
            if found is not None and self._text(found) == bookmark:
                return found
        raise Refused("sql", f"Invalid bookmark: {bookmark[:80]!r}.")

    # Stretches:

    def _all(self) -> list[Kept]:
        return sorted(kept for stretch in self._stretches for kept in stretch)

    def _newer(self) -> int | None:
        """Which of the two is written to."""
        there = [slot for slot, stretch in enumerate(self._stretches) if stretch]
        return max(there, key=lambda slot: self._stretches[slot][0], default=None)

    def _is_long(self, slot: int) -> bool:
        first, last = self._stretches[slot][0], self._stretches[slot][-1]
        size_bytes = last.start + last.pages * FRAME_BYTES
        return (
            size_bytes > max(STRETCH_BYTES, self._database.size_bytes)
            or len(self._stretches[slot]) > STRETCH_GENERATIONS
            or first.ended_ms < _now_ms() - KEPT_S * 1000
        )

    def _begin_stretch(self) -> None:
        """Copy the database, whose log is empty, over the older of the two."""
        newer = self._newer()
        slot = 0 if newer is None else 1 - newer
        self._drop(slot)
        if self._database.size_bytes > LARGEST_BYTES:
            return
        try:
            self._copy(slot)
        except (OSError, sqlite3.Error):  # as above
            self._drop(slot)

    def _copy(self, slot: int) -> None:
        with closing(sqlite3.connect(BASES[slot])) as base:
            self._database.connection.backup(base)
        kept = Kept(self._generation - 1, _now_ms(), _record.size, 0)
        with Path(LOGS[slot]).open("wb") as log:
            _write(log, _record.pack(kept.generation, kept.ended_ms, 0))
        self._stretches[slot] = [kept]

    def _drop(self, slot: int) -> None:
        self._stretches[slot] = []
        for name in (LOGS[slot], BASES[slot]):
            Path(name).unlink(missing_ok=True)

    def _keep(self, slot: int, pages: int) -> bool:
        """Keep what is in SQLite's log. If that is not possible, nothing is kept that would be
        followed by a gap."""
        try:
            if pages * FRAME_BYTES <= LARGEST_BYTES:
                if pages > 0:
                    self._append(slot, pages)
                return True
        except OSError:  # a full disk: the database is worth more than its past
            pass
        for each in range(len(LOGS)):
            self._drop(each)
        return False

    def _append(self, slot: int, pages: int) -> None:
        with self._log.open("rb") as source, Path(LOGS[slot]).open("r+b") as log:
            last = self._stretches[slot][-1]
            end = last.start + last.pages * FRAME_BYTES
            log.seek(end)
            log.truncate()
            log.write(_record.pack(self._generation, self._changed_ms, pages))
            source.seek(LOG_HEADER_BYTES)
            left = pages * FRAME_BYTES
            while left and (data := source.read(min(left, MIB))):
                log.write(data)
                left -= len(data)
            _write(log, b"")
        kept = Kept(self._generation, self._changed_ms, end + _record.size, pages)
        self._stretches[slot].append(kept)

    def _empty_log(self) -> None:
        self._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if self._log_pages():
            raise OSError("SQLite's log cannot be emptied")  # what follows would be counted wrongly

    def _build(self, point: Point, path: Path) -> None:
        """Write the database as it was at a point."""
        found = [slot for slot, each in enumerate(self._stretches) if each and _spans(each, point)]
        if not found:
            raise Refused("sql", TOO_OLD)
        slot = found[-1]
        with path.open("wb+") as target, Path(LOGS[slot]).open("rb") as log:
            with Path(BASES[slot]).open("rb") as base:
                while data := base.read(MIB):
                    target.write(data)
            for kept in self._stretches[slot][1:]:
                log.seek(kept.start)
                if kept.generation < point.generation:
                    _apply(log, kept.pages, target)
                elif kept.generation == point.generation:
                    _apply(log, min(point.pages, kept.pages), target)


def _spans(stretch: list[Kept], point: Point) -> bool:
    """Whether the database can be built from the stretch as it was there."""
    end = Point(stretch[-1].generation + 1, 0)
    return Point(stretch[0].generation + 1, 0) <= point <= end


def _apply(log: BinaryIO, pages: int, target: BinaryIO) -> None:
    """Write pages where they belong, as SQLite's checkpoint does."""
    size = 0
    for _ in range(pages):
        number, size = _frame.unpack(log.read(FRAME_HEADER_BYTES))
        target.seek((number - 1) * PAGE_BYTES)
        target.write(log.read(PAGE_BYTES))
    if size:  # pages in the database, said by the last of a transaction
        target.truncate(size * PAGE_BYTES)


def _read(path: Path) -> list[Kept]:
    """The generations in a log, as far as they are whole."""
    found: list[Kept] = []
    try:
        with path.open("rb") as log:
            end, at = path.stat().st_size, 0
            while at + _record.size <= end:
                log.seek(at)
                generation, ended_ms, pages = _record.unpack(log.read(_record.size))
                start = at + _record.size
                at = start + pages * FRAME_BYTES
                if at <= end:
                    found.append(Kept(generation, ended_ms, start, pages))
    except FileNotFoundError:
        pass
    return found


def _write(file: BinaryIO, data: bytes) -> None:
    """To the disk."""
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
