"""A registry on each database: SQLite in a file, and a real PostgreSQL for the session."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cloister.messages import Changed
from cloister.registry import NewVersion, Registry, open_registry
from cloister.settings import Settings

START_S = 30

Opener = Callable[..., Registry]


def _binaries() -> Path | None:
    """Where PostgreSQL's programs are, the newest first."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    return places[0].parent if places else None


def _unprivileged() -> dict[str, Any]:
    """Arguments of Popen that leave root: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def _postgresql_server() -> Iterator[str]:
    binaries = _binaries()
    if binaries is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs PostgreSQL: initdb is not installed")
        pytest.skip("PostgreSQL is not installed")
    directory = Path(tempfile.mkdtemp(prefix="cloister-pg-", dir="/tmp"))
    as_user = _unprivileged()
    if as_user:
        os.chown(directory, as_user["user"], as_user["group"])
    data = directory / "data"
    options = ("-U", "cloister", "-A", "trust", "-E", "UTF8", "--no-sync")
    subprocess.run(
        [binaries / "initdb", "-D", data, *options],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=directory,
        **as_user,
    )
    settings = ("listen_addresses=", f"unix_socket_directories={directory}", "fsync=off")
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, *(f"-c{each}" for each in settings)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
        **as_user,
    )
    assert server.stderr is not None
    for line in server.stderr:
        if "ready to accept connections" in line:
            break
    else:
        pytest.fail(f"PostgreSQL did not start: exit {server.wait(START_S)}")
    yield f"postgresql://cloister@/{{}}?host={directory}"
    server.terminate()
    server.stderr.read()
    server.wait(START_S)
    server.stderr.close()
    shutil.rmtree(directory)


@pytest.fixture
def postgresql_url(_postgresql_server: str) -> Iterator[str]:
    """URL of a fresh database of a real PostgreSQL."""
    admin = _postgresql_server.format("postgres")
    name = f"test_{os.urandom(6).hex()}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield _postgresql_server.format(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def emptied_postgresql_url(_postgresql_server: str) -> str:
    """URL of the database that tests share, empty. Sooner there than a fresh one."""
    url = _postgresql_server.format("postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT to_regclass('accounts')").fetchone() != (None,):
            connection.execute("DELETE FROM accounts")
            connection.execute("DELETE FROM uploads")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an empty registry, once on each database."""
    on_sqlite = request.param == "sqlite"
    url = "" if on_sqlite else request.getfixturevalue("emptied_postgresql_url")
    return Settings(data=str(tmp_path / "data"), database_url=url)


@pytest.fixture
def changes() -> list[Changed]:
    """What the fixture ``registry`` has said to have changed."""
    return []


@pytest.fixture
def opened(settings: Settings) -> Iterator[Opener]:
    """Opens registries on ``settings``; closes them at the end."""
    registries: list[Registry] = []

    def open_another(**options: Any) -> Registry:
        registries.append(open_registry(settings, **options))
        return registries[-1]

    yield open_another
    for each in registries:
        each.close()


@pytest.fixture
def registry(opened: Opener, changes: list[Changed]) -> Registry:
    """An empty registry."""
    return opened(on_change=changes.append)


@pytest.fixture
def account(registry: Registry) -> str:
    """Id of an account."""
    return registry.accounts.create("Acme").id


@pytest.fixture
def namespace(registry: Registry, account: str, changes: list[Changed]) -> str:
    """Id of the namespace ``production`` of that account."""
    made = registry.namespaces.create(account, "production")
    changes.clear()
    return made.id


@pytest.fixture
def version() -> NewVersion:
    """A version to upload."""
    return NewVersion(digest="0" * 64, main_module="main.py", handlers={"Default": ["fetch"]})
