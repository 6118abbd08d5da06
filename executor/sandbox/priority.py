"""Who goes first when processors are short: isolates last, and of them the busy ones.

No wall: a kernel that ignores it lets nobody out. But while tenants burn what they are allowed, the
platform's own processes, and other tenants' short requests, are to be served as if nothing was.
"""

import os
import resource

from executor.sandbox import process

NICE = 5
"""Of every isolate: behind the executor, the dispatcher and the zygote."""

NICE_BUSY = 19
"""Of one that has been at work for long."""

NICE_LIMIT = 20 - NICE
"""RLIMIT_NICE of an isolate: it comes back to :data:`NICE` from below, and never above."""


def stand_apart() -> None:
    """The zygote's: a session of its own. Where the kernel schedules session by session, all of
    its isolates together count as one."""
    process.own_session()


def step_back() -> None:
    """Each isolate's."""
    os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    _, hard = resource.getrlimit(resource.RLIMIT_NICE)
    limit = NICE_LIMIT if hard == resource.RLIM_INFINITY else min(hard, NICE_LIMIT)
    resource.setrlimit(resource.RLIMIT_NICE, (limit, limit))


def make_way(pid: int, *, is_busy: bool) -> None:
    """For the executor: put an isolate behind all others, or back among them.

    Back takes CAP_SYS_NICE, or a limit of :data:`NICE_LIMIT` that the executor was started with.
    One that may not come back goes on as it is.

    Raises:
        OSError: it may not, or the isolate has ended.
    """
    os.setpriority(os.PRIO_PROCESS, pid, NICE_BUSY if is_busy else NICE)
