"""Databases through the queue: a real executor, real processes, real files."""

import os
import signal
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from executor_house import ACCOUNT, House, house

from cloister.broker import celery_message
from cloister.databases import (
    DATABASE_QUEUE,
    DATABASE_TASK,
    Ask,
    DatabaseAnswer,
    DatabaseJob,
    Delete,
    Deleted,
    Describe,
    Described,
    Export,
    Exported,
    Failed,
    Import,
    Imported,
    Outcome,
    Poll,
    Results,
    Run,
    Statement,
    Task,
    decode_outcome,
)
from cloister.mailbox import wait_for
from cloister.messages import encode, reply_list
from executor.databases.files import FILES, PASSING

FOREVER = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT count(*) FROM c"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running executor, in which few databases are open at once."""
    directory: Path = tmp_path_factory.mktemp("house")
    with house(directory, blank_isolates=0, databases_open=3) as made:
        yield made


def new(where: House) -> str:
    return where.registry.databases.create(ACCOUNT, uuid.uuid4().hex).id


@pytest.fixture
def database(shared: House) -> str:
    return new(shared)


def send(
    where: House, database: str, ask: Ask, *, begin_s: float = 60, account: str = ACCOUNT
) -> str:
    id_ = uuid.uuid4().hex
    job = DatabaseJob(
        id=id_,
        account=account,
        database=database,
        ask=ask,
        reply_to=reply_list(id_),
        deadline=time.time() + begin_s,
    )
    message = celery_message(DATABASE_TASK, encode(job), DATABASE_QUEUE)
    where.redis.lpush(DATABASE_QUEUE, message)
    return id_


def answer(where: House, id_: str) -> Outcome:
    found = wait_for(DatabaseAnswer, where.redis, reply_list(id_), id_, timeout_s=60)
    return decode_outcome(found.outcome)


def ask(where: House, database: str, what: Ask, **options: Any) -> Outcome:
    return answer(where, send(where, database, what, **options))


def run(where: House, database: str, *sql: str) -> list[list[list[Any]]]:
    """The rows of each statement."""
    found = ask(where, database, Run(statements=[Statement(one) for one in sql]))
    assert isinstance(found, Results), found
    return [one.rows for one in found.results]


def failed(where: House, database: str, what: Ask, **options: Any) -> Failed:
    found = ask(where, database, what, **options)
    assert isinstance(found, Failed), found
    return found


def settled(where: House, database: str, what: Ask) -> Outcome | None:
    """What becomes of a task, polled as a client does."""
    found = ask(where, database, what)
    while isinstance(found, Task) and found.outcome is None:
        found = ask(where, database, Poll(task=found.id))
    assert isinstance(found, Task), found
    return found.outcome


def pids(where: House, database: str) -> list[int]:
    """Of the processes whose root or working directory is the database's."""
    assert where.worker is not None
    return [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cwd")
        if _stats(path) == _stats(where.directory / "d1" / database)
    ]


