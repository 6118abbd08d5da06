"""Which system calls an isolate may make, and why.

What no line names ends the isolate at once. A line in :data:`REFUSED` fails with an error instead:
CPython, libc or ordinary code tries it and carries on. A line in :data:`ALLOWED` may narrow the
arguments; what does not fit ends the isolate too, or fails where ``otherwise`` names an error.

Left out on purpose, among all others: every way to get a descriptor (open, socket, pipe, eventfd,
memfd, epoll, dup, accept), ``sendmsg`` and ``recvmsg`` (they carry descriptors), every way to run
or reach a process (execve, fork, kill, ptrace, process_vm_*, pidfd_*), to change memory others see
(shm*, userfaultfd, process_madvise), and whole subsystems (bpf, io_uring, keyctl, perf_event_open).
"""

import errno
from dataclasses import dataclass

DOOR_DESCRIPTOR = 3
"""The one descriptor an isolate has."""

_PROT_EXEC = 4

Numbers = dict[str, tuple[int | None, int | None]]
"""Name to number on x86_64 and aarch64; None where the architecture has no such call."""


@dataclass(frozen=True)
class Arg:
    """``argument[index] & mask`` must be one of ``values``. ``wide``: all 64 bits count."""

    index: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    wide: bool = False


@dataclass(frozen=True)
class Allow:
    name: str
    reason: str
    when: tuple[Arg, ...] = ()
    otherwise: int | None = None


@dataclass(frozen=True)
class Refuse:
    name: str
    error: int
    reason: str


@dataclass(frozen=True, eq=False)
class Table:
    """What a filter is built from. No name is in two lines; each has its :data:`Numbers`."""

    allowed: tuple[Allow, ...]
    refused: tuple[Refuse, ...]
    numbers: Numbers


_DOOR = Arg(0, (DOOR_DESCRIPTOR,))
_NULL = (0,)
_NOT_EXECUTABLE = Arg(2, (0,), mask=_PROT_EXEC)

_MSG_DONTWAIT, _MSG_WAITALL, _MSG_NOSIGNAL = 0x40, 0x100, 0x4000
_SEND_FLAGS = Arg(3, (0,), mask=0xFFFFFFFF & ~(_MSG_DONTWAIT | _MSG_NOSIGNAL))
_RECV_FLAGS = Arg(3, (0,), mask=0xFFFFFFFF & ~(_MSG_DONTWAIT | _MSG_WAITALL))

_MAP_HUGETLB = 0x40000
_CLOCKS = Arg(0, tuple(range(12)))
_MADV_DONTNEED, _MADV_FREE = 4, 8
_FUTEX_WAIT, _FUTEX_WAKE, _FUTEX_WAIT_BITSET, _FUTEX_WAKE_BITSET = 0, 1, 9, 10
_FUTEX_OPTIONS = 128 | 256  # private, real-time clock
_F_GETFD, _F_GETFL, _F_SETFL = 1, 3, 4
_FIONBIO = 0x5421

# Most used first: the filter is read from the top.
ALLOWED = (
    Allow(
        "recvfrom",
        "frames from the executor; no out-of-band data, whose kernel code has had holes",
        (_DOOR, _RECV_FLAGS, Arg(4, _NULL, wide=True)),
    ),
    Allow(
        "sendto",
        "frames to the executor, to no other address",
        (_DOOR, _SEND_FLAGS, Arg(4, _NULL, wide=True)),
    ),
    Allow("poll", "waits for the door"),
    Allow("ppoll", "waits for the door"),
    Allow("select", "waits for the door"),
    Allow("pselect6", "waits for the door"),
    Allow("read", "frames, through any of libc's names for it"),
    Allow("write", "frames, through any of libc's names for it"),
    Allow("readv", "as read"),
    Allow("writev", "as write"),
    Allow("brk", "the heap"),
    Allow(
        "mmap",
        "the heap; never executable, and never of the machine's own stock of huge pages",
        (_NOT_EXECUTABLE, Arg(3, (0,), mask=_MAP_HUGETLB)),
    ),
    Allow("munmap", "the heap"),
    Allow("mremap", "the heap grows in place; the protection stays"),
    Allow("mprotect", "the heap; never executable", (_NOT_EXECUTABLE,)),
    Allow(
        "madvise",
        "the heap gives pages back",
        (Arg(2, (_MADV_DONTNEED, _MADV_FREE)),),
        otherwise=errno.EINVAL,
    ),
    Allow(
        "futex",
        "locks; not the forms with priority inheritance or requeueing, which have had holes",
        (
            Arg(
                1,
                (_FUTEX_WAIT, _FUTEX_WAKE, _FUTEX_WAIT_BITSET, _FUTEX_WAKE_BITSET),
                mask=0xFFFFFFFF & ~_FUTEX_OPTIONS,
            ),
        ),
    ),
    Allow(
        "clock_gettime",
        "time, where the vDSO does not answer; other numbers are clocks of other processes",
        (_CLOCKS,),
        otherwise=errno.EINVAL,
    ),
    Allow("clock_getres", "time.get_clock_info", (_CLOCKS,), otherwise=errno.EINVAL),
    Allow("gettimeofday", "time"),
    Allow("time", "time"),
    Allow("clock_nanosleep", "sleeping", (_CLOCKS,), otherwise=errno.EINVAL),
    Allow("nanosleep", "sleeping"),
    Allow("restart_syscall", "the kernel resumes an interrupted sleep with it"),
    Allow("getrandom", "random numbers: secrets, uuid"),
    Allow("rt_sigreturn", "end of a signal handler"),
    Allow("rt_sigprocmask", "libc masks signals around its own work"),
    Allow("rt_sigaction", "handlers for faults of our own"),
    Allow("sigaltstack", "as rt_sigaction"),
    Allow("exit", "the end"),
    Allow("exit_group", "the end"),
    Allow("close", "the door can be closed"),
    Allow("shutdown", "the door can be closed"),
    Allow("fstat", "CPython looks at descriptors; there is the door only"),
    Allow(
        "fcntl",
        "blocking mode of the door; no duplicates, owners, leases or seals",
        (Arg(1, (_F_GETFD, _F_GETFL, _F_SETFL)),),
        otherwise=errno.EPERM,
    ),
    Allow("ioctl", "blocking mode of the door", (Arg(1, (_FIONBIO,)),), otherwise=errno.ENOTTY),
    Allow("getpid", "a number; the process sees nobody else's"),
    Allow("gettid", "as getpid"),
    Allow("getuid", "a number; nobody outside the cell has it"),
    Allow("geteuid", "a number; nobody outside the cell has it"),
    Allow("getgid", "a number; nobody outside the cell has it"),
    Allow("getegid", "a number; nobody outside the cell has it"),
    Allow("getrusage", "own use of resources"),
    Allow("sched_yield", "libc's locks spin with it"),
    Allow(
        "prlimit64",
        "libc asks for the size of the stack; limits of our own are read, never set",
        (Arg(0, (0,)), Arg(2, _NULL, wide=True)),
        otherwise=errno.EPERM,
    ),
    Allow("getrlimit", "as prlimit64"),
)

