"""The storage of one object: real processes behind the wall, real files."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cloister.databases import Failed
from cloister.errors import NotReady
from cloister.settings import Settings
from executor import doctor
from executor.databases.process import ProcessDied
from executor.objects.frames import Ask, Did, Settle, decode_answer
from executor.objects.process import StorageProcess

LONG_S = 600.0


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(value))


class Opened:
    """A storage under test."""

    def __init__(self, process: StorageProcess) -> None:
        self.process = process

    async def say(self, question: Ask | Settle) -> Did | Failed:
        return decode_answer(await self.process.ask(question, 30))

    async def do(self, method: str, *arguments: Any) -> Any:
        did = await self.say(Ask(method=method, arguments=raw(arguments)))
        assert isinstance(did, Did), did
        return msgspec.msgpack.decode(did.value)

    async def refused(self, method: str, *arguments: Any) -> str:
        failed = await self.say(Ask(method=method, arguments=raw(arguments)))
        assert isinstance(failed, Failed), failed
        return failed.message

    async def sql(self, query: str, *params: Any) -> list[list[Any]]:
        rows: list[list[Any]] = (await self.do("sql", query, params))["rows"]
        return rows

    async def settle(self, *, commit: bool = True, end: bool = True) -> Did | Failed:
        return await self.say(Settle(commit=commit, end=end))


@asynccontextmanager
async def storage(
    directory: Path, *, fence: int = 1, lease_s: float = LONG_S, uses_sqlite: bool = True
) -> AsyncIterator[Opened]:
    settings = Settings(data=str(directory))
    process = await StorageProcess.open(
        directory,
        doctor.admit(settings),
        settings.sandbox_ids,
        fence=fence,
        until_s=time.monotonic() + lease_s,
        uses_sqlite=uses_sqlite,
    )
    try:
        yield Opened(process)
    finally:
        await process.close()


async def test_pairs(tmp_path: Path) -> None:
    """Put, got, deleted and listed in the order of their bytes, by range, prefix and limit."""
    async with storage(tmp_path) as it:
        pairs = {"a": b"1", "b/1": b"2", "b/2": b"3", "b\U0010ffff": b"4", "c": b"5"}
        await it.do("put", pairs)
        assert await it.do("get", ["a", "no"]) == [b"1", None]
        listed: list[tuple[dict[str, Any], list[str]]] = [
            ({}, ["a", "b/1", "b/2", "b\U0010ffff", "c"]),
            ({"prefix": "b"}, ["b/1", "b/2", "b\U0010ffff"]),
            ({"prefix": "b/", "reverse": True}, ["b/2", "b/1"]),
            ({"start": "b/2", "end": "c"}, ["b/2", "b\U0010ffff"]),
            ({"start_after": "b/2", "limit": 1}, ["b\U0010ffff"]),
            ({"prefix": "\U0010ffff"}, []),
        ]
        for asked, keys in listed:
            fields = ("start", "start_after", "end", "prefix", "limit", "reverse")
            default: dict[str, Any] = dict.fromkeys(fields) | {"prefix": "", "reverse": False}
            found = await it.do("list", *(default | asked).values())
            assert [key for key, _ in found] == keys, asked
        assert await it.do("delete", ["a", "b/1", "no"]) == 2


async def test_an_event_is_one_transaction(tmp_path: Path) -> None:
    """Nothing is there before it is settled; undone, nothing of it is; made durable, it survives
    the end of the process by force."""
    async with storage(tmp_path) as it:
        await it.do("put", {"a": b"1"})
        await it.do("set_alarm", 5_000)
        await it.settle(commit=False)
        assert await it.do("get", ["a"]) == [None]
        assert await it.do("get_alarm") is None
        await it.do("put", {"a": b"2"})
        await it.do("set_alarm", 6_000)
        did = await it.settle()
        assert isinstance(did, Did)
        assert (did.dirty, did.alarm_ms) == (False, 6_000)
        await it.do("put", {"a": b"3"})
        await it.process.kill()
    async with storage(tmp_path) as it:
        assert await it.do("get", ["a"]) == [b"2"]
        assert await it.do("get_alarm") == 6_000


async def test_sql(tmp_path: Path) -> None:
    """Several statements, the parameters for the last; rows with their columns and counts."""
    async with storage(tmp_path) as it:
        await it.sql("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, x'00')")
        told = await it.do("sql", "INSERT INTO t VALUES (?, ?) RETURNING a", [2, b"\1"])
        assert (told["columns"], told["rows"], told["rows_written"]) == (["a"], [[2]], 1)
        assert await it.sql("SELECT * FROM t ORDER BY a") == [[1, b"\0"], [2, b"\1"]]
        assert "no such table" in await it.refused("sql", "SELECT * FROM no", [])
        assert "did not contain" in await it.refused("sql", "-- nothing", [])


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM _cf_KV",
        "DELETE FROM _CF_state",
        "DROP TABLE _cf_KV",
        "ALTER TABLE _cf_KV ADD COLUMN x",
        "CREATE TRIGGER t AFTER INSERT ON _cf_KV BEGIN SELECT 1; END",
        "CREATE INDEX i ON _cf_KV (value)",
        "CREATE TABLE _cf_mine (a)",
        "COMMIT",
        "BEGIN",
        "SAVEPOINT a",
        "ATTACH 'x' AS y",
        "PRAGMA locking_mode=NORMAL",
        "SELECT load_extension('x')",
    ],
)
async def test_what_sql_may_not(tmp_path: Path, query: str) -> None:
    """What is the platform's own, and the event's transaction, are out of its reach; what was
    written before is still there."""
    async with storage(tmp_path) as it:
        await it.do("put", {"a": b"1"})
        await it.refused("sql", query, [])
        await it.settle()
        assert await it.do("get", ["a"]) == [b"1"]


async def test_transactions_nest(tmp_path: Path) -> None:
    """The inner one is undone alone, the outer one with all in it, and what was written before
    stays. One that is open at the end of the event is undone."""
    async with storage(tmp_path) as it:
        await it.do("put", {"a": b"1"})
        await it.do("begin")
        await it.do("put", {"b": b"1"})
        await it.do("begin")
        await it.do("put", {"b": b"2"})
        await it.do("rollback")
        assert await it.do("get", ["a", "b"]) == [b"1", b"1"]
        did = await it.settle(end=False)
        assert isinstance(did, Did)
        assert did.dirty
        await it.do("rollback")
        assert await it.do("get", ["a", "b"]) == [b"1", None]
        await it.do("begin")
        await it.do("put", {"c": b"1"})
        await it.do("commit")
        await it.do("begin")
        await it.do("put", {"d": b"1"})
        await it.settle()
        assert await it.do("get", ["c", "d"]) == [b"1", None]
        assert "no transaction" in await it.refused("commit")


async def test_an_event_that_sqlite_undid_is_not_durable(tmp_path: Path) -> None:
    """A statement may undo the whole transaction: then nothing may be told to be durable, and the
    next event begins anew."""
    async with storage(tmp_path) as it:
        await it.sql("CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1)")
        await it.settle()
        await it.do("put", {"a": b"1"})
        await it.refused("sql", "INSERT OR ROLLBACK INTO t VALUES (1)", [])
        assert "rolled back" in await it.refused("put", {"b": b"1"})
        assert isinstance(await it.settle(), Failed)
        assert await it.do("get", ["a", "b"]) == [None, None]
        await it.do("put", {"b": b"1"})
        assert isinstance(await it.settle(), Did)


async def test_all_is_deleted(tmp_path: Path) -> None:
    """Pairs, alarm, tables with foreign keys, views and indexes for full text."""
    async with storage(tmp_path) as it:
        await it.do("put", {"a": b"1"})
        await it.do("set_alarm", 5)
        await it.sql(
            "CREATE TABLE p (a PRIMARY KEY); CREATE TABLE c (a REFERENCES p);"
            "INSERT INTO p VALUES (1); INSERT INTO c VALUES (1); CREATE VIEW v AS SELECT * FROM c;"
            "CREATE VIRTUAL TABLE f USING fts5(x)"
        )
        await it.do("clear")
        await it.process.kill()
    async with storage(tmp_path) as it:
        assert await it.do("list", None, None, None, "", None, False) == []
        assert await it.do("get_alarm") is None
        tables = await it.sql(
            "SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'"
        )
        assert [name for (name,) in tables if not name.startswith("sqlite_")] == []


async def test_bounds(tmp_path: Path) -> None:
    """Keys, values and how many at once; and a class without SQL has none, and small values."""
    async with storage(tmp_path) as it:
        assert "Keys cannot be larger" in await it.refused("put", {"k" * 2_049: b""})
        assert "2 MB" in await it.refused("put", {"k": bytes(2_000_000)})
        assert "Maximum number" in await it.refused("get", ["k"] * 129)
        assert "no operation" in await it.refused("nothing")
        assert "other arguments" in await it.refused("put", 5)
        await it.do("put", {"k": bytes(1_900_000)})
    async with storage(tmp_path, fence=2, uses_sqlite=False) as it:
        assert "not enabled" in await it.refused("sql", "SELECT 1", [])
        assert "Values cannot" in await it.refused("put", {"k": bytes(128 * 1024 + 1)})
        await it.do("put", {"k": bytes(128 * 1024)})


LEASES_S = (1.0, 4.0, 16.0)
"""A slow machine takes longer than the shorter ones to begin."""


async def begun(directory: Path, stack: AsyncExitStack, *, fence: int, key: str) -> Opened:
    """A storage whose lease is soon over, in which that key was put and is durable."""
    for lease_s in LEASES_S:
        it = await stack.enter_async_context(storage(directory, fence=fence, lease_s=lease_s))
        try:
            await it.do("put", {key: b"1"})
            if isinstance(await it.settle(), Did):
                return it
        except ProcessDied:
            continue
    raise AssertionError("the machine is too slow")


async def test_who_lost_the_lease_writes_nothing(tmp_path: Path) -> None:
    """An owner that hangs does not keep its storage: the process undoes what was not durable and
    ends with the lease, the next owner has the file, and the former one cannot open it again."""
    async with AsyncExitStack() as stack:
        old = await begun(tmp_path, stack, fence=7, key="a")
        with suppress(ProcessDied):  # it may be over by now, too
            await old.do("put", {"a": b"2"})
        await old.process.ended.wait()
        async with storage(tmp_path, fence=8) as new:
            assert await new.do("get", ["a"]) == [b"1"]
            with pytest.raises(ProcessDied):
                await old.settle()
            await new.do("put", {"a": b"3"})
            await new.settle()
        with pytest.raises(NotReady):
            async with storage(tmp_path, fence=7):
                pass
    async with storage(tmp_path, fence=8) as new:
        assert await new.do("get", ["a"]) == [b"3"]


async def test_a_lease_that_is_kept_goes_on(tmp_path: Path) -> None:
    """The allowed twin: kept in time, the process outlives the lease that it was started under."""
    for lease_s in LEASES_S:
        until_s = time.monotonic() + lease_s
        async with storage(tmp_path, lease_s=lease_s) as it:
            it.process.keep(time.monotonic() + LONG_S)
            try:
                await it.do("put", {"a": b"1"})  # it has heard of that by now
            except ProcessDied:
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(max(until_s - time.monotonic(), 0) + 0.2):
                    await it.process.ended.wait()
            assert isinstance(await it.settle(), Did)
            return
    raise AssertionError("the machine is too slow")
