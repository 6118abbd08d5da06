"""Control groups, version 2: what an isolate holds, counted and bounded by the kernel.

Only in a group that was delegated to us, which is marked as systemd marks it for a unit that has
``Delegate=``; one that we merely may write to is left alone. A group that gives controllers to
others may hold no process itself, so what is in it moves to a leaf::

    delegated/          marked
        platform/       the processes that were in it
        isolates-…/     of one pool, locked while that is open
            1/          of one isolate

The methods block: the kernel takes some 10 ms to move a process.
"""

import contextlib
import errno
import fcntl
import itertools
import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

FACILITY = "cgroup2"
"""The name in the report of ``cloister doctor``."""

CONTROLLERS = ("memory", "pids")
PLATFORM = "platform"
POOL_PREFIX = "isolates-"

MARK = "user.delegate"
"""The attribute that says, with the value 1, that a group is delegated."""

MOVES = 10
"""Looks for processes that were started while others were moved."""

WAIT_S = 5.0
"""For another executor that starts, and for processes that are ending."""
POLL_S = 0.02


def delegated() -> Path:
    """The group that was delegated to us.

    Raises:
        OSError: there is none, or it cannot bound what is to be bounded; the message says why.
    """
    own = _own_group()
    group = own.parent if own.name == PLATFORM else own
    try:
        is_marked = os.getxattr(group, MARK) == b"1"
    except OSError:
        is_marked = False
    if not is_marked:
        raise OSError(f"{group} is not delegated to us")
    offered = (group / "cgroup.controllers").read_text().split()
    if missing := [name for name in CONTROLLERS if name not in offered]:
        raise OSError(f"{group} is delegated without: {', '.join(missing)}")
    return group


def bounds(memory_bytes: int) -> dict[str, str]:
    """What is written to the files of an isolate's group."""
    return {
        "pids.max": "1",
        "memory.oom.group": "1",
        "memory.max": str(memory_bytes),
    }


class Group:
    """The group of one isolate. It exists from :meth:`take` to :meth:`remove`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._is_over = False
        self._ran_out = False

    def take(self, pid: int, memory_bytes: int) -> None:
        """Bound a process from now on. After :meth:`remove`, does nothing.

        Raises:
            OSError: it is not bounded, or has ended.
        """
        with self._lock:
            if self._is_over:
                return
            self._path.mkdir()
            for name, value in bounds(memory_bytes).items():
                _write(self._path / name, value)
            swap = self._path / "memory.swap.max"
            if swap.exists():  # a kernel without swap does not bound it
                _write(swap, "0")
            _write(self._path / "cgroup.procs", str(pid))

    def bound_memory(self, memory_bytes: int) -> None:
        """Change the bound. This does not block.

        Raises:
            OSError: the bound is as it was.
        """
        _write(self._path / "memory.max", str(memory_bytes))

    @property
    def ran_out(self) -> bool:
        """Whether the kernel has killed for want of memory, in this group or around it."""
        try:
            events = (self._path / "memory.events").read_text().splitlines()
        except OSError:
            return self._ran_out
        return any(line.startswith("oom_kill ") and line != "oom_kill 0" for line in events)

    def remove(self) -> None:
        """The process has ended. What cannot be removed yet is left to who closes the pool's."""
        with self._lock:
            self._is_over = True
            self._ran_out = self.ran_out
            _remove(self._path)


class Groups:
    """The groups of one pool of isolates."""

    def __init__(self, path: Path, lock: int) -> None:
        self._path = path
        self._lock = lock
        self._numbers = itertools.count(1)

    @classmethod
    def open(cls, root: Path) -> "Groups":
        """Make the delegated group ready, and in it a group for the isolates of a pool. Removes
        what executors have left that did not end in order.

        Raises:
            OSError: the kernel does not let us, or another executor takes too long.
        """
        with _locked(root):
            _make_room(root)
            _remove_leftovers(root)
            path = root / f"{POOL_PREFIX}{uuid.uuid4().hex}"
            path.mkdir()
            groups = cls(path, _lock(path))
        try:
            _give_controllers(path)
        except BaseException:
            groups.close()
            raise
        return groups

    def new(self) -> Group:
        """A group for an isolate. Nothing is done yet."""
        return Group(self._path / str(next(self._numbers)))

    def close(self) -> None:
        """Remove all groups, with what may still run in them."""
        _remove(self._path)
        os.close(self._lock)


def _own_group() -> Path:
    """Raises OSError where no hierarchy of version 2 shows it."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    for line in mounts:
        fields, _, kind = line.partition(" - ")
        if not kind.startswith("cgroup2 "):
            continue
        root, at = fields.split()[3:5]
        for path in [line.removeprefix("0::") for line in lines if line.startswith("0::")]:
            if PurePosixPath(path).is_relative_to(root) and ".." not in path:
                return Path(at) / PurePosixPath(path).relative_to(root)
    raise OSError("no hierarchy of version 2 is mounted that shows our group")


def _make_room(root: Path) -> None:
    """Move the processes of a group to a leaf, so that its other children get controllers."""
    leaf = root / PLATFORM
    leaf.mkdir(exist_ok=True)
    for left in reversed(range(MOVES)):
        for pid in (root / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                _write(leaf / "cgroup.procs", pid)
        try:
            _give_controllers(root)
        except OSError as exc:
            if exc.errno != errno.EBUSY or not left:
                raise
        else:
            return


def _give_controllers(group: Path) -> None:
    _write(group / "cgroup.subtree_control", " ".join(f"+{name}" for name in CONTROLLERS))


def _remove_leftovers(root: Path) -> None:
    """Whoever has locked a group is alive; the lock of one who is not went with its process."""
    for path in root.glob(f"{POOL_PREFIX}*"):
        with contextlib.suppress(OSError):
            os.close(_lock(path))
            _remove(path)


def _remove(group: Path) -> None:
    """Remove a group and those below it; processes in them are killed. Tries for some time."""
    until = time.monotonic() + WAIT_S
    while True:
        with contextlib.suppress(OSError):
            for child in [each for each in group.iterdir() if each.is_dir()]:
                child.rmdir()
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > until:
                return
            with contextlib.suppress(OSError):  # cgroup.kill came with Linux 5.14
                _write(group / "cgroup.kill", "1")
            time.sleep(POLL_S)
        else:
            return


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold a group's lock, waiting for it. Raises OSError if that takes too long."""
    until = time.monotonic() + WAIT_S
    while True:
        try:
            lock = _lock(root)
            break
        except BlockingIOError:
            if time.monotonic() > until:
                raise
            time.sleep(POLL_S)
    try:
        yield
    finally:
        os.close(lock)


def _lock(group: Path) -> int:
    """A descriptor that holds the group's lock until it is closed. Raises BlockingIOError."""
    descriptor = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _write(file: Path, value: str) -> None:
    """Into a file of the kernel's; where there is none, none is made."""
    descriptor = os.open(file, os.O_WRONLY)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)
