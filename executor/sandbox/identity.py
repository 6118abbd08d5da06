"""Who the cell is: never root, and with no power over anything, in or out of its namespaces."""

import ctypes
import os

from executor.sandbox import kernel

NOBODY = 65534
"""The user and group of a zygote inside; and outside, of every cell of root's that can have no
users of its own."""

_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_PR_SET_SECUREBITS = 28
_SECUREBITS_LOCKED = 0b11101111
"""NOROOT, NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE, each locked, and KEEP_CAPS locked off."""

_CAP_KILL, _CAP_SETGID, _CAP_SETUID, _CAP_SETPCAP, _CAP_SYS_RESOURCE = 5, 6, 7, 8, 24

OVER_OTHER_USERS = 1 << _CAP_SETUID | 1 << _CAP_SETGID | 1 << _CAP_SYS_RESOURCE | 1 << _CAP_KILL
"""What a zygote keeps, in its own user namespace, whose isolates are users of their own: to make
them that, to move their limits, and for the kernel to kill them in its name when it dies."""

_CAPABILITY_VERSION_3 = 0x20080522
_EINVAL = 22


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def leave_root() -> None:
    """Become nobody, if we are root. What must still be read from disk was read before."""
    if os.geteuid() != 0:
        return
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    # The change of user made /proc/self root's, but the id maps are written through it.
    kernel.prctl(_PR_SET_DUMPABLE, 1)


def drop_capabilities(kept: int = 0) -> None:
    """Empty every capability set but for those ``kept``, and lock out the ways to fill one again.

    What is kept is lost to a program that is run.
    """
    kernel.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    if _may_change_securebits():
        kernel.prctl(_PR_SET_SECUREBITS, _SECUREBITS_LOCKED)
        _drop_bounding_set()
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    kernel.capset(header, (ctypes.c_uint32 * 6)(kept, kept))


def _may_change_securebits() -> bool:
    """CAP_SETPCAP: lacking it, the bounding set is out of reach, and no capability is ours."""
    effective = _capabilities()[0]
    return bool(effective & 1 << _CAP_SETPCAP)


def _capabilities() -> tuple[int, int, int]:
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    words = (ctypes.c_uint32 * 6)()
    kernel.capget(header, words)
    return words[0], words[1], words[2]


def _drop_bounding_set() -> None:
    capability = 0
    while True:
        try:
            kernel.prctl(_PR_CAPBSET_DROP, capability)
        except OSError as exc:
            if exc.errno == _EINVAL:  # past the kernel's last capability
                return
            raise
        capability += 1


def hide_memory() -> None:
    """No core dump, and no other process of this user may look into our memory."""
    kernel.prctl(_PR_SET_DUMPABLE, 0)
