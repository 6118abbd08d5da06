"""Each layer of the second wall by itself: the system call filter is off, the others must hold."""

import os
from pathlib import Path

import pytest
import pytest_asyncio
from sandbox_rig import IDS, MEMORY_BYTES, Native, start_zygote

from executor.sandbox import users

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMESPACES = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def unfiltered():
    """A zygote whose isolates lack seccomp only."""
    started = await start_zygote(without=["seccomp"])
    yield started
    await started.close()


@pytest_asyncio.fixture(loop_scope="module")
async def bare(unfiltered):
    """An isolate without seccomp."""
    isolate = await unfiltered.fork(MEMORY_BYTES)
    yield Native(isolate)
    isolate.kill("end of the test")
    await isolate.closed.wait()


FAILS = {
    "a file": ("open('/etc/passwd')", "PermissionError|FileNotFoundError"),
    "its own process": ("open('/proc/self/status')", "PermissionError|FileNotFoundError"),
    "a new file": ("open('/x', 'w')", "PermissionError|OSError"),
    "the root": ("os.listdir('/')", "PermissionError"),
    "a directory": ("os.mkdir('/x')", "PermissionError|OSError"),
    "a way out of the root": ("os.chroot('/')", "PermissionError"),
    "the network": ("socket.create_connection((b'127.0.0.1', 8788), 1)", "OSError|PermissionError"),
    "a name": ("socket.getaddrinfo(b'localhost', 80)", "gaierror"),
    "a port": (
        "s = socket.socket(); s.bind((b'127.0.0.1', 0)); s.listen(); "
        "socket.create_connection((b'127.0.0.1', s.getsockname()[1]), 1)",
        "OSError|PermissionError",
    ),
    "an abstract socket": (
        "s = socket.socket(socket.AF_UNIX); s.connect(chr(0) + '/org/x')",
        "ConnectionRefusedError|PermissionError",
    ),
    "a child": ("os.fork()", "BlockingIOError"),
    "a thread": ("threading.Thread(target=print).start()", "RuntimeError"),
    "a program": ("os.execv('/bin/sh', ['sh'])", "PermissionError|FileNotFoundError"),
    "the zygote's end": ("os.kill(1, 9)", "PermissionError"),
    "a sibling's end": ("os.kill(-1, 9)", "PermissionError|ProcessLookupError"),
    "a signal to a thread of the zygote": (
        "check(syscall(234 if os.uname().machine == 'x86_64' else 131, 1, 1, 9))",
        "PermissionError",
    ),
    "a signal through a descriptor": (
        "import signal; signal.pidfd_send_signal(os.pidfd_open(1), 9)",
        "PermissionError|OSError",
    ),
    "a descriptor of the zygote's": (
        "check(syscall(438, os.pidfd_open(1), 4, 0))",
        "PermissionError",
    ),
    "a write into the zygote": (
        "b = ctypes.create_string_buffer(8); here = ctypes.addressof(b); "
        "iov = struct.pack('=QQ', here, 8); "
        "check(syscall(311 if os.uname().machine == 'x86_64' else 271, 1, iov, 1, iov, 1, 0))",
        "PermissionError",
    ),
    "a comparison with the zygote": (
        "check(syscall(312 if os.uname().machine == 'x86_64' else 272, 1, os.getpid(), 0, 3, 3))",
        "PermissionError|OSError",
    ),
    "the zygote's namespaces": (
        "check(libc.setns(os.pidfd_open(1), 0x20000000))",
        "PermissionError",
    ),
    "root": ("os.setuid(0)", "OSError|PermissionError"),
    "a mount": ("check(libc.mount(b'x', b'/', b'tmpfs', 0, 0))", "PermissionError"),
    "a user namespace": ("check(libc.unshare(0x10000000))", "OSError|PermissionError"),
    "a network namespace": ("check(libc.unshare(0x40000000))", "PermissionError"),
    "a host name": ("socket.sethostname('x')", "PermissionError"),
    "the memory of the zygote": (
        "b = ctypes.create_string_buffer(8); here = ctypes.addressof(b); "
        "iov = struct.pack('=QQ', here, 8); "
        "check(syscall(310 if os.uname().machine == 'x86_64' else 270, 1, iov, 1, iov, 1, 0))",
        "PermissionError",
    ),
    "the life of the zygote": (
        "check(syscall(101 if os.uname().machine == 'x86_64' else 117, 16, 1, 0, 0))",
        "PermissionError",
    ),
    "a second descriptor": ("socket.socket(); socket.socket(); os.dup2(3, 9)", "OSError"),
    "a file in memory that grows": (
        "fd = os.memfd_create('x'); import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "os.write(fd, b'x')",
        "OSError",
    ),
    "a raise of the memory limit": (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "ValueError|PermissionError",
    ),
    "a raise of priority": ("os.nice(-5)", "PermissionError"),
}

CHECK = """
def check(answer):
    if answer < 0:
        number = -answer if answer != -1 else ctypes.get_errno()
        raise OSError(number, os.strerror(number))
"""


