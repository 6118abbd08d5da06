"""Landlock: a domain with no right to any file, TCP port, or process outside it, but to the files
below one directory where so said."""

import ctypes
import os

from executor.sandbox import kernel

_CREATE_RULESET_VERSION = 1

_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""Number of file access rights that each version of the interface brought the total to."""
_NET_SINCE, _NET_RIGHTS = 4, 0b11  # bind, connect
_SCOPE_SINCE, _SCOPES = 6, 0b11  # abstract sockets, signals

_RULE_PATH_BENEATH = 1
_WRITE_FILE, _READ_FILE, _READ_DIRECTORY = 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_FILE, _TRUNCATE = 1 << 5, 1 << 8, 1 << 14
FILES = _WRITE_FILE | _READ_FILE | _READ_DIRECTORY | _REMOVE_FILE | _MAKE_FILE | _TRUNCATE
"""What may be done below the one directory: to plain files only, and to run none."""


class _Ruleset(ctypes.Structure):
    _fields_ = [
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    ]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


def version() -> int:
    """The kernel's Landlock interface version.

    Raises:
        OSError: the kernel has no Landlock, or it is switched off.
    """
    return kernel.syscall(kernel.LANDLOCK_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)


def restrict(below: str | None = None) -> None:
    """Handle every right this kernel knows of, and grant none; or :data:`FILES`, below that
    directory. Needs no_new_privs."""
    ruleset = _ruleset(version())
    size = ctypes.sizeof(ruleset)
    descriptor = kernel.syscall(kernel.LANDLOCK_CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    if below is not None:
        _grant_files(descriptor, below, ruleset.handled_access_fs)
    kernel.syscall(kernel.LANDLOCK_RESTRICT_SELF, descriptor, 0)
    os.close(descriptor)


def _grant_files(descriptor: int, below: str, handled: int) -> None:
    directory = os.open(below, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    rule = _PathBeneath(allowed_access=FILES & handled, parent_fd=directory)
    kernel.syscall(kernel.LANDLOCK_ADD_RULE, descriptor, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    os.close(directory)


def _ruleset(abi: int) -> _Ruleset:
    # An older kernel takes the longer structure as long as the fields it lacks are zero.
    rights = max(count for since, count in _FILE_RIGHTS.items() if since <= abi)
    return _Ruleset(
        handled_access_fs=(1 << rights) - 1,
        handled_access_net=_NET_RIGHTS if abi >= _NET_SINCE else 0,
        scoped=_SCOPES if abi >= _SCOPE_SINCE else 0,
    )
