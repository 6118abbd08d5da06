"""System calls from native code in a real isolate: what ends it, what fails, what works."""

import asyncio
import errno
import platform

import pytest
from sandbox_rig import MEMORY_BYTES, Native, Raised

from executor.cell import Death, IsolateDied
from executor.sandbox.syscalls import NUMBERS

pytestmark = pytest.mark.asyncio(loop_scope="module")

X86 = platform.machine() == "x86_64"


PROBES = {335, 336}
"""uretprobe(2) and uprobe(2), which x86_64 kernels since 6.14 and 6.18 call for themselves."""

MAX_NUMBER = 480
"""Past the last system call of this year's kernels."""


def number(x86_64: int, aarch64: int) -> int:
    return x86_64 if X86 else aarch64


AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_ALG, AF_VSOCK, AF_XDP = 2, 10, 16, 17, 38, 40, 44

ENDS = {
    **{
        f"socket of family {family}": f"syscall({number(41, 198)}, {family}, {kind}, 0)"
        for family in (1, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_ALG, AF_VSOCK, AF_XDP)
        for kind in (1, 3)
    },
    "socketpair": "socket.socketpair()",
    "pipe": "os.pipe()",
    "eventfd": f"syscall({number(290, 19)}, 0, 0)",
    "epoll": f"syscall({number(291, 20)}, 0)",
    "timerfd": f"syscall({number(283, 85)}, 0, 0)",
    "signalfd": f"syscall({number(289, 74)}, -1, 0, 8, 0)",
    "inotify": f"syscall({number(294, 26)}, 0)",
    "fanotify": f"syscall({number(300, 262)}, 0, 0)",
    "memfd": "os.memfd_create('x')",
    "secret memory": "syscall(447, 0)",
    "dup": f"syscall({number(32, 23)}, 3)",
    "dup2": "os.dup2(3, 2)",
    "sendmsg, which carries descriptors": "sock.sendmsg([b'x'])",
    "recvmsg, which carries descriptors": "sock.recvmsg(1, 64)",
    "out-of-band data": "sock.send(b'x', socket.MSG_OOB)",
    "out-of-band receive": "sock.recv(1, socket.MSG_OOB | socket.MSG_DONTWAIT)",
    "send to an address": "sock.sendto(b'x', '/run/x')",
    "send on another descriptor": f"syscall({number(44, 206)}, 0, b'x', 1, 0, 0, 0)",
    "setsockopt": "sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)",
    "execve": "os.execv('/bin/sh', ['sh'])",
    "execveat": f"syscall({number(322, 281)}, 3, b'', 0, 0, 0x1000)",
    "ptrace": f"syscall({number(101, 117)}, 0, 0, 0, 0)",
    "process_vm_readv": f"syscall({number(310, 270)}, 1, 0, 0, 0, 0, 0)",
    "process_vm_writev": f"syscall({number(311, 271)}, 1, 0, 0, 0, 0, 0)",
    "process_madvise": "syscall(440, 3, 0, 0, 0, 0)",
    "kcmp": f"syscall({number(312, 272)}, 1, 1, 0, 0, 0)",
    "kill of PID 1": "os.kill(1, 9)",
    "kill of all": "os.kill(-1, 9)",
    "kill of oneself": "os.kill(os.getpid(), 0)",
    "tgkill": f"syscall({number(234, 131)}, 1, 1, 9)",
    "tkill": f"syscall({number(200, 130)}, 1, 9)",
    "rt_sigqueueinfo": f"syscall({number(129, 138)}, 1, 9, 0)",
    "pidfd_open": "os.pidfd_open(1)",
    "pidfd_getfd": "syscall(438, 3, 3, 0)",
    "io_uring_setup": "syscall(425, 1, bytes(120))",
    "io_uring_enter": "syscall(426, 3, 1, 0, 0, 0)",
    "bpf": f"syscall({number(321, 280)}, 0, 0, 0)",
    "perf_event_open": f"syscall({number(298, 241)}, bytes(112), 0, -1, -1, 0)",
    "userfaultfd": f"syscall({number(323, 282)}, 0)",
    "keyctl": f"syscall({number(250, 219)}, 0, -3, 0)",
    "add_key": f"syscall({number(248, 217)}, b'user', b'x', b'y', 1, -3)",
    "request_key": f"syscall({number(249, 218)}, b'user', b'x', 0, -3)",
    "mount": "libc.mount(b'x', b'/', b'tmpfs', 0, 0)",
    "umount": "libc.umount2(b'/', 2)",
    "new mount interface": "syscall(430, b'tmpfs', 0)",
    "pivot_root": f"syscall({number(155, 41)}, b'.', b'.')",
    "chroot": "os.chroot('/')",
    "chdir": "os.chdir('/')",
    "unshare": "libc.unshare(0x10000000)",
    "setns": "libc.setns(3, 0)",
    "shmget": "libc.shmget(0, 4096, 0o1777)",
    "shmat": "libc.shmat(0, 0, 0)",
    "msgget": "libc.msgget(0, 0o1777)",
    "semget": "libc.semget(0, 1, 0o1777)",
    "mq_open": f"syscall({number(240, 180)}, b'x', 0o102, 0o600, 0)",
    "executable mapping": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
    "memory made executable": (
        "m = mmap.mmap(-1, 4096)\n"
        "at = ctypes.addressof(ctypes.c_char.from_buffer(m))\n"
        "libc.mprotect(ctypes.c_void_p(at), 4096, 5)"
    ),
    "pkey_mprotect": f"syscall({number(329, 288)}, 0, 4096, 7, -1)",
    "remap_file_pages": f"syscall({number(216, 234)}, 0, 4096, 0, 0, 0)",
    "personality": "libc.personality(0x0400000)",
    "futex with priority inheritance": f"syscall({number(202, 98)}, bytes(8), 6, 0, 0)",
    "futex requeue": f"syscall({number(202, 98)}, bytes(8), 3, 0, 0)",
    "setrlimit": f"syscall({number(160, 164)}, 9, bytes(16))",
    "setuid": "os.setuid(0)",
    "setgroups": "os.setgroups([0])",
    "capset": f"syscall({number(126, 91)}, bytes(8), bytes(24))",
    "setsid": "os.setsid()",
    "nice": "os.nice(-5)",
    "scheduler": "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
    "affinity": "os.sched_setaffinity(0, [0])",
    "seccomp": f"syscall({number(317, 277)}, 1, 0, 0)",
    "landlock": "syscall(444, 0, 0, 1)",
    "landlock's rules": "syscall(445, 3, 1, bytes(16), 0)",
    "landlock upon oneself": "syscall(446, 3, 0)",
    "seccomp's notifications": f"syscall({number(317, 277)}, 3, 0, 0)",
    "quotas": f"syscall({number(179, 60)}, 0x800007 << 8, b'/', 0, bytes(64))",
    "quotas of a descriptor": "syscall(443, 3, 0, 0, 0)",
    "open_tree": "syscall(428, -100, b'/', 1)",
    "move_mount": "syscall(429, -100, b'/', -100, b'/', 0)",
    "fsconfig": "syscall(431, 3, 0, 0, 0, 0)",
    "fsmount": "syscall(432, 3, 0, 0)",
    "mount_setattr": "syscall(442, -100, b'/', 0, bytes(32), 32)",
    "listmount": "syscall(458, bytes(24), bytes(8), 1, 0)",
    "asynchronous input": f"syscall({number(206, 0)}, 1, bytes(8))",
    "locks of another": f"syscall({number(274, 100)}, 1, bytes(8), bytes(8))",
    "pages of another": f"syscall({number(279, 239)}, 1, 0, 0, 0, 0, 0)",
    "what is in memory": f"syscall({number(27, 232)}, 0, 4096, bytes(8))",
    "signal through a descriptor": "syscall(424, 3, 9, 0, 0)",
    "queued signal to a thread": f"syscall({number(297, 240)}, 1, 1, 9, 0)",
    "many messages": f"syscall({number(307, 269)}, 3, 0, 0, 0)",
    "many receipts": f"syscall({number(299, 243)}, 3, 0, 0, 0, 0)",
    "accept": f"syscall({number(43, 202)}, 3, 0, 0)",
    "bind": f"syscall({number(49, 200)}, 3, bytes(16), 16)",
    "connect": f"syscall({number(42, 203)}, 3, bytes(16), 16)",
    "who is at the other end": "sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)",
    "sendfile": f"syscall({number(40, 71)}, 3, 3, 0, 1)",
    "dup3": f"syscall({number(292, 24)}, 3, 9, 0)",
    "wait": "os.waitpid(-1, 0)",
    "an interval timer": f"syscall({number(38, 103)}, 1, bytes(32), 0)",
    "huge pages": "mmap.mmap(-1, 1 << 21, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)",
    "code made writable and executable again": (
        "at = ctypes.cast(libc.getpid, ctypes.c_void_p).value & -4096\n"
        "assert libc.mprotect(ctypes.c_void_p(at), 4096, 1) == 0\n"
        "libc.mprotect(ctypes.c_void_p(at), 4096, 5)"
    ),
    "kernel module": f"syscall({number(313, 273)}, 3, b'', 0)",
    "kexec": f"syscall({number(246, 104)}, 0, 0, 0, 0)",
    "reboot": f"syscall({number(169, 142)}, 0, 0, 0, 0)",
    "kernel log": f"syscall({number(103, 116)}, 3, 0, 0)",
    "clock set": f"syscall({number(227, 112)}, 0, bytes(16))",
    "file handle": f"syscall({number(304, 265)}, -100, bytes(16), 0)",
    "splice": f"syscall({number(275, 76)}, 3, 0, 3, 0, 1, 0)",
    "vmsplice": f"syscall({number(278, 75)}, 3, 0, 0, 0)",
    "mkdir": "os.mkdir('/x')",
    "unlink": "os.unlink('/x')",
    "rename": "os.rename('/x', '/y')",
    "symlink": "os.symlink('/x', '/y')",
    "chmod": "os.chmod('/', 0)",
    "chmod of the door": "os.fchmod(3, 0)",
    "extended attributes": "os.setxattr('/', 'user.x', b'')",
    "truncate": "os.truncate('/x', 0)",
    "mknod": "os.mknod('/x')",
    "alarm": f"syscall({number(38, 103)}, 0, bytes(32), 0)",
    "timer": f"syscall({number(222, 107)}, 0, 0, bytes(8))",
    "a number that is no call": "syscall(9999)",
}

