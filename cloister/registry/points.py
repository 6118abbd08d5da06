"""Data points that Workers write: kept for three months, within a bound for each account.

An executor writes what has come in a moment as one row for each dataset, and readers get the lines
of it: nobody asks for single points.
"""

import zlib
from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import Select, delete, func, select, tuple_

from cloister.registry.database import Database, now_ms
from cloister.registry.models import Account
from cloister.registry.names import new_id
from cloister.registry.points_models import PointBatch
from cloister.settings import MIB

KEPT_S = 92 * 24 * 3600
ACCOUNT_BYTES = 1024 * MIB
"""Of an account, compressed; the oldest go first."""

BATCH_BYTES = 4 * MIB
"""Of the lines of one row."""

READ_ROWS = 50
TRIMMED_ROWS = 500
LATER_MS = 10_000
"""A row is written so much later than its first point, at most."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A point, as readers get it: one line of JSON."""

    timestamp: int
    """Epoch milliseconds."""
    namespace: str
    script: str
    index: str | None
    blobs: list[str | None]
    doubles: list[float]


class DatasetView(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of a dataset. Times are epoch milliseconds."""

    name: str
    points: int
    first_at: int
    last_at: int


_encode = msgspec.json.Encoder().encode


class Points:
    """Writes, reads and trims them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, batches: Sequence[tuple[str, str, Sequence[Point]]]) -> None:
        """Write points by account and dataset, all in one transaction. Those of an account that is
        gone are dropped."""
        with self._database.write() as work:
            accounts = {account_id for account_id, _, _ in batches}
            there = set(work.scalars(select(Account.id).where(Account.id.in_(accounts))))
            work.add_all(
                row
                for account_id, dataset, points in batches
                if account_id in there
                for row in _rows(account_id, dataset, points)
            )

    def datasets(self, account_id: str) -> list[DatasetView]:
        """What the account has, by name."""
        query = (
            select(
                PointBatch.dataset,
                func.sum(PointBatch.points).label("points"),
                func.min(PointBatch.written_at).label("first_at"),
                func.max(PointBatch.written_at).label("last_at"),
            )
            .where(PointBatch.account_id == account_id)
            .group_by(PointBatch.dataset)
            .order_by(PointBatch.dataset)
        )
        with self._database.read() as session:
            return [
                DatasetView(name=name, points=int(points), first_at=first_at, last_at=last_at)
                for name, points, first_at, last_at in session.execute(query)
            ]

    def lines(
        self, account_id: str, dataset: str, *, since: int, until: int, limit: int
    ) -> Iterator[bytes]:
        """Up to so many points of that time (epoch ms, without the end), each a line of JSON, in
        the order in which they were written. Reads as it goes: what is written meanwhile may be
        there."""
        after: tuple[int, str] = (since, "")
        last = until + LATER_MS
        while limit > 0 and (rows := self._next(account_id, dataset, after, last)):
            for row in rows:
                for line in zlib.decompress(row.body).splitlines(keepends=True):
                    if since <= msgspec.json.decode(line, type=_Stamp).timestamp < until:
                        yield line
                        limit -= 1
                        if not limit:
                            return
            after = rows[-1].written_at, rows[-1].id

    def _next(
        self, account_id: str, dataset: str, after: tuple[int, str], last: int
    ) -> Sequence[PointBatch]:
        query = (
            select(PointBatch)
            .where(
                PointBatch.account_id == account_id,
                PointBatch.dataset == dataset,
                tuple_(PointBatch.written_at, PointBatch.id) > after,
                PointBatch.written_at <= last,
            )
            .order_by(PointBatch.written_at, PointBatch.id)
            .limit(READ_ROWS)
        )
        with self._database.read() as session:
            return session.scalars(query).all()

    def trim(self) -> int:
        """Delete rows that are too old or too many, a bounded number of them; how many it was."""
        old = now_ms() - KEPT_S * 1000
        with self._database.write() as work:
            ids = list(
                work.scalars(
                    select(PointBatch.id).where(PointBatch.written_at < old).limit(TRIMMED_ROWS)
                )
            )
            ids += work.scalars(_surplus().limit(TRIMMED_ROWS))
            work.execute(delete(PointBatch).where(PointBatch.id.in_(ids)))
        return len(set(ids))


class _Stamp(msgspec.Struct):
    timestamp: int


def _surplus() -> "Select[str]":
    """Ids of rows before which, of the newest on, the account has its full measure already."""
    newer = func.sum(PointBatch.size).over(
        partition_by=PointBatch.account_id,
        order_by=(PointBatch.written_at.desc(), PointBatch.id.desc()),
    )
    counted = select(PointBatch.id, newer.label("newer")).subquery()
    return select(counted.c.id).where(counted.c.newer > ACCOUNT_BYTES)


def _rows(account_id: str, dataset: str, points: Sequence[Point]) -> Iterator[PointBatch]:
    lines: list[bytes] = []
    size = 0
    for point in points:
        line = _encode(point) + b"\n"
        if lines and size + len(line) > BATCH_BYTES:
            yield _row(account_id, dataset, lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield _row(account_id, dataset, lines)


def _row(account_id: str, dataset: str, lines: Sequence[bytes]) -> PointBatch:
    body = zlib.compress(b"".join(lines), 1)
    return PointBatch(
        id=new_id(),
        account_id=account_id,
        dataset=dataset,
        written_at=now_ms(),
        points=len(lines),
        size=len(body),
        body=body,
    )
