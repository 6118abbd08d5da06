"""Limits on resources that the kernel counts for each process."""

import resource
from collections.abc import Mapping
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
    resource.RLIMIT_RTPRIO: _NONE,  # no real-time scheduling
    resource.RLIMIT_SIGPENDING: _NONE,
    resource.RLIMIT_NPROC: _NONE,  # no further process or thread
    resource.RLIMIT_STACK: STACK_BYTES,
}
"""Soft and hard limit of every isolate."""


def limit_resources(limits: Mapping[int, int] = LIMITS) -> None:
    """Apply them, soft and hard."""
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))


def address_space_bytes() -> int:
    """Size of our address space: what RLIMIT_AS counts. Needs ``/proc``."""
    pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    return pages * resource.getpagesize()


def limit_memory(total_bytes: int, ceiling_bytes: int, pid: int = 0) -> None:
    """Bound the address space of a process of our own user; beyond it, allocations fail inside.

    The soft limit can be raised again, up to the ceiling, from outside: isolates have no call to.
    """
    resource.prlimit(pid, resource.RLIMIT_AS, (total_bytes, ceiling_bytes))
