"""The wall around a database's process, as native code in it meets it."""

import os
import platform
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import d1_native
import pytest
import pytest_asyncio
from sandbox_rig import IDS, MISSING

from cloister.errors import NotReady
from executor.databases.process import Process, ProcessDied
from executor.sandbox import database, kernel, seccomp
from executor.sandbox.syscalls import ALLOWED

SECRET = "another tenant's"


def number(x86_64: int, aarch64: int) -> int:
    return x86_64 if platform.machine() == "x86_64" else aarch64


def made(directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    return directory


async def start(directory: Path, *without: str) -> Process:
    made(directory)
    return await Process.start(directory, {*without, *MISSING}, IDS, d1_native.COMMAND)


def uids(process: Process) -> str:
    """Of the process that waits, which is the same user."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return status.partition("Uid:")[2].split()[0]


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A file of another database, beside ours, that anybody may read."""
    path = tmp_path / "other" / "db.sqlite"
    path.parent.mkdir()
    path.write_text(SECRET)
    for one in (path, *path.parents[:4]):
        one.chmod(0o777)
    return path


@pytest_asyncio.fixture
async def process(tmp_path: Path, other: Path) -> AsyncIterator[Process]:
    started = await start(tmp_path / "ours")
    yield started
    await started.kill()


async def test_the_own_database_can_be_read_and_written(process: Process, tmp_path: Path) -> None:
    """The twin of all refusals: the process works, and its files are in its directory."""
    code = (
        "database._connection.execute('CREATE TABLE t (a)')\n"
        "open('/db.sqlite-journal', 'w').write('x')\n"
        "result = [open('/db.sqlite-journal').read(), os.listdir('/') if 0 else os.getcwd()]"
    )
    assert await d1_native.run(process, code) == ["x", "/"]
    assert (tmp_path / "ours" / "db.sqlite-journal").read_text() == "x"


async def test_no_other_file_is_there(process: Process, tmp_path: Path, other: Path) -> None:
    """Not another database's, by no name, and none of the system's: the root is the directory."""
    names = [
        str(other),
        "../other/db.sqlite",
        "/../other/db.sqlite",
        str(tmp_path / "ours"),
        "/ours",
    ]
    for name in [*names, "/etc/passwd", "/proc/self/environ", "/proc/1/root", "/dev/null", "/tmp"]:
        assert "FileNotFoundError" in await d1_native.run(process, f"open({name!r})"), name


async def test_a_link_out_of_the_directory_leads_nowhere(tmp_path: Path, other: Path) -> None:
    """One that somebody left there is followed within the own root only."""
    ours = tmp_path / "ours"
    ours.mkdir()
    (ours / "export.sql").symlink_to(other)
    process = await start(ours)
    assert "FileNotFoundError" in await d1_native.run(process, "open('/export.sql')")
    await process.kill()


async def test_landlock_holds_without_the_filter(tmp_path: Path, other: Path) -> None:
    """Plain files can be made, and nothing else, whatever becomes of the system call filter."""
    process = await start(tmp_path / "ours", "seccomp")
    assert await d1_native.run(process, "open('/x', 'w').write('y'); result = 6 * 7") == 42
    for code in ("os.mkdir('/d')", "os.symlink('a', '/s')", "os.mkfifo('/f')"):
        assert "PermissionError" in await d1_native.run(process, code), code
    assert "PermissionError" in await d1_native.run(process, "os.execv('/x', ['x'])")
    await process.kill()


ENDS = {
    "socket": "socket.socket()",
    "socketpair": "socket.socketpair()",
    "exec": "os.execv('/db.sqlite', ['x'])",
    "kill": "os.kill(1, 0)",
    "mkdir": "os.mkdir('/d')",
    "symlink": "os.symlink('/etc/passwd', '/s')",
    "link": "os.link('/db.sqlite', '/l')",
    "rename": "os.rename('/db.sqlite', '/r')",
    "chmod": "os.chmod('/db.sqlite', 0o777)",
    "mknod": "os.mknod('/n')",
    "chroot": "os.chroot('/')",
    "mount": f"ctypes.CDLL(None).syscall({number(165, 40)}, b'x', b'/', b'tmpfs', 0, 0)",
    "ptrace": f"ctypes.CDLL(None).syscall({number(101, 117)}, 0, 0, 0, 0)",
    "memfd": "os.memfd_create('x')",
    "an address asked of the door": "socket.socket(fileno=3)",
    "duplicate": "os.dup2(3, 9)",
    "code written": "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
    "io_uring": "ctypes.CDLL(None).syscall(425, 1, bytes(120))",
}


@pytest.mark.parametrize("code", ENDS.values(), ids=ENDS.keys())
async def test_a_dangerous_call_ends_the_process(process: Process, code: str) -> None:
    """The kernel kills it at the call, and another follows; the files stay."""
    assert await d1_native.run(process, "import mmap; result = 6 * 7") == 42
    with pytest.raises(ProcessDied) as died:
        await d1_native.run(process, code)
    assert died.value.code == 128 + signal.SIGSYS


async def test_nothing_is_started(process: Process) -> None:
    """No process and no thread, as an error that ordinary code survives."""
    assert "PermissionError" in await d1_native.run(process, "os.fork()")
    code = "import threading; threading.Thread(target=print).start()"
    assert "RuntimeError" in await d1_native.run(process, code)


async def test_memory_and_files_are_bounded(process: Process) -> None:
    """An allocation beyond the limit fails inside, as does growth of a file; less of both works."""
    assert await d1_native.run(process, "result = len(bytearray(1 << 26))") == 1 << 26
    assert "MemoryError" in await d1_native.run(process, "bytearray(1 << 30)")
    grow = "f = os.open('/import.sql', os.O_RDWR | os.O_CREAT); result = os.ftruncate(f, {}) or 1"
    assert await d1_native.run(process, grow.format(1 << 30)) == 1
    assert "Errno 27" in await d1_native.run(process, grow.format(1 << 40))


async def test_it_holds_the_door_and_its_files_only(process: Process) -> None:
    """Whatever else it was started with is closed; what is below the door is the null device."""
    code = (
        "import stat\n"
        "kinds = {}\n"
        "for one in range(64):\n"
        "    try: kinds[one] = stat.S_IFMT(os.fstat(one).st_mode)\n"
        "    except OSError: pass\n"
        "result = [[one for one, kind in kinds.items() if kind == wanted] for wanted in\n"
        "          (stat.S_IFCHR, stat.S_IFSOCK, stat.S_IFREG)] + [len(kinds)]"
    )
    null, door, files, count = await d1_native.run(process, code)
    assert (null, door) == ([0, 1, 2], [3])
    assert count == 4 + len(files)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has users to give")
async def test_each_is_a_user_of_its_own(tmp_path: Path) -> None:
    """No two are the same user to the kernel, and the files are that user's."""
    one, two = await start(tmp_path / "one"), await start(tmp_path / "two")
    users = [(tmp_path / name / "db.sqlite").stat().st_uid for name in ("one", "two")]
    assert len({*users, 0, os.getuid()}) == 3
    assert [str(user) for user in users] == [uids(one), uids(two)]
    assert await d1_native.run(one, "result = [os.getuid(), os.getpid()]") == [65534, 1]
    await one.kill()
    await two.kill()


async def test_a_wall_with_a_hole_opens_nothing(tmp_path: Path) -> None:
    """If a step cannot be taken, the process ends and names it; no database was touched."""
    before = "from executor.sandbox import landlock\nlandlock.version = lambda: 1 / 0\n"
    command = (*d1_native.COMMAND[:3], before + d1_native.COMMAND[3])
    with pytest.raises(NotReady, match="landlock"):
        await Process.start(tmp_path, MISSING, IDS, command)
    assert not any(os.scandir(tmp_path))


async def test_the_root_is_never_done_without(tmp_path: Path) -> None:
    """What an operator accepts for isolates, which have no file, is not accepted here."""
    process = await start(tmp_path / "ours", "mount")
    assert "FileNotFoundError" in await d1_native.run(process, "open('/etc/passwd')")
    await process.kill()


def test_the_table_adds_files_to_an_isolates_calls_and_takes_none_away() -> None:
    """No name is in two lines, each has its number on both machines, and the filter assembles."""
    names = [one.name for one in (*database.CALLS.allowed, *database.CALLS.refused)]
    assert len(names) == len({*names})
    assert {*names} == {*database.CALLS.numbers}
    assert {one.name for one in ALLOWED} < {one.name for one in database.CALLS.allowed}
    for machine in kernel._MACHINES.values():
        assert seccomp.program(machine, database.CALLS) != seccomp.program(machine)
