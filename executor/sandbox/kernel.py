"""The kernel's calls that Python has no name for, through libc.

Numbers are given for x86_64 and aarch64; on another machine nothing here loads, so no tenant runs.
"""

import ctypes
import os
import platform
from dataclasses import dataclass

from cloister.errors import NotReady


@dataclass(frozen=True)
class Machine:
    """What differs between processor architectures. ``audit`` is the kernel's AUDIT_ARCH word."""

    name: str
    audit: int
    column: int
    seccomp: int
    pivot_root: int


_MACHINES = {
    "x86_64": Machine("x86_64", audit=0xC000003E, column=0, seccomp=317, pivot_root=155),
    "aarch64": Machine("aarch64", audit=0xC00000B7, column=1, seccomp=277, pivot_root=41),
}

LANDLOCK_CREATE_RULESET = 444
LANDLOCK_ADD_RULE = 445
LANDLOCK_RESTRICT_SELF = 446

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc_of_python = ctypes.PyDLL(None, use_errno=True)  # holds on to the interpreter while it calls


def machine() -> Machine:
    """The architecture we run on.

    Raises:
        NotReady: no system call table is known for it.
    """
    name = platform.machine()
    if name not in _MACHINES or ctypes.sizeof(ctypes.c_void_p) != 8:
        raise NotReady(f"The sandbox knows no system calls of {name}.")
    return _MACHINES[name]


def syscall(number: int, *arguments: "int | bytes | ctypes._CArgObject | None") -> int:
    """Make a system call; integers are passed as full words.

    Raises:
        OSError: the kernel refused.
    """
    words = [
        ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments
    ]
    return _checked(_libc.syscall(ctypes.c_long(number), *words))


def prctl(option: int, value: int = 0, third: int = 0) -> int:
    """prctl(2); the unused arguments are zero, as the kernel demands."""
    words = [ctypes.c_ulong(word) for word in (value, third, 0, 0)]
    return _checked(_libc.prctl(ctypes.c_int(option), *words))


def fork() -> int:
    """fork(2), for a process of one thread and no more.

    Python's own puts in order in the child what other threads may have left behind. That writes to
    a hundred pages, and a page written to is shared no more.
    """
    return _checked(_libc_of_python.fork())


def unshare(flags: int) -> None:
    """unshare(2)."""
    _checked(_libc.unshare(ctypes.c_int(flags)))


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2)."""
    _checked(
        _libc.mount(
            source.encode(),
            target.encode(),
            kind and kind.encode(),
            ctypes.c_ulong(flags),
            data and data.encode(),
        )
    )


def umount(target: str, flags: int) -> None:
    """umount2(2)."""
    _checked(_libc.umount2(target.encode(), ctypes.c_int(flags)))


def capget(header: ctypes.Structure, data: "ctypes.Array[ctypes.c_uint32]") -> None:
    """capget(2)."""
    _checked(_libc.capget(ctypes.byref(header), ctypes.byref(data)))


def capset(header: ctypes.Structure, data: "ctypes.Array[ctypes.c_uint32]") -> None:
    """capset(2)."""
    _checked(_libc.capset(ctypes.byref(header), ctypes.byref(data)))


def _checked(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
