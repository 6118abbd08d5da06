"""The same, in isolates that are really locked down."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from workers_cell import compiled

from cloister.settings import Settings
from executor.isolate import frames
from executor.isolates import Isolate, IsolatePool

DEADLINE_S = 20

WORKER = """
import asyncio, json, logging
from workers import Blob, FormData, Request, Response, WorkerEntrypoint, fetch
from workers import asgi

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = request.url.rpartition("/")[2]
        return await getattr(self, path)(request)

    async def hello(self, request):
        return Response("hello")

    async def sleep(self, request):
        await asyncio.sleep(0.01)
        await asyncio.wait_for(asyncio.gather(*(asyncio.sleep(0) for _ in range(10))), 5)
        return Response("slept")

    async def forms(self, request):
        form = FormData({"a": "1"})
        form.append("b", Blob("x", "t/y"), filename="f")
        sent = Request("https://b\u00fccher.example/", method="POST", body=form)
        return Response(json.dumps([sent.url, (await sent.form_data())["a"]]))

    async def stream(self, request):
        async def parts():
            for _ in range(40):
                yield b"x" * 100_000
        return Response(parts())

    async def fetches(self, request):
        answers = await asyncio.gather(*(fetch("https://a.example/") for _ in range(20)))
        return Response(str(sum([len(await each.bytes()) for each in answers])))

    async def fail(self, request):
        logging.getLogger("x").warning("about to fail")
        raise ValueError("as planned")

    async def exit(self, request):
        raise SystemExit

    async def memory(self, request):
        hog = []
        while True:
            hog.append(bytearray(10_000_000))

    async def thread(self, request):
        await asyncio.to_thread(print, "in a thread")
        return Response("ok")

    async def stubborn(self, request):
        async def on():
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass
        asyncio.create_task(on())
        await asyncio.sleep(0)
        return Response("bye")
"""


@pytest_asyncio.fixture
async def pool(tmp_path) -> AsyncIterator[IsolatePool]:
    pool = IsolatePool(Settings.from_env({"CLOISTER_DATA": str(tmp_path)}))
    await pool.start()
    yield pool
    await pool.close()


@pytest_asyncio.fixture
async def isolate(pool: IsolatePool) -> AsyncIterator[Isolate]:
    modules = compiled({"main.py": WORKER}).modules

    async def load() -> frames.Load:
        return frames.Load(main="main.py", modules=modules)

    isolate = await pool.borrow("version", load)
    loaded = await isolate.receive()
    assert isinstance(loaded, frames.Loaded), loaded
    yield isolate
    pool.release(isolate, reuse=False)


async def invoke(isolate: Isolate, path: str) -> list[Any]:
    """Every frame of one invocation but its calls, each of which is answered with a response."""
    seen: list[Any] = []
    await isolate.send(frames.Invoke(url=f"https://w.example/{path}"))
    async with asyncio.timeout(DEADLINE_S):
        while True:
            frame = await isolate.receive()
            if isinstance(frame, frames.Done):
                return seen
            if isinstance(frame, frames.Call):
                answer = frames.Incoming(status=200, headers=[], body=b"y" * 100_000)
                await isolate.send(frames.Reply(call=frame.call, value=answer))
            else:
                seen.append(frame)
            if isinstance(frame, frames.Failed) and frame.memory:
                return seen


async def test_the_first_answer_copies_few_pages(isolate):
    """Pages that an invocation writes to are the isolate's own before a worker is loaded: the
    first request does not wait for some 150 of them to be copied."""
    before = page_faults(isolate)
    await invoke(isolate, "hello")
    assert page_faults(isolate) - before < 75


def page_faults(isolate: Isolate) -> int:
    """Minor page faults of the process since its fork (proc_pid_stat(5), field 10)."""
    fields = Path(f"/proc/{isolate.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[7])


async def test_a_locked_down_life(isolate):
    """Everything that needs the loop, the door, codecs or time works behind the second wall."""
    for _ in range(2):
        assert (await invoke(isolate, "hello"))[0].body == b"hello"
    assert (await invoke(isolate, "sleep"))[0].body == b"slept"
    forms = (await invoke(isolate, "forms"))[0]
    assert forms.body == b'["https://xn--bcher-kva.example/", "1"]'
    streamed = await invoke(isolate, "stream")
    assert sum(len(f.data) for f in streamed if isinstance(f, frames.Chunk)) == 4_000_000
    assert (await invoke(isolate, "fetches"))[0].body == b"2000000"
    log, thread = await invoke(isolate, "thread")
    assert (log.text, thread.body) == ("in a thread", b"ok")
    log, failed = await invoke(isolate, "fail")
    assert (log.level, log.text) == ("warn", "about to fail")
    assert (failed.name, failed.message) == ("ValueError", "as planned")
    (failed,) = await invoke(isolate, "exit")
    assert failed.name == "SystemExit"
    assert (await invoke(isolate, "hello"))[0].body == b"hello"


async def test_out_of_memory(isolate):
    """Allocating past the limit is told as MemoryError, not a silent death."""
    (failed,) = await invoke(isolate, "memory")
    assert (failed.name, failed.memory) == ("MemoryError", True)


async def test_stubborn_task_ends_the_isolate(isolate):
    """The response is out; the isolate then ends itself."""
    assert (await invoke(isolate, "stubborn"))[0].body == b"bye"
    async with asyncio.timeout(DEADLINE_S):
        await isolate.closed.wait()


async def test_compile_in_a_blank_isolate(pool):
    """Compile works locked down, and answers with errors or handlers."""
    for source, good in ((WORKER, True), ("def f(:\n", False)):
        isolate = await pool.blank()
        try:
            await isolate.send(frames.Compile(main="main.py", sources={"main.py": source.encode()}))
            async with asyncio.timeout(DEADLINE_S):
                answer = await isolate.receive()
            assert isinstance(answer, frames.Compiled), answer
            assert bool(answer.errors) != good
            assert ("fetch" in answer.handlers.get("Default", [])) == good
        finally:
            pool.release(isolate, reuse=False)
