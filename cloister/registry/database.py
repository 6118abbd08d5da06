"""The way to the database: one engine, short transactions, errors translated at this seam.

An answered write survives a ``kill -9`` of this process and a loss of power: SQLite syncs its
write-ahead log at each commit (``synchronous=FULL``), PostgreSQL does so by default.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple, cast

import msgspec
from sqlalchemy import (
    Connection,
    CursorResult,
    Engine,
    Select,
    UpdateBase,
    create_engine,
    event,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    InterfaceError,
    OperationalError,
    TimeoutError,  # noqa: A004 -- SQLAlchemy's name: the pool had no connection left
)
from sqlalchemy.orm import Session

from cloister.errors import Invalid, NotReady, SettingInvalid
from cloister.messages import Changed
from cloister.registry.models import Base
from cloister.settings import Settings

Columns = TypeVarTuple("Columns")
Item = TypeVar("Item")

CHUNK = 500
"""Rows named in one statement."""

BUSY_S = 15
"""How long a SQLite writer waits for another one, of any process."""

PRAGMAS = (
    "PRAGMA foreign_keys=ON",
    "PRAGMA synchronous=FULL",
    f"PRAGMA busy_timeout={BUSY_S * 1000}",
    "PRAGMA journal_size_limit=67108864",
)

IMPATIENT = ("PRAGMA busy_timeout=0", "PRAGMA query_only=ON")
"""For connections whose reader cannot wait. In a write-ahead log, readers wait for no writer."""

MANY_CHANGES = 100
"""Above so many scripts changed at once, the note names only their namespace."""


class Work(Session):
    """One write transaction, and the notes to send once it is committed."""

    def __init__(self, bind: Engine) -> None:
        super().__init__(bind, expire_on_commit=False)
        self.changes: list[Changed] = []

    def changed(self, namespace: str, *scripts: str) -> None:
        """Note that scripts, or without any the namespace itself, are no longer as cached."""
        if not scripts or len(scripts) > MANY_CHANGES:
            self.changes.append(Changed(namespace=namespace))
        else:
            self.changes += [Changed(namespace=namespace, script=name) for name in scripts]

    def changed_hostname(self, hostname: str, namespace: str, script: str) -> None:
        """Note that a custom hostname leads elsewhere than it did."""
        self.changes.append(Changed(namespace=namespace, script=script, hostname=hostname))

    def insert(self, model: type[Base]) -> sqlite.Insert | postgresql.Insert:
        """An INSERT that knows ON CONFLICT, in this database's dialect."""
        if self.get_bind().dialect.name == "sqlite":
            return sqlite.insert(model)
        return postgresql.insert(model)

    def rows_changed(self, statement: UpdateBase) -> int:
        """Execute an INSERT, UPDATE or DELETE; how many rows it changed."""
        # Asked for, as SQLAlchemy does not keep it for an INSERT on PostgreSQL.
        counted = statement.execution_options(preserve_rowcount=True)
        return cast("CursorResult[Any]", self.execute(counted)).rowcount


class NearQuery:
    """A SELECT compiled once for SQLite, of columns that the driver has as they are: numbers, text,
    bytes."""

    def __init__(self, query: Select[*Columns]) -> None:
        compiled = query.compile(dialect=sqlite.dialect(paramstyle="named"))
        self.text = str(compiled)
        self.constants: dict[str, Any] = dict(compiled.params)


