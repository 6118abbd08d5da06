"""The second wall around a database's process: an isolate's, but for the files of one directory.

Whoever runs native code in there reaches what is one tenant's anyway: that database. The root is
its directory, Landlock grants plain files below it, and the system calls are an isolate's and those
that SQLite needs for files. Nothing is run, connected to or started.
"""

import errno
import resource
from collections.abc import Collection
from functools import partial

from executor.sandbox import (
    Step,
    enclosure_steps,
    identity,
    landlock,
    limits,
    namespaces,
    priority,
    process,
    run,
    seccomp,
    users,
)
from executor.sandbox.syscalls import ALLOWED, NUMBERS, REFUSED, Allow, Arg, Refuse, Table

NEEDED = ("mount",)
"""Without these no database is opened, whatever the operator accepts for isolates."""

DESCRIPTORS = 32
"""The door, the database, its log, temporary files that SQLite deletes at once."""

_F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL, _F_GETLK, _F_SETLK = 1, 2, 3, 4, 5, 6
_BELOW = "which files there are, mount namespace and Landlock say"

FILE_CALLS = (
    Allow("openat", f"the database and its log; {_BELOW}"),
    Allow("open", f"as openat; {_BELOW}"),
    Allow("pread64", "pages"),
    Allow("pwrite64", "pages"),
    Allow("lseek", "pages, where SQLite was built without pread"),
    Allow("fsync", "what was answered is on the disk"),
    Allow("fdatasync", "what was answered is on the disk"),
    Allow("ftruncate", "the log is emptied, the database shrinks"),
    Allow("unlink", f"the log is deleted when the database is closed; {_BELOW}"),
    Allow("unlinkat", f"as unlink; {_BELOW}"),
    Allow("stat", f"whether there is a log; {_BELOW}"),
    Allow("lstat", f"as stat; {_BELOW}"),
    Allow("newfstatat", f"as stat; {_BELOW}"),
    Allow("statx", f"as stat; {_BELOW}"),
    Allow("access", f"as stat; {_BELOW}"),
    Allow("faccessat", f"as stat; {_BELOW}"),
    Allow("faccessat2", f"as stat; {_BELOW}"),
    Allow("getcwd", "SQLite makes names absolute; it is /"),
    Allow(
        "fcntl",
        "locks on the database; no duplicates, owners, leases or seals",
        (Arg(1, (_F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL, _F_GETLK, _F_SETLK)),),
        otherwise=errno.EPERM,
    ),
)
"""What an isolate may not. Where it may the same in part, this holds instead."""

_NO_CHANGE = "SQLite tries it, and carries on without"

_REFUSED = (
    Refuse("fchmod", errno.EPERM, _NO_CHANGE),
    Refuse("fchown", errno.EPERM, _NO_CHANGE),
)

_NAMES = {one.name for one in FILE_CALLS}

CALLS = Table(
    (*(one for one in ALLOWED if one.name not in _NAMES), *FILE_CALLS),
    (*(one for one in REFUSED if one.name not in _NAMES), *_REFUSED),
    {
        **NUMBERS,
        "fchmod": (91, 52),
        "fchown": (93, 55),
        "fdatasync": (75, 83),
        "fsync": (74, 82),
        "ftruncate": (77, 46),
        "pread64": (17, 67),
        "pwrite64": (18, 68),
        "unlink": (87, None),
        "unlinkat": (263, 35),
    },
)
"""The filter of a database's process."""


def enclose(without: Collection[str], block: users.Block) -> None:
    """Take this process, which is in the database's directory, out of the system. That directory
    is the root of its next child, which is PID 1 of the new world.

    Raises:
        StepFailed: the cell would be incomplete.
    """
    kept = {*without} - {*NEEDED}
    run(enclosure_steps(kept, block, namespaces.working_directory_as_root))


def lock_down(without: Collection[str], total_bytes: int, file_bytes: int) -> None:
    """Take from the child all that it does not need. Its address space is bounded, and no file
    grows beyond so much.

    Raises:
        StepFailed: the cell would be incomplete; the process must end.
    """
    bounds = {
        **limits.LIMITS,
        resource.RLIMIT_NOFILE: DESCRIPTORS,
        resource.RLIMIT_FSIZE: file_bytes,
    }
    steps = (
        Step("memory", partial(limits.limit_memory, total_bytes, total_bytes)),
        Step("parent", process.die_with_parent),
        Step("group", process.own_group),
        Step("priority", priority.step_back),
        Step("rlimits", partial(limits.limit_resources, bounds)),
        Step("capabilities", identity.drop_capabilities),
        Step("no_new_privs", process.no_new_privileges),
        Step("landlock", partial(landlock.restrict, "/")),
        Step("dumpable", identity.hide_memory),
        Step("randomness", process.fresh_randomness),
        # Last: it forbids the calls that the other steps make.
        Step("seccomp", partial(seccomp.install, CALLS)),
    )
    run([step for step in steps if step.facility not in without])
