"""One child process of the supervisor: its command, its life, its output."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO

from cloister.descendants import of_sessions, send

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
STEADY_S = 10.0
"""A child that lived this long starts over with the first pause, as if it had never failed."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True)
class Service:
    """What to run.

    ``stop_s`` is how long it may take to end after SIGTERM; then it is killed. A ``once`` service
    is not started again, and its lines are printed as they are.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_s: float = 10.0
    once: bool = False


class Child:
    """A service that runs, or is about to be started again."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.process: subprocess.Popen[bytes] | None = None
        self.restart_at: float | None = None
        self.failures = 0
        self.code: int | None = None
        self._started_at = 0.0

    @property
    def pid(self) -> int:
        """Pid, process group and session of the child, which must be running."""
        assert self.process is not None  # noqa: S101 - type
        return self.process.pid

    @property
    def output(self) -> IO[bytes]:
        """The child's standard output and error, non-blocking."""
        assert self.process is not None  # noqa: S101 - type
        assert self.process.stdout is not None  # noqa: S101 - type
        return self.process.stdout

    def start(self) -> None:
        """Start it in a session of its own; it gets SIGTERM if its parent dies."""
        parent = os.getpid()
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            self.service.command,
            env={**os.environ, **self.service.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: _die_with(parent),
        )
        os.set_blocking(self.output.fileno(), False)
        self.restart_at = None
        self.code = None
        self._started_at = time.monotonic()

    def ended(self, code: int) -> None:
        """Note that it ended, end what it left behind, and decide when it may start again."""
        assert self.process is not None  # noqa: S101 - type
        send(of_sessions([self.pid]), signal.SIGKILL)
        self.process.returncode = self.code = code
        self.output.close()
        self.process = None
        if self.service.once:
            return
        now = time.monotonic()
        if now - self._started_at >= STEADY_S:
            self.failures = 0
        self.restart_at = now + min(FIRST_PAUSE_S * 2**self.failures, LONGEST_PAUSE_S)
        self.failures += 1

    def signal(self, number: signal.Signals) -> None:
        """Signal the leader; with SIGKILL, everything in its session."""
        if self.process is None:
            return
        send(of_sessions([self.pid]) if number is signal.SIGKILL else [self.pid], number)

    def read(self) -> bytes:
        """What it has printed since; empty when there is nothing, or nothing more to come."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self.output.fileno(), 65536)
        return b""


def _die_with(parent: int) -> None:
    """Runs in the child before exec: SIGTERM when the supervisor dies, also if it just did."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
