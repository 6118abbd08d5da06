"""Limits on resources that the kernel counts for each process."""

import resource
from pathlib import Path

from executor.sandbox.syscalls import DOOR_DESCRIPTOR

STACK_BYTES = 8 * 1024 * 1024

_NONE = 0

LIMITS = {
    resource.RLIMIT_NOFILE: DOOR_DESCRIPTOR + 1,  # no descriptor after the door
    resource.RLIMIT_CORE: _NONE,  # a dump would write the tenant's memory to disk
    resource.RLIMIT_FSIZE: _NONE,  # no file grows
    resource.RLIMIT_MEMLOCK: _NONE,  # memory can always be reclaimed
    resource.RLIMIT_MSGQUEUE: _NONE,
    resource.RLIMIT_NICE: _NONE,  # no raise of priority
    resource.RLIMIT_RTPRIO: _NONE,  # no real-time scheduling
    resource.RLIMIT_SIGPENDING: _NONE,
    resource.RLIMIT_NPROC: _NONE,  # no further process or thread
    resource.RLIMIT_STACK: STACK_BYTES,
}
"""Soft and hard limit of every isolate."""


def limit_resources() -> None:
    """Apply :data:`LIMITS`. Memory is limited from outside, once the tenant is known."""
    for limit, value in LIMITS.items():
        resource.setrlimit(limit, (value, value))


def address_space_bytes(pid: int) -> int:
    """Size of a process's address space: what RLIMIT_AS counts."""
    pages = int(Path(f"/proc/{pid}/statm").read_bytes().split()[0])
    return pages * resource.getpagesize()


def limit_memory(pid: int, total_bytes: int) -> None:
    """Bound the address space of an isolate; allocations beyond it fail inside (MemoryError).

    Only the soft limit moves, so that it can be raised again; the isolate has no call to do so.
    """
    _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (total_bytes, hard))
