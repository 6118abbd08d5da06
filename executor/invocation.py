"""One invocation from its beginning to its record: its place, its turn, its isolate, its end."""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from random import random
from typing import cast

from cloister.errors import CloisterError
from cloister.outcomes import Outcome
from cloister.registry.observability import Observability
from cloister.registry.views import Bundle
from executor import endings, loading
from executor.build import Uncompilable
from executor.conversation import Conversation
from executor.convoy import Convoy, is_quick
from executor.gate import Overloaded
from executor.host import Host, Spawn
from executor.isolate import frames
from executor.isolate.door import pack
from executor.isolates import Isolate, IsolateDied
from executor.replies import Undeliverable
from executor.traces import Record, event_of
from executor.turns import Turn, Waiter
from executor.use import Use
from executor.watch import Watch
from executor.work import Ended, Sink, Work

log = logging.getLogger(__name__)

_ALL = Observability()


class Run:
    """One invocation. :meth:`start` it, or :meth:`run` it once; :meth:`stop` it from outside at any
    time.

    Most invocations wait for nothing but their turn and their isolate. Such a one has no task: it
    is moved on by whoever it waits for. What is not so plain goes on in a task, from where it is.
    """

    def __init__(self, host: Host, work: Work, sink: Sink) -> None:
        self.work = work
        self.record = Record(host.settings.log_bytes)
        self.on_begun: Callable[[], None] = lambda: None
        """Called when it waits in no line any more."""
        self.on_over: Callable[[], None] = lambda: None
        """Called at the end."""
        self._host = host
        self._sink = sink
        self._talk = Conversation(host.settings, work, self.record, sink)
        self._place = work.namespace, work.script
        self._has_place = False
        self._bundle: Bundle | None = None
        self._turn: Turn | None = None
        self._isolate: Isolate | None = None
        self._is_sent = False
        self._convoy = Convoy()
        self._is_behind = False
        self._goes_alone = False
        self._use: Use | None = None
        self._spawn: Spawn | None = None
        self._task: asyncio.Task[None] | None = None
        self._verdict: Outcome | None = None
        self._started_s = time.monotonic()

    @property
    def watch(self) -> Watch | None:
        """That of its isolate, while it has one."""
        return self._talk.watch

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
        if not self._talk.is_answered:
            is_begun = self._talk.is_begun
            self.stop(Outcome.RESPONSE_DISCONNECTED if is_begun else Outcome.CANCELED)

    # Without a task:

    def start(self, spawn: Spawn) -> None:
        """Begin, and do at once what need not wait. What must goes on in a task of ``spawn``."""
        self._spawn = spawn
        if self._enter_now():
            self._bundle = self._host.bundle_now(self.work.version)
        if self._bundle is None:
            self._go_on()
        else:
            self._host.turns.call(self._place, self)

    def _enter_now(self) -> bool:
        if self.work.body is not None or self.work.begin_by_s <= time.time():
            return False
        if not self._host.gate.enter_now(self._place):
            return False
        self._has_place = True
        self.on_begun()
        return True

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
        self._step(self._begin_now)
        return True

    def _step(self, step: Callable[[], bool]) -> None:
        """Do what can be done at once. What is not enough, or fails, goes on in a task: whoever
        calls minds the turns or the door of all, and is not to meet an error of one."""
        try:
            if not step():
                self._go_on()
        except Exception:
            log.exception("invocation %s failed", self.work.id)
            self.stop(Outcome.INTERNAL)

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
        return pack(self.work.asked(self._host.settings.log_bytes))

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
        self._step(partial(self._take_over_now, isolate, start_ns))

    def _take_over_now(self, isolate: Isolate, start_ns: int) -> bool:
        self._take_into_use(isolate, start_ns)
        if self._verdict is not None:
            self.stop(self._verdict)
            return False
        isolate.on_frames = self._on_frames
        return self._hear_now()

    def _on_frames(self) -> None:
        """The isolate has said something, or is gone."""
        self._step(self._hear_now)

    def _hear_now(self) -> bool:
        """Take what it said, if it goes on with the log, or is the whole answer, which is all there
        is to most invocations."""
        isolate = self._isolate
        if isolate is None:
            return True
        self._talk.take_logs(isolate)
        if isolate.is_silent:
            return True
        head = None if self._verdict is not None else self._talk.plain_answer(isolate)
        if head is None:
            return False
        isolate.take_answer()
        isolate.on_frames = None
        self._spawn = None
        self._talk.answer(head)
        try:
            self._let_go(reuse=True, is_plain=True)
        finally:
            self._end()
        return True

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
            await self._talk.fail(ended)
        except IsolateDied as died:
            verdict = self._verdict
            await self._talk.fail(Ended(verdict) if verdict else endings.died(self.record, died))
        except Undeliverable:
            await self._talk.fail(Ended(self._verdict or Outcome.RESPONSE_DISCONNECTED))
        except asyncio.CancelledError:
            await self._talk.fail(Ended(self._verdict or Outcome.INTERNAL))
            if self._verdict is None:
                raise
        except Exception:
            log.exception("invocation %s failed", self.work.id)
            await self._talk.fail(Ended(Outcome.INTERNAL))
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
            await self._talk.close()

    async def _with_isolate(self) -> bool:
        """Whether the isolate may serve again."""
        self._bundle = bundle = self._bundle or await self._host.bundle(self.work.version)
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
            await isolate.send(self.work.asked(self._host.settings.log_bytes))
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
            self._turn = None
        isolate = await self._loaded(bundle)
        try:
            self._turn = self._turn or await self._host.turns.begin(self._place)
        except BaseException:
            self._isolate = None
            self._host.give_back(isolate, reuse=True)
            raise
        return isolate

    async def _loaded(self, bundle: Bundle) -> Isolate:
        """An isolate that runs the code. If there is a turn, the invocation follows the code. What
        fails before any of the tenant's code ran is ours, and is tried once more."""
        try:
            isolate = await self._borrow(bundle)
        except (CloisterError, IsolateDied) as exc:
            log.warning("no isolate for %s, trying again: %s", self.work.id, exc)
            isolate = await self._borrow(bundle)
        if not isolate.is_loaded:
            self.record.language = isolate.language
            self._isolate = isolate
            self._turn = self._host.turns.begin_now()
            asked = self.work.asked(self._host.settings.log_bytes) if self._turn else None
            load = partial(loading.load, isolate, self._host, self.record, self.stop)
            try:
                self._is_sent = await load(asked)
            except BaseException:
                self._isolate = None
                self._host.give_back(isolate, reuse=False)
                raise
        return isolate

    async def _borrow(self, bundle: Bundle) -> Isolate:
        try:
            return await self._host.borrow(bundle, self.work.limits.memory_mb or 0)
        except (CloisterError, IsolateDied):
            if self._verdict is not None:
                raise Ended(self._verdict) from None
            raise
        except Uncompilable as why:
            raise loading.refused(self.record, why) from why

    def _take_into_use(self, isolate: Isolate, start_ns: int | None = None) -> None:
        self._isolate = isolate
        self.record.language = isolate.language
        self._use = Use(
            self._host,
            self.work,
            isolate,
            on_overrun=lambda outcome: self.stop(self._talk.overran(outcome)),
            start_ns=start_ns,
        )
        self._talk.watch = self._use.watch

    def _let_go(self, *, reuse: bool, is_plain: bool = False) -> None:
        """Give back what it holds: the isolate, so that the next one finds it, then its turn and
        its place. Whoever is behind it gets isolate and turn, or starts again."""
        use, isolate, turn, self._isolate = self._use, self._isolate, self._turn, None
        reuse = reuse and self._verdict is None
        hand_over: Callable[[], None] | None = None
        if use is not None and isolate is not None:
            end_ns = use.end(self.record, behind=len(self._convoy), is_plain=is_plain)
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

    def _end(self) -> None:
        # They know this run: else only the garbage collector ends the three.
        self._use = self._talk.watch = None
        self.record.wall_ms = (time.monotonic() - self._started_s) * 1000
        bundle = self._bundle
        wanted = _ALL if bundle is None else bundle.observability
        try:
            trace = self.record.trace(
                id_=self.work.id,
                names=(*self._place, self.work.version),
                event=event_of(self.work.invoke, redacts_query=wanted.redacts_query),
                outcome=self._talk.outcome,
            )
            share = wanted.kept_share
            self._host.traces.write(trace, keep=share >= 1 or random() < share)  # noqa: S311
            if bundle is not None and bundle.tails and not self.work.family.is_tail:
                self._host.tails.tell(bundle, trace)
        finally:
            self.on_over()

    async def _converse(self, isolate: Isolate, bundle: Bundle) -> bool:
        """Take frames until Done; whether the isolate may serve again."""
        answerer = partial(self._host.answerer, self, bundle, isolate)
        reuse = None
        while reuse is None:
            frame = await isolate.receive()
            match frame:
                case frames.Call():
                    if self._turn is not None:
                        self._turn.end()
                    await self._talk.take(frame, isolate, answerer)
                case frames.Declined() if 0 < frame.count <= len(self._convoy):
                    self._convoy.dissolve(frame.count)
                case _:
                    reuse = await self._talk.hear(frame)
            if reuse is None and self._talk.is_answered and not isolate.frames_pending:
                cast("Watch", self.watch).step_back()  # only waitUntil work is left
        return reuse
