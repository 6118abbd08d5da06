"""Processes by session, read from /proc: what a supervisor must find when a leader has died."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
_PARENT, _SESSION = 1, 3  # positions after the name in /proc/PID/stat (proc(5))
_ZOMBIE = "Z"


def of_sessions(sessions: Iterable[int]) -> list[int]:
    """Pids of live processes in these sessions."""
    # Session 0 is everything outside our PID namespace and the kernel's own.
    wanted = {session for session in sessions if session > 0}
    return [pid for pid, stat in _stats() if int(stat[_SESSION]) in wanted]


def of_parent(parent: int) -> list[int]:
    """Pids of live processes whose parent is ``parent``."""
    return [pid for pid, stat in _stats() if int(stat[_PARENT]) == parent]


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal each of them that still exists."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def end_sessions(sessions: Iterable[int], *, grace_s: float) -> None:
    """Ask every process of these sessions to end, and kill what remains after ``grace_s``."""
    wanted = set(sessions)
    send(of_sessions(wanted), signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while of_sessions(wanted) and time.monotonic() < deadline:
        time.sleep(0.05)
    while left := of_sessions(wanted):
        send(left, signal.SIGKILL)
        time.sleep(0.01)


def _stats() -> Iterable[tuple[int, list[str]]]:
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        # The name stands in parentheses and may itself hold spaces and parentheses.
        fields = text[text.rindex(")") + 2 :].split()
        if fields[0] != _ZOMBIE:
            yield int(entry.name), fields
