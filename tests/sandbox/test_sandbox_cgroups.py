"""Control groups of isolates.

Most of it is tried on a real hierarchy of version 2, any that lets us make groups; what only the
controllers for memory and processes can show, where a group that has them is delegated to us.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sandbox_rig import Native, Raised, zygote_command

from cloister.errors import NotReady
from cloister.settings import MIB, Settings
from executor import doctor
from executor.cell import Death, Isolate, IsolateDied
from executor.isolates import IsolatePool
from executor.sandbox import cgroups
from executor.sandbox.cgroups import Group, Groups

DEADLINE_S = 20

OTHER_EXECUTOR = """
import sys
from pathlib import Path
from executor.sandbox import cgroups
cgroups.CONTROLLERS, cgroups.bounds = (), lambda memory_bytes: {}
groups = cgroups.Groups.open(Path(sys.argv[1]))
groups.new().take(int(sys.argv[2]), 0)
print(groups._path.name, flush=True)
sys.stdin.read()
"""

FORKS = """
import os, sys
for _ in sys.stdin:
    try:
        print(os.spawnlp(os.P_WAIT, "true", "true"), flush=True)
    except OSError as exc:
        print(exc.errno, flush=True)
"""


@pytest.fixture
def root() -> Iterator[Path]:
    """A marked group of the machine's hierarchy, for one test."""
    try:
        path = cgroups._own_group() / f"cloister-test-{uuid.uuid4().hex}"
        path.mkdir()
        os.setxattr(path, cgroups.MARK, b"1")
    except OSError as exc:
        pytest.skip(f"no control group of version 2 can be made here: {exc}")
    yield path
    for child in path.iterdir():
        if child.is_dir():
            cgroups._remove(child)
    cgroups._remove(path)
    assert not path.exists()


@pytest.fixture
def written(monkeypatch) -> dict[str, str]:
    """What was written to the controllers' files, by group and file; no controller is needed."""
    values: dict[str, str] = {}
    write = cgroups._write

    def absorb(file: Path, value: str) -> None:
        if file.name.startswith(("memory.", "pids.")):
            values[f"{file.parent.name}/{file.name}"] = value
        else:
            write(file, value)

    monkeypatch.setattr(cgroups, "_write", absorb)
    monkeypatch.setattr(cgroups, "CONTROLLERS", ())
    return values


@pytest.fixture
def real() -> Path:
    """The group that is delegated to these tests, with all that Cloister asks of one."""
    try:
        return cgroups.delegated()
    except OSError as exc:
        pytest.skip(f"the kernel's own bounds cannot be tried here: {exc}")


