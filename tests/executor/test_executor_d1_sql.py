"""What SQL may do to a database and what it answers, without the process around it."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloister.databases import RESULT_BYTES, Export, Result, Run, Statement
from executor.databases.cell import dump
from executor.databases.cell.connection import Database, Refused
from executor.databases.cell.statements import cut, split

Query = Callable[..., list[Result]]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(str(tmp_path / "db.sqlite"))
    yield opened
    opened.close()


@pytest.fixture
def query(database: Database) -> Query:
    def run(*statements: str | Statement, seconds: float = 20) -> list[Result]:
        asked = [one if isinstance(one, Statement) else Statement(one) for one in statements]
        return database.run(Run(statements=asked), seconds).results

    return run


def bound(sql: str, *params: Any) -> Statement:
    return Statement(sql, list(params))


def refusal(query: Query, *statements: str | Statement, **options: Any) -> tuple[str, str]:
    with pytest.raises(Refused) as refused:
        query(*statements, **options)
    return refused.value.kind, refused.value.message


TRIGGER = "create temp trigger t after insert on x begin select 1; select 'end'; end;"


@pytest.mark.parametrize(
    "statements",
    [
        ["SELECT 1"],
        ["SELECT 1;", "SELECT 2;"],
        ["SELECT ';', \";\", `;`, [;] -- ;\n;", "SELECT 2"],
        ["SELECT 'it''s; one';", "SELECT 'open; to the end"],
        [TRIGGER, "select 2;"],
        [f"explain {TRIGGER}", "select 2;"],
        ["CREATE TABLE trigger_x(a);", "SELECT 1 /* open;"],
    ],
)
def test_text_is_cut_into_statements(statements: list[str]) -> None:
    """At semicolons that are no part of a string, a name, a comment or a trigger; what is empty,
    or comments only, is none."""
    text = f";; -- nothing; \n /* at; all */ ;{' '.join(statements)}"
    assert [one.strip() for one in split(text)] == statements


def test_what_is_incomplete_is_left() -> None:
    """What is behind the last semicolon may go on."""
    assert cut("SELECT 1; SELECT ';") == (["SELECT 1;"], " SELECT ';")


def test_rows_and_what_is_said_of_a_statement(query: Query, database: Database) -> None:
    """Columns, rows and meta of each statement in order."""
    made, inserted, found = query(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t (v) VALUES ('a'), (x'00ff');"
        "SELECT id, v FROM t"
    )
    assert (found.columns, found.rows) == (["id", "v"], [[1, "a"], [2, b"\x00\xff"]])
    assert (made.meta.changed_db, made.meta.changes) == (True, 0)
    assert (inserted.meta.changes, inserted.meta.rows_written) == (2, 2)
    assert (inserted.meta.last_row_id, inserted.meta.changed_db) == (2, True)
    assert (found.meta.rows_read, found.meta.changed_db) == (2, False)
    assert found.meta.size_bytes == database.describe().size_bytes > 0
    assert database.describe().tables == 1


def test_parameters(query: Query) -> None:
    """Every type that a parameter may have comes back; a list stands for bytes."""
    values = [None, True, -(2**63), 1.5, "ü", b"\x00", [0, 255]]
    (found,) = query(bound("SELECT ?, ?2, ?, ?, ?, ?, ?", *values))
    assert found.rows == [[None, 1, -(2**63), 1.5, "ü", b"\x00", b"\x00\xff"]]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (bound("SELECT ?"), "Wrong number of parameter bindings for SQL query."),
        (bound("SELECT ?", 1, 2), "Wrong number of parameter bindings for SQL query."),
        (bound("SELECT ?; SELECT 1", 1), "Parameters go with one statement, not with several."),
        (bound("SELECT ?", {}), "A parameter cannot be of type dict."),
        (bound("SELECT ?", [256]), "A list as a parameter is of bytes, 0 to 255."),
        (bound("SELECT ?", "\ud800"), "A parameter cannot be stored: .*surrogates not allowed."),
        (bound("SELECT ?", 2**63), "A parameter cannot be stored: .*too large.*"),
    ],
)
def test_what_cannot_be_asked(query: Query, statement: Statement, message: str) -> None:
    """Parameters that do not fit are told apart from what SQLite refuses."""
    kind, said = refusal(query, statement)
    assert kind == "malformed"
    assert re.fullmatch(message, said)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELEC 1", 'near "SELEC": syntax error at offset 0: SQLITE_ERROR'),
        ("SELECT 'ü', 1 FROM WHERE", 'near "WHERE": syntax error at offset 20: SQLITE_ERROR'),
        ("SELECT nope FROM t", "no such column: nope at offset 7: SQLITE_ERROR"),
        ("SELECT a a a", 'near "a": syntax error: SQLITE_ERROR'),  # which of them, is not known
        ("SELECT * FROM nope", "no such table: nope: SQLITE_ERROR"),
        ("INSERT INTO t VALUES (1)", "UNIQUE constraint failed: t.a: SQLITE_CONSTRAINT"),
        ("", "No SQL statements detected."),
        ("BEGIN", "cannot start a transaction within a transaction: SQLITE_ERROR"),
    ],
)
def test_errors_are_sqlites_words(query: Query, sql: str, message: str) -> None:
    """With the place where one is known for sure, and the code's name."""
    query("CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1)")
    assert refusal(query, sql) == ("sql", message)


