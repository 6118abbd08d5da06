"""What the zygote made is not counted, where Python can do without, and is then not copied."""

import asyncio
import subprocess
import sys
from pathlib import Path

from cloister.settings import Settings
from executor.isolate import immortal
from executor.isolate.frames import Compile, Compiled, Done, Invoke, Load, Loaded
from executor.isolates import Isolate, IsolatePool

DEADLINE_S = 20

MOST_KIB = 1_700 if immortal.is_possible() else 3_800
"""Of its own, when an isolate has answered: a fifth more than was found."""

SOURCE = b"""
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")
"""

COUNTS = """
import sys
from executor.isolate import immortal

class Made:
    def method(self):
        return lambda: "a constant of an inner function's"

immortal.immortalise()
later = object()
code = Made.method.__code__
made = Made, Made.method, code, code.co_consts, code.co_consts[1].co_consts[-1], code.co_name
print(*[sys.getrefcount(one) >= 1 << 31 for one in made], sys.getrefcount(later) < 9)
"""


def test_what_was_made_before_is_not_counted() -> None:
    """Classes, functions, their code and what is in it: none is, and all that comes later is. In a
    Python of which we do not know how, nothing is changed."""
    command = [sys.executable, "-I", "-c", COUNTS]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    *made, later = told.stdout.split()
    assert set(made) == {str(immortal.is_possible())}
    assert later == "True"


def test_it_is_known_how_where_it_is_tested() -> None:
    """The releases that have immortal objects are told apart from the one that has not."""
    assert immortal.is_possible() == (sys.version_info >= (3, 12))


async def test_an_isolate_has_few_pages_of_its_own() -> None:
    """It has loaded a worker and answered: what it holds beside the zygote's pages is bounded."""
    pool = IsolatePool(Settings(blank_isolates=0))
    async with asyncio.timeout(3 * DEADLINE_S):
        await pool.start()
        try:
            isolate = await warm(pool, await compiled(pool))
            assert private_kib(isolate.pid) < MOST_KIB
        finally:
            await pool.close()


async def compiled(pool: IsolatePool) -> Load:
    isolate = await pool.blank()
    await isolate.send(Compile(main="main", sources={"main": SOURCE}))
    answer = await isolate.receive()
    assert isinstance(answer, Compiled)
    pool.release(isolate, reuse=False)
    return Load(main="main", modules=answer.modules)


async def warm(pool: IsolatePool, load: Load) -> Isolate:
    async def fetch() -> Load:
        return load

    isolate = await pool.borrow("worker", fetch)
    assert isinstance(await isolate.receive(), Loaded)
    await isolate.send(Invoke(url="http://hello.localhost/"))
    while not isinstance(await isolate.receive(), Done):
        pass
    return isolate


def private_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
