"""The pool: whose isolates, how many, and what comes after a failure."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager

import pytest
from sandbox_rig import Native, zygote_command

from cloister.errors import NotReady
from cloister.settings import MIB, Settings
from executor import isolates
from executor.cell import Death, IsolateDied
from executor.isolate.frames import Done, Invoke, Load, Loaded
from executor.isolates import IsolatePool

DEADLINE_S = 20


@asynccontextmanager
async def open_pool(command=None, **values):
    values = {"blank_isolates": 1, "warm_isolates": 4} | values
    pool = IsolatePool(Settings(**values), command=command or zygote_command())
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


async def load() -> Load:
    return Load(main="main", modules={}, memory_bytes=32 * MIB)


async def borrow(pool, key):
    """Borrow, and do what the borrower of a fresh isolate must do."""
    isolate = await pool.borrow(key, load)
    if not isolate.is_loaded:
        assert isinstance(await isolate.receive(), Loaded)
        isolate.is_loaded = True
    return isolate


async def gone(isolate) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await isolate.closed.wait()


async def test_a_released_isolate_serves_its_key_again() -> None:
    """The same process comes back, still holding what it had."""
    async with open_pool() as pool:
        first = await borrow(pool, "a")
        await Native(first).run("kept = 7")
        pool.release(first, reuse=True)
        second = await borrow(pool, "a")
        assert second is first
        assert await Native(second).run("result = kept") == 7


async def test_the_last_one_back_is_the_first_to_serve() -> None:
    """Of several warm isolates the one used last is taken: the others can grow old."""
    async with open_pool() as pool:
        first, second = await borrow(pool, "a"), await borrow(pool, "a")
        assert first is not second
        pool.release(second, reuse=True)
        pool.release(first, reuse=True)
        assert await borrow(pool, "a") is first


async def test_no_isolate_ever_serves_two_keys() -> None:
    """Another key gets another process, whatever is idle."""
    async with open_pool() as pool:
        seen = {}
        for _ in range(3):
            for key in "abcd":
                isolate = await borrow(pool, key)
                assert seen.setdefault(isolate.pid, key) == key
                pool.release(isolate, reuse=True)
        assert len(seen) == 4


async def test_load_says_how_much_memory_there_is() -> None:
    """The limit in Load holds before any of the tenant's code is sent."""
    async with open_pool() as pool:
        isolate = await borrow(pool, "a")
        assert isolate.memory_bytes == 32 * MIB
        with pytest.raises(Exception, match="MemoryError"):
            await Native(isolate).run(f"a = bytearray({40 * MIB})")


async def test_what_is_not_to_be_reused_ends() -> None:
    """An isolate given back without reuse is killed, and so is one that was never loaded."""
    async with open_pool() as pool:
        isolate = await borrow(pool, "a")
        pool.release(isolate, reuse=False)
        await gone(isolate)
        blank = await pool.blank()
        pool.release(blank, reuse=True)
        await gone(blank)


async def test_the_least_recently_used_is_evicted() -> None:
    """Over the number of warm isolates, the one that waited longest ends."""
    async with open_pool(warm_isolates=2) as pool:
        held = [await borrow(pool, key) for key in "abc"]
        for isolate in held:
            pool.release(isolate, reuse=True)
        await gone(held[0])
        assert await borrow(pool, "c") is held[2]
        assert await borrow(pool, "b") is held[1]


async def test_an_idle_isolate_expires() -> None:
    """One that nobody asked for in so many seconds ends."""
    async with open_pool(isolate_idle_s=0) as pool:
        isolate = await borrow(pool, "a")
        pool.release(isolate, reuse=True)
        await gone(isolate)
        assert (await borrow(pool, "a")) is not isolate


async def test_an_isolate_that_speaks_while_idle_is_not_used_again() -> None:
    """What arrived from it since its invocation's end is never read as the next one's answer."""
    async with open_pool() as pool:
        isolate = await borrow(pool, "a")
        code = "import executor.isolate.frames as f; door.send(f.Done()); door.send(f.Done())"
        await isolate.send(Invoke(url=code))
        assert isinstance(await isolate.receive(), Done)
        pool.release(isolate, reuse=True)
        async with asyncio.timeout(DEADLINE_S):
            while isolate.is_quiet:  # noqa: ASYNC110 - nobody reads an idle door, so nobody announces it
                await asyncio.sleep(0.001)
        other = await borrow(pool, "a")
        assert other is not isolate
        await gone(isolate)


async def test_blank_isolates_are_made_again() -> None:
    """Taken ones are replaced in the background, dead ones too."""
    async with open_pool(blank_isolates=2) as pool:
        taken = [await pool.blank() for _ in range(5)]
        assert len({isolate.pid for isolate in taken}) == 5
        async with asyncio.timeout(DEADLINE_S):
            while len(pool._blank) < 2:  # noqa: ASYNC110 - the pool announces no such event
                await asyncio.sleep(0)
        victim = pool._blank[0]
        os.kill(victim.pid, signal.SIGKILL)
        await gone(victim)
        assert (await pool.blank()) is not victim


