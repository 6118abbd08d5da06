"""What an isolate's memory holds: its own worker's secrets, and nobody else's."""

import os
import secrets
from pathlib import Path

import pytest

from cloister.settings import Settings
from executor.isolate.frames import Compile, Compiled, Load, Loaded
from executor.isolates import Isolate, IsolatePool

SOURCE = b"""
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(self.env.SECRET)
"""


async def modules(pool: IsolatePool) -> dict[str, bytes]:
    isolate = await pool.blank()
    await isolate.send(Compile(main="main", sources={"main": SOURCE}))
    compiled = await isolate.receive()
    assert isinstance(compiled, Compiled)
    pool.release(isolate, reuse=False)
    return compiled.modules


async def loaded(pool: IsolatePool, load: Load) -> Isolate:
    async def fetch() -> Load:
        return load

    isolate = await pool.borrow(str(load.env["SECRET"]), fetch)
    assert isinstance(await isolate.receive(), Loaded)
    return isolate


def found_in(pid: int, wanted: list[str]) -> set[str]:
    """Which of these texts are anywhere in the readable memory of a process."""
    found = set()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            bounds, mode, *_ = line.split()
            start, end = (int(bound, 16) for bound in bounds.split("-"))
            if mode.startswith("r") and not line.endswith(
                ("[vvar]", "[vvar_vclock]", "[vsyscall]")
            ):
                memory.seek(start)
                data = memory.read(end - start)
                found |= {text for text in wanted if text.encode() in data}
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read an isolate's memory")
async def test_an_isolates_memory_holds_its_own_secrets_only(monkeypatch, tmp_path) -> None:
    """The executor's environment (key, broker's address, where its data is) and other tenants'
    values are nowhere in it, in whatever form of text the process keeps; its own are."""
    names = ("key", "broker", "data", "mine", "theirs")
    marks = {name: f"{name}{secrets.token_hex(12)}" for name in names}
    monkeypatch.setenv("CLOISTER_SECRET_KEY", marks["key"])
    monkeypatch.setenv("CLOISTER_REDIS_URL", f"redis://:{marks['broker']}@localhost:1/0")
    data = tmp_path / marks["data"]
    data.mkdir()
    monkeypatch.setenv("CLOISTER_DATA", str(data))
    monkeypatch.chdir(data)
    pool = IsolatePool(Settings(blank_isolates=1, data=str(data), secret_key=marks["key"]))
    await pool.start()
    try:
        code = await modules(pool)
        theirs = await loaded(
            pool, Load(main="main", modules=code, env={"SECRET": marks["theirs"]})
        )
        mine = await loaded(pool, Load(main="main", modules=code, env={"SECRET": marks["mine"]}))
        wanted = list(marks.values())
        assert found_in(os.getpid(), wanted) == set(wanted)
        assert found_in(mine.pid, wanted) == {marks["mine"]}
        assert found_in(theirs.pid, wanted) == {marks["theirs"]}
    finally:
        await pool.close()