if X86:
    ENDS |= {
        "fork": "syscall(57)",
        "vfork": "syscall(58)",
        "x32 form of getpid": "syscall(0x40000000 + 39)",
        "arch_prctl": "syscall(158, 0x1001, 0)",
        "modify_ldt": "syscall(154, 1, 0, 0)",
        "iopl": "syscall(172, 3)",
    }


FAULTS = {
    "written memory": (
        "m = mmap.mmap(-1, 4096); m[0] = 0xC3\nat = ctypes.addressof(ctypes.c_char.from_buffer(m))"
    ),
    "the heap": "b = ctypes.create_string_buffer(bytes([0xC3]) * 64); at = ctypes.addressof(b)",
    "an object": "at = id(None)",
}


@pytest.mark.parametrize("code", FAULTS.values(), ids=FAULTS.keys())
async def test_no_memory_that_can_be_written_can_be_run(cell, code) -> None:
    """Native code that jumps into what it wrote dies of it: there is no place for new code."""
    died = await cell.death(f"{code}\nctypes.CFUNCTYPE(None)(at)()")

    assert died.death is Death.FAULT


async def test_code_that_is_there_can_be_run(cell) -> None:
    """The twin: a jump to a function of libc's, by its address."""
    code = "at = ctypes.cast(libc.getpid, ctypes.c_void_p).value\n"
    assert await cell.run(f"{code}result = ctypes.CFUNCTYPE(ctypes.c_int)(at)() == os.getpid()")


