"""The one connection to the database: how it is opened, and what one request does with it."""

import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cloister.databases import (
    BATCH_STATEMENTS,
    DATABASE_BYTES,
    RESULT_BYTES,
    ROW_BYTES,
    Described,
    Execute,
    Executed,
    Kind,
    Meta,
    Result,
    Results,
    Run,
    Statement,
)
from executor.databases.cell import rules
from executor.databases.cell.statements import offset_of, split

PAGE_BYTES = 4096
CACHE_KIB = 8 * 1024
LOG_BYTES = 4 * 1024 * 1024
"""What is kept of the log when it was emptied."""
BUSY_MS = 10_000
"""How long to wait for a process that had the database before and is ending."""

PRAGMAS = (
    f"page_size={PAGE_BYTES}",
    # Nobody else opens it: a second process is refused, and no memory is shared through a file.
    "locking_mode=EXCLUSIVE",
    "journal_mode=WAL",
    "synchronous=FULL",  # an answer means that the disk has it
    "temp_store=MEMORY",
    "mmap_size=0",
    "foreign_keys=ON",
    "trusted_schema=OFF",
    "cell_size_check=ON",
    f"cache_size=-{CACHE_KIB}",
    f"journal_size_limit={LOG_BYTES}",
    f"max_page_count={DATABASE_BYTES // PAGE_BYTES}",
)

TICK = 10_000
"""Instructions of SQLite between two looks at the clock."""

SHOWN = 1_000
"""Characters of a line that an error shows."""

VALUE_BYTES = 16
"""What a value counts at least."""

_NEAR = re.compile(r'near "(.*)": syntax error|no such column: (.*)', re.DOTALL)


