"""One invocation from its beginning to its record: the executor's side of an isolate's work."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

import msgspec

from cloister.errors import CloisterError
from cloister.outcomes import Outcome
from cloister.registry.views import Bundle
from cloister.settings import Settings
from executor import endings
from executor.build import LOAD_WALL_MS, Uncompilable
from executor.convoy import Convoy, count_answer, is_quick
from executor.endings import MAX_MESSAGE_CHARS
from executor.gate import Gate, Overloaded
from executor.head import check_head
from executor.isolate import frames
from executor.isolate.door import pack
from executor.isolates import Isolate, IsolateDied
from executor.open_calls import TooManyCalls
from executor.replies import WHOLE_BYTES, Undeliverable
from executor.traces import Record, Traces, event_of
from executor.turns import Turn, Turns, Waiter
from executor.watch import NS_PER_MS, Watch, Watches
from executor.work import Ended, Sink, Work

log = logging.getLogger(__name__)

BACKGROUND_SLACK_MS = 1_000
"""The isolate itself ends waitUntil work in time; it is ended so much later if it did not."""


Spawn = Callable[[Coroutine[Any, Any, None]], object]
"""Runs a coroutine in a task."""


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

    def bundle_now(self, version: str) -> Bundle | None:
        """The same, if it is at hand."""

    async def borrow(self, bundle: Bundle, memory_mb: int) -> Isolate:
        """An isolate of that version, perhaps not loaded yet. Raises ``Uncompilable`` if the code
        is not taken any more."""

    def borrow_now(self, bundle: Bundle, memory_mb: int) -> Isolate | None:
        """One that stands ready with its code loaded, if there is one."""

    def give_back(self, isolate: Isolate, *, reuse: bool) -> None:
        """Done with it."""

    def peak_kb(self, isolate: Isolate, cpu_ms: float) -> int:
        """The most memory that it held, after a run of so much CPU time."""

    def answerer(self, run: "Run", bundle: Bundle, isolate: Isolate) -> Answerer:
        """Who serves the isolate's calls."""