async def test_a_callback_from_c_cannot_be_made(cell) -> None:
    """A trampoline needs executable memory, which ctypes gets by no way it knows."""
    code = "ctypes.CFUNCTYPE(None)(lambda: None)()\nresult = 'called'"
    with pytest.raises((Raised, IsolateDied), match=r"MemoryError|refused system call"):
        await cell.run(code)


@pytest.mark.skipif(not X86, reason="an entry of this architecture's")
async def test_the_entry_for_32_bit_programs_is_shut(cell) -> None:
    """The instruction lies about in libraries, and needs no new code: the kernel ends who uses it.
    Where it knows no such programs at all, it is a fault."""
    code = (
        "at = ctypes.cast(libc.syscall, ctypes.c_void_p).value & -4096\n"
        "found = -1\n"
        "while found < 0:\n"
        "    found = ctypes.string_at(at, 4096).find(bytes([0xCD, 0x80]))\n"
        "    at += 4096\n"
        "ctypes.CFUNCTYPE(ctypes.c_int)(at - 4096 + found)()"
    )
    died = await cell.death(code)

    assert died.death in (Death.REFUSED_CALL, Death.FAULT)


async def test_every_number_that_no_table_names_ends_the_isolate(zygote) -> None:
    """All that this kernel could know by number, tried one by one in real isolates. The kernel
    itself passes the calls of its probes by every filter; they do nothing for who is not probed."""
    listed = {both[0 if X86 else 1] for both in NUMBERS.values()}
    numbers = [one for one in range(MAX_NUMBER) if one not in listed]

    async def end_of(one: int) -> Death | int:
        isolate = await zygote.fork(MEMORY_BYTES)
        try:
            answer = await Native(isolate).run(f"result = syscall({one}, 0, 0, 0, 0, 0, 0)")
        except IsolateDied as died:
            return died.death
        isolate.kill()
        return answer

    ends = {}
    for at in range(0, len(numbers), 8):
        batch = numbers[at : at + 8]
        ends |= dict(zip(batch, await asyncio.gather(*map(end_of, batch)), strict=True))
    past = {one: end for one, end in ends.items() if end is not Death.REFUSED_CALL}
    assert set(past) <= (PROBES if X86 else set())
    assert all(end is Death.FAULT or end < 0 for end in past.values())