class Near:
    """One connection to a database in a file, for reads that neither wait nor take long. To get a
    connection from a pool and give it back takes longer than such a read. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(single=True)
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def row(self, query: Select[*Columns], values: Mapping[str, Any]) -> Any:
        """One row, or None. Raises as SQLAlchemy does."""
        with self._lock:
            connection = self._connection = self._connection or self._engine.connect()
            try:
                return connection.execute(query, values).one_or_none()
            except BaseException:
                self._drop()
                raise

    def plain_row(self, query: NearQuery, values: Mapping[str, Any]) -> Any:
        """The same in a quarter of the time, as most of it is SQLAlchemy's. Raises as the driver
        does."""
        with self._lock:
            connection = self._connection = self._connection or self._engine.connect()
            driver = cast("sqlite3.Connection", connection.connection.driver_connection)
            try:
                return driver.execute(query.text, {**query.constants, **values}).fetchone()
            except BaseException:
                self._drop()
                raise

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()
        self._engine.dispose()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class Database:
    """An engine and what to call after each commit. Thread-safe; not to be carried over a fork.

    Attributes:
        is_near: it is a file. To read a row takes less than to have a thread do so.
    """

    def __init__(
        self,
        engine: Engine,
        on_change: Callable[[Changed], None] | None,
        near: "Near | None" = None,
    ) -> None:
        self.engine = engine
        self.is_near = near is not None
        self._near = near
        self._rows = engine.execution_options(single=True)
        self._writer = engine.execution_options(immediate=True)
        self._on_change = on_change

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading: one snapshot on SQLite, READ COMMITTED on PostgreSQL.

        Raises:
            NotReady: the database cannot be reached.
            Invalid: a value cannot be asked for (such as NUL in a name, on PostgreSQL).
        """
        with _translated(), Session(self.engine) as session:
            yield session

    def row(self, query: Select[*Columns], values: Mapping[str, Any], *, wait: bool) -> Any:
        """What a single SELECT finds: one row, or None. It sees one state without a transaction.

        Raises:
            NotReady: the database cannot be reached; without ``wait`` also if it is near and
                another process has it to itself, as when it is opened after a crash.
            Invalid: a value cannot be asked for.
        """
        if self._near is not None and not wait:
            with _translated():
                return self._near.row(query, values)
        with _translated(), self._rows.connect() as connection:
            return connection.execute(query, values).one_or_none()

    def near_row(self, query: NearQuery, values: Mapping[str, Any]) -> Any:
        """The first row of a SELECT, or None, without a wait.

        Raises:
            NotReady: the database is not near, or as :meth:`row` does.
        """
        if self._near is None:
            raise NotReady("The registry's database is not at hand.")
        try:
            return self._near.plain_row(query, values)
        except (sqlite3.Error, OperationalError) as exc:
            raise NotReady("The registry's database does not answer; see the log.") from exc

    @contextmanager
    def write(self) -> Iterator[Work]:
        """A transaction, committed at the end of the block; then its notes are sent.

        Raises:
            NotReady: the database cannot be reached, or was busy for too long.
            Invalid: a value cannot be stored.
            IntegrityError: for the caller, who knows what it means.
        """
        with _translated(), Work(self._writer) as work, work.begin():
            yield work
        if self._on_change is not None:
            for change in work.changes:
                self._on_change(change)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        if self._near is not None:
            self._near.close()


def open_database(settings: Settings, on_change: Callable[[Changed], None] | None) -> Database:
    """Connect, lazily; a missing SQLite file is made, for its owner alone to read.

    Raises:
        SettingInvalid: the database URL is neither SQLite's nor PostgreSQL's.
        NotReady: the file cannot be made.
    """
    url = database_url(settings)
    if url.get_backend_name() == "postgresql":
        return Database(_postgresql(url), on_change)
    try:
        path = Path(str(url.database))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its other files the mode of this one.
        path.touch(mode=0o600)
    except OSError as exc:
        raise NotReady(f"The registry's database cannot be made: {exc}.") from exc
    return Database(_sqlite(url), on_change, Near(_sqlite(url, (*PRAGMAS, *IMPATIENT))))


def database_url(settings: Settings) -> URL:
    """The URL that SQLAlchemy wants, from the one that operators write."""
    if not settings.database_url:
        return URL.create("sqlite", database=str(settings.data_dir / "registry.db"))
    try:
        url = make_url(settings.database_url)
    except ArgumentError as exc:
        raise SettingInvalid("CLOISTER_DATABASE_URL is not a URL.") from exc
    if url.drivername in {"postgres", "postgresql", "postgresql+psycopg"}:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername == "sqlite" and url.database and not url.database.startswith((":", "file:")):
        return url
    raise SettingInvalid("CLOISTER_DATABASE_URL must start with postgresql:// or sqlite:///.")


def chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """All of them, in order, :data:`CHUNK` at a time."""
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))


def now_ms() -> int:
    """The wall clock in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _sqlite(url: URL, pragmas: Sequence[str] = PRAGMAS) -> Engine:
    engine = create_engine(url, json_serializer=_json, json_deserializer=msgspec.json.decode)

    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # The driver's own BEGIN comes too late (before the first write); ours is in _begin_sqlite.
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(pragma)

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgresql(url: URL) -> Engine:
    return create_engine(
        url,
        pool_pre_ping=True,
        connect_args={"application_name": "cloister", "connect_timeout": 10},
        json_serializer=_json,
        json_deserializer=msgspec.json.decode,
    )


def _begin_sqlite(connection: Connection) -> None:
    # A write transaction takes the write lock at once: one that had read first could be refused
    # (SQLITE_BUSY) when it comes to write, and no waiting helps then.
    options = connection.get_execution_options()
    if not options.get("single"):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("immediate") else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (DataError, UnicodeEncodeError) as exc:
        raise Invalid("A value cannot be stored as it is.") from exc
    except (OperationalError, InterfaceError, TimeoutError) as exc:
        raise NotReady("The registry's database does not answer; see the log.") from exc
