"""The servers that are measured: each in its own session, stopped at the end of a with block."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from cloister.descendants import end_sessions
from cloister.embedded import valkey_command

HERE = Path(__file__).parent
START_S = 60.0


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    *command: str, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server; its output goes to ``log``."""
    with log.open("ab") as output:
        server = subprocess.Popen(
            command,
            cwd=HERE,
            env={**os.environ, **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(30)
        end_sessions([server.pid], grace_s=1)
        server.wait()


@contextlib.contextmanager
def valkey(directory: Path) -> Iterator[str]:
    """An embedded server as Cloister runs it; yields its URL."""
    path = directory / "baseline.sock"
    command = valkey_command(path, directory, append_only=False)
    with running(*command, log=directory / "valkey.log"):
        wait_for(path.exists, "Valkey")
        yield f"unix://{path}"


def python(*arguments: str) -> list[str]:
    """A command of this interpreter."""
    return [sys.executable, *arguments]


def gunicorn(app: str, port: int) -> list[str]:
    """Flask as it is usually served: two processes, threads for the connections."""
    return python(
        *("-m", "gunicorn", "--worker-class", "gthread", "--workers", "2", "--threads", "32"),
        *("--bind", f"127.0.0.1:{port}", "--log-level", "warning", "--keep-alive", "75", app),
    )


def answers(url: str) -> bool:
    """Does it answer 200?"""
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def wait_for(ready, what: str) -> None:
    """Wait for ``ready()``.

    Raises:
        TimeoutError: it does not come within :data:`START_S`.
    """
    deadline = time.monotonic() + START_S
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not start")
        time.sleep(0.05)
