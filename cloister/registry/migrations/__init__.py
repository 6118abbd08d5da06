"""The registry's schema, step by step (Alembic), and the way to bring a database up to date.

Each process does so when it opens the registry. The whole upgrade is one transaction under a lock,
so that processes that start together wait for one another, and a crash leaves the schema before.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from cloister.errors import NotReady
from cloister.registry.database import Database

if TYPE_CHECKING:  # slow to import, and seldom needed
    from alembic.config import Config

VERSIONS = Path(__file__).parent / "versions"

LOCK_ID = 0x636C6F6973746572
"""PostgreSQL advisory lock: "cloister"."""


def upgrade(database: Database) -> None:
    """Bring the schema up to date; does nothing if it is.

    Raises:
        NotReady: the database does not answer, or a newer Cloister has written it.
    """
    with _alone(database.engine):
        if not _is_current(database):
            _upgrade(database)


def _upgrade(database: Database) -> None:
    from alembic import command
    from alembic.util import CommandError

    with database.write() as work:
        connection = work.connection()
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": LOCK_ID})
        try:
            command.upgrade(_config(connection), "head")
        except CommandError as exc:
            raise NotReady(
                "The registry's database is not of this release; run the Cloister that wrote it."
            ) from exc


def head() -> str:
    """The newest revision, which the name of its file begins with."""
    return max(path.name for path in VERSIONS.glob("[0-9]*.py")).partition("_")[0]


def _is_current(database: Database) -> bool:
    with database.read() as session:
        if not inspect(session.connection()).has_table("alembic_version"):
            return False
        found = session.scalar(text("SELECT version_num FROM alembic_version"))
    return bool(found == head())


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """On SQLite: one process at a time, and the write-ahead log switched on.

    A file lock, for SQLite does not wait for others when it changes the journal mode.
    """
    if engine.dialect.name != "sqlite":
        yield
        return
    with Path(f"{engine.url.database}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None  # noqa: S101 -- for the type checker: it is connected
            raw.execute("PRAGMA journal_mode=WAL")
        yield


def _config(connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    location = str(Path(__file__).parent).replace("%", "%%")
    config.set_main_option("script_location", location)
    config.set_main_option("path_separator", "os")
    return config