class Refused(Exception):
    """What was asked could not be done, and nothing of it was."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class Database:
    """SQLite, within the :mod:`rules`."""

    def __init__(self, path: str) -> None:
        self.on_settled: Callable[..., None] = _nothing
        """Told at the end of each transaction whether it ``is_committed``."""
        self._own = True
        self._changed_schema = False
        self._changed_settings = False
        self._deadline_s = float("inf")
        self._connection = sqlite3.connect(
            path, timeout=BUSY_MS / 1000, isolation_level=None, cached_statements=0
        )
        self._connection.text_factory = lambda data: data.decode("utf-8", "replace")
        for limit, value in rules.LIMITS.items():
            self._connection.setlimit(limit, value)
        if sys.version_info >= (3, 12):
            self._connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
        self._connection.set_authorizer(self._authorize)
        self._connection.set_progress_handler(self._is_late, TICK)
        for pragma in PRAGMAS:
            self._ask(f"PRAGMA {pragma}")

    @property
    def connection(self) -> sqlite3.Connection:
        """For what is our own."""
        return self._connection

    def close(self) -> None:
        """Close it in order: the log is emptied into the database."""
        self._connection.close()

    def describe(self) -> Described:
        """Its size and number of tables."""
        query = (
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        return Described(size_bytes=self.size_bytes, tables=self._ask(query)[0][0])

    def run(self, ask: Run, seconds: float) -> Results:
        """Run statements within so long.

        Raises:
            Refused: one failed, and none has an effect.
        """
        statements = _statements(ask)
        results: list[Result] = []
        left_bytes = RESULT_BYTES
        with self.transaction(seconds):
            for statement in statements:
                result, taken_bytes = self.execute(statement, left_bytes)
                left_bytes -= taken_bytes
                results.append(result)
        return Results(results)

    def execute_each(self, ask: Execute, seconds: float) -> Executed:
        """Run texts one after the other, within so long together.

        Raises:
            Refused: one failed. Those before it have an effect, as in the product.
        """
        started_s, count = time.monotonic(), 0
        if len(ask.texts) > BATCH_STATEMENTS:
            raise Refused("malformed", f"More than {BATCH_STATEMENTS} lines in one request.")
        for number, text in enumerate(ask.texts, start=1):
            if not split(text):
                continue
            left_s = seconds - (time.monotonic() - started_s)
            try:
                count += len(self.run(Run(statements=[Statement(text)]), left_s).results)
            except Refused as refused:
                message = f"Error in line {number}: {text[:SHOWN]}: {refused.message}"
                raise Refused(refused.kind, message) from None
        if not count:
            raise Refused("sql", "No SQL statements detected.")
        return Executed(count=count, duration_ms=(time.monotonic() - started_s) * 1000)

    @contextmanager
    def transaction(self, seconds: float) -> Iterator[None]:
        """Everything within, or nothing; and within so long.

        Raises:
            Refused: so as well if a constraint that was deferred does not hold at the end.
        """
        self._ask("BEGIN")
        self._deadline_s = time.monotonic() + seconds
        is_committed = False
        try:
            yield
            with _translated(""):
                self._ask("COMMIT")
            is_committed = True
        finally:
            self._deadline_s = float("inf")
            if self._connection.in_transaction:
                self._ask("ROLLBACK")
            self._restore()
            self.on_settled(is_committed=is_committed)

    def execute(self, statement: Statement, left_bytes: int = RESULT_BYTES) -> tuple[Result, int]:
        """Run one statement of a transaction. Also given is how many bytes its rows count.

        Raises:
            Refused: it failed, or its rows are too many.
        """
        values = [_parameter(one) for one in statement.params]
        changes, started_ns = self._connection.total_changes, time.perf_counter_ns()
        self._changed_schema = False
        with _translated(statement.sql):
            columns, rows, taken_bytes = self._query(statement.sql, values, left_bytes)
        meta = self._meta(changes, started_ns, len(rows))
        return Result(columns=columns, rows=rows, meta=meta), taken_bytes

    def _query(
        self, sql: str, values: Sequence[Any], left_bytes: int
    ) -> tuple[list[str], list[list[Any]], int]:
        self._own = False
        try:
            cursor = self._connection.execute(sql, values)
            rows: list[list[Any]] = []
            taken_bytes = 0
            for row in cursor:
                taken_bytes += sum(_size(value) for value in row)
                if taken_bytes > left_bytes:
                    raise Refused("too_large", f"The rows are more than {RESULT_BYTES} bytes.")
                rows.append(list(row))
        finally:
            self._own = True
        columns = [each[0] for each in cursor.description or ()]
        return columns, rows, taken_bytes

    def _meta(self, changes: int, started_ns: int, rows: int) -> Meta:
        changes = self._connection.total_changes - changes
        return Meta(
            duration_ms=(time.perf_counter_ns() - started_ns) / 1e6,
            changes=changes,
            last_row_id=self._ask("SELECT last_insert_rowid()")[0][0],
            changed_db=changes > 0 or self._changed_schema,
            size_bytes=self.size_bytes,
            rows_read=rows,
            rows_written=changes,
        )

    def total(self, since: int, started_ns: int) -> Meta:
        """About all that was done since: a count of changes, and a time."""
        return self._meta(since, started_ns, 0)

    @property
    def changes(self) -> int:
        """How many rows were changed since it was opened."""
        return self._connection.total_changes

    @contextmanager
    def wide(self) -> Iterator[sqlite3.Connection]:
        """For an export or import: a value may come as a literal in a statement."""
        for limit in (sqlite3.SQLITE_LIMIT_LENGTH, sqlite3.SQLITE_LIMIT_SQL_LENGTH):
            self._connection.setlimit(limit, 4 * ROW_BYTES)
        try:
            yield self._connection
        finally:
            for limit in (sqlite3.SQLITE_LIMIT_LENGTH, sqlite3.SQLITE_LIMIT_SQL_LENGTH):
                self._connection.setlimit(limit, rules.LIMITS[limit])

    def _ask(self, sql: str) -> list[Any]:
        """What we ourselves want to know or do."""
        return self._connection.execute(sql).fetchall()

    @property
    def size_bytes(self) -> int:
        """Of the database, without its log."""
        pages: int = self._ask("PRAGMA page_count")[0][0]
        return pages * PAGE_BYTES

    def _restore(self) -> None:
        """What a request has set holds for it only."""
        if self._changed_settings:
            self._changed_settings = False
            for name, value in rules.SETTING_PRAGMAS.items():
                self._ask(f"PRAGMA {name}={int(value)}")

    def _authorize(
        self,
        action: int,
        first: str | None,
        second: str | None,
        _database: str | None,
        _trigger: str | None,
    ) -> int:
        if self._own:
            return sqlite3.SQLITE_OK
        if action in rules.SCHEMA:
            self._changed_schema = True
        if action == sqlite3.SQLITE_PRAGMA and (first or "").lower() in rules.SETTING_PRAGMAS:
            self._changed_settings = True
        return sqlite3.SQLITE_OK if rules.allows(action, first, second) else sqlite3.SQLITE_DENY

    def _is_late(self) -> int:
        return time.monotonic() > self._deadline_s


def _nothing(*, is_committed: bool) -> None:
    """Nobody wants to know."""


def _statements(ask: Run) -> list[Statement]:
    """Each by itself. Raises :class:`Refused`."""
    texts = [split(each.sql) for each in ask.statements]
    if not any(texts):
        raise Refused("sql", "No SQL statements detected.")
    if ask.prepared and any(len(each) != 1 for each in texts):
        raise Refused("sql", "A prepared SQL statement must contain only one statement.")
    statements = [
        one
        for each, parts in zip(ask.statements, texts, strict=True)
        for one in _single(each, parts)
    ]
    if len(statements) > BATCH_STATEMENTS:
        raise Refused("malformed", f"More than {BATCH_STATEMENTS} statements in one request.")
    return statements


def _single(statement: Statement, texts: list[str]) -> list[Statement]:
    if len(texts) > 1 and statement.params:
        raise Refused("malformed", "Parameters go with one statement, not with several.")
    return [Statement(text, statement.params) for text in texts]


def _parameter(value: Any) -> Any:
    """As SQLite takes it: JSON has no bytes, so a list of their numbers stands for them."""
    if isinstance(value, list):
        try:
            return bytes(value)
        except (TypeError, ValueError):
            raise Refused("malformed", "A list as a parameter is of bytes, 0 to 255.") from None
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    raise Refused("malformed", f"A parameter cannot be of type {type(value).__name__}.")


def _size(value: Any) -> int:
    return VALUE_BYTES + (len(value) if isinstance(value, str | bytes) else 0)


@contextmanager
def _translated(sql: str) -> Iterator[None]:
    """SQLite's errors, and those that Python's module adds, in the product's words."""
    try:
        yield
    except sqlite3.Error as exc:
        raise _refusal(exc, sql) from None
    except sqlite3.Warning as exc:
        raise Refused("malformed", str(exc)) from None
    except (OverflowError, UnicodeEncodeError) as exc:
        raise Refused("malformed", f"A parameter cannot be stored: {exc}.") from None
    except MemoryError:
        raise Refused("sql", "out of memory: SQLITE_NOMEM") from None


def _refusal(exc: sqlite3.Error, sql: str) -> Refused:
    text = str(exc)
    name: str | None = getattr(exc, "sqlite_errorname", None)
    if name is None:  # found by Python's module, before it came to SQLite
        if text == "query string is too large":
            return Refused("sql", "statement too long: SQLITE_TOOBIG")
        if text.startswith("Incorrect number of bindings"):
            text = "Wrong number of parameter bindings for SQL query."
        return Refused("malformed", text)
    if name == "SQLITE_INTERRUPT":
        return Refused("timeout", "The query took too long and was ended.")
    if (near := _NEAR.fullmatch(text)) is not None:
        offset = offset_of(sql, near[1] or near[2])
        text += "" if offset is None else f" at offset {offset}"
    return Refused("sql", f"{text}: {'_'.join(name.split('_')[:2])}")