@pytest.mark.parametrize("code", ENDS.values(), ids=ENDS.keys())
async def test_a_dangerous_call_ends_the_isolate(cell, code) -> None:
    """The kernel kills the isolate at the call (SIGSYS), and not for any other reason."""
    died = await cell.death(code)

    assert died.death is Death.REFUSED_CALL


PATHS = ["/", ".", "/etc/passwd", "/proc/self/environ", "/proc/1/mem", "/dev/null", "/sys", "/tmp"]

FAILS = {
    **{f"open {path}": (f"open({path!r})", errno.EACCES) for path in PATHS},
    **{f"write {path}/x": (f"open({path + '/x'!r}, 'w')", errno.EACCES) for path in PATHS},
    "open a path only": ("os.open('/', os.O_PATH)", errno.EACCES),
    "openat2": ("check(syscall(437, -100, b'/', bytes(24), 24))", errno.EACCES),
    "stat": ("os.stat('/')", errno.EACCES),
    "list": ("os.listdir('/')", errno.EACCES),
    "readlink": ("os.readlink('/proc/self/exe')", errno.EACCES),
    "fork through libc": ("os.fork()", errno.EPERM),
    "clone3": ("check(syscall(435, bytes(88), 88))", errno.ENOSYS),
    "prctl": ("check(libc.prctl(4, 1, 0, 0, 0))", errno.EPERM),
    "duplicate of the door": ("import fcntl; fcntl.fcntl(3, fcntl.F_DUPFD, 3)", errno.EPERM),
    "owner of the door": ("import fcntl; fcntl.fcntl(3, fcntl.F_SETOWN, 1)", errno.EPERM),
    "keys pushed into a terminal": ("check(libc.ioctl(3, 0x5412, b'x'))", errno.ENOTTY),
    "clock of the zygote": ("time.clock_gettime_ns((~1 << 3) | 2)", errno.EINVAL),
    "sleep on the zygote's clock": (
        "check(-libc.clock_nanosleep(ctypes.c_int((~1 << 3) | 2), 0, bytes(16), 0))",
        errno.EINVAL,
    ),
    "raise of a limit": (
        f"check(syscall({number(302, 261)}, 0, 9, bytes(16), 0))",
        errno.EPERM,
    ),
    "limit of another": (f"check(syscall({number(302, 261)}, 1, 9, 0, bytes(16)))", errno.EPERM),
    "madvise beyond the heap's": ("mmap.mmap(-1, 4096).madvise(12)", errno.EINVAL),
    "name of the machine": ("os.uname()", errno.EPERM),
    "standard output": ("os.write(1, b'x')", errno.EBADF),
}

