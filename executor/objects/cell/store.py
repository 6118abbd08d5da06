"""The storage of one object: SQLite with pairs and an alarm beside the tables of its own code.

What is written is one transaction, from the first write to :meth:`Store.settle`.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec

from cloister.databases import QUERY_S, RESULT_BYTES, ROW_BYTES, STATEMENT_BYTES, Statement
from executor.databases.cell.connection import Database, Refused
from executor.databases.cell.statements import split
from executor.objects.frames import KEY_BYTES, KEYS_AT_ONCE, VALUE_BYTES, Ask, Did

OWN = "_cf_"
"""Tables whose names begin so are ours."""

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS _cf_KV (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS _cf_STATE (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
)

DEPTH = 16
"""Transactions within each other."""

LATEST_MS = 8_640_000_000_000_000
"""The last moment that the product's dates know."""

_encode = msgspec.msgpack.Encoder().encode

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, MemoryError)


class Fenced(Exception):
    """A later owner has had this storage open."""


class _Keys(msgspec.Struct, array_like=True):
    keys: list[str]


class _Pairs(msgspec.Struct, array_like=True):
    pairs: dict[str, bytes]


class _Sql(msgspec.Struct, array_like=True):
    query: str
    params: list[Any]


class _When(msgspec.Struct, array_like=True):
    at_ms: Annotated[int, msgspec.Meta(le=LATEST_MS)]


class _Range(msgspec.Struct, array_like=True):
    start: str | None = None
    start_after: str | None = None
    end: str | None = None
    prefix: str = ""
    limit: int | None = None
    reverse: bool = False


_keys = msgspec.msgpack.Decoder(_Keys).decode
_pairs = msgspec.msgpack.Decoder(_Pairs).decode
_sql = msgspec.msgpack.Decoder(_Sql).decode
_when = msgspec.msgpack.Decoder(_When).decode
_range = msgspec.msgpack.Decoder(_Range).decode