class Run:
    """One invocation. :meth:`start` it, or :meth:`run` it once; :meth:`stop` it from outside at any
    time.

    Most invocations wait for nothing but their turn and their isolate. Such a one has no task: it
    is moved on by whoever it waits for. What is not so plain goes on in a task, from where it is.
    """

    def __init__(self, host: Host, work: Work, sink: Sink) -> None:
        self.work = work
        self.record = Record(host.settings.log_bytes)
        self.watch: Watch | None = None
        self.on_begun: Callable[[], None] = lambda: None
        """Called when it waits in no line any more."""
        self.on_over: Callable[[], None] = lambda: None
        """Called at the end."""
        self._host = host
        self._sink = sink
        self._place = work.namespace, work.script
        self._has_place = False
        self._bundle: Bundle | None = None
        self._turn: Turn | None = None
        self._isolate: Isolate | None = None
        self._is_sent = False
        self._convoy = Convoy()
        self._is_behind = False
        self._goes_alone = False
        self._used_since_s = 0.0
        self._answerer: Answerer | None = None
        self._spawn: Spawn | None = None
        self._task: asyncio.Task[None] | None = None
        self._verdict: Outcome | None = None
        self._outcome = Outcome.OK
        self._begun = False
        self._answered = False
        self._failed = False
        self._sent_bytes = 0
        self._started_s = time.monotonic()

    @property
    def _is_fetch(self) -> bool:
        """Whether it ends in a response; else in a value."""
        return self.work.invoke.handler == "fetch"

    @property
    def is_answered(self) -> bool:
        """Whether the whole response is out: only waitUntil work goes on."""
        return self._answered

    def stop(self, outcome: Outcome) -> None:
        """End it now, with that outcome. The first one counts."""
        if self._verdict is None:
            self._verdict = outcome
        if self._is_behind:
            return  # it may have begun: whoever is before it lets it know when that is over
        if self._isolate is not None:
            self._isolate.kill(outcome.value)
            self._sink.abort()
        elif self._task is not None:
            self._task.cancel()
        self._go_on()

    def cancel(self) -> None:
        """Nobody waits for the response any more. Work after a whole response goes on."""
        if not self._answered:
            self.stop(Outcome.RESPONSE_DISCONNECTED if self._begun else Outcome.CANCELED)

    # Without a task:

    def start(self, spawn: Spawn) -> None:
        """Begin, and do at once what need not wait. What must goes on in a task of ``spawn``."""
        self._spawn = spawn
        if self._enter_now() and self._is_known():
            self._host.turns.call(self._place, self)
        else:
            self._go_on()

    def _enter_now(self) -> bool:
        if self.work.body is not None or self.work.begin_by_s <= time.time():
            return False
        if not self._host.gate.enter_now(self._place):
            return False
        self._has_place = True
        self.on_begun()
        return True

    def _is_known(self) -> bool:
        self._bundle = self._host.bundle_now(self.work.version)
        return self._bundle is not None

    def is_like(self, other: Waiter) -> bool:
        """Whether this run may follow another to the same isolate."""
        return (
            isinstance(other, Run)
            and self._spawn is not None
            and not self._goes_alone
            and self.work.version == other.work.version
            and self.work.limits.memory_mb == other.work.limits.memory_mb
        )

    def begin(self, turn: Turn) -> bool:
        """The turn has come. False: it is not wanted any more."""
        if self._spawn is None:
            return False
        self._turn = turn
        try:
            is_under_way = self._begin_now()
        except Exception:
            log.exception("invocation %s failed", self.work.id)
            self.stop(Outcome.INTERNAL)
        else:
            if not is_under_way:
                self._go_on()
        return True

    def _begin_now(self) -> bool:
        """Have a warm isolate begin. False: that is not possible at once."""
        if self._bundle is None:
            return False
        isolate = self._host.borrow_now(self._bundle, self.work.limits.memory_mb or 0)
        if isolate is None:
            return False
        self._take_into_use(isolate)
        if not isolate.is_writable:
            return False
        started = self.invoke_packed()
        if is_quick(isolate):
            started += self._convoy.gather(self._host.turns, self._place, self)
        isolate.send_now(started)
        self._is_sent = True
        isolate.on_frames = self._on_frames
        return True

    def invoke_packed(self) -> bytes:
        """See :class:`executor.convoy.Follower`."""
        return pack(self._invoke())

    def go_behind(self) -> None:
        """See :class:`executor.convoy.Follower`."""
        self._is_behind = self._is_sent = True

    def go_elsewhere(self) -> None:
        """See :class:`executor.convoy.Follower`."""
        self._is_behind = self._is_sent = False
        self._goes_alone = True
        if self._verdict is None:
            self._host.turns.call(self._place, self)
        else:
            self._go_on()

    def take_over(self, isolate: Isolate, convoy: Convoy, turn: Turn, start_ns: int) -> None:
        """The isolate is done with the one before; from here on it serves this one."""
        self._is_behind = False
        self._convoy, self._turn = convoy, turn
        self._take_into_use(isolate, start_ns)
        if self._verdict is not None:
            self.stop(self._verdict)
            return
        isolate.on_frames = self._on_frames
        self._on_frames()

    def _on_frames(self) -> None:
        """The isolate has said something, or is gone. A whole answer is all there is to most."""
        isolate = self._isolate
        if isolate is None:
            return
        while not self.record.is_flooded and (line := isolate.take_log()) is not None:
            self.record.log(line.level, line.text, line.timestamp, last=line.last)
        if isolate.is_silent:
            return
        head = isolate.whole_answer()
        if head is None or not self._is_plain(head):
            self._go_on()
            return
        isolate.take_answer()
        isolate.on_frames = None
        self._spawn = None
        self._begun = self._answered = True
        self.record.status = head.status
        try:
            self._sink.whole(head.status, head.headers, head.body)
        except Exception:
            log.exception("the answer of %s could not be sent", self.work.id)
        self._let_go(reuse=True, is_plain=True)
        self._end()

    def _is_plain(self, head: frames.Head) -> bool:
        try:
            check_head(head.status, head.headers)
        except Ended:
            return False
        most_bytes = min(WHOLE_BYTES, self._host.settings.response_body_bytes)
        return len(head.body) <= most_bytes and self._verdict is None

    def _go_on(self) -> None:
        """In a task, from here on."""
        if self._isolate is not None:
            self._isolate.on_frames = None
        spawn, self._spawn = self._spawn, None
        if spawn is not None:
            spawn(self.run())

    # In a task:

    async def run(self) -> None:
        """Do all that is not done yet. Raises nothing but cancellation from outside."""
        self._task = asyncio.current_task()
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
            self._end()

    async def _whole(self) -> None:
        reuse = False
        try:
            if self._isolate is None and self._verdict is not None:
                raise Ended(self._verdict)
            # Callers hold places of their own: for a callee to wait for one could be for ever.
            if not self._has_place and self.work.depth == 0:
                await self._enter()
            reuse = await self._with_isolate()
        finally:
            self._let_go(reuse=reuse)
            await self._close_calls()

    async def _with_isolate(self) -> bool:
        """Whether the isolate may serve again."""
        bundle = self._bundle or await self._host.bundle(self.work.version)
        if bundle is None:
            raise Ended(Outcome.SCRIPT_NOT_FOUND)
        if self._turn is None:
            self._turn = await self._host.turns.begin(self._place)
        if self._isolate is None:
            self._take_into_use(await self._found(bundle))
        isolate = self._isolate
        assert isolate is not None  # noqa: S101 - taken into use above, or before the task
        if not self._is_sent:
            if self._verdict is not None:
                raise Ended(self._verdict)
            await isolate.send(self._invoke())
        return await self._converse(isolate, bundle)

    async def _enter(self) -> None:
        left_s = self.work.begin_by_s - time.time()
        if left_s <= 0:
            raise Ended(Outcome.EXPIRED)
        try:
            async with asyncio.timeout(left_s):
                await self._host.gate.enter(self._place)
        except Overloaded:
            raise Ended(Outcome.OVERLOADED) from None
        except TimeoutError:
            raise Ended(Outcome.EXPIRED) from None
        self._has_place = True
        self.on_begun()

    async def _found(self, bundle: Bundle) -> Isolate:
        """An isolate that runs the code. While one is made, others have their turns."""
        isolate = self._host.borrow_now(bundle, self.work.limits.memory_mb or 0)
        if isolate is not None:
            return isolate
        if self._turn is not None:
            self._turn.end()
        isolate = await self._loaded(bundle)
        try:
            self._turn = await self._host.turns.begin(self._place)
        except BaseException:
            self._isolate = None
            self._host.give_back(isolate, reuse=True)
            raise
        return isolate

    async def _loaded(self, bundle: Bundle) -> Isolate:
        """An isolate that runs the code. What fails before any of the tenant's code ran is ours,
        and is tried once more."""
        try:
            isolate = await self._borrow(bundle)
        except (CloisterError, IsolateDied) as exc:
            log.warning("no isolate for %s, trying again: %s", self.work.id, exc)
            isolate = await self._borrow(bundle)
        if not isolate.is_loaded:
            self.record.language = isolate.language
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
            raise endings.raised(
                self.record, frames.Failed(name="SyntaxError", message=message)
            ) from refused

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
            raise endings.raised(self.record, frame)
        if not isinstance(frame, frames.Loaded):
            raise endings.nonsense(self.record, frame)

    def _take_into_use(self, isolate: Isolate, start_ns: int | None = None) -> None:
        """From now on its time counts as this invocation's."""
        self._isolate = isolate
        self._used_since_s = time.monotonic()
        self.record.language = isolate.language
        limits = self.work.limits
        self.watch = Watch(
            isolate,
            cpu_ms=limits.cpu_ms or 0,
            wall_ms=limits.wall_ms or 0,
            on_overrun=self._overrun,
            on_busy=self._on_busy,
            watches=self._host.watches,
            start_ns=start_ns,
        )
        self.watch.start()

    def _let_go(self, *, reuse: bool, is_plain: bool = False) -> None:
        """Give back what it holds: the isolate, so that the next one finds it, then its turn and
        its place. Whoever is behind it gets isolate and turn, or starts again."""
        watch, isolate, turn, self._isolate = self.watch, self._isolate, self._turn, None
        reuse = reuse and self._verdict is None
        hand_over: Callable[[], None] | None = None
        if watch is not None and isolate is not None:
            end_ns = self._measure(watch, isolate, is_plain=is_plain)
            if reuse and self._convoy and turn is not None:
                follower = self._convoy.next()
                hand_over = partial(follower.take_over, isolate, self._convoy, turn, end_ns)
            else:
                self._host.give_back(isolate, reuse=reuse)
        if hand_over is None and turn is not None:
            turn.end()
        if self._has_place:
            self._has_place = False
            self._host.gate.leave(self._place)
        if hand_over is None:
            self._convoy.dissolve()
        else:
            hand_over()

    def _measure(self, watch: Watch, isolate: Isolate, *, is_plain: bool) -> int:
        """Record what it used; where its share of the isolate's CPU time ends. If those behind it
        have answered, too, all had the same share, as far as anybody knows."""
        watch.stop()
        answered = 1 + min(len(self._convoy), isolate.frames_pending // 2)
        used_ns = watch.used_ns // answered
        self.record.cpu_ms = cpu_ms = used_ns / NS_PER_MS
        self.record.peak_memory_kb = self._host.peak_kb(isolate, cpu_ms)
        count_answer(
            isolate, cpu_ms if is_plain else math.inf, time.monotonic() - self._used_since_s
        )
        return watch.start_ns + used_ns

    def _end(self) -> None:
        self.watch = None  # which knows this run: else only the garbage collector ends the two
        self.record.wall_ms = (time.monotonic() - self._started_s) * 1000
        try:
            self._write_trace()
        finally:
            self.on_over()

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
            case frames.Declined() if 0 < frame.count <= len(self._convoy):
                self._convoy.dissolve(frame.count)
            case frames.Log() if not self.record.is_flooded:
                self.record.log(frame.level, frame.text, frame.timestamp, last=frame.last)
            case frames.Head() if not self._begun and self._is_fetch:
                await self._head(frame)
            case frames.Chunk() if self._begun and not self._answered:
                await self._chunk(frame.data)
            case frames.End() if self._begun and not self._answered:
                await self._sink.end()
                self._responded()
            case frames.Returned() if not self._begun and not self._is_fetch:
                self._begun = True
                await self._sink.returned(frame.value)
                self._responded()
            case frames.Failed(phase="background") if self._answered:
                self._outcome = endings.raised(self.record, frame).outcome
            case frames.Failed(phase="invoke") if not self._answered:
                await self._fail(endings.raised(self.record, frame))
                if frame.memory:
                    return False
                self._responded()
            case _:
                raise endings.nonsense(self.record, frame)
        return None

    async def _take(self, call: frames.Call, isolate: Isolate, bundle: Bundle) -> None:
        if self.watch is not None:
            self.watch.calls += 1
        if self._turn is not None:
            self._turn.end()
        if self._answerer is None:
            self._answerer = self._host.answerer(self, bundle, isolate)
        try:
            await self._answerer.take(call, isolate.frame_bytes)
        except TooManyCalls:
            raise endings.nonsense(self.record, call) from None

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
            if self._isolate is not None and not self._isolate.frames_pending:
                self.watch.step_back()  # only waitUntil work is left

    def _on_busy(self, is_busy: bool) -> None:
        self._host.gate.burden((self.work.namespace, self.work.script), is_busy=is_busy)

    def _overrun(self, outcome: Outcome) -> None:
        if outcome is Outcome.EXCEEDED_WALL and self._answered:
            message = "waitUntil() tasks did not complete in time and were cancelled"
            self.record.log("warn", message, time.time_ns() // 1_000_000)
            outcome = self._outcome
        self.stop(outcome)

    def _why(self, died: IsolateDied) -> Ended:
        """The isolate is gone: by our verdict, or by what the tenant's code did in it."""
        if self._verdict is not None:
            return Ended(self._verdict)
        return endings.died(self.record, died)

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
