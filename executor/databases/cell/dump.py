"""A database as SQL, and SQL into a database: files beside it, of any length."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from cloister.databases import TASK_S, Export, Exported, Imported, Statement
from executor.databases.cell.connection import Database, Refused
from executor.databases.cell.statements import cut, split

CHUNK_CHARACTERS = 256 * 1024
OPEN_CHARACTERS = 8 * 1024 * 1024
"""A statement that goes on for longer is none."""

_TABLES = (
    "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL"
    " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
)
_OTHERS = (
    "SELECT tbl_name, sql FROM sqlite_schema WHERE type IN ('index', 'trigger', 'view')"
    " AND sql IS NOT NULL ORDER BY rowid"
)


class Text(bytes):
    """Text as it is stored: it may be no UTF-8, and a blob is something else."""


def write(database: Database, ask: Export, directory: Path) -> Exported:
    """Write the database, as it is at one moment, to the file of that name.

    Raises:
        Refused: a table is missing, or is virtual, which SQL cannot restore.
    """
    with (
        database.transaction(TASK_S),
        database.wide() as connection,
        (directory / ask.key).open("w", encoding="utf-8") as file,
    ):
        for line in _lines(connection, ask):
            file.write(line)
    return Exported()


def _lines(connection: sqlite3.Connection, ask: Export) -> Iterator[str]:
    tables = connection.execute(_TABLES).fetchall()
    names = {name for name, _ in tables}
    if missing := sorted({*ask.tables} - names):
        raise Refused("sql", f"no such table: {missing[0]}: SQLITE_ERROR")
    wanted = {*ask.tables} or names
    yield "PRAGMA defer_foreign_keys=TRUE;\n"
    for name, sql in tables:
        if name not in wanted:
            continue
        if sql.upper().startswith("CREATE VIRTUAL"):
            raise Refused("sql", f"Table {name} is virtual; such cannot be exported.")
        if not ask.no_schema:
            yield f"{sql};\n"
        if not ask.no_data:
            yield from _rows(connection, name)
    if not ask.no_data:
        yield from _sequences(connection, wanted)
    if not ask.no_schema:
        others = connection.execute(_OTHERS).fetchall()
        yield from (f"{sql};\n" for name, sql in others if name in wanted or not ask.tables)


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    info = connection.execute(f"PRAGMA table_xinfo({_name(table)})").fetchall()
    columns = ",".join(_name(column[1]) for column in info if column[6] == 0)  # none generated
    begin = f"INSERT INTO {_name(table)} ({columns}) VALUES("
    for row in _raw(connection, f"SELECT {columns} FROM {_name(table)}"):  # noqa: S608 - quoted
        yield f"{begin}{','.join(map(_literal, row))});\n"


def _sequences(connection: sqlite3.Connection, wanted: set[str]) -> Iterator[str]:
    """Where AUTOINCREMENT goes on."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").fetchall():
        for name, number in connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall():
            if name in wanted:
                literal = _literal(Text(name.encode()))
                yield f"DELETE FROM sqlite_sequence WHERE name = {literal};\n"  # noqa: S608 - quoted
                yield f"INSERT INTO sqlite_sequence (name,seq) VALUES({literal},{int(number)});\n"


def _raw(connection: sqlite3.Connection, sql: str) -> Iterator[Any]:
    """Rows whose text is :class:`Text`."""
    decode: Callable[[bytes], Any] = connection.text_factory
    connection.text_factory = Text
    try:
        with closing(connection.execute(sql)) as rows:
            yield from rows
    finally:
        connection.text_factory = decode


def _literal(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case Text():
            return _text(value)
        case bytes():
            return f"X'{value.hex()}'"
        case float() if value in (float("inf"), float("-inf")):
            return "9e999" if value > 0 else "-9e999"
        case _:
            return repr(value)


def _text(value: bytes) -> str:
    if b"\0" in value:
        return f"CAST(X'{value.hex()}' AS TEXT)"
    try:
        return "'" + value.decode().replace("'", "''") + "'"
    except UnicodeDecodeError:
        return f"CAST(X'{value.hex()}' AS TEXT)"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def read(database: Database, path: Path) -> Imported:
    """Run the statements of a file in one transaction.

    Raises:
        Refused: one failed, and none has an effect.
    """
    queries, changes, started_ns = 0, database.changes, time.perf_counter_ns()
    try:
        with database.transaction(TASK_S), database.wide():
            for sql in _statements(path):
                database.execute(Statement(sql))
                queries += 1
    except UnicodeDecodeError:
        raise Refused("malformed", "The file is not UTF-8.") from None
    return Imported(queries=queries, meta=database.total(changes, started_ns))


def _statements(path: Path) -> Iterator[str]:
    rest = ""
    with path.open(encoding="utf-8-sig", newline="") as file:
        while chunk := file.read(CHUNK_CHARACTERS):
            statements, rest = cut(rest + chunk)
            yield from statements
            if len(rest) > OPEN_CHARACTERS:
                raise Refused("sql", "statement too long: SQLITE_TOOBIG")
    yield from split(rest)