CHECK = """
def check(answer):
    if answer < 0:
        number = -answer if answer != -1 else ctypes.get_errno()
        raise OSError(number, os.strerror(number))
"""


@pytest.mark.parametrize(("code", "error"), FAILS.values(), ids=FAILS.keys())
async def test_a_call_that_ordinary_code_may_try_fails_and_the_isolate_lives(
    cell, code, error
) -> None:
    """The call fails with this very error, and the isolate goes on."""
    attempt = f"{CHECK}\ntry:\n    {code}\n    result = 0\nexcept OSError as exc:\n"
    assert await cell.run(f"{attempt}    result = exc.errno") == error

    assert await cell.run("result = 6 * 7") == 42


WORKS = {
    "memory, written": "m = mmap.mmap(-1, 4096); m[0] = 7; result = m[0]",
    "memory, protected otherwise": (
        "m = mmap.mmap(-1, 4096)\n"
        "at = ctypes.addressof(ctypes.c_char.from_buffer(m))\n"
        "result = 7 + libc.mprotect(ctypes.c_void_p(at), 4096, 1)"
    ),
    "memory given back": "mmap.mmap(-1, 4096).madvise(mmap.MADV_DONTNEED); result = 7",
    "random numbers": "result = len(os.urandom(7))",
    "time": "import time; time.sleep(0.001); result = 7 if time.time() > 1e9 else 0",
    "its own clocks": "result = 7 if time.process_time() > 0 < time.thread_time() else 0",
    "clocks of the machine": "result = 7 + sum(time.clock_gettime(n) < 0 for n in (0, 1, 4, 7))",
    "a lock": "l = threading.Lock(); l.acquire(); result = 7 - l.acquire(timeout=0.001)",
    "its own number": "result = 7 if os.getpid() > 1 else 0",
    "its limits, read": "import resource; result = 7 + resource.getrlimit(resource.RLIMIT_CORE)[0]",
    "the door's mode": "sock.setblocking(False); sock.setblocking(True); result = 7",
    "waiting for the door": "import select; result = 7 + len(select.select([], [3], [], 1)[2])",
    "polling the door": (
        "import select; p = select.poll(); p.register(3, select.POLLIN)\n"
        "result = 7 + len(p.poll(0))"
    ),
}


@pytest.mark.parametrize("code", WORKS.values(), ids=WORKS.keys())
async def test_what_an_interpreter_needs_works(cell, code) -> None:
    """The allowed twins of the calls above."""
    assert await cell.run(code) == 7


async def test_a_thread_is_refused_in_words_that_python_knows(cell) -> None:
    """Starting a thread is a RuntimeError; the isolate lives."""
    code = "try:\n    threading.Thread(target=print).start()\nexcept RuntimeError as exc:\n"
    assert "start new thread" in await cell.run(f"{code}    result = str(exc)")


async def test_a_fork_bomb_makes_nothing(cell, zygote) -> None:
    """A thousand forks in a row make no process."""
    before = zygote.isolates
    code = (
        "failed = 0\nfor _ in range(1000):\n    try:\n        os.fork()\n"
        "    except OSError:\n        failed += 1\nresult = failed"
    )
    assert await cell.run(code) == 1000
    assert zygote.isolates == before
