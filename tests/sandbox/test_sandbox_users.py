"""A user for each isolate: what user numbers alone keep from it, and that no two have one."""

import os
import select
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from sandbox_rig import IDS, MEMORY_BYTES, Native, start_zygote, zygote_command

from cloister.errors import NotReady, SettingInvalid
from cloister.settings import Settings
from executor.isolate.frames import Invoke
from executor.sandbox.users import BLOCK, pick
from executor.zygotes import Zygote

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to give out users"),
]

NO_OTHER_LAYER = ("seccomp", "landlock", "dumpable", "mount", "rlimits")
"""With these gone, an isolate can make every system call and open every file of its user's."""

BE_DUMPABLE = "assert libc.prctl(4, 1, 0, 0, 0) == 0"
"""Else the change of user alone would keep others out of a process, its own files included."""


@dataclass(frozen=True)
class Pair:
    """Two isolates of one zygote. Pids are as the first one sees them; ``host``, as we do."""

    one: Native
    pids: dict[str, int]
    host: dict[str, int]

    async def attempt(self, code: str, target: str) -> str:
        """What comes of it: done, or the exception's name."""
        names = f"pid, host = {self.pids[target]}, {self.host[target]}"
        return await self.one.run(
            f"{CHECK}\n{names}\ntry:\n    {code}\n    result = 'done'\n"
            "except Exception as exc:\n    result = type(exc).__name__"
        )


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def user(pid: int) -> int:
    """The one user and group that a process is, on the host."""
    (number,) = {*status(pid)["Uid"].split(), *status(pid)["Gid"].split()}
    assert status(pid)["Groups"].split() == []
    return int(number)


async def make_pair(zygote: Zygote) -> Pair:
    one, other = [Native(await zygote.fork(MEMORY_BYTES)) for _ in range(2)]
    pids = [await cell.run(f"{BE_DUMPABLE}; result = os.getpid()") for cell in (one, other)]
    first = int(status(one.isolate.pid)["PPid"])
    return Pair(
        one,
        {"itself": pids[0], "sibling": pids[1], "zygote": 1},
        {"itself": one.isolate.pid, "sibling": other.isolate.pid, "zygote": first},
    )


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pair() -> AsyncIterator[Pair]:
    """Isolates that nothing but their users keeps apart."""
    zygote = await start_zygote(without=NO_OTHER_LAYER)
    yield await make_pair(zygote)
    await zygote.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def same() -> AsyncIterator[Pair]:
    """Isolates that nothing keeps apart: all are one user."""
    zygote = await start_zygote(without=(*NO_OTHER_LAYER, "ids"))
    yield await make_pair(zygote)
    await zygote.close()


CHECK = """
import fcntl, resource, signal
arm = os.uname().machine != 'x86_64'
page = ctypes.create_string_buffer(8)
iov = struct.pack('=QQ', ctypes.addressof(page), 8)
nowhere = struct.pack('=QQ', 8, 8)
def check(answer):
    if answer < 0:
        number = -answer if answer != -1 else ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
"""

ATTACHES = "check(syscall(117 if arm else 101, 16, pid, 0, 0)); os.waitpid(pid, 0x40000000); " + (
    "check(syscall(117 if arm else 101, 17, pid, 0, 0))"
)

