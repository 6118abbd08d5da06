"""A process that owns a zygote and two isolates, for tests to kill or to run as another user.

``python owner.py WITHOUT ROOT [site-packages ...]`` leaves out the facilities named, prints the
pids of what it started as one JSON line, and does in one isolate what each line of its input says.
"""

import asyncio
import json
import sys
from pathlib import Path

sys.path[:0] = sys.argv[2:]

from cloister.settings import Settings  # noqa: E402 - the path comes first
from executor.isolate.frames import Failed, Invoke, plain  # noqa: E402
from executor.sandbox.probe import attempt_all  # noqa: E402
from executor.zygotes import Zygote  # noqa: E402

HERE = str(Path(__file__).parent)
MEMORY_BYTES = 64 * 1024 * 1024


async def main() -> None:
    paths = [HERE, *sys.argv[2:]]
    code = f"import sys; sys.path[:0] = {paths!r}; from executor.isolate.zygote import main; main()"
    ids = Settings().sandbox_ids
    serve = ["--serve", "native:serve", "--ids", *map(str, ids)]
    command = [sys.executable, "-I", "-c", code, *serve]
    lacking = {one.name: one.detail for one in attempt_all(ids) if not one.found}
    missing = {*lacking, *filter(None, sys.argv[1].split(","))}
    zygote = await Zygote.start(command, missing, 4 * MEMORY_BYTES)
    isolates = [await zygote.fork(MEMORY_BYTES) for _ in range(2)]
    pids = [zygote._process.pid, *(isolate.pid for isolate in isolates)]
    print(json.dumps({"pids": pids, "lacking": lacking}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        await isolates[0].send(Invoke(url=json.loads(line)))
        answer = await isolates[0].receive()
        said = answer.name if isinstance(answer, Failed) else plain(answer.value)
        print(json.dumps(said), flush=True)
    isolates[0].kill("asked to")
    await isolates[0].closed.wait()
    print(json.dumps(isolates[0].cpu_ns()), flush=True)
    await zygote.close()


asyncio.run(main())