class Store(Database):
    """Open while its file is locked: nobody else has it open.

    Raises:
        Fenced: its owner's number is lower than that of another who had it open.
    """

    def __init__(self, path: str, *, fence: int, uses_sqlite: bool) -> None:
        super().__init__(path)
        self._uses_sqlite = uses_sqlite
        self._depth = 0
        self._is_lost = False
        self._is_settling = False
        """Whether the operation itself has ended the transaction."""
        for statement in ("BEGIN IMMEDIATE", *_SCHEMA):
            self._ask(statement)
        if (self._state("fence") or 0) > fence:
            raise Fenced
        self._set_state("fence", fence)
        self._ask("COMMIT")
        self._alarm_ms = self._state("alarm") or 0
        self._methods: dict[str, Callable[[Ask], Any]] = {
            "get": self._get,
            "put": self._put,
            "delete": self._delete,
            "list": self._list,
            "clear": self._clear,
            "sql": self._run_sql,
            "size": lambda _ask: self.size_bytes,
            "begin": self._begin,
            "commit": self._commit,
            "rollback": self._rollback,
            "get_alarm": lambda _ask: self._alarm_ms or None,
            "set_alarm": self._set_alarm,
            "delete_alarm": self._delete_alarm,
        }

    def do(self, ask: Ask) -> Did:
        """Do what the object's code wants.

        Raises:
            Refused: it cannot be done; what was written before stays, unless it says otherwise.
        """
        method = self._methods.get(ask.method)
        if method is None:
            raise Refused("malformed", f"Storage has no operation {ask.method[:40]!r}.")
        self._check_whole()
        was_open = self._connection.in_transaction
        self._deadline_s = time.monotonic() + QUERY_S
        try:
            with _stored():
                value = method(ask)
        except _UNREADABLE as exc:
            raise Refused("malformed", f"{ask.method}() takes other arguments: {exc}.") from None
        finally:
            self._deadline_s = float("inf")
            if was_open and not self._connection.in_transaction and not self._is_settling:
                self._is_lost = True  # SQLite has undone all of it
            self._is_settling = False
        return self._did(value)

    def settle(self, *, commit: bool, end: bool) -> Did:
        """Make durable what was written, or undo it.

        Raises:
            Refused: it was undone before; nothing of it is there.
        """
        lost, self._is_lost = self._is_lost, False
        try:
            if lost and commit:
                self._undo()
                raise Refused("sql", "The transaction was rolled back: SQLITE_ABORT")
            if not commit or (end and self._depth):
                self._undo()
            elif not self._depth:
                self._commit_all()
        finally:
            if end:
                self._restore()
        return self._did(None)

    def _did(self, value: Any) -> Did:
        return Did(
            value=msgspec.Raw(_encode(value)),
            dirty=self._connection.in_transaction,
            alarm_ms=self._alarm_ms,
        )

    def _check_whole(self) -> None:
        if self._is_lost:
            raise Refused("sql", "The transaction was rolled back: SQLITE_ABORT")

    def _write(self) -> None:
        """See to it that there is a transaction."""
        if not self._connection.in_transaction:
            self._ask("BEGIN IMMEDIATE")

    def _commit_all(self) -> None:
        if self._connection.in_transaction:
            with self._told():
                self._ask("COMMIT")

    def _undo(self) -> None:
        self._depth = 0
        if self._connection.in_transaction:
            self._ask("ROLLBACK")
        self._alarm_ms = self._state("alarm") or 0

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            self._undo()
            name = getattr(exc, "sqlite_errorname", "SQLITE_ERROR")
            raise Refused("sql", f"{exc}: {name}") from None

    # Pairs:

    def _get(self, ask: Ask) -> list[bytes | None]:
        return [self._value(key) for key in self._checked(_keys(ask.arguments).keys)]

    def _value(self, key: str) -> bytes | None:
        row = self._connection.execute("SELECT value FROM _cf_KV WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def _put(self, ask: Ask) -> None:
        pairs = _pairs(ask.arguments).pairs
        self._checked(list(pairs))
        for key, value in pairs.items():
            self._check_size(key, value)
        self._write()
        self._connection.executemany(
            "INSERT INTO _cf_KV VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            pairs.items(),
        )

    def _delete(self, ask: Ask) -> int:
        keys = self._checked(_keys(ask.arguments).keys)
        self._write()
        before = self.changes
        self._connection.executemany("DELETE FROM _cf_KV WHERE key = ?", [(key,) for key in keys])
        return self.changes - before

    def _list(self, ask: Ask) -> list[tuple[str, bytes]]:
        wanted = _range(ask.arguments)
        where, values = _bounds(wanted)
        order = "DESC" if wanted.reverse else "ASC"
        query = f"SELECT key, value FROM _cf_KV WHERE {where} ORDER BY key {order} LIMIT ?"  # noqa: S608 - our own text
        limit = -1 if wanted.limit is None else max(wanted.limit, 0)
        found: list[tuple[str, bytes]] = []
        left_bytes = RESULT_BYTES
        for key, value in self._connection.execute(query, (*values, limit)):
            left_bytes -= len(key) + len(value) + 16
            if left_bytes < 0:
                raise Refused("too_large", "list() would give more than 16 MiB; set a limit.")
            found.append((key, value))
        return found

    def _checked(self, keys: list[str]) -> list[str]:
        if len(keys) > KEYS_AT_ONCE:
            raise Refused("malformed", f"Maximum number of keys is {KEYS_AT_ONCE}.")
        for key in keys:
            try:
                size = len(key.encode())
            except UnicodeEncodeError:
                raise Refused("malformed", "A key is no text that can be stored.") from None
            if size > KEY_BYTES:
                raise Refused("malformed", f"Keys cannot be larger than {KEY_BYTES} bytes.")
        return keys

    def _check_size(self, key: str, value: bytes) -> None:
        if not self._uses_sqlite and len(value) > VALUE_BYTES:
            raise Refused("malformed", f"Values cannot be larger than {VALUE_BYTES} bytes.")
        if len(key.encode()) + len(value) > ROW_BYTES - 64:
            raise Refused("malformed", "A key and its value cannot be larger than 2 MB together.")

    def _clear(self, _ask: Ask) -> None:
        """At once: it is a transaction of its own, as foreign keys do not count in it."""
        if self._depth:
            raise Refused("malformed", "deleteAll() cannot be called within a transaction.")
        self._is_settling = True
        self._commit_all()
        self._ask("PRAGMA foreign_keys=OFF")
        try:
            self._ask("BEGIN IMMEDIATE")
            with self._told():
                self._drop_all()
                self._ask("DELETE FROM _cf_KV")
                self._ask("DELETE FROM _cf_STATE WHERE name = 'alarm'")
                self._ask("COMMIT")
        finally:
            self._ask("PRAGMA foreign_keys=ON")
        self._alarm_ms = 0

    def _drop_all(self) -> None:
        for kind, test in (("VIEW", "type='view'"), ("TABLE", "sql LIKE 'CREATE VIRTUAL%'")):
            self._drop(kind, test)
        self._drop("TABLE", "type='table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")

    def _drop(self, kind: str, test: str) -> None:
        query = f"SELECT name FROM sqlite_schema WHERE {test} AND lower(name) NOT LIKE '\\_cf\\_%' ESCAPE '\\'"  # noqa: E501, S608 - our own text
        for (name,) in self._ask(query):
            quoted = name.replace('"', '""')
            self._ask(f'DROP {kind} IF EXISTS "{quoted}"')

    # SQL:

    def _run_sql(self, ask: Ask) -> dict[str, Any]:
        if not self._uses_sqlite:
            raise Refused("malformed", "SQL is not enabled for this Durable Object class.")
        wanted = _sql(ask.arguments)
        if len(wanted.query.encode(errors="replace")) > STATEMENT_BYTES:
            raise Refused("sql", "statement too long: SQLITE_TOOBIG")
        statements = split(wanted.query)
        if not statements:
            raise Refused("malformed", "SQL code did not contain a statement.")
        self._write()
        for text in statements[:-1]:
            self.execute(Statement(text, []))
        result, _ = self.execute(Statement(statements[-1], list(wanted.params)))
        return {
            "columns": result.columns,
            "rows": result.rows,
            "rows_read": result.meta.rows_read,
            "rows_written": result.meta.rows_written,
        }

    def _authorize(
        self,
        action: int,
        first: str | None,
        second: str | None,
        database: str | None,
        trigger: str | None,
    ) -> int:
        if not self._own and any(
            name is not None and name.lower().startswith(OWN) for name in (first, second)
        ):
            return sqlite3.SQLITE_DENY
        return super()._authorize(action, first, second, database, trigger)

    # Transactions that the object's code asks for:

    def _begin(self, _ask: Ask) -> None:
        if self._depth >= DEPTH:
            raise Refused("malformed", f"Transactions nest at most {DEPTH} deep.")
        if not self._depth:
            self._is_settling = True
            self._commit_all()
            self._write()
        else:
            self._ask(f"SAVEPOINT s{self._depth}")
        self._depth += 1

    def _commit(self, _ask: Ask) -> None:
        self._check_depth()
        self._depth -= 1
        if self._depth:
            self._ask(f"RELEASE s{self._depth}")
        else:
            self._is_settling = True
            self._commit_all()

    def _rollback(self, _ask: Ask) -> None:
        self._check_depth()
        self._depth -= 1
        if self._depth:
            self._ask(f"ROLLBACK TO s{self._depth}")
            self._ask(f"RELEASE s{self._depth}")
            self._alarm_ms = self._state("alarm") or 0
        else:
            self._is_settling = True
            self._undo()

    def _check_depth(self) -> None:
        if not self._depth:
            raise Refused("malformed", "There is no transaction.")

    # The alarm:

    def _set_alarm(self, ask: Ask) -> None:
        at_ms = max(_when(ask.arguments).at_ms, 1)
        self._write()
        self._set_state("alarm", at_ms)
        self._alarm_ms = at_ms

    def _delete_alarm(self, _ask: Ask) -> None:
        if self._alarm_ms:
            self._write()
            self._ask("DELETE FROM _cf_STATE WHERE name = 'alarm'")
            self._alarm_ms = 0

    def _state(self, name: str) -> int | None:
        query = "SELECT value FROM _cf_STATE WHERE name = ?"
        row = self._connection.execute(query, (name,)).fetchone()
        return None if row is None else int(row[0])

    def _set_state(self, name: str, value: int) -> None:
        self._connection.execute(
            "INSERT INTO _cf_STATE VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (name, value),
        )


def _bounds(wanted: _Range) -> tuple[str, list[str]]:
    tests, values = ["1"], []
    for test, value in (
        ("key >= ?", wanted.start),
        ("key > ?", wanted.start_after),
        ("key < ?", wanted.end),
        ("key >= ?", wanted.prefix or None),
        ("key < ?", _behind(wanted.prefix)),
    ):
        if value is not None:
            tests.append(test)
            values.append(value)
    return " AND ".join(tests), values


def _behind(prefix: str) -> str | None:
    """The first text behind all that begin with a prefix, in the order of their bytes."""
    for end in range(len(prefix), 0, -1):
        code = ord(prefix[end - 1])
        if code < 0x10FFFF:
            following = 0xE000 if code + 1 == 0xD800 else code + 1
            return prefix[: end - 1] + chr(following)
    return None


@contextmanager
def _stored() -> Iterator[None]:
    """What SQLite or Python's module says of keys and values."""
    try:
        yield
    except sqlite3.Error as exc:
        name = getattr(exc, "sqlite_errorname", "SQLITE_ERROR")
        raise Refused("sql", f"{exc}: {name}") from None
    except (UnicodeEncodeError, OverflowError) as exc:
        raise Refused("malformed", f"That cannot be stored: {exc}.") from None