def test_a_batch_is_a_transaction(query: Query) -> None:
    """If one statement fails, none has an effect; so too if a constraint does not hold at the
    end, which was put off until then."""
    query("CREATE TABLE t (a UNIQUE); CREATE TABLE c (a REFERENCES t (a))")
    refusal(query, "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)")
    late = "PRAGMA defer_foreign_keys = ON; INSERT INTO c VALUES (5);"
    assert "FOREIGN KEY constraint failed" in refusal(query, late)[1]
    assert query("SELECT count(*) FROM t UNION ALL SELECT count(*) FROM c")[0].rows == [[0], [0]]
    query(f"{late} INSERT INTO t VALUES (5)")


REFUSED = [
    *("ATTACH 'x' AS y", "DETACH main", "VACUUM", "VACUUM INTO 'x'", "COMMIT", "ROLLBACK"),
    *("SAVEPOINT x", "RELEASE x", "CREATE TEMP TABLE x (a)", "CREATE TEMP VIEW x AS SELECT 1"),
    *("PRAGMA journal_mode = DELETE", "PRAGMA synchronous = OFF", "PRAGMA writable_schema = ON"),
    *("PRAGMA temp_store = 1", "PRAGMA mmap_size = 1", "PRAGMA locking_mode = NORMAL"),
    *("PRAGMA max_page_count = 1", "PRAGMA page_size = 512", "PRAGMA wal_checkpoint"),
    *("PRAGMA database_list", "PRAGMA schema_version = 1", "PRAGMA main.journal_mode = OFF"),
    *("SELECT * FROM pragma_database_list", "SELECT load_extension('x')"),
    *("SELECT fts3_tokenizer('x')", "SELECT sqlite_version()", "SELECT * FROM dbstat"),
    *("DELETE FROM sqlite_schema", "INSERT INTO sqlite_schema VALUES (1, 2, 3, 4, 5)"),
    *("CREATE VIRTUAL TABLE x USING rtree (a, b, c)", "CREATE VIRTUAL TABLE x USING fts3 (a)"),
]  # fmt: skip


@pytest.mark.parametrize("sql", REFUSED)
def test_what_reaches_beyond_the_tables_is_refused(query: Query, sql: str) -> None:
    """Other files, the connection's state, insides of SQLite: and the database goes on."""
    assert refusal(query, sql)[0] == "sql"
    assert query("SELECT 6 * 7")[0].rows == [[42]]


