"""Fixtures of every tier: a real Valkey for the session, empty for each test."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from cloister.embedded import valkey_command, valkey_url


def pytest_configure() -> None:
    """Shells start background jobs with SIGINT ignored, and children would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def _valkey_server() -> Iterator[str]:
    directory = Path(tempfile.mkdtemp(prefix="cloister-valkey-"))
    socket = directory / "valkey.sock"
    server = subprocess.Popen(
        valkey_command(socket, directory, append_only=False), stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    for line in server.stdout:
        if "ready to accept connections" in line.lower():
            break
    yield valkey_url(socket)
    server.terminate()
    server.stdout.read()
    server.wait(10)
    server.stdout.close()
    shutil.rmtree(directory)


@pytest.fixture
def redis_url(_valkey_server: str) -> str:
    """URL of a real Valkey, emptied."""
    with redis.Redis.from_url(_valkey_server) as client:
        client.flushall()
    return _valkey_server