@contextlib.contextmanager
def process(*command: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that waits for its input, unless told otherwise."""
    command = command or (sys.executable, "-c", "import sys; sys.stdin.read()")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def pids(group: Path) -> list[int]:
    return [int(pid) for pid in (group / "cgroup.procs").read_text().split()]


@asynccontextmanager
async def open_pool(monkeypatch, root: Path) -> AsyncIterator[IsolatePool]:
    """A pool of native isolates to which that group is delegated."""
    settings = Settings(blank_isolates=1, sandbox_accept=Settings.from_env().sandbox_accept)
    without = doctor.admit(settings) - {cgroups.FACILITY}
    monkeypatch.setattr(doctor, "admit", lambda _settings: without)
    monkeypatch.setattr(cgroups, "delegated", lambda: root)
    pool = IsolatePool(settings, command=zygote_command())
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


def group_of(isolate: Isolate) -> Path:
    assert isolate._group is not None
    return isolate._group._path


def has_group(isolate: Isolate) -> bool:
    return group_of(isolate).exists()


async def removed(isolate: Isolate) -> None:
    """Wait until an isolate has ended and its group is gone."""
    assert isolate._group is not None
    async with asyncio.timeout(DEADLINE_S):
        await isolate.closed.wait()
        await asyncio.to_thread(isolate._group.remove)  # waits for the one under way
    assert not has_group(isolate)


def test_only_a_marked_group_is_ours(root, monkeypatch) -> None:
    """A group that could be written to is not taken for ours; a marked one is, also from its leaf
    for the platform; and one that cannot bound memory and processes is of no use."""
    monkeypatch.setattr(cgroups, "CONTROLLERS", ())
    for own in (root, root / cgroups.PLATFORM):
        monkeypatch.setattr(cgroups, "_own_group", lambda own=own: own)
        assert cgroups.delegated() == root
    monkeypatch.setattr(cgroups, "CONTROLLERS", ("no-such-controller",))
    with pytest.raises(OSError, match="without: no-such-controller"):
        cgroups.delegated()
    os.removexattr(root, cgroups.MARK)
    with pytest.raises(OSError, match="not delegated"):
        cgroups.delegated()


def test_the_platform_s_processes_make_room(root, written) -> None:
    """Those that are in the delegated group are in its leaf afterwards, whoever opens it next."""
    with process() as one:
        cgroups._write(root / "cgroup.procs", str(one.pid))
        first, second = Groups.open(root), Groups.open(root)
        assert pids(root) == []
        assert pids(root / cgroups.PLATFORM) == [one.pid]
        for groups in (first, second):
            assert groups._path.is_dir()
            groups.close()
            assert not groups._path.exists()


def test_a_process_is_bounded_and_let_go(root, written) -> None:
    """It alone is in its group, whose bounds are written; the group goes when it has ended."""
    groups = Groups.open(root)
    with process() as one:
        group = groups.new()
        group.take(one.pid, 7 * MIB)
        assert pids(group._path) == [one.pid]
        assert written["1/memory.max"] == str(7 * MIB)
        assert written["1/pids.max"] == "1"
        assert written["1/memory.oom.group"] == "1"
        group.bound_memory(9 * MIB)
        assert written["1/memory.max"] == str(9 * MIB)
    group.remove()
    assert not group._path.exists()
    groups.close()


def test_nothing_is_made_for_one_that_is_gone(root, written) -> None:
    """A group that was removed first is not made any more; one for no process is an error."""
    groups = Groups.open(root)
    group = groups.new()
    group.remove()
    group.take(os.getpid(), MIB)
    assert not group._path.exists()
    with process() as one:
        pass
    with pytest.raises(ProcessLookupError):
        groups.new().take(one.pid, MIB)
    groups.close()


def test_what_a_killed_executor_left_is_removed(root, written) -> None:
    """The next one to start ends what runs there, and leaves alone what belongs to a live one."""
    with process() as dead_isolate, process() as live_isolate:
        code = (sys.executable, "-c", OTHER_EXECUTOR, str(root))
        with process(*code, str(live_isolate.pid)) as live:
            assert live.stdout is not None
            living = root / live.stdout.readline().strip()
            with process(*code, str(dead_isolate.pid)) as dead:
                assert dead.stdout is not None
                leftover = root / dead.stdout.readline().strip()
            assert leftover.is_dir()
            groups = Groups.open(root)
            assert not leftover.exists()
            assert dead_isolate.wait(DEADLINE_S) == -signal.SIGKILL
            assert pids(living / "1") == [live_isolate.pid]
            groups.close()


async def test_every_isolate_has_a_group_of_its_own(root, written, monkeypatch) -> None:
    """From before it is lent until it has ended; what it may hold follows what it is allowed; and
    nothing of the pool's is left in the end."""
    async with open_pool(monkeypatch, root) as pool:
        one, other = await pool.blank(), await pool.blank()
        group = group_of(one)
        assert [pids(group_of(isolate)) for isolate in (one, other)] == [[one.pid], [other.pid]]
        before = int(written[f"{group.name}/memory.max"])
        await one.set_memory(one.memory_bytes + 5 * MIB)
        assert int(written[f"{group.name}/memory.max"]) == before + 5 * MIB
        assert await Native(one).run("result = 6 * 7") == 42
        pool.release(one, reuse=False)
        await removed(one)
        assert pids(group_of(other)) == [other.pid]
    assert [path.name for path in root.iterdir() if path.is_dir()] == [cgroups.PLATFORM]


@pytest.mark.parametrize(("ran_out", "death"), [(True, Death.KERNEL), (False, Death.LOST)])
async def test_a_kill_for_want_of_memory_is_told_from_any_other(
    ran_out, death, root, written, monkeypatch
) -> None:
    """Only what the kernel's count confirms is blamed on the tenant's memory."""
    monkeypatch.setattr(Group, "ran_out", ran_out)
    async with open_pool(monkeypatch, root) as pool:
        isolate = await pool.blank()
        os.kill(isolate.pid, signal.SIGKILL)
        with pytest.raises(IsolateDied) as caught:
            await isolate.receive()
        assert caught.value.death is death


async def test_nothing_runs_where_a_group_cannot_be_used(root, written, monkeypatch) -> None:
    """A pool whose delegated group is of no use does not start, and an isolate that cannot be
    bounded is not lent."""
    with pytest.raises(NotReady, match="Control groups are delegated, and cannot be used"):
        async with open_pool(monkeypatch, root / "nowhere"):
            pass
    async with open_pool(monkeypatch, root) as pool:
        monkeypatch.setattr(cgroups, "bounds", lambda _memory_bytes: {"no-such-file": "1"})
        with pytest.raises(NotReady, match="cannot be bounded by a control group"):
            await asyncio.gather(pool.blank(), pool.blank(), pool.blank())


async def test_the_kernel_bounds_an_isolate(real, monkeypatch) -> None:
    """What it may hold is what the kernel lets it hold: an isolate that gets past its other limits
    is killed, which counts as want of memory. Another that holds as much as it may lives."""
    async with open_pool(monkeypatch, real) as pool:
        good, bad = await pool.blank(), await pool.blank()
        for isolate in (good, bad):
            await isolate.set_memory(256 * MIB)
        path = group_of(bad)
        assert int((path / "memory.max").read_text()) > 256 * MIB
        assert (path / "pids.max").read_text() == "1\n"
        swap = path / "memory.swap.max"
        assert not swap.exists() or swap.read_text() == "0\n"
        fill = f"held = bytearray({200 * MIB}); result = 7"
        assert await Native(good).run(fill) == 7
        bad._group.bound_memory(64 * MIB)
        died = await Native(bad).death(fill)
        assert died.death is Death.KERNEL
        await removed(bad)
        with pytest.raises(Raised, match="MemoryError"):
            await Native(good).run(fill.replace("held", "more"))


def test_the_kernel_bounds_processes(real) -> None:
    """A process in a group for an isolate makes no other, and could before."""
    groups = Groups.open(real)
    with process(sys.executable, "-c", FORKS) as one:
        assert one.stdin is not None
        assert one.stdout is not None
        group = groups.new()
        for said in ("0\n", "11\n"):
            one.stdin.write("\n")
            one.stdin.flush()
            assert one.stdout.readline() == said
            if said == "0\n":
                group.take(one.pid, 64 * MIB)
    group.remove()
    groups.close()