ALLOWED = [
    *("PRAGMA table_list", "PRAGMA table_info(t)", "SELECT * FROM pragma_table_info('t')"),
    *("PRAGMA foreign_keys", "PRAGMA defer_foreign_keys = ON", "PRAGMA quick_check"),
    *("PRAGMA optimize", "PRAGMA index_list(t)", "PRAGMA foreign_key_check", "ANALYZE", "REINDEX"),
    *("SELECT * FROM sqlite_schema", "CREATE VIEW v AS SELECT 1", "CREATE INDEX i ON t (a)"),
    *("ALTER TABLE t RENAME COLUMN a TO z", "ALTER TABLE t ADD COLUMN q", "DROP TABLE t"),
    *("CREATE VIRTUAL TABLE f USING fts5 (a)", "EXPLAIN QUERY PLAN SELECT * FROM t"),
    *("SELECT json_extract('{\"a\": 1}', '$.a'), sin(1), datetime(), '{}' -> 'a'", "VALUES (1)"),
    *("WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 5) SELECT x FROM c",),
    *("INSERT INTO t VALUES (1) RETURNING a", "SELECT rank() OVER (ORDER BY a) FROM t"),
]  # fmt: skip


@pytest.mark.parametrize("sql", ALLOWED)
def test_what_is_ordinary_works(query: Query, sql: str) -> None:
    """The twin."""
    query("CREATE TABLE t (a)")
    assert query(sql)


def test_full_text_search(query: Query) -> None:
    """FTS5 makes tables of its own, writes to them, and is asked."""
    query("CREATE VIRTUAL TABLE f USING fts5 (a); INSERT INTO f VALUES ('hello world')")
    (found,) = query("SELECT highlight(f, 0, '[', ']'), bm25(f) < 0 FROM f WHERE f MATCH 'hello'")
    assert found.rows == [["[hello] world", 1]]


def test_what_a_request_sets_is_over_with_it(query: Query) -> None:
    """No request meets what another one has set; foreign keys cannot be switched off at all."""
    query("CREATE TABLE p (a PRIMARY KEY); CREATE TABLE c (a REFERENCES p (a))")
    set_, seen = "PRAGMA case_sensitive_like = ON", "SELECT 'A' LIKE 'a'"
    assert query(set_, seen)[1].rows == [[0]]
    assert query(seen)[0].rows == [[1]]
    refusal(query, "PRAGMA foreign_keys = OFF", "INSERT INTO c VALUES (1)")


def names(count: int) -> str:
    return ", ".join(f"a{number}" for number in range(count))


@pytest.mark.parametrize(
    ("fits", "beyond"),
    [
        ("SELECT length(zeroblob(2000000))", "SELECT zeroblob(2000001)"),
        (f"SELECT 1 --{'x' * 99_000}", f"SELECT 1 --{'x' * 100_000}"),
        (bound(f"SELECT 1{', ?' * 99}", *range(99)), bound(f"SELECT 1{', ?' * 101}", *range(101))),
        (f"CREATE TABLE w ({names(100)})", f"CREATE TABLE w ({names(101)})"),
        (f"SELECT max({', '.join('1' * 32)})", f"SELECT max({', '.join('1' * 33)})"),
        (f"SELECT 'a' LIKE '{'_' * 50}'", f"SELECT 'a' LIKE '{'_' * 51}'"),
    ],
)  # fmt: skip
def test_limits(query: Query, fits: str | Statement, beyond: str | Statement) -> None:
    """The product's: value, statement, parameters, columns, arguments, patterns."""
    assert query(fits)
    assert refusal(query, beyond)[0] == "sql"


