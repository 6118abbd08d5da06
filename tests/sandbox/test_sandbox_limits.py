"""CPU, memory and stack of an isolate, and how its end is told apart."""

import asyncio
import os
import signal
import sys

import pytest
from sandbox_rig import CEILING_BYTES, MEMORY_BYTES, Native, Raised, start_zygote

from cloister.settings import MIB
from executor.cell import Death, IsolateDied
from executor.isolate.frames import Chunk, Invoke
from executor.sandbox.priority import NICE, NICE_BUSY

pytestmark = pytest.mark.asyncio(loop_scope="module")

NS_PER_MS = 1_000_000


async def test_memory_up_to_the_limit_can_be_had_and_no_more(cell) -> None:
    """Most of 64 MiB can be allocated; 64 MiB more is a MemoryError, and the isolate lives."""
    assert await cell.run(f"a = bytearray({50 * MIB}); result = 7") == 7
    with pytest.raises(Raised, match="MemoryError"):
        await cell.run(f"b = bytearray({20 * MIB})")
    assert await cell.run("del a; result = 7") == 7
    assert await cell.run(f"b = bytearray({50 * MIB}); result = 7") == 7


async def test_many_small_objects_meet_the_same_limit(cell) -> None:
    """The limit holds for the interpreter's own heap as for large blocks."""
    with pytest.raises(Raised, match="MemoryError"):
        await cell.run("def fill(a):\n    while True: a.append([0] * 1000)\nfill([])")
    assert await cell.run("result = 7") == 7


async def test_mapped_memory_meets_the_same_limit(cell) -> None:
    """Memory mapped directly, shared or private, counts as well."""
    for kind in ("mmap.MAP_SHARED", "mmap.MAP_PRIVATE"):
        flags = f"{kind} | mmap.MAP_ANONYMOUS"
        code = f"try:\n    mmap.mmap(-1, {80 * MIB}, {flags})\nexcept OSError as exc:\n"
        assert await cell.run(f"{code}    result = exc.errno") == 12


async def test_the_limit_can_be_moved_up_to_the_ceiling(cell) -> None:
    """The executor sets an isolate's memory after its fork: more, or less."""
    await cell.isolate.set_memory(200 * MIB)
    assert await cell.run(f"a = bytearray({150 * MIB}); result = 7") == 7
    await cell.run("del a")
    await cell.isolate.set_memory(32 * MIB)
    with pytest.raises(Raised, match="MemoryError"):
        await cell.run(f"a = bytearray({40 * MIB})")


RAISES = {
    "setrlimit of Python": "import resource; soft, hard = resource.getrlimit(resource.RLIMIT_AS)\n"
    "resource.setrlimit(resource.RLIMIT_AS, (hard, hard))",
    "prlimit of Python": "import resource; soft, hard = resource.getrlimit(resource.RLIMIT_AS)\n"
    "resource.prlimit(0, resource.RLIMIT_AS, (hard, hard))",
    "prlimit of itself by number": "import resource\n"
    "resource.prlimit(os.getpid(), resource.RLIMIT_AS, (-1, -1))",
    "prlimit of the zygote": "import resource; resource.prlimit(1, resource.RLIMIT_AS, (-1, -1))",
}


@pytest.mark.parametrize("code", RAISES.values(), ids=RAISES.keys())
async def test_an_isolate_cannot_raise_its_own_memory(cell, code) -> None:
    """The ceiling is far above, for the zygote to move the limit; the isolate has no call to."""
    read = "import resource; result = list(resource.getrlimit(resource.RLIMIT_AS))"
    soft, hard = await cell.run(read)
    assert hard - soft >= CEILING_BYTES - MEMORY_BYTES
    with pytest.raises(Raised, match=r"PermissionError|not allowed to raise"):
        await cell.run(code)
    assert await cell.run(read) == [soft, hard]
    with pytest.raises(Raised, match="MemoryError"):
        await cell.run(f"a = bytearray({MEMORY_BYTES + 10 * MIB})")
    await cell.isolate.set_memory(2 * MEMORY_BYTES)  # the twin: the executor has
    assert await cell.run(f"a = bytearray({MEMORY_BYTES + 10 * MIB}); result = 7") == 7


async def test_the_old_call_for_limits_is_the_end(cell) -> None:
    """setrlimit(2), which libc does not use any more."""
    number = {"x86_64": 160, "aarch64": 164}[os.uname().machine]
    died = await cell.death(f"syscall({number}, 9, bytes(16))")
    assert died.death is Death.REFUSED_CALL


async def test_the_peak_is_seen_from_outside(cell) -> None:
    """What the tenant held at most is known, alive or dead, without what each isolate has."""
    assert cell.isolate.peak_kb() < 8 * 1024
    await cell.run(f"a = bytearray({40 * MIB}); del a")
    assert 40 * 1024 <= cell.isolate.peak_kb() < 48 * 1024
    cell.isolate.kill()
    await cell.isolate.closed.wait()
    assert 40 * 1024 <= cell.isolate.peak_kb() < 48 * 1024


async def test_what_gets_past_the_limit_is_noticed() -> None:
    """Without the rlimit, the look at resident memory finds the excess: the backstop works."""
    zygote = await start_zygote(without=["memory"])
    native = Native(await zygote.fork(MEMORY_BYTES))
    assert not native.isolate.exceeds_memory()
    await native.run(f"a = bytearray({MEMORY_BYTES + 40 * MIB})")
    assert native.isolate.exceeds_memory()
    await zygote.close()


BUSY = {
    "Python": "while True: pass",
    "C": "sum(range(10 ** 12))",
    "a regular expression": "import re; re.match('(a*)*b', 'a' * 64)",
    "a long number": "10 ** (10 ** 9)",
}


