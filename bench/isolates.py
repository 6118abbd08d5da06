"""What isolates cost: ``python -m bench.isolates [COUNT] [restricted | full]``.

Prints the time to a blank isolate (fork, sandbox, first answer), the time a loaded one takes to
answer, what a request costs that gets an isolate of its own (``fresh_isolates``), and the memory
each isolate adds. One isolate at a time; the machine is named, so that figures can be compared.
"""

import asyncio
import os
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from cloister.languages import RESTRICTED, Language, known
from cloister.settings import Settings
from executor.isolate.frames import Compile, Compiled, Done, Invoke, Load, Loaded
from executor.isolates import Isolate, IsolatePool
from executor.pools import Pools

SOURCE = b"""
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")
"""

FORKS = 200
CALLS = 2_000


async def measure(count: int, step: Callable[[], Awaitable[object]]) -> list[float]:
    """Seconds of each of so many runs, sorted."""
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        await step()
        taken.append(time.perf_counter() - start)
    return sorted(taken)


def line(what: str, taken: list[float]) -> str:
    p50, p99 = statistics.median(taken), taken[int(len(taken) * 0.99)]
    return f"{what:<42} p50 {p50 * 1e3:8.3f} ms   p99 {p99 * 1e3:8.3f} ms   n {len(taken)}"


def share_kb(pid: int) -> tuple[int, int]:
    """Proportional share and private pages of a process, KiB."""
    fields = dict(
        entry.split(":", 1)
        for entry in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    )
    private = int(fields["Private_Clean"].split()[0]) + int(fields["Private_Dirty"].split()[0])
    return int(fields["Pss"].split()[0]), private


def available_kb() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(one.split()[1]) for one in lines if one.startswith("MemAvailable"))


async def compile_hello(pool: IsolatePool) -> Load:
    isolate = await pool.blank()
    language = pool.language
    await isolate.send(Compile(main="main", sources={"main": SOURCE}, language=language))
    compiled = await isolate.receive()
    assert isinstance(compiled, Compiled), compiled
    pool.release(isolate, reuse=False)
    return Load(main="main", modules=compiled.modules, language=language)


async def loaded(pool: IsolatePool, key: str, load: Load, *, fresh: bool = False) -> Isolate:
    async def fetch() -> Load:
        return load

    isolate = await pool.borrow(key, fetch, fresh=fresh)
    if not isolate.is_loaded:
        assert isinstance(await isolate.receive(), Loaded)
        isolate.is_loaded = True
    return isolate


async def call(isolate: Isolate) -> None:
    await isolate.send(Invoke(url="http://hello.localhost/"))
    while not isinstance(await isolate.receive(), Done):
        pass


async def main(forks: int, language: Language) -> None:
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {language} language"
    )
    pools = Pools(Settings(blank_isolates=0, warm_isolates=forks + 1))
    start = time.perf_counter()
    pool = await pools.of(language)
    print(f"{'probe, zygote and first isolate':<42} {(time.perf_counter() - start) * 1e3:12.1f} ms")
    await report_times(pool, forks)
    await report_memory(pool, forks)
    await pools.close()
    pools = Pools(Settings())
    await report_fresh(await pools.of(language), forks)
    await pools.close()


async def report_times(pool: IsolatePool, forks: int) -> None:
    async def fork() -> None:
        pool.release(await pool.blank(), reuse=False)

    load = await compile_hello(pool)
    numbers = iter(range(forks))

    async def cold() -> None:
        isolate = await loaded(pool, f"cold {next(numbers)}", load)
        await call(isolate)
        pool.release(isolate, reuse=False)

    print(line("blank isolate: fork, sandbox, Ready", await measure(forks, fork)))
    print(line("fork, sandbox, Load, first answer", await measure(forks, cold)))
    isolate = await loaded(pool, "warm", load)
    print(line("warm answer through the door", await measure(CALLS, lambda: call(isolate))))
    pool.release(isolate, reuse=True)


async def report_fresh(pool: IsolatePool, count: int) -> None:
    """The same answer from an isolate that serves once, where blank ones stand ready; and the CPU
    time of isolates for it, which a busy machine changes less, beside that of a warm answer."""
    load = await compile_hello(pool)
    cpu_ms = []

    async def step() -> None:
        isolate = await loaded(pool, "fresh", load, fresh=True)
        await call(isolate)
        cpu_ms.append(isolate.cpu_ns() / 1e6)
        pool.release(isolate, reuse=True)

    print(line("fresh isolate: Load and first answer", await measure(count, step)))
    warm = await loaded(pool, "warm", load)
    await call(warm)
    before_ns = warm.cpu_ns()
    await measure(CALLS, lambda: call(warm))
    warm_ms = (warm.cpu_ns() - before_ns) / CALLS / 1e6
    pool.release(warm, reuse=True)
    print(
        f"{'CPU time of the isolate for an answer':<42} "
        f"fresh {statistics.median(cpu_ms):.2f} ms, warm {warm_ms:.3f} ms"
    )


async def report_memory(pool: IsolatePool, count: int) -> None:
    load = await compile_hello(pool)
    before_kb = available_kb()
    held = [await loaded(pool, f"held {number}", load) for number in range(count)]
    for isolate in held:
        await call(isolate)
    machine_kb = (before_kb - available_kb()) / count
    shares = [share_kb(isolate.pid) for isolate in held]
    pss_kb, private_kb = (statistics.median(one[at] for one in shares) for at in (0, 1))
    print(
        f"{'memory of each of ' + str(count) + ' warm isolates':<42} "
        f"PSS {pss_kb:.0f} KiB, private {private_kb:.0f} KiB, machine {machine_kb:.0f} KiB"
    )
    for isolate in held:
        pool.release(isolate, reuse=False)


if __name__ == "__main__":
    words = sys.argv[1:]
    numbers = [int(word) for word in words if word.isdigit()]
    languages = [known(word) for word in words if not word.isdigit()]
    asyncio.run(main(*(numbers or [FORKS]), *(languages or [RESTRICTED])))
