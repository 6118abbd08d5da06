"""D1 over REST: databases, and the statements that are run in them."""

import contextlib
from typing import Any, Literal

import msgspec
from flask import Blueprint, Response

from cloister.databases import (
    RESULT_BYTES,
    Delete,
    Deleted,
    Describe,
    Described,
    Meta,
    Result,
    Results,
    Run,
    Statement,
)
from cloister.errors import NotReady
from cloister.registry import DatabaseView
from cloister.registry.databases import TooMany
from control import bodies, envelope, fields
from control.databases import ask
from control.errors import (
    D1_MALFORMED,
    D1_NAME_TAKEN,
    D1_NOT_FOUND,
    D1_TOO_MANY,
    MALFORMED_PARAMETER,
    Refused,
    translated,
)
from control.house import house
from control.operation import operation
from control.paths import ACCOUNT

blueprint = Blueprint("d1", __name__)

BASE = f"{ACCOUNT}/d1/database"
ONE = f"{BASE}/<database_id>"

QUERY_BYTES = RESULT_BYTES
"""Of a request with statements and parameters."""


class ReadReplication(msgspec.Struct, frozen=True, kw_only=True):
    """There are no replicas here."""

    mode: Literal["auto", "disabled"] = "disabled"


class Replicated(msgspec.Struct, frozen=True, kw_only=True):
    """What may be changed of a database."""

    read_replication: ReadReplication


class NewDatabase(msgspec.Struct, frozen=True, kw_only=True):
    """A database to be made. There are no places to choose from here."""

    name: str
    primary_location_hint: str | None = None
    jurisdiction: None = None
    read_replication: ReadReplication | None = None


class DatabaseItem(msgspec.Struct, frozen=True, kw_only=True):
    """A database as lists show it."""

    uuid: str
    name: str
    version: str
    created_at: envelope.Time


class Database(DatabaseItem, frozen=True, kw_only=True):
    """A database. Its size and number of tables are missing while no executor answers."""

    file_size: int | msgspec.UnsetType = msgspec.UNSET
    num_tables: int | msgspec.UnsetType = msgspec.UNSET
    read_replication: ReadReplication = ReadReplication()


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One text of D1_FAILED, with the values of its parameters."""

    sql: str
    params: list[Any] | None = None


class Queries(msgspec.Struct, frozen=True, kw_only=True):
    """Either ``sql`` with ``params``, or a ``batch`` of such. One transaction in any case."""

    sql: str | None = None
    params: list[Any] | None = None
    batch: list[Query] | None = None


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds."""

    sql_duration_ms: float


