"""What a database was: each transaction can be returned to, also after its process was killed."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloister.databases import Run, Statement
from executor.databases.cell import history as history_module
from executor.databases.cell.connection import Database, Refused
from executor.databases.cell.history import History
from executor.databases.files import BASES, DATABASE, FILES, LOGS

NAME = "0f7a3b1c-1234-4abc-9def-0123456789ab"


class Opened:
    """A database with its history, as its process has it; in the working directory."""

    def __init__(self) -> None:
        self.database = Database(DATABASE)
        self.history = History(self.database, NAME)

    def run(self, *sql: str) -> str:
        """The bookmark after it."""
        try:
            self.database.run(Run(statements=[Statement(one) for one in sql]), 20)
        finally:
            self.history.keep()
        return self.history.bookmark

    def rows(self) -> list[int]:
        found = self.database.run(Run(statements=[Statement("SELECT a FROM t ORDER BY a")]), 20)
        return [row[0] for row in found.results[0].rows]

    def close(self) -> None:
        self.history.close()
        self.database.close()


@pytest.fixture
def open_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Opened]]:
    """Opens the database of this test, again where it is open no more."""
    monkeypatch.chdir(tmp_path)
    made: list[Opened] = []

    def make() -> Opened:
        made.append(Opened())
        return made[-1]

    yield make
    for each in made:
        each.database.close()


def test_each_transaction_can_be_returned_to(open_: Callable[[], Opened]) -> None:
    """In any order, within a generation and over several, also after it was closed."""
    opened = open_()
    opened.run("CREATE TABLE t (a)")
    marks = {}
    for number in range(12):
        marks[number] = opened.run(f"INSERT INTO t VALUES ({number})")
        if number % 5 == 4:
            opened.history.roll()
    assert sorted(marks.values()) == list(marks.values())
    for number in (3, 11, 0, 7, 4):
        previous = opened.history.restore(marks[number])
        assert opened.rows() == list(range(number + 1))
        opened.history.restore(previous)
    opened.close()
    opened = open_()
    opened.history.restore(marks[6])
    assert opened.rows() == list(range(7))
    assert {path.name for path in Path().iterdir()} <= {*FILES}


def test_what_was_rolled_back_is_in_no_history(open_: Callable[[], Opened]) -> None:
    """A transaction so large that SQLite wrote some of it to its log, and then refused: what comes
    after it is counted rightly."""
    opened = open_()
    before = opened.run("CREATE TABLE t (a UNIQUE, b)")
    many = (
        "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 20000) "
        "INSERT INTO t SELECT x, zeroblob(1000) FROM c"
    )
    with pytest.raises(Refused, match="UNIQUE"):
        opened.run(many, "INSERT INTO t VALUES (1, 1)")
    first = opened.run("INSERT INTO t VALUES (1, 1)")
    opened.run("INSERT INTO t VALUES (2, 1)")
    opened.history.restore(first)
    assert opened.rows() == [1]
    opened.history.restore(before)
    assert opened.rows() == []


def test_a_killed_process_loses_no_history(open_: Callable[[], Opened], tmp_path: Path) -> None:
    """Files as a kill leaves them, amid every step: open again, all is there, and every bookmark
    that was given can be restored."""
    opened = open_()
    marks = [opened.run("CREATE TABLE t (a)")]
    marks += [opened.run(f"INSERT INTO t VALUES ({number})") for number in range(3)]
    opened.history.roll()
    marks += [opened.run(f"INSERT INTO t VALUES ({number})") for number in range(3, 6)]
    copies = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    opened.close()
    archived = Path(LOGS[0]).read_bytes()
    for log in (copies[LOGS[0]], copies[LOGS[0]] + b"\0\1torn", archived, archived[:-9]):
        for path in tmp_path.iterdir():
            path.unlink()
        for name, data in {**copies, LOGS[0]: log}.items():
            Path(name).write_bytes(data)
        opened = open_()
        assert opened.rows() == list(range(6))
        for number, mark in enumerate(marks):
            opened.history.restore(mark)
            assert opened.rows() == list(range(number))
        opened.database.close()


def test_times(open_: Callable[[], Opened], monkeypatch: pytest.MonkeyPatch) -> None:
    """A time is that of the last generation that had ended; before the first it is refused, as is
    what is older than 30 days."""
    clock = [1_000_000_000_000]
    monkeypatch.setattr(history_module, "_now_ms", lambda: clock[0])
    opened = open_()
    for number in range(3):
        clock[0] += 60_000
        opened.run("CREATE TABLE IF NOT EXISTS t (a)", f"INSERT INTO t VALUES ({number})")
        opened.history.roll()
    opened.history.restore(opened.history.bookmark_at(clock[0] - 60_000))
    assert opened.rows() == [0, 1]
    assert opened.history.bookmark_at(None) == opened.history.bookmark
    with pytest.raises(Refused, match="Time travel"):
        opened.history.bookmark_at(999_999_999_999)
    mark = opened.history.bookmark_at(clock[0] - 60_000)
    clock[0] += 31 * 24 * 3600 * 1000
    with pytest.raises(Refused, match="Time travel"):
        opened.history.bookmark_at(clock[0] - 31 * 24 * 3600 * 1000 - 1)
    opened.history.restore(mark)


def test_history_is_bounded(open_: Callable[[], Opened], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stretches at most; what is older is refused, and what is kept can be restored."""
    monkeypatch.setattr(history_module, "STRETCH_BYTES", 200_000)
    monkeypatch.setattr(history_module, "GENERATION_BYTES", 40_000)
    opened = open_()
    marks = [opened.run("CREATE TABLE t (a)")]
    marks += [opened.run(f"INSERT INTO t VALUES ({number})") for number in range(300)]
    assert sum(Path(name).stat().st_size for name in (*LOGS, *BASES)) < 2 * 400_000
    with pytest.raises(Refused, match="Time travel"):
        opened.history.restore(marks[0])
    assert opened.rows() == list(range(300))
    opened.history.restore(marks[250])
    assert opened.rows() == list(range(250))


