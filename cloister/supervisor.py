"""A small process manager: starts services, restarts those that die, leaves nothing behind.

One thread, one selector. Signal handlers only wake it up. Every service runs in a session of its
own, so that a terminal's Ctrl-C reaches the supervisor alone and the order of stopping is ours.
Three things see to it that nothing outlives us: orphans of our services become our children
(subreaper) and are ended; services get SIGTERM when we die; and the guard (``cloister.guard``)
ends what is left when we were killed.
"""

import contextlib
import ctypes
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

from cloister.descendants import of_parent, send
from cloister.errors import NotReady
from cloister.service import Child, Service

START_FAILURES = 3
"""So many ends of one service before everything was ready once, and we give up."""

POLL_S = 0.01
"""Between two looks at what is waited for."""

_PR_SET_CHILD_SUBREAPER = 36
_IDLE_S = 3600.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """A signal asked us to stop. Not an Exception, so that no handler swallows it."""


class StartFailed(NotReady):
    """A service does not start."""


def prefixed(service: str, text: str) -> str:
    """A line as people read it: whose it is, and the text. What runs once needs no name."""
    return f"{service:<12} | {text}" if service else text


class Supervisor:
    """Runs services until :class:`StopRequested` leaves one of its methods.

    Use it as a context manager; leaving it kills whatever :meth:`stop` has not stopped.
    ``write`` gets each line of output, without its line end, as ``line`` made it of a service's
    name and its text.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        keep_open: Sequence[int] = (),
        line: Callable[[str, str], str] = prefixed,
    ) -> None:
        self._write = write
        self._line = line
        self._keep_open = keep_open
        self._children: list[Child] = []
        self._partial: dict[int, bytes] = {}
        self._selector = selectors.DefaultSelector()
        self._guard: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._hurried = False
        self.ready = False

    def __enter__(self) -> Self:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        for number in (*_STOP_SIGNALS, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._start_guard()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._stopping = True
        self._sweep()
        for number in (*_STOP_SIGNALS, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()

    def start(self, service: Service) -> Child:
        """Start a service and keep it running."""
        child = Child(service)
        self._children.append(child)
        self._launch(child)
        return child

    def run(self, service: Service) -> int:
        """Run a service once, to its end; returns its exit code."""
        child = self.start(service)
        while child.code is None:
            self._turn(_IDLE_S)
        return child.code

    def wait_until(self, ready: Callable[[], bool], *, within_s: float) -> bool:
        """Supervise until ``ready()``; False if it is not within the time."""
        deadline = time.monotonic() + within_s
        while not ready():
            if time.monotonic() >= deadline:
                return False
            self._turn(POLL_S)
        return True

    def serve(self) -> None:
        """Supervise until a signal asks to stop (:class:`StopRequested`)."""
        while True:
            self._turn(_IDLE_S)

    def stop(self, stages: Iterable[Sequence[Child]]) -> None:
        """Stop these children, stage by stage: SIGTERM, then SIGKILL at the service's deadline.

        A second signal to us makes every deadline now. Services that run once are killed first.
        """
        self._stopping = True
        for child in self._children:
            if child.service.once:
                child.signal(signal.SIGKILL)
        for stage in stages:
            begun = time.monotonic()
            for child in stage:
                child.restart_at = None
                child.signal(signal.SIGTERM)
            while running := [child for child in stage if child.process]:
                waited_s = time.monotonic() - begun
                for child in running:
                    if self._hurried or waited_s >= child.service.stop_s:
                        self.say(f"{child.service.name} did not stop in time; killing it")
                        child.signal(signal.SIGKILL)
                self._turn(0.1)

    def _turn(self, longest_s: float) -> None:
        """Wait for output, signals or the next restart, and act on them."""
        due = [child.restart_at for child in self._children if child.restart_at is not None]
        pause_s = max(0.0, min([longest_s, *(at - time.monotonic() for at in due)]))
        for key, _ in self._selector.select(pause_s):
            if key.data is None:
                self._signals()
            else:
                self._forward(key.data)
        self._reap()
        for child in self._children:
            if child.restart_at is not None and child.restart_at <= time.monotonic():
                self._launch(child)

    def _signals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            received = self._wake_read.recv(4096)
            if not any(number in _STOP_SIGNALS for number in received):
                return
            if self._stopping:
                self._hurried = True
            else:
                self._stopping = True
                raise StopRequested

    def _launch(self, child: Child) -> None:
        child.start()
        self._tell_guard(f"+{child.pid}\n")
        self._selector.register(child.output, selectors.EVENT_READ, child)

    def _reap(self) -> None:
        """Collect every ended child, orphans of our services included."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._ended(pid, os.waitstatus_to_exitcode(status))

    def _ended(self, pid: int, code: int) -> None:
        if self._guard and pid == self._guard.pid:
            self._guard.returncode = code
            self._start_guard()
            return
        for child in self._children:
            if child.process and child.pid == pid:
                self._child_ended(child, code)

    def _child_ended(self, child: Child, code: int) -> None:
        while self._forward(child):
            pass
        self._say_partial(child)
        if child.output.fileno() in self._selector.get_map():
            self._selector.unregister(child.output)
        pid = child.pid
        child.ended(code)
        self._tell_guard(f"-{pid}\n")
        if self._stopping:
            child.restart_at = None
        elif not child.service.once:
            self.say(f"{child.service.name} ended ({_ending(code)}); starting it again")
            if not self.ready and child.failures >= START_FAILURES:
                raise StartFailed(f"{child.service.name} does not start; its lines above say why.")

    def _forward(self, child: Child) -> bool:
        """Print the whole lines it wrote; False when there is nothing more now."""
        data = child.read()
        if not data:
            # At end-of-file the pipe stays readable for ever: leave it, the end is reaped.
            with contextlib.suppress(KeyError):
                self._selector.unregister(child.output)
            return False
        *lines, rest = (self._partial.get(child.pid, b"") + data).split(b"\n")
        for line in lines:
            self._print(child, line)
        self._partial[child.pid] = rest
        return True

    def _say_partial(self, child: Child) -> None:
        if rest := self._partial.pop(child.pid, b""):
            self._print(child, rest)

    def _print(self, child: Child, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r")
        self.say(text, "" if child.service.once else child.service.name)

    def say(self, text: str, service: str = "cloister") -> None:
        """Write a line."""
        self._write(self._line(service, text))

    def _start_guard(self) -> None:
        if self._stopping:
            return
        if self._guard and self._guard.stdin:
            self._guard.stdin.close()
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "cloister.guard"],
            stdin=subprocess.PIPE,
            start_new_session=True,
            pass_fds=self._keep_open,
        )
        for child in self._children:
            if child.process:
                self._tell_guard(f"+{child.pid}\n")

    def _tell_guard(self, line: str) -> None:
        """Tell it which sessions live. One that just died is told everything when restarted."""
        assert self._guard is not None  # noqa: S101 - type
        assert self._guard.stdin is not None  # noqa: S101 - type
        with contextlib.suppress(BrokenPipeError):
            self._guard.stdin.write(line.encode())
            self._guard.stdin.flush()

    def _sweep(self) -> None:
        """Kill what is left of our children, then let the guard go."""
        guard = self._guard
        assert guard is not None  # noqa: S101 - type
        assert guard.stdin is not None  # noqa: S101 - type
        for child in self._children:
            child.restart_at = None
            child.signal(signal.SIGKILL)
        while True:
            self._reap()
            left = [pid for pid in of_parent(os.getpid()) if pid != guard.pid]
            if not left:
                break
            send(left, signal.SIGKILL)
            time.sleep(0.01)
        with contextlib.suppress(BrokenPipeError):
            guard.stdin.close()
        if guard.returncode is None:
            guard.wait()


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
