"""Who runs the programs: child processes, and a real isolate."""

import asyncio
import json
import sys
from typing import Any, Protocol, Self

from bench.policy.workload import PROGRAMS, WORKER
from cloister.settings import Settings
from executor.isolate.frames import (
    Chunk,
    Compile,
    Compiled,
    Done,
    Failed,
    Head,
    Invoke,
    Load,
    Loaded,
)
from executor.isolates import Isolate, IsolatePool


class Contender(Protocol):
    """Runs a program so many times: CPU nanoseconds, and the result or why there is none."""

    async def run(self, name: str, times: int) -> tuple[int, str]: ...

    async def close(self) -> None: ...


class Child:
    """A process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, kind: str) -> Self:
        command = [sys.executable, "-m", "bench.policy.child", kind]
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))

    async def run(self, name: str, times: int) -> tuple[int, str]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps([name, times]).encode() + b"\n")
        cpu_ns, result = json.loads(await stdout.readline())
        return cpu_ns, result

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


class Guarded:
    """An isolate that was given the programs as a worker."""

    def __init__(self, pool: IsolatePool, isolate: Isolate) -> None:
        self._pool = pool
        self._isolate = isolate

    @classmethod
    async def start(cls) -> Self:
        pool = IsolatePool(Settings(blank_isolates=0, warm_isolates=1))
        await pool.start()
        load = Load(main="main.py", modules=await _compiled(pool))
        isolate = await pool.borrow("bench", lambda: _at_once(load))
        answer = await isolate.receive()
        assert isinstance(answer, Loaded), answer
        return cls(pool, isolate)

    async def run(self, name: str, times: int) -> tuple[int, str]:
        await self._isolate.send(Invoke(url=f"http://bench.localhost/{name}/{times}"))
        body = b""
        while not isinstance(frame := await self._isolate.receive(), Done):
            if isinstance(frame, Failed):
                return 0, f"{frame.name}: {frame.message}"
            if isinstance(frame, Head | Chunk):
                body += frame.data if isinstance(frame, Chunk) else frame.body
        cpu_ns, result = json.loads(body)
        return cpu_ns, result

    async def close(self) -> None:
        self._pool.release(self._isolate, reuse=False)
        await self._pool.close()


async def _compiled(pool: IsolatePool) -> dict[str, bytes]:
    sources = {f"{name}.py": text.encode() for name, text in PROGRAMS.items()}
    isolate = await pool.blank()
    await isolate.send(Compile(main="main.py", sources={**sources, "main.py": WORKER.encode()}))
    answer = await isolate.receive()
    pool.release(isolate, reuse=False)
    assert isinstance(answer, Compiled), answer
    assert not answer.errors, answer.errors
    return answer.modules


async def _at_once(value: Any) -> Any:
    return value
