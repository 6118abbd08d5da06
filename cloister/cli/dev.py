"""`cloister dev`."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from cloister import credentials
from cloister.cli import project
from cloister.cli.connection import connect
from cloister.cli.deploy import deploy
from cloister.cli.terminal import visible
from cloister.client import ApiError, Client
from cloister.errors import CloisterError, NotReady
from cloister.settings import Settings

POLL_S = 0.3
START_S = 90.0
STOP_S = 45.0


@click.command("dev")
@click.argument("path", default=".", type=click.Path(path_type=Path, exists=True))
@click.option("--namespace", "-n", help="Dispatch namespace [default: production].")
@click.option("--name", help="Name of the worker [default: from the project].")
def command(path: Path, namespace: str | None, name: str | None) -> None:
    """Deploy PATH again whenever a file of it changes. Runs `cloister up` if it is not running."""
    with contextlib.suppress(KeyboardInterrupt), _running():
        for _ in _changes(path):
            _deploy(path, namespace, name)


def _deploy(path: Path, namespace: str | None, name: str | None) -> None:
    """Deploy once; what is wrong with the project is said, and the next change tried."""
    try:
        connection = connect()
        with connection.client:
            url = deploy(connection, project.read(path), namespace=namespace, name=name)
        click.echo(f"deployed {url}")
    except CloisterError as exc:
        click.echo(f"cloister: {visible(str(exc))}", err=True)


def _changes(path: Path) -> Iterator[None]:
    """Once at first, then whenever a file was changed, added or removed."""
    seen: dict[Path, int] = {}
    while True:
        found = _state(path)
        if found != seen:
            seen = found
            yield
        time.sleep(POLL_S)


def _state(path: Path) -> dict[Path, int]:
    if path.is_file():
        return {path: path.stat().st_mtime_ns}
    state = {}
    for file in path.rglob("*"):
        if any(part.startswith(".") for part in file.relative_to(path).parts):
            continue
        with contextlib.suppress(FileNotFoundError):
            if file.is_file():
                state[file] = file.stat().st_mtime_ns
    return state


@contextlib.contextmanager
def _running() -> Iterator[None]:
    """`cloister up` runs inside: the one that did already, or one of our own."""
    settings = Settings.from_env()
    if _answers(settings):
        yield
        return
    up = subprocess.Popen([sys.executable, "-P", "-m", "cloister.cli", "up"], process_group=0)
    try:
        _wait_until_ready(settings, up)
        yield
    finally:
        up.terminate()
        up.wait(STOP_S)


def _wait_until_ready(settings: Settings, up: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    while not _answers(settings):
        if up.poll() is not None:
            raise NotReady("`cloister up` ended; the lines above say why.")
        if time.monotonic() >= deadline:
            raise NotReady(f"`cloister up` was not ready within {START_S:.0f} s.")
        time.sleep(0.1)


def _answers(settings: Settings) -> bool:
    saved = credentials.load(settings.data_dir)
    if saved is None:
        return False
    try:
        with Client(saved.control_url, saved.account_id, saved.api_token) as client:
            client.call("GET", "/workers/dispatch/namespaces")
    except ApiError:
        return False
    return True