def test_rows_of_a_request_are_bounded(query: Query) -> None:
    """All statements of one together; just below the bound they come."""
    row = "SELECT randomblob(1900000)"
    assert len(query(*[row] * (RESULT_BYTES // 1_900_020))) == 8
    assert refusal(query, *[row] * 9)[0] == "too_large"


def test_a_query_that_goes_on_is_ended(query: Query) -> None:
    """By the clock, and the database goes on."""
    forever = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT count(*) FROM c"
    started = time.monotonic()
    assert refusal(query, forever, seconds=0.2)[0] == "timeout"
    assert time.monotonic() - started < 20
    assert query("SELECT 1")[0].rows == [[1]]


DATA = """
CREATE TABLE "odd "" name" (id INTEGER PRIMARY KEY AUTOINCREMENT, "a b", g AS (id * 2));
INSERT INTO "odd "" name" (id, "a b") VALUES (7, 'it''s; ü'), (8, x'00ff'), (9, 9e999), (10, NULL),
  (11, 'a' || char(0) || 'b'), (12, CAST(x'ff' AS TEXT)), (13, 1.0), (14, -9223372036854775808);
CREATE TABLE child (a REFERENCES "odd "" name" (id)) STRICT;
CREATE INDEX i ON child (a);
CREATE TRIGGER t AFTER INSERT ON child BEGIN SELECT 1; SELECT 2; END;
CREATE VIEW v AS SELECT 1
""".replace(" STRICT", "")


def test_an_export_can_be_imported(query: Query, database: Database, tmp_path: Path) -> None:
    """Every value, table, index, trigger and view is there again, to the byte."""
    query(DATA)
    big = "x" * 600_000
    query(bound('INSERT INTO "odd "" name" ("a b") VALUES (?)', big))
    look = 'SELECT *, typeof("a b"), hex("a b") FROM "odd "" name"'
    schema = "SELECT type, name, sql FROM sqlite_schema ORDER BY name"
    before = [one.rows for one in query(look, schema)]
    dump.write(database, Export(key="export.sql"), tmp_path)

    again = Database(str(tmp_path / "again.sqlite"))
    imported = dump.read(again, tmp_path / "export.sql")
    found = again.run(Run(statements=[Statement(look), Statement(schema)]), 20).results
    assert [one.rows for one in found] == before
    assert imported.queries > 10
    next_id = Statement('INSERT INTO "odd "" name" ("a b") VALUES (1) RETURNING id')
    assert again.run(Run(statements=[next_id]), 20).results[0].rows == [[16]]
    again.close()


def test_parts_of_an_export(query: Query, database: Database, tmp_path: Path) -> None:
    """Some tables, without data or without schema; a table that is not there is named."""
    query(
        "CREATE TABLE a (x); CREATE TABLE b (x); INSERT INTO a VALUES (1); CREATE INDEX i ON b (x)"
    )

    def export(**options: Any) -> list[str]:
        dump.write(database, Export(key="part.sql", **options), tmp_path)
        return (tmp_path / "part.sql").read_text().splitlines()[1:]

    assert export(tables=["a"]) == ["CREATE TABLE a (x);", 'INSERT INTO "a" ("x") VALUES(1);']
    assert export(tables=["b"], no_data=True) == ["CREATE TABLE b (x);", "CREATE INDEX i ON b (x);"]
    assert export(no_schema=True) == ['INSERT INTO "a" ("x") VALUES(1);']
    with pytest.raises(Refused, match="no such table: c"):
        export(tables=["c"])


def test_an_import_is_all_or_nothing(query: Query, database: Database, tmp_path: Path) -> None:
    """If one statement fails, the database is as it was; so too if the file is no text."""
    query("CREATE TABLE t (a)")
    for content, message in (
        (b"INSERT INTO t VALUES (1);\nNOPE;", 'near "NOPE"'),
        (b"INSERT INTO t VALUES (1);\nSELECT '\xff'", "UTF-8"),
        (b"INSERT INTO t VALUES (1); ATTACH 'x' AS y;", "not authorized"),
    ):
        (tmp_path / "import.sql").write_bytes(content)
        with pytest.raises(Refused, match=message):
            dump.read(database, tmp_path / "import.sql")
    assert query("SELECT count(*) FROM t")[0].rows == [[0]]
