"""Landlock: a domain with no right to any file, TCP port, or process outside it."""

import ctypes
import os

from executor.sandbox import kernel

_CREATE_RULESET_VERSION = 1

_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""Number of file access rights that each version of the interface brought the total to."""
_NET_SINCE, _NET_RIGHTS = 4, 0b11  # bind, connect
_SCOPE_SINCE, _SCOPES = 6, 0b11  # abstract sockets, signals


class _Ruleset(ctypes.Structure):
    _fields_ = [
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    ]


def version() -> int:
    """The kernel's Landlock interface version.

    Raises:
        OSError: the kernel has no Landlock, or it is switched off.
    """
    return kernel.syscall(kernel.LANDLOCK_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)


def restrict() -> None:
    """Handle every right this kernel knows of, and grant none. Needs no_new_privs."""
    ruleset = _ruleset(version())
    size = ctypes.sizeof(ruleset)
    descriptor = kernel.syscall(kernel.LANDLOCK_CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    kernel.syscall(kernel.LANDLOCK_RESTRICT_SELF, descriptor, 0)
    os.close(descriptor)


def _ruleset(abi: int) -> _Ruleset:
    # An older kernel takes the longer structure as long as the fields it lacks are zero.
    rights = max(count for since, count in _FILE_RIGHTS.items() if since <= abi)
    return _Ruleset(
        handled_access_fs=(1 << rights) - 1,
        handled_access_net=_NET_RIGHTS if abi >= _NET_SINCE else 0,
        scoped=_SCOPES if abi >= _SCOPE_SINCE else 0,
    )