ATTEMPTS = {
    "a signal": "os.kill(pid, 28)",
    "a signal to a thread": "check(syscall(131 if arm else 234, pid, pid, 28))",
    "a signal through a descriptor": "signal.pidfd_send_signal(os.pidfd_open(pid), 28)",
    "its limits": "resource.prlimit(pid, resource.RLIMIT_AS)",
    "a change of its limits": "resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))",
    "its priority": "os.setpriority(os.PRIO_PROCESS, pid, 19)",
    "its processors": "os.sched_setaffinity(pid, os.sched_getaffinity(0))",
    "a read of its memory": "check(syscall(270 if arm else 310, pid, iov, 1, iov, 1, 0))",
    # Who may write is told that nothing is there: no process is to be harmed.
    "a write to its memory": "answer = syscall(271 if arm else 311, pid, iov, 1, nowhere, 1, 0); "
    "check(0 if answer == -errno.EFAULT else answer)",
    "its door": "os.close(check(syscall(438, os.pidfd_open(pid), 3, 0)))",
    "a comparison with it": "check(syscall(272 if arm else 312, pid, pid, 0, 3, 3))",
    "its memory as a file": "open(f'/proc/{host}/mem', 'rb+').close()",
    "its map of memory": "open(f'/proc/{host}/maps').read()",
    "its environment": "open(f'/proc/{host}/environ').read()",
    "its list of descriptors": "os.readlink(f'/proc/{host}/fd/3')",
    "its root": "os.listdir(f'/proc/{host}/root')",
}


@pytest.mark.parametrize("target", ["zygote", "sibling"])
@pytest.mark.parametrize("code", [*ATTEMPTS.values(), ATTACHES], ids=[*ATTEMPTS, "tracing it"])
async def test_users_alone_keep_an_isolate_from_others(pair, code, target) -> None:
    """Nothing else stands in its way: no filter, no Landlock, dumpable, with a view of /proc."""
    assert await pair.attempt(code, target) == "PermissionError"


@pytest.mark.parametrize("code", ATTEMPTS.values(), ids=ATTEMPTS.keys())
async def test_an_isolate_may_do_so_to_itself(pair, code) -> None:
    """The same calls work on its own process: they are not refused for what they are."""
    assert await pair.attempt(code, "itself") == "done"


@pytest.mark.parametrize("code", [*ATTEMPTS.values(), ATTACHES], ids=[*ATTEMPTS, "tracing it"])
async def test_as_one_user_they_would_reach_each_other(same, code) -> None:
    """It is the user numbers that refuse: where all are one, each attempt succeeds."""
    assert await same.attempt(code, "sibling") == "done"


async def test_no_way_back_to_another_user(pair) -> None:
    """Neither to the zygote's, nor a sibling's, nor root; its own it may become again."""
    assert await pair.one.run("os.setresuid(-1, os.getuid(), -1); result = 7") == 7
    for name in ("setuid", "setgid", "seteuid", "setegid"):
        for number in (0, 65534, pair.host["sibling"] % BLOCK, 1, BLOCK - 1):
            assert await pair.attempt(f"os.{name}({number})", "itself") in {
                "PermissionError",
                "OSError",
            }
    assert await pair.attempt("os.setgroups([1])", "itself") == "PermissionError"