def test_a_full_disk_costs_history_and_no_data(
    open_: Callable[[], Opened], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be kept any more, the database goes on; where it can be again, so does its
    history."""
    opened = open_()
    mark = opened.run("CREATE TABLE t (a)")

    def fail(*_arguments: object) -> None:
        raise OSError("full")

    with monkeypatch.context() as patch:
        patch.setattr(History, "_append", fail)
        patch.setattr(History, "_copy", fail)
        opened.history.roll()
        lost = opened.run("INSERT INTO t VALUES (1)")
        opened.history.roll()
        with pytest.raises(Refused, match="Time travel"):
            opened.history.restore(mark)
    opened.history.roll()
    kept = opened.run("INSERT INTO t VALUES (2)")
    opened.run("DELETE FROM t")
    opened.history.restore(kept)
    assert opened.rows() == [1, 2]
    with pytest.raises(Refused, match="Time travel"):
        opened.history.restore(lost)


@pytest.mark.parametrize(
    "change",
    [
        lambda mark: "",
        lambda mark: "x" * 1000,
        lambda mark: mark[:-1] + "x",
        lambda mark: "f" + mark[1:],
        lambda mark: mark.replace("-", "_"),
        lambda mark: "+" + mark[1:],
    ],
)
def test_what_is_no_bookmark(open_: Callable[[], Opened], change: Callable[[str], str]) -> None:
    """Of another database, of the future, or of nothing: refused, and nothing is changed."""
    opened = open_()
    mark = opened.run("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    with pytest.raises(Refused, match="bookmark"):
        opened.history.restore(change(mark))
    assert opened.rows() == [1]
    opened.history.restore(mark)


def test_a_database_of_before_there_was_history(open_: Callable[[], Opened]) -> None:
    """Its history begins when it is first opened."""
    with sqlite3.connect(DATABASE) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (1)")
    connection.close()
    opened = open_()
    begin = opened.history.bookmark
    opened.run("DELETE FROM t")
    opened.history.restore(begin)
    assert opened.rows() == [1]
