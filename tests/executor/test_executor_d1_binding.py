"""Databases as a worker has them: a real isolate, a real executor, a real process of SQLite."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from executor_house import ACCOUNT, House, house, worker

from cloister.errors import Invalid
from cloister.limits import Limits


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running executor, which has the databases."""
    with house(tmp_path_factory.mktemp("house"), blank_isolates=1) as made:
        yield made


@pytest.fixture
def database(shared: House) -> str:
    return shared.registry.databases.create(ACCOUNT, uuid.uuid4().hex).id


def ask(where: House, namespace: str, database: str, body: str, **limits: int) -> Any:
    """What a worker answers whose fetch() does this with ``db``."""
    source = worker(f"import json\ndb = self.env.DB\n{body}\nreturn Response(json.dumps(out))")
    binding = {"type": "d1", "name": "DB", "id": database, "database_id": database}
    where.deploy(namespace, "sql", source, bindings=[binding], limits=Limits(**limits))
    answer = where.call(namespace, "sql")
    assert answer.failure is None, answer.failure
    return json.loads(answer.body)


def refused(where: House, namespace: str, database: str, *expressions: str) -> list[str]:
    """What each of these raises; nothing, where it raises nothing."""
    tries = "\n".join(
        f"try:\n    await {each}\n    out.append('')\nexcept Exception as error:\n"
        f"    out.append(str(error))"
        for each in expressions
    )
    found: list[str] = ask(where, namespace, database, f"out = []\n{tries}")
    return found


def test_statements(shared: House, namespace: str, database: str) -> None:
    """All that a statement can do, with values of every type there and back."""
    out = ask(
        shared,
        namespace,
        database,
        """
made = await db.exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b)\\nCREATE INDEX i ON t (b)")
put = db.prepare("INSERT INTO t (b) VALUES (?1)")
values = [None, True, 7, 9007199254740993, 1.5, "ü", b"\\x00\\xff", [1, 2]]
written = [(await put.bind(each).run()).meta.last_row_id for each in values]
read = db.prepare("SELECT a, b FROM t WHERE a <= ? ORDER BY a")
all_ = await read.bind(3).all()
out = {
    "made": [made.count, made["duration"] > 0],
    "written": written,
    "rows": await read.bind(99).raw(),
    "named": (await read.bind(1).raw({"columnNames": True})),
    "first": await read.bind(2).first(),
    "column": await db.prepare("SELECT b FROM t WHERE a = ?").bind(3).first("b"),
    "none": await db.prepare("SELECT b FROM t WHERE a = 99").first(),
    "results": all_.results,
    "attribute": all_.results[1].b,
    "success": all_.success,
    "meta": all_["meta"],
}
""",
    )
    assert out["made"] == [2, True]
    assert out["written"] == list(range(1, 9))
    stored = [None, 1, 7, 9007199254740993, 1.5, "ü", [0, 255], [1, 2]]
    assert [row[1] for row in out["rows"]] == stored
    assert out["named"] == [["a", "b"], [1, None]]
    assert (out["first"], out["column"], out["none"]) == ({"a": 1, "b": None}, 7, None)
    assert out["results"][2] == {"a": 3, "b": 7}
    assert (out["attribute"], out["success"]) == (1, True)
    meta = out["meta"]
    assert (meta["changes"], meta["changed_db"], meta["rows_read"]) == (0, False, 3)
    assert (meta["rows_written"], meta["served_by_primary"]) == (0, True)
    assert meta["size_after"] == 4096 * 3
    assert meta["timings"]["sql_duration_ms"] == meta["duration"]


def test_a_batch_is_a_transaction(shared: House, namespace: str, database: str) -> None:
    """All of it or nothing, in order; exec() is none, and keeps what came before its error."""
    out = ask(
        shared,
        namespace,
        database,
        """
await db.exec("CREATE TABLE t (a UNIQUE)")
put = db.prepare("INSERT INTO t VALUES (?)")
count = db.prepare("SELECT count(*) AS n FROM t")
out = {"done": [len(each.results) for each in await db.batch([put.bind(1), count])]}
for what in ("batch", "exec"):
    try:
        if what == "batch":
            await db.batch([put.bind(2), put.bind(1), put.bind(3)])
        else:
            await db.exec("INSERT INTO t VALUES (4)\\nINSERT INTO t VALUES (1)\\nNOT REACHED")
    except Exception as error:
        out[what] = [str(error), error.message == str(error), await count.first("n")]
""",
    )
    failed = "UNIQUE constraint failed: t.a: SQLITE_CONSTRAINT"
    assert out == {
        "done": [0, 1],
        "batch": [f"D1_ERROR: {failed}", True, 1],
        "exec": [
            f"D1_EXEC_ERROR: Error in line 2: INSERT INTO t VALUES (1): {failed}",
            True,
            2,
        ],
    }