async def test_a_dead_zygote_is_followed_by_another() -> None:
    """When the zygote is killed its isolates are lost, and the next ones are there all the same."""
    async with open_pool() as pool:
        isolate = await borrow(pool, "a")
        os.kill(pool._zygote._process.pid, signal.SIGKILL)
        with pytest.raises(IsolateDied) as died:
            await isolate.receive()
        assert died.value.death in (Death.LOST, Death.KERNEL)
        again = await borrow(pool, "a")
        assert await Native(again).run("result = 6 * 7") == 42


async def test_a_zygote_is_followed_after_so_many_forks(monkeypatch) -> None:
    """A fresh zygote stands beside the old one, whose isolates go on until they end."""
    monkeypatch.setattr(isolates, "RECYCLE_FORKS", 3)
    monkeypatch.setattr(isolates, "WATCH_S", 0.01)
    async with open_pool() as pool:
        old = pool._zygote
        held = [await borrow(pool, "a") for _ in range(3)]
        async with asyncio.timeout(DEADLINE_S):
            while pool._zygote is old:  # noqa: ASYNC110 - the pool announces no such event
                await asyncio.sleep(0.001)
        assert await Native(held[0]).run("result = 6 * 7") == 42
        assert not old.ended.is_set()
        for isolate in held:
            pool.release(isolate, reuse=False)
        async with asyncio.timeout(DEADLINE_S):
            await old.ended.wait()
        assert await Native(await borrow(pool, "a")).run("result = 6 * 7") == 42


async def test_closing_ends_everything() -> None:
    """After close() no process of the pool is left: blank, idle or busy."""
    async with open_pool() as pool:
        idle, busy = await borrow(pool, "a"), await borrow(pool, "b")
        pool.release(idle, reuse=True)
        process = pool._zygote._process
    assert idle.closed.is_set()
    assert busy.closed.is_set()
    assert process.returncode is not None
    for pid in (idle.pid, busy.pid, process.pid):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with pytest.raises(NotReady):
        await pool.blank()


async def test_many_borrowers_at_once_each_get_their_own() -> None:
    """A burst of unknown keys is served: nobody shares, nobody waits for ever."""
    async with open_pool(warm_isolates=64) as pool:
        async with asyncio.timeout(DEADLINE_S):
            held = await asyncio.gather(*(borrow(pool, f"key {n}") for n in range(40)))
        assert len({isolate.pid for isolate in held}) == 40


async def test_nothing_is_forked_beside_the_first_work_of_isolates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As long as more than a few blank ones are left, the next are made when none was taken for a
    moment; with few left, they are made all the same."""
    monkeypatch.setattr(isolates, "REFILL_AFTER_S", 3600)
    async with open_pool(blank_isolates=8) as pool, asyncio.timeout(DEADLINE_S):
        while len(pool._blank) < 8:  # noqa: ASYNC110 - the pool announces no such event
            await asyncio.sleep(0)
        for key in "abcde":
            isolate = await borrow(pool, key)
            assert await Native(isolate).run("result = 7") == 7
        assert pool._zygote.forks == 8
        await borrow(pool, "f")
        while pool._zygote.forks == 8:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)


async def test_who_comes_later_does_not_pass_by() -> None:
    """While some wait for a fork, no blank isolate is made for whoever asks next: one that comes
    when half of many are served is served when hardly any of them still waits."""
    served: list[str] = []
    some = asyncio.Event()

    async def ask(pool, name):
        await pool.blank((name, name))
        served.append(name)
        if len(served) == 8:
            some.set()

    async with open_pool(blank_isolates=4) as pool, asyncio.timeout(DEADLINE_S):
        async with asyncio.TaskGroup() as asking:
            for number in range(16):
                asking.create_task(ask(pool, f"early {number}"))
            await some.wait()
            asking.create_task(ask(pool, "late"))
    assert served.index("late") >= 16 - isolates.FORKS_AT_ONCE


async def test_a_pool_whose_zygote_cannot_start_says_so() -> None:
    """Start fails with the zygote's own words, and leaves nothing behind."""
    with pytest.raises(NotReady, match="did not start"):
        async with open_pool(zygote_command("sys.exit(3)")):
            pass


async def test_a_failing_load_costs_no_isolate() -> None:
    """When the code cannot be fetched nothing is borrowed."""

    async def fails() -> Load:
        raise NotReady("no blob")

    async with open_pool() as pool:
        with pytest.raises(NotReady, match="no blob"):
            await pool.borrow("a", fails)
        assert pool._busy == set()


async def test_a_command_that_does_not_exist_is_not_ready() -> None:
    """Whatever keeps a zygote from starting is said in the same way."""
    with pytest.raises(NotReady, match="did not start"):
        async with open_pool(("/nonexistent",)):
            pass
