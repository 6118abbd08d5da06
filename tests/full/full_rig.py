"""Real isolates of the full language, without a queue: what they are sent, and what they answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from textwrap import dedent, indent
from typing import Any

from cloister.languages import FULL
from cloister.settings import Settings
from executor.cell import Isolate, IsolateDied
from executor.isolate import frames
from executor.pools import Pools

DEADLINE_S = 30

TOP = """
import json
from workers import Response, WorkerEntrypoint
"""

ENTRY = """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(json.dumps(await answer(request), default=str))
"""


class Answer:
    """Every frame of one invocation, sorted."""

    def __init__(self) -> None:
        self.head: frames.Head | None = None
        self.body = b""
        self.failed: frames.Failed | None = None
        self.log: list[tuple[str, str]] = []

    @property
    def value(self) -> Any:
        assert self.head is not None, self.failed
        return json.loads(self.body)


class Worker:
    """A loaded isolate."""

    def __init__(self, isolate: Isolate) -> None:
        self.isolate = isolate

    async def get(self, path: str = "/", **fields: Any) -> Answer:
        """Run one invocation to its end."""
        answer = Answer()
        async with asyncio.timeout(DEADLINE_S):
            await self.isolate.send(frames.Invoke(url=f"http://w.localhost{path}", **fields))
            while not isinstance(frame := await self.isolate.receive(), frames.Done):
                match frame:
                    case frames.Head():
                        answer.head, answer.body = frame, frame.body
                    case frames.Chunk():
                        answer.body += frame.data
                    case frames.Failed():
                        answer.failed = frame
                        if frame.memory:
                            break
                    case frames.Log():
                        answer.log.append((frame.level, frame.text))
        return answer

    async def death(self, path: str = "/") -> IsolateDied:
        """How it dies of an invocation."""
        try:
            answer = await self.get(path)
        except IsolateDied as died:
            return died
        raise AssertionError(f"the isolate lives on: {answer.body!r} {answer.failed}")


class Rig:
    """The pools of one executor."""

    def __init__(self, pools: Pools) -> None:
        self.pools = pools
        self._held: list[Isolate] = []

    async def compile(self, sources: dict[str, str], main: str = "main.py") -> frames.Compiled:
        """What the compiler makes of these sources."""
        isolate = await self._blank()
        encoded = {name: dedent(text).encode() for name, text in sources.items()}
        await isolate.send(
            frames.Compile(main=main, sources=encoded, language=FULL, only_compile=True)
        )
        compiled = await isolate.receive()
        assert isinstance(compiled, frames.Compiled), compiled
        return compiled

    async def load(
        self,
        sources: dict[str, str] | str,
        main: str = "main.py",
        data: dict[str, bytes] | None = None,
        **fields: Any,
    ) -> Worker | frames.Failed:
        """Compile and load; the worker, or its failure."""
        sources = {main: sources} if isinstance(sources, str) else sources
        compiled = await self.compile(sources, main)
        assert not compiled.errors, compiled.errors
        isolate = await self._blank()
        await isolate.send(
            frames.Load(
                main=main, modules=compiled.modules, data=data or {}, language=FULL, **fields
            )
        )
        loaded = await isolate.receive()
        if isinstance(loaded, frames.Failed):
            return loaded
        assert isinstance(loaded, frames.Loaded), loaded
        return Worker(isolate)

    async def worker(self, body: str, top: str = "", **more: Any) -> Worker:
        """A worker that answers with what the body of a function returns, as JSON."""
        function = "async def answer(request):\n" + indent(dedent(body).strip("\n"), "    ")
        files = {f"{name}.py": text for name, text in more.pop("modules", {}).items()}
        source = TOP + dedent(top) + "\n" + function + "\n" + ENTRY
        loaded = await self.load({"main.py": source, **files}, **more)
        assert isinstance(loaded, Worker), loaded
        return loaded

    async def value(self, body: str, top: str = "", **more: Any) -> Any:
        """What the body of a function returns."""
        return (await (await self.worker(body, top, **more)).get()).value

    async def end(self) -> None:
        """Give every isolate back."""
        for isolate in self._held:
            self.pools.release(isolate, reuse=False)
            await isolate.closed.wait()

    async def _blank(self) -> Isolate:
        isolate = await (await self.pools.of(FULL)).blank()
        self._held.append(isolate)
        return isolate


@asynccontextmanager
async def open_pools(**settings: Any) -> AsyncIterator[Pools]:
    """An executor's pools."""
    pools = Pools(Settings(**{"blank_isolates": 1, **settings}))
    await pools.start()
    try:
        yield pools
    finally:
        await pools.close()