def test_errors_in_the_words_of_the_product(shared: House, namespace: str, database: str) -> None:
    """What SQLite refuses, and what never comes to it."""
    found = refused(
        shared,
        namespace,
        database,
        "db.prepare('SELEC 1').all()",
        "db.prepare('SELECT * FROM nope').run()",
        "db.prepare('SELECT ?, ?').bind(1).all()",
        "db.prepare('SELECT 1; SELECT 2').all()",
        "db.prepare(' -- nothing').all()",
        "db.batch([])",
        "db.prepare('SELECT 1 AS a').first('b')",
        "db.prepare('SELECT ?').bind({'a': 1}).all()",
        "db.prepare('SELECT ?').bind(2 ** 63).all()",
        "db.batch(['SELECT 1'])",
        "db.dump()",
        "db.prepare('SELECT zeroblob(3000000)').all()",
    )
    assert found == [
        'D1_ERROR: near "SELEC": syntax error at offset 0: SQLITE_ERROR',
        "D1_ERROR: no such table: nope: SQLITE_ERROR",
        "D1_ERROR: Wrong number of parameter bindings for SQL query.",
        "D1_ERROR: A prepared SQL statement must contain only one statement.",
        "D1_ERROR: No SQL statements detected.",
        "D1_ERROR: No SQL statements detected.",
        "D1_COLUMN_NOTFOUND: Column not found (b)",
        "D1_TYPE_ERROR: Type 'dict' not supported for value '{'a': 1}'",
        f"D1_TYPE_ERROR: Type 'int' not supported for value '{2**63}'",
        "D1_TYPE_ERROR: batch() takes a list of prepared statements",
        "D1_DUMP_ERROR: Status + 404",
        "D1_ERROR: string or blob too big: SQLITE_TOOBIG",
    ]


@pytest.mark.parametrize(
    ("forbidden", "allowed"),
    [
        ("ATTACH 'x' AS y", "CREATE TABLE y (a)"),
        ("SELECT load_extension('x')", "SELECT length('x')"),
        ("PRAGMA writable_schema=ON", "PRAGMA table_list"),
        ("PRAGMA journal_mode=DELETE", "PRAGMA foreign_keys"),
        ("VACUUM INTO '/etc/x'", "ANALYZE"),
        ("SELECT readfile('/etc/passwd')", "SELECT hex('/etc/passwd')"),
        ("CREATE VIRTUAL TABLE v USING csv(filename='/etc/passwd')", "CREATE TABLE v (filename)"),
        ("CREATE TEMP TABLE t (a)", "CREATE TABLE t (a)"),
        ("BEGIN", "SELECT 1"),
    ],
)
def test_what_sql_may_not(
    shared: House, namespace: str, database: str, forbidden: str, allowed: str
) -> None:
    """What leaves the database, or loosens it, is refused through the binding too, by statement
    and by exec(); its harmless twin is not."""
    asked = [f"db.prepare({forbidden!r}).run()", f"db.exec({forbidden!r})"]
    twins = [f"db.prepare({allowed!r}).run()", "db.exec('SELECT 1')"]
    first, second, *fine = refused(shared, namespace, database, *asked, *twins)
    assert first.startswith("D1_ERROR: ")
    assert second.startswith("D1_EXEC_ERROR: Error in line 1: ")
    assert fine == ["", ""]


def test_sessions(shared: House, namespace: str, database: str) -> None:
    """A session reads what was written, and has no bookmark of its own before its first query."""
    out = ask(
        shared,
        namespace,
        database,
        """
session = db.withSession()
out = [session.getBookmark()]
await session.batch([session.prepare("CREATE TABLE t (a)")])
await session.prepare("INSERT INTO t VALUES (1)").run()
again = db.withSession(session.getBookmark() or "first-primary")
out.append(await again.prepare("SELECT a FROM t").first("a"))
out.append(db.withSession("a-bookmark").getBookmark())
""",
    )
    assert out == [None, 1, "a-bookmark"]


def test_a_thousand_queries_an_invocation(shared: House, namespace: str, database: str) -> None:
    """A batch counts as one; the first beyond a thousand is refused."""
    out = ask(
        shared,
        namespace,
        database,
        """
one = db.prepare("SELECT 1")
for _ in range(998):
    await one.run()
out = [len(await db.batch([one] * 100)), (await db.exec("SELECT 1")).count]
try:
    await one.run()
except Exception as error:
    out.append(str(error))
""",
        subrequests=2_000,
    )
    assert out == [100, 1, "D1_ERROR: Too many API requests by single Worker invocation."]


def test_another_accounts_database(shared: House, namespace: str) -> None:
    """A binding to it is refused when the version is written."""
    other = "b" * 32
    shared.registry.accounts.ensure(other, "other")
    theirs = shared.registry.databases.create(other, uuid.uuid4().hex).id
    binding = {"type": "d1", "name": "DB", "database_id": theirs}
    with pytest.raises(Invalid, match="no database of this account"):
        shared.deploy(namespace, "sql", worker("return Response('')"), bindings=[binding])


def test_a_deleted_database_is_missing(shared: House, namespace: str, database: str) -> None:
    """Bound when it was there: the worker is told, and nothing is made in its place."""
    source = worker("return Response(str(await self.env.DB.prepare('SELECT 1').first()))")
    binding = {"type": "d1", "name": "DB", "database_id": database}
    shared.deploy(namespace, "sql", source, bindings=[binding])
    shared.registry.databases.delete(ACCOUNT, database)
    failure = shared.call(namespace, "sql").failure
    assert failure is not None
    assert "D1_ERROR: " in failure.message
    assert "could not be found" in failure.message
    assert not (shared.directory / "d1" / database).exists()


def test_an_executor_that_has_no_databases(tmp_path: Path) -> None:
    """It asks the one that has, through the queue, several questions at once."""
    with house(tmp_path, blank_isolates=0, executor_namespaces=("nothing",)) as owner:
        guest = House(tmp_path, databases=False, executor_namespaces=("elsewhere",))
        guest.registry, guest.blobs, guest.redis = owner.registry, owner.blobs, owner.redis
        database = owner.registry.databases.create(ACCOUNT, "shop").id
        owner.namespace("elsewhere")
        guest.start_worker()
        try:
            body = """
import asyncio
one = db.prepare("SELECT ?1 AS a")
out = await asyncio.gather(*[one.bind(each).first("a") for each in range(20)])
"""
            found = ask(guest, "elsewhere", database, body)
        finally:
            guest.stop_worker()
    assert found == list(range(20))