@pytest.fixture(params=BUSY.values(), ids=BUSY.keys())
def busy(request) -> str:
    return request.param


async def test_cpu_time_is_read_from_outside_and_the_kill_works(cell, busy) -> None:
    """The clock runs while the isolate is busy, in C as in Python; a kill ends it there."""
    assert await cell.run("import re; result = 6 * 7") == 42
    before = cell.isolate.cpu_ns()
    await cell.isolate.send(Invoke(url=busy))
    async with asyncio.timeout(20):
        while cell.isolate.cpu_ns() - before < 30 * NS_PER_MS:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0)
    cell.isolate.kill("cpu")
    with pytest.raises(IsolateDied) as died:
        await cell.isolate.receive()
    assert died.value.death is Death.KILLED
    assert died.value.reason == "cpu"
    assert cell.isolate.cpu_ns() - before >= 30 * NS_PER_MS


def may_come_back() -> bool:
    """Whether we may give a process a better place: try it on one of ours."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, NICE_BUSY)
            os.setpriority(os.PRIO_PROCESS, 0, NICE)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


async def test_a_busy_isolate_makes_way_and_comes_back(cell, zygote) -> None:
    """It is behind the zygote from the start, behind other isolates while it is said to be busy,
    and in no case ahead again of what it began with."""
    pid = cell.isolate.pid
    assert os.getpriority(os.PRIO_PROCESS, pid) == NICE
    assert os.getpriority(os.PRIO_PROCESS, zygote._process.pid) < NICE
    for is_busy, nice in ((True, NICE_BUSY), (False, NICE if may_come_back() else NICE_BUSY)):
        cell.isolate.make_way(is_busy=is_busy)
        assert os.getpriority(os.PRIO_PROCESS, pid) == nice
    assert await cell.run("result = 6 * 7") == 42


async def test_isolates_share_a_session_that_is_not_ours(cell, zygote) -> None:
    """Where the kernel schedules session by session, all of them together count as one; each has
    a process group of its own."""
    other = await zygote.fork(MEMORY_BYTES)
    pids = (cell.isolate.pid, other.pid)
    assert os.getsid(pids[0]) == os.getsid(pids[1]) != os.getsid(0)
    assert [os.getpgid(pid) for pid in pids] == list(pids)
    other.kill()


async def test_waiting_costs_no_cpu_time(cell) -> None:
    """The twin: an isolate that waits uses next to nothing."""
    before = cell.isolate.cpu_ns()
    await cell.run("import time; time.sleep(0.2)")
    assert cell.isolate.cpu_ns() - before < 100 * NS_PER_MS


async def test_a_stack_that_overflows_in_c_is_a_fault(cell) -> None:
    """The stack is bounded: endless recursion through C ends that isolate only.

    Newer Pythons count recursion in C apart; they may stop it before the stack is used up, or not.
    """
    code = "import sys; sys.setrecursionlimit(10 ** 9)\nf = lambda x: sorted([0], key=f)\nf(0)"
    try:
        died: IsolateDied | Raised = await cell.death(code)
    except Raised as stopped:
        died = stopped
    if sys.version_info >= (3, 12) and isinstance(died, Raised):
        assert str(died).startswith("RecursionError")
    else:
        assert died.death is Death.FAULT


async def test_an_exit_is_an_exit(cell) -> None:
    """An isolate that ends by itself is told from one that was killed."""
    died = await cell.death("os._exit(7)")
    assert (died.death, died.code) == (Death.EXITED, 7)


async def test_a_kill_by_someone_else_is_not_ours(cell) -> None:
    """SIGKILL that the executor did not send: the machine's memory ran out, say."""
    os.kill(cell.isolate.pid, signal.SIGKILL)
    with pytest.raises(IsolateDied) as died:
        await cell.isolate.receive()
    assert died.value.death is Death.KERNEL


MALFORMED = {
    "not msgpack": "bytes([0, 0, 0, 1, 0xc1])",
    "not a frame": "bytes([0, 0, 0, 1, 0x2a])",
    "too long": "(100 << 20).to_bytes(4, 'big')",
    "deeply nested": "(200000).to_bytes(4, 'big') + b'\\x91' * 200000",
    "a load, which only the executor sends": "bytes([0, 0, 0, 11]) + b'\\x81\\xa4type\\xa4load'",
}


@pytest.mark.parametrize("words", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_frame_ends_the_isolate(cell, words) -> None:
    """What is no frame is not read on from: the isolate is killed."""
    died = await cell.death(f"sock.sendall({words}); import time; time.sleep(60)")
    assert died.death is Death.KILLED
    assert "protocol" in died.reason


async def test_an_isolate_that_shuts_its_door_is_killed(cell) -> None:
    """A process that goes on without its door has no business: it does not stay."""
    died = await cell.death("sock.shutdown(socket.SHUT_RDWR)\nwhile True: pass")
    assert (died.death, died.reason) == (Death.KILLED, "closed its door")


async def test_an_isolate_that_floods_is_held_back(cell) -> None:
    """Frames nobody asks for are not gathered without bound: the isolate's own send waits."""
    flood = (
        "from executor.isolate.frames import Chunk\nwhile True: door.send(Chunk(data=bytes(9999)))"
    )
    await cell.isolate.send(Invoke(url=flood))
    first = await cell.isolate.receive()
    assert isinstance(first, Chunk)
    stalled = 0
    async with asyncio.timeout(20):
        before = -1
        while stalled < 100:
            now = cell.isolate.cpu_ns()
            stalled = stalled + 1 if now == before else 0
            before = now
            await asyncio.sleep(0.001)
    assert isinstance(await cell.isolate.receive(), Chunk)
