"""Views of the system that the cell shares with nobody, and an empty read-only root."""

import os
from pathlib import Path

from executor.sandbox import kernel
from executor.sandbox.identity import NOBODY

_CLONE_NEWNS = 0x00020000
_CLONE_NEWCGROUP = 0x02000000
_CLONE_NEWUTS = 0x04000000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x20, 0x1000, 0x4000, 0x40000
_MNT_DETACH = 2

_PLACE = "/proc"
"""Where a new root is mounted. Any directory that surely exists will do: it is gone a moment later.
"""


def unshare_user() -> None:
    """A user namespace, with nobody in it until ids are mapped."""
    kernel.unshare(_CLONE_NEWUSER)


def unshare_one_user() -> None:
    """A user namespace in which our one user is nobody, and there is no other."""
    user, group = os.geteuid(), os.getegid()
    unshare_user()
    # An ordinary user may map a group only after giving up setgroups() for good.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {group} 1")


def unshare_net() -> None:
    """A network with one interface, loopback, that is down."""
    kernel.unshare(_CLONE_NEWNET)


def unshare_ipc() -> None:
    """No System V object and no message queue of anyone's."""
    kernel.unshare(_CLONE_NEWIPC)


def unshare_uts() -> None:
    """A host name of our own, which says nothing."""
    kernel.unshare(_CLONE_NEWUTS)


def unshare_cgroup() -> None:
    """Control groups are seen from where we are."""
    kernel.unshare(_CLONE_NEWCGROUP)


def unshare_pid() -> None:
    """The next child is PID 1 of its own world: it sees its own children only, and when it dies
    the kernel kills them all."""
    kernel.unshare(_CLONE_NEWPID)


def forbid_nesting() -> None:
    """No namespace can be made inside ours: each would give rights over more of the kernel.

    Only for our own user namespace: done without one, it would be the machine's limit.
    """
    for limit in sorted(Path("/proc/sys/user").glob("max_*_namespaces")):
        limit.write_text("0")


def unshare_mount() -> None:
    """A mount table of our own."""
    kernel.unshare(_CLONE_NEWNS)


def empty_root() -> None:
    """Replace the file system by an empty, read-only one. What is not open by now stays closed."""
    kernel.mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    flags = _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    kernel.mount("none", _PLACE, "tmpfs", flags, "size=4k,nr_inodes=1,mode=0555")
    _enter_root()


def working_directory_as_root() -> None:
    """Replace the file system by the directory that we are in, and nothing above or beside it.

    Named as ".", it is found without a right to those above. Files in it cannot be run.
    """
    kernel.mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    kernel.mount(".", _PLACE, None, _MS_BIND)
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    kernel.mount("none", _PLACE, None, _MS_REMOUNT | _MS_BIND | flags)
    _enter_root()


def _enter_root() -> None:
    os.chdir(_PLACE)
    # Stacks the old root on the new one, so that no directory is needed to hold it.
    kernel.syscall(kernel.machine().pivot_root, b".", b".")
    kernel.umount(".", _MNT_DETACH)
    os.chdir("/")