def _stats(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def test_what_is_written_is_read(shared: House, database: str) -> None:
    """Through the queue, the owner and the process, and back; the file is real SQLite."""
    assert run(shared, database, "CREATE TABLE t (a); INSERT INTO t VALUES (1), ('x')") == [[], []]
    assert run(shared, database, "SELECT a FROM t") == [[[1], ["x"]]]
    described = ask(shared, database, Describe())
    assert isinstance(described, Described)
    assert (described.tables, described.size_bytes) == (1, 8192)
    other = new(shared)
    assert (
        "no such table"
        in failed(shared, other, Run(statements=[Statement("SELECT * FROM t")])).message
    )


def test_more_databases_than_may_be_open(shared: House) -> None:
    """The one that was used the longest ago is closed for another, and opened again; together
    they are asked at once."""
    databases = [new(shared) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(
            threads.map(
                lambda one: run(shared, one, f"CREATE TABLE t (a); INSERT INTO t VALUES ('{one}')"),
                databases,
            )
        )
        found = threads.map(lambda one: run(shared, one, "SELECT a FROM t"), databases)
        assert list(found) == [[[[one]]] for one in databases]
    assert sum(bool(pids(shared, one)) for one in databases) <= 4


def test_a_long_query_holds_up_nobody_else(shared: House) -> None:
    """While one database computes, others answer; the next question to it waits its turn, and is
    not begun when nobody waits for it any more."""
    slow, quick = new(shared), new(shared)
    run(shared, slow, "CREATE TABLE t (a)")
    counting = FOREVER.replace("SELECT x FROM c)", "SELECT x + 1 FROM c LIMIT 8000000)")
    first = send(shared, slow, Run(statements=[Statement(counting)]))
    late = send(shared, slow, Run(statements=[Statement("INSERT INTO t VALUES (1)")]), begin_s=0.1)
    assert run(shared, quick, "SELECT 1") == [[[1]]]
    assert not shared.redis.exists(reply_list(first))
    found = answer(shared, late)
    assert isinstance(found, Failed)
    assert found.kind == "overloaded"
    assert isinstance(answer(shared, first), Results)
    assert run(shared, slow, "SELECT count(*) FROM t") == [[[0]]]


def test_too_much_that_waits_is_refused(shared: House, database: str) -> None:
    """The line of a database is short; what is in it is served."""
    statement = Run(statements=[Statement("SELECT 1")])
    run(shared, database, "SELECT 1")
    for pid in pids(shared, database):
        os.kill(pid, signal.SIGSTOP)
    ids = [send(shared, database, statement) for _ in range(100)]
    refused = 0
    while not refused:
        refused = sum(shared.redis.exists(reply_list(id_)) for id_ in ids)
    for pid in pids(shared, database):
        os.kill(pid, signal.SIGCONT)
    kinds = [getattr(answer(shared, id_), "kind", "served") for id_ in ids]
    assert {*kinds} == {"served", "overloaded"}
    assert kinds.count("served") > 10


def test_a_process_that_dies_is_followed_by_another(shared: House, database: str) -> None:
    """Killed amid a query: the client is told, nothing of it is there, and the next one is served
    with all that was answered before."""
    run(shared, database, "CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    doomed = send(
        shared, database, Run(statements=[Statement(f"INSERT INTO t VALUES (2); {FOREVER}")])
    )
    shared.wait_for(lambda: _is_busy(pids(shared, database)))
    for pid in pids(shared, database):
        os.kill(pid, signal.SIGKILL)
    found = answer(shared, doomed)
    assert isinstance(found, Failed)
    assert found.kind == "lost"
    assert run(shared, database, "SELECT a FROM t") == [[[1]]]


def _is_busy(found: list[int]) -> bool:
    """Whether one of them is computing."""
    try:
        return any(
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "R"
            for pid in found
        )
    except OSError:
        return False


def test_a_delete_ends_the_process_and_removes_the_files(shared: House, database: str) -> None:
    """Nothing of it is left, in the registry or on the disk, and it is not made again."""
    run(shared, database, "CREATE TABLE t (a)")
    process = pids(shared, database)
    assert process
    assert isinstance(ask(shared, database, Delete()), Deleted)
    assert not any(Path(f"/proc/{pid}").exists() for pid in process)
    assert not (shared.directory / "d1" / database).exists()
    assert not list((shared.directory / "d1" / "deleted").iterdir())
    assert not shared.registry.databases.exists(database)
    assert failed(shared, database, Describe()).kind == "missing"
    assert not (shared.directory / "d1" / database).exists()


def test_another_accounts_database_is_missing(shared: House, database: str) -> None:
    """Even to whoever knows its id, and while it is open."""
    assert failed(shared, database, Describe(), account="b" * 32).kind == "missing"
    assert failed(shared, database, Delete(), account="b" * 32).kind == "missing"
    assert isinstance(ask(shared, database, Describe()), Described)
    assert failed(shared, database, Describe(), account="b" * 32).kind == "missing"
    assert isinstance(ask(shared, database, Describe()), Described)


def test_files_elsewhere_are_not_made_again(shared: House, database: str) -> None:
    """A database whose files are in another directory is not served from an empty one."""
    shared.registry.databases.settle(ACCOUNT, database, "elsewhere")
    assert "another machine" in failed(shared, database, Describe()).message
    assert not (shared.directory / "d1" / database).exists()


def test_an_export_and_its_import(shared: House, database: str) -> None:
    """Files of any length go through blobs; an import is there once, and all or nothing."""
    run(shared, database, "CREATE TABLE t (a); INSERT INTO t VALUES ('x'), (x'00')")
    assert isinstance(settled(shared, database, Export(key="exports/one")), Exported)
    text = shared.blobs.get("exports/one")
    assert text is not None
    assert b"CREATE TABLE t (a);" in text

    other = new(shared)
    shared.blobs.put("imports/one", text)
    imported = settled(shared, other, Import(key="imports/one"))
    assert isinstance(imported, Imported)
    assert imported.queries == 4
    assert run(shared, other, "SELECT a FROM t") == [[["x"], [b"\0"]]]
    again = settled(shared, other, Import(key="imports/one"))
    assert isinstance(again, Failed)
    shared.blobs.put("imports/one", text)
    other_file = settled(shared, other, Import(key="imports/one", etag="0" * 32))
    assert isinstance(other_file, Failed)
    assert other_file.kind == "missing"
    shared.blobs.put("imports/bad", b"INSERT INTO t VALUES (1); NOPE")
    bad = settled(shared, other, Import(key="imports/bad"))
    assert isinstance(bad, Failed)
    assert 'near "NOPE"' in bad.message
    assert run(shared, other, "SELECT count(*) FROM t") == [[[2]]]
    there = {path.name for path in (shared.directory / "d1" / other).iterdir()}
    assert there <= {*FILES} - {*PASSING}
    assert failed(shared, database, Poll(task="nope")).kind == "missing"


def test_what_was_answered_survives_a_kill_of_everything(tmp_path: Path) -> None:
    """While rows are written, one after the other, every process is killed; all that were answered
    are there, once, when an executor starts again; then the file is whole."""
    with house(tmp_path, blank_isolates=0) as made:
        database = new(made)
        run(made, database, "CREATE TABLE t (a UNIQUE)")
        answered: list[int] = []
        stop = threading.Event()

        def write() -> None:
            for number in range(100_000):
                id_ = send(
                    made, database, Run(statements=[Statement(f"INSERT INTO t VALUES ({number})")])
                )
                try:
                    found = wait_for(DatabaseAnswer, made.redis, reply_list(id_), id_, timeout_s=3)
                except TimeoutError:
                    return
                if isinstance(decode_outcome(found.outcome), Results):
                    answered.append(number)
                if stop.is_set():
                    return

        writer = threading.Thread(target=write)
        writer.start()
        made.wait_for(lambda: len(answered) > 30)
        assert made.worker is not None
        for pid in [*pids(made, database), made.worker.pid]:
            os.kill(pid, signal.SIGKILL)
        writer.join(30)
        made.worker.wait(10)
        made.stop_worker()
        made.start_worker()
        found = [row[0] for row in run(made, database, "SELECT a FROM t ORDER BY a")[0]]
        assert len(found) == len({*found})
        assert {*answered} <= {*found}
        assert run(made, database, "PRAGMA quick_check") == [[["ok"]]]
    path = tmp_path / "d1" / database / "db.sqlite"
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone()[0] == len(found)
    connection.close()
