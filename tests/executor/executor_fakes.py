"""A fake isolate and a fake host: the engine's life cycle without processes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from cloister.limits import Limits
from cloister.messages import Trace
from cloister.outcomes import Outcome
from cloister.registry.views import Bundle
from cloister.settings import Settings
from executor.gate import Gate
from executor.invocation import Run
from executor.isolate import frames
from executor.isolate.door import Unpacker
from executor.isolates import Death, IsolateDied
from executor.turns import Turns
from executor.watch import Watches
from executor.work import Ended, Work

Script = Callable[["FakeIsolate"], Awaitable[None]]


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something holds; fail after five seconds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)


class FakeIsolate:
    """Plays a script: an async function that says what the isolate would say."""

    def __init__(self, script: Script, *, loaded: bool = True) -> None:
        self.is_loaded = loaded
        self.language = "restricted"
        self.frame_bytes = 100
        self.frames_arrived = 0
        self.sent: asyncio.Queue[Any] = asyncio.Queue()
        self.cpu = 0
        self.reason: str | None = None
        self.quick_answers = 0
        self.writes = 0
        self.made_way: list[bool] = []
        self.on_frames: Callable[[], None] | None = None
        self._said: asyncio.Queue[Any] = asyncio.Queue()
        self._task = asyncio.create_task(self._play(script))

    async def _play(self, script: Script) -> None:
        await script(self)

    def say(self, *said: Any) -> None:
        """Send frames to the executor; an exception means that the process ends."""
        for each in said:
            self._said.put_nowait(each)
        if self.on_frames is not None:
            self.on_frames()

    async def heard(self, kind: type) -> Any:
        """The next frame from the executor, which must be of that kind."""
        frame = await self.sent.get()
        assert isinstance(frame, kind), frame
        return frame

    async def send(self, frame: Any) -> None:
        if self.reason is not None:
            raise IsolateDied(Death.KILLED, self.reason, -9)
        self.sent.put_nowait(frame)

    @property
    def is_writable(self) -> bool:
        return self.reason is None

    def send_now(self, data: bytes) -> None:
        self.writes += 1
        for frame, _ in Unpacker(frames.decode_to_isolate, 1 << 20).feed(data):
            self.sent.put_nowait(frame)

    @property
    def frames_pending(self) -> int:
        return self._said.qsize()

    @property
    def is_silent(self) -> bool:
        return self._said.empty()

    def take_log(self) -> frames.Log | None:
        if self._said.empty() or not isinstance(self._said._queue[0], frames.Log):  # type: ignore[attr-defined]  # as below
            return None
        line: frames.Log = self._said.get_nowait()
        return line

    def whole_answer(self) -> frames.Head | None:
        match list(self._said._queue)[:2]:  # type: ignore[attr-defined]  # the queue's own
            case [frames.Head(end=True) as head, frames.Done()]:
                return head
        return None

    def take_answer(self) -> None:
        for _ in range(2):
            self._said.get_nowait()

    async def receive(self) -> Any:
        frame = await self._said.get()
        if isinstance(frame, BaseException):
            raise frame
        return frame

    def cpu_ns(self) -> int:
        return self.cpu

    def is_waiting(self) -> bool:
        return True

    def make_way(self, *, is_busy: bool) -> None:
        self.made_way.append(is_busy)

    def peak_kb(self) -> int:
        return 1234

    def kill(self, reason: str = "killed") -> None:
        if self.reason is None:
            self.reason = reason
            self._task.cancel()
            self.say(IsolateDied(Death.KILLED, reason, -9))


class FakeSink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.is_full = False
        self.room = asyncio.Event()
        self.aborted = False

    async def wait_for_credit(self) -> None:
        await self.room.wait()

    async def head(self, status: int, headers: Any, body: bytes, *, end: bool) -> None:
        self.said.append(("head", status, headers, body, end))

    def whole(self, status: int, headers: Any, body: bytes) -> None:
        self.said.append(("head", status, headers, body, True))

    async def chunk(self, data: bytes) -> None:
        self.said.append(("chunk", data))

    async def end(self) -> None:
        self.said.append(("end",))

    async def returned(self, value: Any) -> None:
        self.said.append(("returned", value))

    async def fail(self, ended: Ended) -> None:
        self.said.append(("fail", ended.outcome, ended.told))

    def abort(self) -> None:
        self.aborted = True
        self.room.set()


class NoCalls:
    """An answerer for scripts that ask nothing."""

    async def take(self, call: frames.Call, size: int) -> None:
        raise AssertionError(call, size)

    async def close(self) -> None:
        pass


class FakeHost:
    """Lends fake isolates, one for each of the scripts in turn. Nothing is at hand unless it is
    ``ready``."""

    ready = False
    quick_answers = 0
    """Of each isolate, when it is lent."""

    def __init__(self, *scripts: Any, loaded: bool = True, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.gate = Gate(512, running=self.settings.worker_concurrency, waiting=1, in_line=100)
        self.turns = Turns(longest_s=3_600)  # however slow the machine, none ends by itself
        self.watches = Watches()
        self.traces = self
        self.tails: Any = None  # no version has any
        self.written: list[Trace] = []
        self.isolates: list[FakeIsolate] = []
        self.returned: list[tuple[FakeIsolate, bool]] = []
        self.bundles: dict[str, Bundle] = {"v1": bundle()}
        self._scripts = list(scripts)
        self._loaded = loaded

    def write(self, trace: Trace, *, keep: bool = True) -> None:
        self.written.append(trace)

    @property
    def outcome(self) -> Outcome:
        assert len(self.written) == 1
        return self.written[0].outcome

    async def bundle(self, version: str) -> Bundle | None:
        return self.bundles.get(version)

    def bundle_now(self, version: str) -> Bundle | None:
        return self.bundles.get(version) if self.ready else None

    def borrow_now(self, bundle: Bundle, memory_mb: int) -> Any:
        if not (self.ready and self._loaded and self._scripts):
            return None
        if isinstance(self._scripts[0], BaseException):
            return None
        isolate = FakeIsolate(self._scripts.pop(0))
        isolate.quick_answers = self.quick_answers
        self.isolates.append(isolate)
        return isolate

    async def borrow(self, bundle: Bundle, memory_mb: int) -> Any:
        script = self._scripts.pop(0)
        if isinstance(script, BaseException):
            raise script
        isolate = FakeIsolate(script, loaded=self._loaded)
        self.isolates.append(isolate)
        return isolate

    def give_back(self, isolate: Any, *, reuse: bool) -> None:
        self.returned.append((isolate, reuse))
        if not reuse:
            isolate.kill("released")

    def peak_kb(self, isolate: Any, cpu_ms: float) -> int:
        return int(isolate.peak_kb())

    def answerer(self, run: Run, bundle: Bundle, isolate: Any) -> NoCalls:
        return NoCalls()


def bundle() -> Bundle:
    """A version without bindings."""
    return Bundle(
        version="v1",
        namespace="ns",
        script="w",
        account_id="a",
        digest="d",
        main_module="w.py",
        env={},
        live={},
        limits=Limits(),
        compatibility_date="",
        compatibility_flags=[],
        handlers={},
    )


def work(**more: Any) -> Work:
    """A GET request to v1 within ordinary limits."""
    limits = Limits(cpu_ms=1_000, memory_mb=128, wall_ms=5_000, subrequests=50)
    values: dict[str, Any] = {
        "id": "i1",
        "namespace": "ns",
        "script": "w",
        "version": "v1",
        "limits": limits,
        "invoke": frames.Invoke(url="http://w/"),
        "begin_by_s": 4e9,
    }
    return Work(**{**values, **more})
