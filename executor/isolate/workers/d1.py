"""D1 bindings: SQL, prepared and run. Errors are told in the product's words."""

from collections.abc import Iterable, Sequence
from typing import Any

from executor.isolate.invocation import runtime
from executor.isolate.workers.values import JsDict, merged_options

SERVED_BY = "cloister"
MIN_INT, MAX_INT = -(2**63), 2**63 - 1
FIRST = ("first-primary", "first-unconstrained")
SHOWN = 100
"""Characters of a value that an error shows."""

_TIMES = {"duration_ms": "duration", "size_bytes": "size_after"}


class D1Error(Exception):
    """What a database refuses. The message says by its beginning of which kind it is."""

    @property
    def message(self) -> str:
        """The text."""
        return str(self)


class _Asked:
    """What a database and a session of one have in common."""

    __slots__ = ("_bookmark", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._bookmark: str | None = None

    def prepare(self, query: str, /) -> "D1PreparedStatement":
        """A statement, to be bound and run as often as wanted."""
        if not isinstance(query, str):
            raise D1Error(f"D1_TYPE_ERROR: A query is a string, not {type(query).__name__}")
        return D1PreparedStatement(self, query, [])

    async def batch(self, statements: Iterable["D1PreparedStatement"], /) -> list[JsDict]:
        """Run statements in one transaction; what each answers, in order."""
        chosen = list(statements)
        if not all(isinstance(each, D1PreparedStatement) for each in chosen):
            raise D1Error("D1_TYPE_ERROR: batch() takes a list of prepared statements")
        return [_result(each) for each in await self._run(chosen)]

    async def _run(self, statements: Sequence["D1PreparedStatement"]) -> list[dict[str, Any]]:
        sent = [{"sql": each._sql, "params": each._params} for each in statements]
        answer = await _ask(self._name, "batch", [sent])
        if "results" not in answer:
            raise D1Error(f"D1_ERROR: {answer['message']}")
        self._bookmark = answer.get("bookmark") or None
        results: list[dict[str, Any]] = answer["results"]
        return results


class D1Database(_Asked):
    """``env.NAME`` of a D1 binding."""

    __slots__ = ()

    async def exec(self, query: str, /) -> JsDict:
        """Run the statements of a text, one a line, each by itself, until one fails."""
        answer = await _ask(self._name, "exec", [query.strip().split("\n")])
        if "count" not in answer:
            raise D1Error(f"D1_EXEC_ERROR: {answer['message']}")
        return JsDict(count=answer["count"], duration=answer["duration_ms"])

    def withSession(self, constraintOrBookmark: str | None = None, /) -> "D1DatabaseSession":
        """The same database, remembering bookmarks. There is one copy, so reads are never stale."""
        if constraintOrBookmark is not None and not isinstance(constraintOrBookmark, str):
            raise D1Error("D1_SESSION_ERROR: A session begins with a constraint or a bookmark")
        return D1DatabaseSession(self._name, (constraintOrBookmark or "").strip())

    async def dump(self) -> None:
        """Refused, as it is for all databases but the product's first."""
        raise D1Error("D1_DUMP_ERROR: Status + 404")

    def __repr__(self) -> str:
        return f"<D1 database {self._name}>"


class D1DatabaseSession(_Asked):
    """What ``withSession`` gives."""

    __slots__ = ()

    def __init__(self, name: str, begin: str) -> None:
        super().__init__(name)
        if begin not in FIRST:
            self._bookmark = begin or None

    def getBookmark(self) -> str | None:
        """Where the database was after the latest query of this session."""
        return self._bookmark

    def __repr__(self) -> str:
        return f"<session of D1 database {self._name}>"


class D1PreparedStatement:
    """SQL, and the values of its parameters. It is never changed."""

    __slots__ = ("_database", "_params", "_sql")

    def __init__(self, database: _Asked, sql: str, params: list[Any]) -> None:
        self._database = database
        self._sql = _text(sql)
        self._params = params

    def bind(self, *values: Any) -> "D1PreparedStatement":
        """The statement with these values for ``?``, ``?1``, ``?2``..."""
        return D1PreparedStatement(self._database, self._sql, [_parameter(each) for each in values])

    async def all(self) -> JsDict:
        """Run it: ``success``, ``results`` (a dict for each row), ``meta``."""
        return _result(await self._one())

    async def run(self) -> JsDict:
        """The same."""
        return _result(await self._one())

    async def first(self, colName: str | None = None, /) -> Any:
        """Run it: the first row, or one column of it; None where there is no row."""
        found = await self._one()
        if not found["rows"]:
            return None
        row = _row(found["columns"], found["rows"][0])
        if colName is None:
            return row
        if colName not in row:
            raise D1Error(f"D1_COLUMN_NOTFOUND: Column not found ({str(colName)[:SHOWN]})")
        return row[colName]

    async def raw(self, options: Any = None, /, **named: Any) -> list[list[Any]]:
        """Run it: each row as a list; with ``columnNames`` the first list has the names."""
        if isinstance(options, bool):
            options = {"columnNames": options}
        asked = merged_options(options, named)
        found = await self._one()
        rows = [[_value(value) for value in row] for row in found["rows"]]
        return [found["columns"], *rows] if asked.get("columnNames") else rows

    async def _one(self) -> dict[str, Any]:
        return (await self._database._run([self]))[0]

    def __repr__(self) -> str:
        return f"<D1 statement {self._sql[:SHOWN]!r}>"


async def _ask(name: str, method: str, arguments: list[Any]) -> dict[str, Any]:
    runtime.current()
    try:
        answer: dict[str, Any] = await runtime.ask(name, method, arguments)
    except Exception as error:  # noqa: BLE001 - whatever its kind, it is told as one
        raise D1Error(f"D1_ERROR: {error}") from None
    return answer


def _result(found: dict[str, Any]) -> JsDict:
    columns = found["columns"]
    return JsDict(
        success=True,
        results=[_row(columns, row) for row in found["rows"]],
        meta=_meta(found["meta"]),
    )


def _meta(said: dict[str, Any]) -> JsDict:
    shown = JsDict((_TIMES.get(name, name), value) for name, value in said.items())
    shown.update(
        served_by=SERVED_BY,
        served_by_primary=True,
        timings=JsDict(sql_duration_ms=said["duration_ms"]),
    )
    return shown


def _row(columns: list[str], row: list[Any]) -> JsDict:
    return JsDict(zip(columns, (_value(value) for value in row), strict=True))


def _value(value: Any) -> Any:
    """Bytes come as a list of numbers, as in the product."""
    return list(value) if isinstance(value, bytes) else value


def _parameter(value: Any) -> Any:
    match value:
        case None | float():
            return value
        case bool():
            return int(value)
        case int() if MIN_INT <= value <= MAX_INT:
            return int(value)
        case str():
            return _text(value)
        case bytes() | bytearray() | memoryview():
            return bytes(value)
        case list() if all(type(each) is int and 0 <= each <= 255 for each in value):
            return bytes(value)
    shown = str(value)[:SHOWN]
    raise D1Error(f"D1_TYPE_ERROR: Type '{type(value).__name__}' not supported for value '{shown}'")


def _text(value: str) -> str:
    """What is no text in any encoding becomes question marks."""
    return value.encode("utf-8", "replace").decode()
