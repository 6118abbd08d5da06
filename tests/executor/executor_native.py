"""An executor whose isolates run native code, as if the first wall had fallen."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from executor_fakes import FakeSink, bundle, work

from cloister.limits import Limits
from cloister.messages import Trace
from cloister.outcomes import Outcome
from cloister.registry.views import Bundle, KvValue
from cloister.settings import Settings
from executor.budget import EXECUTOR_BYTES, Budget
from executor.gate import Gate
from executor.invocation import Run
from executor.isolate import frames
from executor.isolates import Isolate, IsolatePool
from executor.serving import Server
from executor.turns import Turns
from executor.watch import Watches

SANDBOX = Path(__file__).parent.parent / "sandbox"

COMMAND = (
    *(sys.executable, "-I", "-c"),
    f"import sys; sys.path.insert(0, {str(SANDBOX)!r})\n"
    "from executor.isolate.zygote import main; main()",
    *("--serve", "native:serve"),
)

LIVE = {
    "KV": {"type": "kv_namespace", "namespace_id": "n"},
    "SLOW": {"type": "service", "service": "slow"},
}

START = """
from executor.isolate.door import pack
from executor.isolate.frames import *
def call(number, target, method, arguments):
    return pack(Call(call=number, target=target, method=method, arguments=raw(arguments)))
def head():
    return pack(Head(status=200, headers=[], end=True)) + pack(Done())
"""


class NativeHost:
    """What Run and Server need. The service never answers; every KV value has that size."""

    def __init__(self, pool: IsolatePool, value_bytes: int) -> None:
        self.settings = Settings()
        self.budget = Budget(EXECUTOR_BYTES)
        self.gate = Gate(100, running=100, waiting=100, in_line=100)
        self.turns = Turns()
        self.watches = Watches()
        self.threads = ThreadPoolExecutor(2)
        self.sites: Any = SimpleNamespace()
        self.traces = self
        self.tails: Any = None  # no version has any
        self.questions: Any = None  # nor a database
        self.blobs: Any = None
        self.written: list[Trace] = []
        value = KvValue(value=bytes(value_bytes), metadata=None, expires_at=None)
        self.registry: Any = SimpleNamespace(
            kv=SimpleNamespace(get=lambda *_, **__: value), is_near=False
        )
        self._pool = pool

    def write(self, trace: Trace, *, keep: bool = True) -> None:
        self.written.append(trace)

    async def bundle(self, _version: str) -> Bundle:
        return msgspec.structs.replace(bundle(), live=LIVE)

    def borrow_now(self, _bundle: Bundle, _memory_mb: int) -> Isolate | None:
        return None

    async def borrow(self, _bundle: Bundle, _memory_mb: int) -> Isolate:
        isolate = await self._pool.blank()
        isolate.is_loaded = True
        return isolate

    def give_back(self, isolate: Isolate, *, reuse: bool) -> None:
        self._pool.release(isolate, reuse=False)

    def peak_kb(self, _isolate: Isolate, _cpu_ms: float) -> int:
        return 0

    def answerer(self, run: Run, bundle: Bundle, isolate: Isolate) -> Server:
        return Server(self, run, bundle, isolate)  # type: ignore[arg-type]

    async def route(self, _namespace: str, _script: str) -> None:
        await asyncio.get_running_loop().create_future()


class Played:
    """What came of a run."""

    def __init__(self, trace: Trace, sink: FakeSink, grown_kb: int) -> None:
        self.trace = trace
        self.outcome: Outcome = trace.outcome
        self.body = b"".join(said[3] for said in sink.said if said[0] == "head")
        self.grown_mb = grown_kb // 1024
        self.record_bytes = len(msgspec.json.encode(trace))

    @property
    def reason(self) -> str:
        return self.trace.exceptions[-1].message


async def play(pool: IsolatePool, code: str, *, value_bytes: int = 10, wall_ms: int) -> Played:
    """Run native code as an invocation; and by how much this process grew at most meanwhile."""
    host, sink = NativeHost(pool, value_bytes), FakeSink()
    limits = Limits(cpu_ms=5_000, memory_mb=128, wall_ms=wall_ms, subrequests=10_000)
    invoke = frames.Invoke(url=START + code)
    run = Run(host, work(limits=limits, invoke=invoke), sink)  # type: ignore[arg-type]
    before_kb = _lowered_peak_kb()
    await asyncio.wait_for(run.run(), 30)
    host.threads.shutdown()
    return Played(host.written[0], sink, _peak_kb() - before_kb)


def _lowered_peak_kb() -> int:
    """The peak, brought down to what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak_kb()


def _peak_kb() -> int:
    _, _, peak = Path("/proc/self/status").read_text().partition("VmHWM:")
    return int(peak.split()[0])
