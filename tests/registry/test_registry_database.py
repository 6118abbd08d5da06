"""Opening: migrations, URLs, processes that start together, writes that survive."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from cloister.errors import Invalid, NotReady, SettingInvalid
from cloister.registry import NewVersion, Registry, TagFilter, open_registry
from cloister.registry.database import database_url
from cloister.registry.migrations import _config, head, upgrade
from cloister.registry.models import Base
from cloister.settings import Settings

WAIT_S = 60


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a database in which nothing has been made yet, once on each."""
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else ""
    return Settings(data=str(tmp_path / "data"), database_url=url)


def environment(settings: Settings) -> dict[str, str]:
    """For another process: these settings."""
    given = {"CLOISTER_DATA": settings.data, "CLOISTER_DATABASE_URL": settings.database_url}
    return {**os.environ, **{name: value for name, value in given.items() if value}}


def test_models_and_migrations_agree(registry: Registry) -> None:
    """A migrated database has every table, column, constraint and index of the models, no other."""
    with registry.kv._database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        assert context.get_current_revision() == head()


def test_opening_again_keeps_everything(
    registry: Registry, opened: Callable[..., Registry], account: str
) -> None:
    """The second start finds the schema made, and the data in it."""
    assert opened().accounts.list() == registry.accounts.list()
    assert opened(migrate=False).accounts.get(account).name == "Acme"


def test_migrations_go_down_again(registry: Registry) -> None:
    """A step can be undone: nothing of ours is left."""
    with registry.kv._database.write() as work:
        command.downgrade(_config(work.connection()), "base")
    with registry.kv._database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert context.get_current_revision() is None
    upgrade(registry.kv._database)
    assert registry.accounts.list() == []


def test_an_upgrade_keeps_tags_in_order(
    registry: Registry, account: str, version: NewVersion
) -> None:
    """Tags written before they were kept with their scripts' names are found as before."""
    namespace = registry.namespaces.create(account, "production").id
    for name in ("b", "a"):
        registry.scripts.put_version(namespace, name, version, tags=["pro"])
    with registry.kv._database.write() as work:
        command.downgrade(_config(work.connection()), "0003")
    upgrade(registry.kv._database)
    page = registry.scripts.list(namespace, tags=TagFilter.parse("pro:yes"))
    assert [each.name for each in page.items] == ["a", "b"]


def test_a_database_of_a_newer_release(registry: Registry, settings: Settings) -> None:
    """An older Cloister does not touch what it does not know."""
    with registry.kv._database.write() as work:
        work.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NotReady, match="release"):
        open_registry(settings)


