"""One invocation from its beginning to its record: the executor's side of an isolate's work."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from cloister.errors import CloisterError
from cloister.outcomes import Outcome
from cloister.registry.views import Bundle
from cloister.settings import Settings
from executor.build import LOAD_WALL_MS, Uncompilable
from executor.gate import Gate, Overloaded
from executor.head import check_head
from executor.isolate import frames
from executor.isolates import Death, Isolate, IsolateDied
from executor.open_calls import TooManyCalls
from executor.replies import Undeliverable
from executor.traces import Record, Traces, event_of
from executor.turns import Turn, Turns
from executor.watch import Watch, Watches
from executor.work import Ended, Sink, Work

log = logging.getLogger(__name__)

BACKGROUND_SLACK_MS = 1_000
"""The isolate itself ends waitUntil work in time; it is ended so much later if it did not."""

MEMORY = "memory"
"""The reason that the pool gives when an isolate holds more than its limit."""

MAX_MESSAGE_CHARS = 8 * 1024
MAX_NAME_CHARS = 256

_DEATHS = {
    Death.REFUSED_CALL: "The isolate was ended: it made a system call that is not allowed.",
    Death.FAULT: "The isolate was ended: it crashed.",
    Death.EXITED: "The isolate ended itself.",
    Death.KILLED: "The isolate was ended: it broke the protocol.",
}


class Answerer(Protocol):
    """Serves the calls of one invocation."""

    async def take(self, call: frames.Call, size: int) -> None:
        """Begin to serve a call, whose frame has that size; waits while too much is open.

        Raises:
            TooManyCalls: the isolate is to be ended.
        """

    async def close(self) -> None:
        """Drop what is not served yet, and everything open."""


class Host(Protocol):
    """What an invocation needs of its executor."""

    settings: Settings
    gate: Gate
    turns: Turns
    watches: Watches
    traces: Traces

    async def bundle(self, version: str) -> Bundle | None:
        """What running a version needs."""

    async def borrow(self, bundle: Bundle, memory_mb: int) -> Isolate:
        """An isolate of that version, perhaps not loaded yet. Raises ``Uncompilable`` if the code
        is not taken any more."""

    def give_back(self, isolate: Isolate, *, reuse: bool) -> None:
        """Done with it."""

    def peak_kb(self, isolate: Isolate, cpu_ms: float) -> int:
        """The most memory that it held, after a run of so much CPU time."""

    def answerer(self, run: "Run", bundle: Bundle, isolate: Isolate) -> Answerer:
        """Who serves the isolate's calls."""


