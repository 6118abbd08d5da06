"""What this kernel, as we may use it here, offers for the sandbox: tried, not guessed.

Each facility is tried in a child that is thrown away, forked from a process of its own
(``python -I -m executor.sandbox.probe``), so that the caller may have threads.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import msgspec

from executor import sandbox
from executor.sandbox import (
    cgroups,
    identity,
    kernel,
    landlock,
    limits,
    namespaces,
    process,
    seccomp,
    users,
)

NAMESPACES = ("user", "mount", "pid", "net", "ipc", "uts", "cgroup", "nesting")

_SECONDS = 30
_PLENTY_BYTES = 1 << 40


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a facility is there. ``detail`` is its version, or why it is not."""

    name: str
    found: bool
    required: bool
    bounds: str
    detail: str = ""


@dataclass(frozen=True)
class Facility:
    """``attempt`` raises, or returns a detail, in a child."""

    name: str
    bounds: str
    attempt: Callable[[], str | None]
    required: bool = True


def probe(ids: tuple[int, int]) -> list[Finding]:
    """Try every facility, in the order in which an isolate meets them; users, with these ids."""
    kernel.machine()
    command = [sys.executable, "-I", "-m", "executor.sandbox.probe", *map(str, ids)]
    result = subprocess.run(  # noqa: S603 - our own command
        command, stdout=subprocess.PIPE, env={}, cwd="/", timeout=_SECONDS, check=True
    )
    return msgspec.json.decode(result.stdout, type=list[Finding])


def _users(ids: tuple[int, int]) -> Callable[[], str]:
    """Be a zygote with ids of its own, and then an isolate."""

    def attempt() -> str:
        try:
            sandbox.enclose({*NAMESPACES} - {"user"}, users.Block(ids))
            users.become(users.pick(()))
        except (sandbox.StepFailed, OSError) as exc:
            raise OSError(f"all are one: {exc}") from exc
        return "{}-{}".format(*ids)

    return attempt


def _namespace(name: str, ids: tuple[int, int], *, has_users: bool) -> Callable[[], None]:
    """Make this namespace in the way the zygote would, and no other that can be done without."""
    others = {other for other in NAMESPACES if other not in (name, "user")} | {"capabilities"}

    def attempt() -> None:
        missing = set()
        if not has_users:
            alone = {one for one in _FIRST if one != name and _in_child(_FIRST[one])}
            missing = {"ids", *alone}
        if name == "nesting" and "user" in missing:
            raise OSError("it takes a user namespace")
        sandbox.enclose(others | missing, users.Block(ids))
        if name == "pid" and _in_child(_be_first):
            raise OSError("the first process in it is not PID 1")

    return attempt


_FIRST = {"identity": identity.leave_root, "user": namespaces.unshare_one_user}
"""What the other namespaces rest on where isolates are one user, each by itself."""


def _be_first() -> None:
    if os.getpid() != 1:
        raise OSError(f"PID {os.getpid()}")


def _landlock() -> str:
    process.no_new_privileges()
    landlock.restrict()
    return f"interface version {landlock.version()}"


def _seccomp() -> None:
    process.no_new_privileges()
    seccomp.install()
    os.getpid()


def _prlimit() -> None:
    limits.limit_memory(_PLENTY_BYTES, _PLENTY_BYTES, os.getpid())
    limits.limit_resources()


def _pidfd() -> None:
    signal.pidfd_send_signal(os.pidfd_open(os.getpid()), 0)


def facilities(ids: tuple[int, int], *, has_users: bool) -> tuple[Facility, ...]:
    """What is tried, in order. Where isolates can be users of their own, the rest builds on it."""
    namespace = partial(_namespace, ids=ids, has_users=has_users)
    return (
        Facility("identity", "isolates are not root", identity.leave_root),
        Facility("user", "no power outside the cell", namespace("user")),
        # Who is root and may not map them is told, and has to accept it.
        Facility("ids", "isolates are users of their own", _users(ids), os.geteuid() == 0),
        Facility("mount", "no file: the root is empty", namespace("mount")),
        Facility("pid", "no other process is seen; all end together", namespace("pid")),
        Facility("net", "no network", namespace("net")),
        Facility("ipc", "no shared memory of System V", namespace("ipc")),
        Facility("uts", "no host name", namespace("uts")),
        Facility("cgroup", "no view of control groups", namespace("cgroup"), required=False),
        Facility("nesting", "no namespace made inside", namespace("nesting"), required=False),
        Facility("capabilities", "no right of root's", identity.drop_capabilities),
        Facility("no_new_privs", "no right gained by running a file", process.no_new_privileges),
        Facility("landlock", "no file, TCP port or outside process", _landlock),
        Facility("seccomp", "only listed system calls", _seccomp),
        Facility("dumpable", "no memory read by processes of the same user", identity.hide_memory),
        Facility("rlimits", "memory, processes, descriptors, files, stack", _prlimit),
        Facility("pidfd", "kills reach the isolate and no other process", _pidfd),
        Facility(
            cgroups.FACILITY,
            "memory and processes, counted by the kernel for each isolate",
            lambda: str(cgroups.delegated()),
            required=False,
        ),
    )


def attempt_all(ids: tuple[int, int]) -> Iterator[Finding]:
    """Try every facility. Forks: only for a process without threads.

    Raises:
        NotReady: the machine's architecture is not known.
    """
    kernel.machine()
    has_users = _in_child(_users(ids)) == 0
    for facility in facilities(ids, has_users=has_users):
        detail = _attempt(facility.attempt)
        yield Finding(
            name=facility.name,
            found=not detail.startswith(_FAILED),
            required=facility.required,
            bounds=facility.bounds,
            detail=detail.removeprefix(_FAILED),
        )


_FAILED = "!"


def _attempt(attempt: Callable[[], str | None]) -> str:
    """Run it in a child and return its detail, marked if it failed."""
    read, write = os.pipe()

    def child() -> None:
        try:
            detail = attempt() or ""
        except Exception as exc:
            os.write(write, f"{_FAILED}{exc}".encode())
            raise
        os.write(write, detail.encode())

    code = _in_child(child)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        detail = stream.read().decode()
    if code and not detail.startswith(_FAILED):
        return f"{_FAILED}ended with {code}"
    return detail


def _in_child(function: Callable[[], object]) -> int:
    """Exit code of a child that calls this and ends: negative for a signal, 1 if it raised."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.stdout.buffer.write(
        msgspec.json.encode(list(attempt_all((int(sys.argv[1]), int(sys.argv[2])))))
    )
