"""The data directory of an embedded installation: private, one `cloister up` at a time."""

import fcntl
import os
import time
from pathlib import Path

from cloister.errors import NotReady

CLEANING_S = 10.0
"""How long the guard of a killed `cloister up` may still be at work, and we wait for it."""


class Occupied(NotReady):
    """Another `cloister up` uses this data directory."""


def prepare(directory: Path) -> None:
    """Make it, for our user only.

    Raises:
        NotReady: it cannot be made or written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise NotReady(f"Cannot use the data directory {directory}: {exc.strerror}.") from exc


def lock(directory: Path) -> int:
    """Take the directory for ourselves; returns the descriptor that holds the lock.

    Raises:
        Occupied: another `cloister up` has it.
    """
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + CLEANING_S
    while not _try_lock(descriptor):
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        if _alive(holder) or time.monotonic() >= deadline:
            os.close(descriptor)
            raise Occupied(
                f"Cloister is already running on {directory} (process {holder or 'unknown'}). "
                "Stop it, or set CLOISTER_DATA to another directory."
            )
        time.sleep(0.05)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alive(pid: str) -> bool:
    return pid.isdigit() and Path(f"/proc/{pid}").exists()
