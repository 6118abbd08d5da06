"""``ctx.storage`` of a Durable Object. Each operation is over when it returns: nothing else of the
object runs meanwhile. What was written leaves nothing of the object before it is durable.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec

from executor.isolate.invocation import runtime
from executor.isolate.workers.rpc import python_from_rpc, python_to_rpc
from executor.isolate.workers.values import JsDict, merged_options

TARGET = "ctx.storage"
"""No binding can be called so."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def _do(method: str, *arguments: Any) -> Any:
    return runtime.ask_now(TARGET, method, list(arguments))


class Pairs:
    """Keys and values, without awaiting: ``ctx.storage.kv``."""

    __slots__ = ()

    def get(self, key: Any, options: Any = None) -> Any:  # noqa: ARG002 - caches are not ours
        """The value of a key, or None; for a list of keys a dict of those that are there."""
        if isinstance(key, list):
            found = _do("get", key)
            pairs = zip(key, found, strict=True)
            return {name: _loaded(value) for name, value in pairs if value is not None}
        value = _do("get", [_key(key)])[0]
        return None if value is None else _loaded(value)

    def put(self, key: Any, value: Any = None, options: Any = None) -> None:  # noqa: ARG002 - as above
        """Store a value, or all those of a dict."""
        pairs = key if isinstance(key, dict) else {_key(key): value}
        _do("put", {_key(name): _stored(item) for name, item in pairs.items()})

    def delete(self, key: Any, options: Any = None) -> Any:  # noqa: ARG002 - as above
        """Remove a key: whether it was there. Of a list of keys: how many were."""
        if isinstance(key, list):
            return _do("delete", key)
        return bool(_do("delete", [_key(key)]))

    def list(self, options: Any = None, /, **named: Any) -> dict[str, Any]:
        """Pairs in the order of their keys. Options: ``start``, ``startAfter``, ``end``,
        ``prefix``, ``limit``, ``reverse``."""
        asked = merged_options(options, named)
        found = _do(
            "list",
            asked.get("start"),
            asked.get("startAfter"),
            asked.get("end"),
            asked.get("prefix", ""),
            asked.get("limit"),
            bool(asked.get("reverse")),
        )
        return {key: _loaded(value) for key, value in found}


class AsyncPairs:
    """The same, to be awaited."""

    __slots__ = ()

    async def get(self, key: Any, options: Any = None) -> Any:
        """See :meth:`Pairs.get`."""
        return _PAIRS.get(key, options)

    async def put(self, key: Any, value: Any = None, options: Any = None) -> None:
        """See :meth:`Pairs.put`."""
        _PAIRS.put(key, value, options)

    async def delete(self, key: Any, options: Any = None) -> Any:
        """See :meth:`Pairs.delete`."""
        return _PAIRS.delete(key, options)

    async def list(self, options: Any = None, /, **named: Any) -> dict[str, Any]:
        """See :meth:`Pairs.list`."""
        return _PAIRS.list(options, **named)

    async def getAlarm(self, options: Any = None) -> int | None:  # noqa: ARG002 - as above
        """When the alarm is set for, in epoch milliseconds."""
        when: int | None = _do("get_alarm")
        return when

    async def setAlarm(self, when: float | dt.datetime, options: Any = None) -> None:  # noqa: ARG002 - as above
        """Have ``alarm()`` called then: epoch milliseconds, or a time."""
        if isinstance(when, dt.datetime):
            when = when.timestamp() * 1000
        if isinstance(when, bool) or not isinstance(when, int | float):
            raise TypeError("setAlarm() takes epoch milliseconds or a datetime")
        _do("set_alarm", int(when))

    async def deleteAlarm(self, options: Any = None) -> None:  # noqa: ARG002 - as above
        """Have it called no more."""
        _do("delete_alarm")


class Transaction(AsyncPairs):
    """What ``transaction()`` gives its function."""

    __slots__ = ("_is_undone",)

    def __init__(self) -> None:
        self._is_undone = False

    def rollback(self) -> None:
        """Undo it when the function is over."""
        self._is_undone = True