async def test_no_two_living_ones_are_one_user(zygote) -> None:
    """Isolates, their zygote, and those of another zygote: all are different, in ids that nobody
    else has."""
    other = await start_zygote()
    isolates = [await one.fork(MEMORY_BYTES) for one in [zygote] * 8 + [other] * 2]
    firsts = {int(status(isolate.pid)["PPid"]) for isolate in isolates}
    assert len(firsts) == 2
    ids = [user(pid) for pid in (*firsts, *(isolate.pid for isolate in isolates))]
    assert len(set(ids)) == len(ids) == 12
    assert len({number // BLOCK for number in ids}) == 2
    assert all(IDS[0] <= number <= IDS[1] for number in ids)
    for isolate in isolates:
        isolate.kill()
    await other.close()


async def test_a_zygote_keeps_what_it_needs_over_its_isolates_and_no_more(cell) -> None:
    """To kill, to change group and user, to set limits: in its own user namespace, and not for a
    program that it might run."""
    first = status(int(status(cell.isolate.pid)["PPid"]))
    for name in ("CapPrm", "CapEff"):
        assert int(first[name], 16) == 1 << 5 | 1 << 6 | 1 << 7 | 1 << 24
    for name in ("CapInh", "CapBnd", "CapAmb"):
        assert int(first[name], 16) == 0


async def test_isolates_of_other_users_die_with_their_zygote() -> None:
    """Where no namespace of PIDs sees to it, the kernel kills a busy one in the zygote's name."""
    zygote = await start_zygote(without=["pid"])
    isolate = await zygote.fork(MEMORY_BYTES)
    await isolate.send(Invoke(url="while True: pass"))
    process = select.poll()
    process.register(isolate._process, select.POLLIN)
    assert not process.poll(0)
    os.kill(int(status(isolate.pid)["PPid"]), signal.SIGKILL)
    assert process.poll(20_000)
    await zygote.close()


async def test_an_id_is_given_again_when_its_isolate_is_gone_and_not_before() -> None:
    """Of a zygote with two ids to give, the third isolate is refused until one of two ends."""
    zygote = await start_zygote(
        zygote_command("from executor.sandbox import users; users.BLOCK = 3")
    )
    isolates = [await zygote.fork(MEMORY_BYTES) for _ in range(2)]
    for _ in range(3):
        with pytest.raises(NotReady, match="every id"):
            await zygote.fork(MEMORY_BYTES)
        gone = isolates.pop(0)
        freed, kept = user(gone.pid), user(isolates[0].pid)
        gone.kill()
        await gone.closed.wait()
        isolates.append(await zygote.fork(MEMORY_BYTES))
        assert user(isolates[-1].pid) == freed != kept
    await zygote.close()


async def test_an_id_that_is_taken_is_never_picked() -> None:
    """Nor is the zygote's. The last one that is free is found; without one there is a refusal."""
    taken = set(range(1, BLOCK)) - {7, 11}
    assert {pick(taken) for _ in range(100)} <= {7, 11}
    assert pick({*taken, 7}) == 11
    with pytest.raises(OSError, match="every id"):
        pick({*taken, 7, 11})


async def test_an_isolate_that_cannot_become_its_user_runs_nothing() -> None:
    """The kernel refuses an id that is not mapped, and the isolate ends with that."""
    before = "from executor.sandbox import users; users.pick = lambda taken: 5000"
    zygote = await start_zygote(zygote_command(before))
    with pytest.raises(NotReady, match="ids: "):
        await zygote.fork(MEMORY_BYTES)
    assert zygote.isolates == 0
    await zygote.close()


async def test_a_block_is_one_zygote_s_at_a_time() -> None:
    """Where there is one block, a second zygote does not start before the first is gone."""
    command = zygote_command(ids=(BLOCK * 400_000, BLOCK * 400_001 - 1))
    zygote = await start_zygote(command)
    with pytest.raises(NotReady, match=r"ids: .*no block"):
        await start_zygote(command)
    await zygote.close()
    again = await start_zygote(command)
    isolate = await again.fork(MEMORY_BYTES)
    assert user(isolate.pid) // BLOCK == 400_000
    await again.close()


@pytest.mark.parametrize(
    "ids", [(1, BLOCK), (BLOCK + 1, 3 * BLOCK - 2), (0, BLOCK - 1), (2**32 - BLOCK, 2**32)]
)
async def test_a_zygote_without_a_block_does_not_start(ids) -> None:
    """No whole block is among the ids, or only that of root, or they are not all there."""
    with pytest.raises(NotReady, match="ids: "):
        await start_zygote(zygote_command(ids=ids))


@pytest.mark.parametrize("text", ["1000", "0-9999", "9-1", "a-b", "1-4294967295", "1-2-3"])
async def test_what_is_no_range_of_ids_is_refused(text) -> None:
    """The setting takes first and last, without root and without the number that means none."""
    with pytest.raises(SettingInvalid, match="CLOISTER_SANDBOX_IDS"):
        Settings.from_env({"CLOISTER_SANDBOX_IDS": text})
    assert Settings.from_env({"CLOISTER_SANDBOX_IDS": "65536-131071"}).sandbox_ids == (
        65536,
        131071,
    )