@pytest.mark.parametrize(("code", "errors"), FAILS.values(), ids=FAILS.keys())
async def test_without_the_filter_the_other_layers_refuse(bare, code, errors) -> None:
    """Native code with every system call still reaches nothing; the isolate is well after."""
    attempt = f"{CHECK}\ntry:\n    {code}\n    result = 'done'\nexcept Exception as exc:\n"
    answer = await bare.run(f"{attempt}    result = type(exc).__name__")
    assert answer in errors.split("|")
    assert await bare.run("result = os.getpid() > 1") is True


async def test_the_twins_are_allowed_without_the_filter(bare) -> None:
    """The calls do work where nothing is to be had by them: it is not that all of them fail."""
    assert await bare.run("s = socket.socket(); s.close(); result = 7") == 7
    assert await bare.run("os.kill(os.getpid(), 0); result = 7") == 7
    assert await bare.run("result = os.memfd_create('x') >= 0") is True
    assert await bare.run("result = 2 + os.nice(0)") == 7


async def test_an_isolate_has_the_door_and_nothing_else(bare, cell) -> None:
    """Of all descriptor numbers only the door's is open."""
    code = (
        "import fcntl\nopen_ones = []\nfor number in range(1024):\n    try:\n"
        "        fcntl.fcntl(number, fcntl.F_GETFD)\n        open_ones.append(number)\n"
        "    except OSError:\n        pass\nresult = open_ones"
    )
    assert await cell.run(code) == [3]
    assert await bare.run(code) == [3]


async def test_an_isolate_inherits_no_environment(cell, monkeypatch) -> None:
    """Neither Python's nor libc's environment holds anything of the executor's."""
    assert await cell.run("result = dict(os.environ)") == {"TZ": "UTC0"}
    code = (
        "environ = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, 'environ')\n"
        "result = []\nwhile environ and environ[len(result)]:\n"
        "    result.append(environ[len(result)].decode())\n"
    )
    assert await cell.run(code) == ["TZ=UTC0"]


async def test_nothing_tells_of_the_host(cell) -> None:
    """No module says where it came from, nor do the interpreter's variables."""
    code = (
        "import sys\n"
        "result = sys.argv + sys.orig_argv + sys.path + list(sys.path_importer_cache)\n"
        "result += [sys.executable, sys.prefix, sys.exec_prefix, sys.base_prefix]\n"
        "for module in sys.modules.values():\n"
        "    names = vars(module)\n"
        "    result += [names.get('__file__'), names.get('__cached__'), names.get('__spec__')]\n"
        "    result += names.get('__path__', [])\n"
        "result = [one for one in result if one]"
    )
    assert await cell.run(code) == []


async def test_imports_are_from_memory_and_c_is_not_among_them(cell) -> None:
    """What was imported before can be; the way to call C, and what is on disk only, cannot."""
    tried = "def tried(name):\n    try: return __import__(name).__name__\n"
    tried += "    except ImportError: return None\n"
    names = (
        "'ctypes', '_ctypes', 'ctypes.util', 'wave', 'json', 'executor.isolate.calls', '_signal'"
    )
    assert await cell.run(f"{tried}result = [tried(name) for name in ({names})]") == [
        *(None, None, None, None),
        *("json", "executor", "_signal"),
    ]


async def test_an_isolate_is_nobody_of_this_world(cell) -> None:
    """From outside: no capability, a user that nobody else is, filtered, no new privileges."""
    status = _status(cell.isolate.pid)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert status["Threads"] == "1"
    assert len(status["NSpid"].split()) == len(_status("self")["NSpid"].split()) + 1
    (user,) = {*status["Uid"].split(), *status["Gid"].split()}
    if os.geteuid() == 0:
        assert IDS[0] < int(user) <= IDS[1]
        assert await cell.run("result = os.getuid()") == int(user) % users.BLOCK
    else:
        assert int(user) == os.geteuid()
        assert await cell.run("result = os.getuid()") == 65534


def _status(pid: int | str) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into an isolate's namespaces")
async def test_an_isolate_shares_no_namespace_and_sees_an_empty_root(cell) -> None:
    """Each namespace is another than ours, and its root holds nothing, read-only."""
    theirs, ours = _namespaces(cell.isolate.pid), _namespaces("self")
    assert [name for name in NAMESPACES if theirs[name] == ours[name]] == []
    entries, mounts = _root(cell.isolate.pid)
    assert entries == []
    assert [line.split()[1] for line in mounts] == ["/"]
    assert "ro" in mounts[0].split()[3].split(",")


def _namespaces(pid: int | str) -> dict[str, Path]:
    return {name: Path(f"/proc/{pid}/ns/{name}").readlink() for name in NAMESPACES}


def _root(pid: int) -> tuple[list[Path], list[str]]:
    entries = list(Path(f"/proc/{pid}/root").iterdir())
    return entries, Path(f"/proc/{pid}/mounts").read_text().splitlines()


async def test_two_isolates_do_not_draw_the_same_random_numbers(zygote) -> None:
    """Siblings forked from one warm process are seeded anew."""
    cells = [Native(await zygote.fork(MEMORY_BYTES)) for _ in range(2)]
    code = "import random; result = [random.getrandbits(64), os.urandom(8)]"
    first, second = [await one.run(code) for one in cells]
    assert first[0] != second[0]
    assert first[1] != second[1]
    for one in cells:
        one.isolate.kill()
