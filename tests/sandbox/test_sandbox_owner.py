"""A zygote's owner that dies, and an owner that is not root."""

import json
import os
import select
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NOBODY = 65534
DEADLINE_MS = 20_000


NAMESPACES = "user,mount,pid,net,ipc,uts,cgroup,nesting"


def start(python: str, without: str = "", **options) -> subprocess.Popen:
    paths = [str(ROOT), sysconfig.get_path("purelib")]
    return subprocess.Popen(
        [python, "-B", str(HERE / "owner.py"), without, *paths],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
        **options,
    )


def caller(owner: subprocess.Popen):
    """What runs code in the first isolate of an owner."""

    def run(code: str):
        owner.stdin.write(json.dumps(code) + "\n")
        owner.stdin.flush()
        return json.loads(owner.stdout.readline())

    return run


def ends(process: int) -> bool:
    """Whether the process of this pidfd is gone before the deadline."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(DEADLINE_MS))


def alive(process: int) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return not poll.poll(0)


def test_no_namespace_is_not_no_wall():
    """Where the operator does without namespaces, the rest holds: nobody, no file, no call."""
    with start(sys.executable, NAMESPACES) as owner:
        started = json.loads(owner.stdout.readline())
        run = caller(owner)
        assert run("result = 6 * 7") == 42
        assert run("open('/etc/passwd')") == "PermissionError"
        status = Path(f"/proc/{started['pids'][1]}/status").read_text()
        assert f"\nUid:\t{os.geteuid() or NOBODY}\t" in status
        assert "\nCapEff:\t0000000000000000\n" in status
        owner.stdin.close()
        assert json.loads(owner.stdout.readline()) > 0
        assert owner.wait(20) == 0


@pytest.mark.parametrize(
    "without", ["", "pid", NAMESPACES], ids=["with namespaces", "one world of pids", "without"]
)
def test_no_process_outlives_a_killed_owner(without):
    """kill -9 of the executor takes its zygote and every isolate along."""
    with start(sys.executable, without) as owner:
        pids = json.loads(owner.stdout.readline())["pids"]
        processes = [os.pidfd_open(pid) for pid in pids]
        assert all(alive(process) for process in processes)
        owner.kill()
        assert all(ends(process) for process in processes)
        for process in processes:
            os.close(process)


@pytest.fixture
def python_for_nobody() -> Iterator[str]:
    """An interpreter of our version that an ordinary user may run: a copy, if ours is hidden."""
    if may_run(sys.executable):
        yield sys.executable
        return
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    with tempfile.TemporaryDirectory() as directory:
        copy, ours = Path(directory), Path(sys.base_prefix)
        copy.chmod(0o755)
        left_out = shutil.ignore_patterns("test", "site-packages", "config-*", "__pycache__")
        shutil.copytree(ours / "lib" / name, copy / "lib" / name, ignore=left_out)
        for library in (ours / "lib").glob("libpython*.so*"):
            shutil.copy(library, copy / "lib")
        # Where it looks for that library stands in the binary.
        place = f"{ours / 'lib'}\0".encode()
        binary = (ours / "bin" / name).read_bytes()
        python = copy / "bin" / name
        python.parent.mkdir()
        python.write_bytes(binary.replace(place, b"$ORIGIN/../lib".ljust(len(place), b"\0")))
        python.chmod(0o755)
        yield str(python)


def may_run(python: str) -> bool:
    """Whether an ordinary user may, and read our files with it."""
    command = [python, "-c", f"import sys; open({str(HERE / 'owner.py')!r})"]
    try:
        return not subprocess.run(
            command, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", capture_output=True
        ).returncode
    except OSError:
        return False


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test ran as an ordinary user already")
def test_an_ordinary_user_has_the_same_wall(python_for_nobody):
    """Without root, nothing of the sandbox is missing but users of their own, which the doctor
    says, and its isolates are as enclosed."""
    with start(python_for_nobody, user=NOBODY, group=NOBODY, extra_groups=[], env={}) as owner:
        started = json.loads(owner.stdout.readline())
        assert set(started["lacking"]) <= {"cgroup2", "ids"}
        assert started["lacking"]["ids"].startswith("all are one: ")
        run = caller(owner)
        assert run("result = 6 * 7") == 42
        assert run("open('/etc/passwd')") == "PermissionError"
        assert run("result = [os.getuid(), os.getpid() < 100]") == [NOBODY, True]
        assert run("a = bytearray(80 << 20)") == "MemoryError"
        status = Path(f"/proc/{started['pids'][1]}/status").read_text()
        assert f"\nUid:\t{NOBODY}\t" in status
        assert "\nSeccomp:\t2\n" in status
        assert "\nNoNewPrivs:\t1\n" in status
        assert "\nCapEff:\t0000000000000000\n" in status
        assert list(Path(f"/proc/{started['pids'][1]}/root").iterdir()) == []
        owner.stdin.close()
        assert json.loads(owner.stdout.readline()) > 0
        assert owner.wait(20) == 0