class QueryMeta(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a statement."""

    served_by_primary: bool = True
    duration: float
    changes: int
    last_row_id: int
    changed_db: bool
    size_after: int
    rows_read: int
    rows_written: int
    timings: Timings


class QueryResult(msgspec.Struct, frozen=True, kw_only=True):
    """Rows as objects."""

    results: list[dict[str, Any]]
    success: bool = True
    meta: QueryMeta


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows as arrays."""

    columns: list[str]
    rows: list[list[Any]]


class RawResult(msgspec.Struct, frozen=True, kw_only=True):
    """The same as arrays."""

    results: Rows
    success: bool = True
    meta: QueryMeta


DESCRIBED = frozenset({"file_size", "num_tables"})
"""Fields that only an executor knows."""

FIELDS: fields.Query = {"fields": fields.Text()}
LIST: fields.Query = {**fields.PAGES, "name": fields.Text()}


@blueprint.post(BASE)
@operation(Database, body=bodies.Json(NewDatabase))
def create(account_id: str, body: bodies.Body[NewDatabase]) -> Response:
    """Make a database, empty."""
    wanted = body()
    _refuse_replicas(wanted.read_replication)
    try:
        with translated(D1_NOT_FOUND, D1_NAME_TAKEN):
            made = house().registry.databases.create(account_id, wanted.name)
    except Refused as refused:
        if isinstance(refused.__cause__, TooMany):
            raise Refused(D1_TOO_MANY, str(refused.__cause__)) from refused
        raise
    return envelope.success(_shape(made, Described(size_bytes=0, tables=0)))


@blueprint.get(BASE)
@operation(list[DatabaseItem], info=envelope.PageInfo, query=LIST)
def list_all(account_id: str, page: int, per_page: int, name: str | None) -> Response:
    """One page of the account's databases, newest first; those with ``name`` in their name."""
    found = house().registry.databases.list(account_id, name=name, page=page, per_page=per_page)
    info = envelope.page_info(page, per_page, len(found.items), found.total)
    items = [DatabaseItem(**_named(item)) for item in found.items]
    return envelope.success(items, info=info)


@blueprint.get(ONE)
@operation(Database, query=FIELDS)
def get(account_id: str, database_id: str, fields: str | None) -> Response:
    """One database, with its size; of the ``fields`` named, where some are."""
    found = mine(account_id, database_id)
    wanted = frozenset(fields.split(",")) if fields else frozenset(Database.__struct_fields__)
    if unknown := sorted(wanted - {*Database.__struct_fields__}):
        raise Refused(
            MALFORMED_PARAMETER, f"There is no field {unknown[0][:64]!r}.", pointer="/fields"
        )
    described = None
    if wanted & DESCRIBED:
        with contextlib.suppress(NotReady):
            described = ask(account_id, found.id, Describe(), Described)
    shown = msgspec.to_builtins(_shape(found, described))
    return envelope.success({name: value for name, value in shown.items() if name in wanted})


@blueprint.put(ONE)
@operation(Database, body=bodies.Json(Replicated))
def update(account_id: str, database_id: str, body: bodies.Body[Replicated]) -> Response:
    """Say again that it has no replicas."""
    return _replicated(mine(account_id, database_id), body())


@blueprint.patch(ONE)
@operation(Database, body=bodies.Json(Replicated))
def edit(account_id: str, database_id: str, body: bodies.Body[Replicated]) -> Response:
    """The same."""
    return _replicated(mine(account_id, database_id), body())


@blueprint.delete(ONE)
@operation(None)
def delete(account_id: str, database_id: str) -> Response:
    """Delete it with all that is in it."""
    found = mine(account_id, database_id)
    ask(account_id, found.id, Delete(), Deleted)
    return envelope.success(None)


@blueprint.post(f"{ONE}/query")
@operation(list[QueryResult], body=bodies.Json(Queries, QUERY_BYTES))
def query(account_id: str, database_id: str, body: bodies.Body[Queries]) -> Response:
    """Run statements; rows come as objects."""
    results = _run(account_id, database_id, body)
    return envelope.success(
        [
            QueryResult(
                results=[dict(zip(one.columns, _plain(row), strict=True)) for row in one.rows],
                meta=meta(one.meta),
            )
            for one in results
        ]
    )


@blueprint.post(f"{ONE}/raw")
@operation(list[RawResult], body=bodies.Json(Queries, QUERY_BYTES))
def raw(account_id: str, database_id: str, body: bodies.Body[Queries]) -> Response:
    """Run statements; rows come as arrays."""
    results = _run(account_id, database_id, body)
    return envelope.success(
        [
            RawResult(
                results=Rows(columns=one.columns, rows=[_plain(row) for row in one.rows]),
                meta=meta(one.meta),
            )
            for one in results
        ]
    )


def mine(account_id: str, database_id: str) -> DatabaseView:
    """The database of this id or name, if it is the account's. Raises :class:`Refused`
    otherwise."""
    with translated(D1_NOT_FOUND):
        return house().registry.databases.get(account_id, database_id)


def meta(said: Meta) -> QueryMeta:
    """As the product shows it."""
    return QueryMeta(
        duration=said.duration_ms,
        changes=said.changes,
        last_row_id=said.last_row_id,
        changed_db=said.changed_db,
        size_after=said.size_bytes,
        rows_read=said.rows_read,
        rows_written=said.rows_written,
        timings=Timings(sql_duration_ms=said.duration_ms),
    )


def _run(account_id: str, database_id: str, body: bodies.Body[Queries]) -> list[Result]:
    found = mine(account_id, database_id)
    statements = _statements(body())
    return ask(account_id, found.id, Run(statements=statements), Results).results


def _statements(wanted: Queries) -> list[Statement]:
    if (wanted.sql is None) == (wanted.batch is None):
        raise Refused(D1_MALFORMED, "Either sql or batch is required.", pointer="/sql")
    if wanted.sql is not None:
        return [Statement(wanted.sql, wanted.params or [])]
    if not wanted.batch:
        raise Refused(D1_MALFORMED, "The batch is empty.", pointer="/batch")
    return [Statement(one.sql, one.params or []) for one in wanted.batch]


def _replicated(found: DatabaseView, wanted: Replicated) -> Response:
    _refuse_replicas(wanted.read_replication)
    return envelope.success(_shape(found, None))


def _refuse_replicas(wanted: ReadReplication | None) -> None:
    if wanted is not None and wanted.mode == "auto":
        raise Refused(
            MALFORMED_PARAMETER, "There are no replicas here.", pointer="/read_replication/mode"
        )


def _plain(row: list[Any]) -> list[Any]:
    """As JSON has it: bytes as their numbers."""
    return [list(value) if isinstance(value, bytes) else value for value in row]


def _named(found: DatabaseView) -> dict[str, Any]:
    return {
        "uuid": found.id,
        "name": found.name,
        "version": "production",
        "created_at": envelope.timestamp(found.created_at),
    }


def _shape(found: DatabaseView, described: Described | None) -> Database:
    if described is None:
        return Database(**_named(found))
    return Database(**_named(found), file_size=described.size_bytes, num_tables=described.tables)