def test_a_failed_migration_leaves_the_schema_before(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash in the middle is as if the upgrade had not been begun; the next start does it."""

    def then_crash(config: object, revision: str) -> None:
        finish(config, revision)
        raise RuntimeError("crash")

    finish = command.upgrade
    monkeypatch.setattr(command, "upgrade", then_crash)
    with pytest.raises(RuntimeError, match="crash"):
        open_registry(settings)
    monkeypatch.undo()
    engine = create_engine(database_url(settings))
    with engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() is None
    engine.dispose()
    registry = open_registry(settings)
    assert registry.accounts.list() == []
    registry.close()


OPEN = """
import sys
from cloister.registry import open_registry
from cloister.settings import Settings
print("ready", flush=True)
sys.stdin.readline()
registry = open_registry(Settings.from_env())
print(registry.accounts.ensure("a" * 32, "Acme").id, flush=True)
registry.close()
"""


def test_processes_that_start_together(settings: Settings) -> None:
    """Four processes open an empty database at once: one makes the schema, all work."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", OPEN],
            env=environment(settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        output, _ = process.communicate(timeout=WAIT_S)
        assert (output, process.returncode) == ("a" * 32 + "\n", 0)


WRITE = """
from cloister.registry import open_registry
from cloister.settings import Settings
registry = open_registry(Settings.from_env())
account = registry.accounts.ensure("a" * 32, "Acme").id
store = registry.kv.namespaces.create(account, "store").id
print(store, flush=True)
number = 0
while True:
    registry.kv.put(store, f"k{number:06}", b"v" * 1000)
    print(number, flush=True)
    number += 1
"""


def test_answered_writes_survive_a_kill(settings: Settings) -> None:
    """After kill -9 in the middle of writing, every write that had been answered is there."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE], env=environment(settings), stdout=subprocess.PIPE, text=True
    )
    store = writer.stdout.readline().strip()
    answered = [int(writer.stdout.readline()) for _ in range(50)]
    writer.send_signal(signal.SIGKILL)
    answered += [int(line) for line in writer.stdout if line.endswith("\n")]
    writer.wait(WAIT_S)
    writer.stdout.close()
    registry = open_registry(settings)
    found = [key.name for key in registry.kv.list(store).items]
    assert found[: len(answered)] == [f"k{number:06}" for number in answered]
    assert len(found) - len(answered) in {0, 1}
    registry.close()


def test_sqlite_is_set_up_to_keep(registry: Registry) -> None:
    """Write-ahead log, synced at each commit, foreign keys on, waiting for others."""
    with registry.kv._database.engine.connect() as connection:
        if connection.dialect.name != "sqlite":
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
            return
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 15_000


def test_files_are_their_owners(tmp_path: Path) -> None:
    """Whatever the data directory lets others do, they cannot read the database."""
    registry = open_registry(Settings(data=str(tmp_path)))
    registry.accounts.create("Acme")
    made = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("registry.db*")}
    made.pop("registry.db.lock")
    assert made == dict.fromkeys(("registry.db", "registry.db-wal", "registry.db-shm"), 0o600)
    registry.close()


def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    """It is said, with the path."""
    (tmp_path / "data").write_text("not a directory")
    url = f"sqlite:///{tmp_path}/data/x.db"
    with pytest.raises(NotReady, match="data"):
        open_registry(Settings(data=str(tmp_path), database_url=url))


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("", "sqlite"),
        ("sqlite:////tmp/x.db", "sqlite"),
        ("postgres://user:pass@host:5432/name?sslmode=require", "postgresql+psycopg"),
        ("postgresql://host/name", "postgresql+psycopg"),
        ("postgresql+psycopg://host/name", "postgresql+psycopg"),
    ],
)
def test_urls(url: str, driver: str) -> None:
    """What operators and platforms write as a URL, and the driver it means."""
    assert database_url(Settings(database_url=url)).drivername == driver


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://host/name",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "postgresql+asyncpg://h/n",
    ],
)
def test_urls_that_cannot_be(url: str) -> None:
    """Other databases, and a SQLite that forgets, stop the start-up."""
    with pytest.raises(SettingInvalid, match="CLOISTER_DATABASE_URL"):
        database_url(Settings(database_url=url))


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    """It is named as such, and no tenant's text goes with it."""
    url = f"postgresql://nobody@/none?host={tmp_path}"
    with pytest.raises(NotReady, match="does not answer"):
        open_registry(Settings(data=str(tmp_path), database_url=url))


def test_changes_are_told_after_the_commit(settings: Settings) -> None:
    """Whoever is told of a change and looks at once, over another connection, sees it."""
    seen: list[object] = []
    reader = open_registry(settings)
    writer = open_registry(
        settings, on_change=lambda c: seen.append(reader.namespace_view(c.namespace))
    )
    account = writer.accounts.create("Acme").id
    writer.namespaces.create(account, "production")
    writer.namespaces.update(account, "production", trusted=True)
    writer.namespaces.delete(account, "production")
    assert [view and view.trusted for view in seen] == [False, True, None]
    reader.close()
    writer.close()


def test_text_that_a_database_refuses(registry: Registry) -> None:
    """NUL or half a surrogate pair in what is asked for is no crash, on either database."""
    for name in ("a\0", "\ud800"):
        try:
            assert registry.resolve(name, name) is None
            assert registry.namespace_view(name) is None
            assert registry.bundle(name) is None
        except Invalid:
            pass


def test_a_read_that_cannot_wait(
    registry: Registry, settings: Settings, account: str, version: NewVersion
) -> None:
    """It answers beside a writer. With the file in another's hands it is refused at once, nothing
    is left of that, and it never writes."""
    if settings.database_url:
        pytest.skip("only a file is near")
    namespace = registry.namespaces.create(account, "production").id
    made = registry.scripts.put_version(namespace, "hello", version)
    other = sqlite3.connect(settings.data_dir / "registry.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert registry.resolve("production", "hello", wait=False).version == made.version_id
    other.execute("ROLLBACK")
    registry.close()
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(NotReady):
        registry.resolve("production", "hello", wait=False)
    other.close()
    assert registry.bundle(made.version_id, wait=False).digest == version.digest
    assert registry.namespace_view("production", wait=False).id == namespace
    assert registry.hostnames.resolve("shop.example.com", wait=False) is None
    with pytest.raises(OperationalError, match="readonly"):
        registry.kv._database._near.row(text("DELETE FROM scripts"), {})