class Run:
    """One invocation. :meth:`run` it once; :meth:`stop` it from outside at any time."""

    def __init__(self, host: Host, work: Work, sink: Sink) -> None:
        self.work = work
        self.record = Record(host.settings.log_bytes)
        self.watch: Watch | None = None
        self.on_begun: Callable[[], None] = lambda: None
        """Called when it waits in no line any more."""
        self._host = host
        self._sink = sink
        self._isolate: Isolate | None = None
        self._turn: Turn | None = None
        self._answerer: Answerer | None = None
        self._task: asyncio.Task[None] | None = None
        self._verdict: Outcome | None = None
        self._outcome = Outcome.OK
        self._begun = False
        self._answered = False
        self._failed = False
        self._sent_bytes = 0

    @property
    def is_answered(self) -> bool:
        """Whether the whole response is out: only waitUntil work goes on."""
        return self._answered

    def stop(self, outcome: Outcome) -> None:
        """End it now, with that outcome. The first one counts."""
        if self._verdict is None:
            self._verdict = outcome
        if self._isolate is not None:
            self._isolate.kill(outcome.value)
            self._sink.abort()
        elif self._task is not None:
            self._task.cancel()

    def cancel(self) -> None:
        """Nobody waits for the response any more. Work after a whole response goes on."""
        if not self._answered:
            self.stop(Outcome.RESPONSE_DISCONNECTED if self._begun else Outcome.CANCELED)

    async def run(self) -> None:
        """Do all of it. Raises nothing but cancellation from outside."""
        self._task = asyncio.current_task()
        started = time.monotonic()
        try:
            await self._whole()
        except Ended as ended:
            await self._fail(ended)
        except IsolateDied as died:
            await self._fail(self._why(died))
        except Undeliverable:
            await self._fail(Ended(self._verdict or Outcome.RESPONSE_DISCONNECTED))
        except asyncio.CancelledError:
            await self._fail(Ended(self._verdict or Outcome.INTERNAL))
            if self._verdict is None:
                raise
        except Exception:
            log.exception("invocation %s failed", self.work.id)
            await self._fail(Ended(Outcome.INTERNAL))
        finally:
            self.watch = None  # which knows this run: else only the garbage collector ends the two
            self.record.wall_ms = (time.monotonic() - started) * 1000
            self._write_trace()

    async def _whole(self) -> None:
        if self.work.depth > 0:
            # Callers hold places of their own: to wait for one here could be for ever.
            await self._with_isolate()
            return
        place = self.work.namespace, self.work.script
        await self._enter(place)
        self.on_begun()
        try:
            await self._with_isolate()
        finally:
            self._host.gate.leave(place)

    async def _with_isolate(self) -> None:
        bundle = await self._host.bundle(self.work.version)
        if bundle is None:
            raise Ended(Outcome.SCRIPT_NOT_FOUND)
        self._turn = await self._host.turns.begin((self.work.namespace, self.work.script))
        try:
            isolate = await self._loaded(bundle)
            await self._use(isolate, bundle)
        finally:
            self._turn.end()

    async def _enter(self, place: tuple[str, str]) -> None:
        left_s = self.work.begin_by_s - time.time()
        if left_s <= 0:
            raise Ended(Outcome.EXPIRED)
        if self._host.gate.enter_now(place):
            return
        try:
            async with asyncio.timeout(left_s):
                await self._host.gate.enter(place)
        except Overloaded:
            raise Ended(Outcome.OVERLOADED) from None
        except TimeoutError:
            raise Ended(Outcome.EXPIRED) from None

    async def _loaded(self, bundle: Bundle) -> Isolate:
        """An isolate that runs the code. What fails before any of the tenant's code ran is ours,
        and is tried once more."""
        try:
            isolate = await self._borrow(bundle)
        except (CloisterError, IsolateDied) as exc:
            log.warning("no isolate for %s, trying again: %s", self.work.id, exc)
            isolate = await self._borrow(bundle)
        self.record.language = isolate.language
        if not isolate.is_loaded:
            await self._load(isolate)
        return isolate

    async def _borrow(self, bundle: Bundle) -> Isolate:
        try:
            return await self._host.borrow(bundle, self.work.limits.memory_mb or 0)
        except (CloisterError, IsolateDied):
            if self._verdict is not None:
                raise Ended(self._verdict) from None
            raise
        except Uncompilable as refused:
            message = f"The deployed code is refused now: {refused}"[:MAX_MESSAGE_CHARS]
            raise self._failure(frames.Failed(name="SyntaxError", message=message)) from refused

    async def _load(self, isolate: Isolate) -> None:
        """Top-level code runs within the time for start-up, not that of the request."""
        self._isolate = isolate
        watch = Watch(
            isolate,
            cpu_ms=self._host.settings.startup_cpu_ms,
            wall_ms=LOAD_WALL_MS,
            on_overrun=self.stop,
            watches=self._host.watches,
        )
        watch.start()
        try:
            self._check_loaded(await isolate.receive())
        except BaseException:
            self._isolate = None
            self._host.give_back(isolate, reuse=False)
            raise
        finally:
            watch.stop()
        isolate.is_loaded = True

    def _check_loaded(self, frame: frames.FromIsolate) -> None:
        if isinstance(frame, frames.Failed):
            raise self._failure(frame)
        if not isinstance(frame, frames.Loaded):
            raise self._nonsense(frame)

    async def _use(self, isolate: Isolate, bundle: Bundle) -> None:
        self._isolate = isolate
        limits = self.work.limits
        self.watch = watch = Watch(
            isolate,
            cpu_ms=limits.cpu_ms or 0,
            wall_ms=limits.wall_ms or 0,
            on_overrun=self._overrun,
            on_busy=self._on_busy,
            watches=self._host.watches,
        )
        reuse = False
        try:
            if self._verdict is not None:
                raise Ended(self._verdict)
            watch.start()
            await isolate.send(self._invoke())
            reuse = await self._converse(isolate, bundle)
        finally:
            watch.stop()
            self.record.cpu_ms = cpu_ms = watch.cpu_ms
            self.record.peak_memory_kb = self._host.peak_kb(isolate, cpu_ms)
            self._isolate = None
            self._host.give_back(isolate, reuse=reuse and self._verdict is None)
            await self._close_calls()

    def _invoke(self) -> frames.Invoke:
        invoke = self.work.invoke
        if invoke.log_bytes != self._host.settings.log_bytes:
            invoke = msgspec.structs.replace(invoke, log_bytes=self._host.settings.log_bytes)
        if self.work.is_outbound and self.work.outbound is not None:
            return msgspec.structs.replace(invoke, env=self.work.outbound.parameters)
        return invoke

    async def _converse(self, isolate: Isolate, bundle: Bundle) -> bool:
        """Take frames until Done; whether the isolate may serve again."""
        reuse = None
        while reuse is None:
            frame = await isolate.receive()
            if isinstance(frame, frames.Call):
                await self._take(frame, isolate, bundle)
            else:
                reuse = await self._hear(frame)
        return reuse

    async def _hear(self, frame: frames.FromIsolate) -> bool | None:
        """Take one frame that is no call. None: go on."""
        match frame:
            case frames.Done() if self._answered:
                return True
            case frames.Log() if not self.record.is_flooded:
                self.record.log(frame.level, frame.text, frame.timestamp, last=frame.last)
            case frames.Head() if not self._begun:
                await self._head(frame)
            case frames.Chunk() if self._begun and not self._answered:
                await self._chunk(frame.data)
            case frames.End() if self._begun and not self._answered:
                await self._sink.end()
                self._responded()
            case frames.Returned() if not self._begun:
                self._begun = True
                await self._sink.returned(frame.value)
                self._responded()
            case frames.Failed(phase="background") if self._answered:
                self._background_failed(frame)
            case frames.Failed(phase="invoke") if not self._answered:
                await self._fail(self._failure(frame))
                if frame.memory:
                    return False
                self._responded()
            case _:
                raise self._nonsense(frame)
        return None

    async def _take(self, call: frames.Call, isolate: Isolate, bundle: Bundle) -> None:
        if self._turn is not None:
            self._turn.end()
        if self._answerer is None:
            self._answerer = self._host.answerer(self, bundle, isolate)
        try:
            await self._answerer.take(call, isolate.frame_bytes)
        except TooManyCalls:
            raise self._nonsense(call) from None

    async def _close_calls(self) -> None:
        answerer, self._answerer = self._answerer, None
        if answerer is not None:
            await answerer.close()
        elif self.work.body is not None:
            await self.work.body.close()

    async def _head(self, frame: frames.Head) -> None:
        check_head(frame.status, frame.headers)
        self._count_bytes(frame.body)
        self._begun = True
        self.record.status = frame.status
        await self._sink.head(frame.status, frame.headers, frame.body, end=frame.end)
        if frame.end:
            self._responded()

    async def _chunk(self, data: bytes) -> None:
        self._count_bytes(data)
        if self._sink.is_full and self.watch is not None:
            await self._wait_for_credit(self.watch)
        await self._sink.chunk(data)

    async def _wait_for_credit(self, watch: Watch) -> None:
        """The client is slow, not the tenant: its wall clock stands still meanwhile. One wait may
        take as long as a whole invocation."""
        watch.hold()
        try:
            async with asyncio.timeout((self.work.limits.wall_ms or 0) / 1000):
                await self._sink.wait_for_credit()
        except TimeoutError:
            raise Ended(Outcome.RESPONSE_DISCONNECTED) from None
        finally:
            watch.resume()

    def _count_bytes(self, data: bytes) -> None:
        self._sent_bytes += len(data)
        if self._sent_bytes > self._host.settings.response_body_bytes:
            raise Ended(Outcome.EXCEEDED_RESPONSE)

    def _responded(self) -> None:
        self._answered = True
        if self.watch is not None:
            self.watch.allow(self._host.settings.wait_until_ms + BACKGROUND_SLACK_MS)

    def _on_busy(self, is_busy: bool) -> None:
        self._host.gate.burden((self.work.namespace, self.work.script), is_busy=is_busy)

    def _overrun(self, outcome: Outcome) -> None:
        if outcome is Outcome.EXCEEDED_WALL and self._answered:
            message = "waitUntil() tasks did not complete in time and were cancelled"
            self.record.log("warn", message, time.time_ns() // 1_000_000)
            outcome = self._outcome
        self.stop(outcome)

    def _failure(self, frame: frames.Failed) -> Ended:
        """The tenant's code raised."""
        if frame.memory:
            return Ended(Outcome.EXCEEDED_MEMORY)
        self.record.exception(frame.name, frame.message, frame.stack)
        return Ended(
            Outcome.EXCEPTION, frame.message[:MAX_MESSAGE_CHARS], frame.name[:MAX_NAME_CHARS]
        )

    def _background_failed(self, frame: frames.Failed) -> None:
        self._outcome = self._failure(frame).outcome

    def _nonsense(self, frame: frames.FromIsolate) -> Ended:
        """Only code that broke out of the language can make the isolate say this."""
        message = f"The isolate was ended: it sent {type(frame).__name__} out of turn."
        self.record.exception("IsolateEnded", message)
        return Ended(Outcome.EXCEPTION, message, "IsolateEnded")

    def _why(self, died: IsolateDied) -> Ended:
        """The isolate is gone: by our verdict, or by what the tenant's code did in it."""
        if self._verdict is not None:
            return Ended(self._verdict)
        if died.death is Death.LOST:
            return Ended(Outcome.INTERNAL)
        if died.death is Death.KERNEL or died.reason == MEMORY:
            return Ended(Outcome.EXCEEDED_MEMORY)
        message = _DEATHS[died.death]
        self.record.exception("IsolateEnded", message)
        return Ended(Outcome.EXCEPTION, message, "IsolateEnded")

    async def _fail(self, ended: Ended) -> None:
        self._outcome = ended.outcome
        if not self._answered and not self._failed:
            self._failed = True
            self._begun = True
            try:
                await self._sink.fail(ended)
            except Undeliverable:
                log.warning("the failure of %s could not be delivered", self.work.id)

    def _write_trace(self) -> None:
        self._host.traces.write(
            self.record.trace(
                id_=self.work.id,
                names=(self.work.namespace, self.work.script, self.work.version),
                event=event_of(self.work.invoke),
                outcome=self._outcome,
            )
        )