_NO_FILES = "there is no file; a stray open() is a PermissionError, not the end"
_NO_LOOKUP = "there is no file; import and traceback look for some and carry on"
_NO_INSIGHT = "nothing of the machine is told"

REFUSED = (
    Refuse("open", errno.EACCES, _NO_FILES),
    Refuse("openat", errno.EACCES, _NO_FILES),
    Refuse("openat2", errno.EACCES, _NO_FILES),
    Refuse("stat", errno.EACCES, _NO_LOOKUP),
    Refuse("lstat", errno.EACCES, _NO_LOOKUP),
    Refuse("newfstatat", errno.EACCES, _NO_LOOKUP),
    Refuse("statx", errno.EACCES, _NO_LOOKUP),
    Refuse("access", errno.EACCES, _NO_LOOKUP),
    Refuse("faccessat", errno.EACCES, _NO_LOOKUP),
    Refuse("faccessat2", errno.EACCES, _NO_LOOKUP),
    Refuse("readlink", errno.EACCES, _NO_LOOKUP),
    Refuse("readlinkat", errno.EACCES, _NO_LOOKUP),
    Refuse("getdents64", errno.EACCES, _NO_LOOKUP),
    Refuse("getcwd", errno.ENOENT, _NO_LOOKUP),
    Refuse("lseek", errno.ESPIPE, "what a socket answers"),
    Refuse("clone", errno.EPERM, "no thread and no process; threading says so with RuntimeError"),
    Refuse("clone3", errno.ENOSYS, "libc then tries clone"),
    Refuse("prctl", errno.EPERM, "CPython and libc name threads and memory with it, if they can"),
    Refuse("uname", errno.EPERM, _NO_INSIGHT),
    Refuse("sysinfo", errno.EPERM, _NO_INSIGHT),
    Refuse("sched_getaffinity", errno.EPERM, _NO_INSIGHT),
    Refuse("getppid", errno.EPERM, _NO_INSIGHT),
)

NUMBERS: Numbers = {
    "access": (21, None),
    "brk": (12, 214),
    "clock_getres": (229, 114),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "clone": (56, 220),
    "clone3": (435, 435),
    "close": (3, 57),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "fcntl": (72, 25),
    "fstat": (5, 80),
    "futex": (202, 98),
    "getcwd": (79, 17),
    "getdents64": (217, 61),
    "getegid": (108, 177),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "getrandom": (318, 278),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "gettid": (186, 178),
    "gettimeofday": (96, 169),
    "getuid": (102, 174),
    "ioctl": (16, 29),
    "lseek": (8, 62),
    "lstat": (6, None),
    "madvise": (28, 233),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "munmap": (11, 215),
    "nanosleep": (35, 101),
    "newfstatat": (262, 79),
    "open": (2, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "poll": (7, None),
    "ppoll": (271, 73),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    "pselect6": (270, 72),
    "read": (0, 63),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "readv": (19, 65),
    "recvfrom": (45, 207),
    "restart_syscall": (219, 128),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sched_getaffinity": (204, 123),
    "sched_yield": (24, 124),
    "select": (23, None),
    "sendto": (44, 206),
    "shutdown": (48, 210),
    "sigaltstack": (131, 132),
    "stat": (4, None),
    "statx": (332, 291),
    "sysinfo": (99, 179),
    "time": (201, None),
    "uname": (63, 160),
    "write": (1, 64),
    "writev": (20, 66),
}

ISOLATE = Table(ALLOWED, REFUSED, NUMBERS)