class Storage(AsyncPairs):
    """``ctx.storage``."""

    __slots__ = ()

    @property
    def kv(self) -> Pairs:
        """Keys and values, without awaiting."""
        return _PAIRS

    @property
    def sql(self) -> "Sql":
        """SQL, where the class has it."""
        return _SQL

    async def deleteAll(self, options: Any = None) -> None:  # noqa: ARG002 - as above
        """Delete all of it, at once: pairs, tables and the alarm."""
        _do("clear")

    async def sync(self) -> None:
        """Return when what was written is durable."""
        _do("sync")

    async def transaction(self, closure: Callable[[Transaction], Awaitable[Any]]) -> Any:
        """Run a function whose writes are there together, or if it raises not at all."""
        transaction = Transaction()
        _do("begin")
        try:
            value = await closure(transaction)
        except BaseException:
            _do("rollback")
            raise
        _do("rollback" if transaction._is_undone else "commit")
        return value

    def transactionSync(self, closure: Callable[[], Any]) -> Any:
        """The same for one that awaits nothing."""
        _do("begin")
        try:
            value = closure()
        except BaseException:
            _do("rollback")
            raise
        _do("commit")
        return value


class Sql:
    """``ctx.storage.sql``."""

    __slots__ = ()

    def exec(self, query: str, *bindings: Any) -> "Cursor":
        """Run statements; the bindings are for the last, whose rows are given."""
        if not isinstance(query, str):
            raise TypeError(f"exec() takes SQL as a str, not {type(query).__name__}")
        return Cursor(_do("sql", query, [_parameter(each) for each in bindings]))

    @property
    def databaseSize(self) -> int:
        """Bytes of the database."""
        size: int = _do("size")
        return size


class Cursor:
    """Rows of a query, each given once."""

    __slots__ = ("_columns", "_read", "_rows", "_written")

    def __init__(self, told: dict[str, Any]) -> None:
        self._columns: list[str] = told["columns"]
        self._rows = iter(told["rows"])
        self._read: int = told["rows_read"]
        self._written: int = told["rows_written"]

    @property
    def columnNames(self) -> list[str]:
        """Of the columns, in order."""
        return list(self._columns)

    @property
    def rowsRead(self) -> int:
        """How many rows it gave."""
        return self._read

    @property
    def rowsWritten(self) -> int:
        """How many rows it changed."""
        return self._written

    def toArray(self) -> list[JsDict]:
        """The rows that are left."""
        return list(self)

    def one(self) -> JsDict:
        """The only row. Raises ``ValueError`` if there is none or another one."""
        rows = self.toArray()
        if len(rows) != 1:
            found = "no results" if not rows else "more than one result"
            raise ValueError(f"Expected exactly one result from SQL query, but got {found}.")
        return rows[0]

    def raw(self) -> "Raw":
        """The rows that are left as lists."""
        return Raw(self._rows)

    def next(self) -> JsDict:
        """The next row as ``{"done", "value"}``."""
        for row in self:
            return JsDict(done=False, value=row)
        return JsDict(done=True, value=None)

    def __iter__(self) -> Iterator[JsDict]:
        for row in self._rows:
            yield JsDict(zip(self._columns, map(_shown, row), strict=True))

    def __repr__(self) -> str:
        return f"<cursor {self._columns}>"


class Raw:
    """Rows as lists."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Iterator[list[Any]]) -> None:
        self._rows = rows

    def toArray(self) -> list[list[Any]]:
        """All that are left."""
        return list(self)

    def __iter__(self) -> Iterator[list[Any]]:
        for row in self._rows:
            yield [_shown(value) for value in row]


_PAIRS = Pairs()
_SQL = Sql()


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"A key is a str, not {type(key).__name__}")
    return key


def _stored(value: Any) -> bytes:
    return _encode(python_to_rpc(value))


def _loaded(data: bytes) -> Any:
    return python_from_rpc(_decode(data))


def _parameter(value: Any) -> Any:
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    raise TypeError(f"A value of type {type(value).__name__} cannot be bound to a parameter")


def _shown(value: Any) -> Any:
    return memoryview(value) if isinstance(value, bytes) else value
