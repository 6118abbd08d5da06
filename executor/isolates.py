"""The isolates of one executor: blank ones that stand ready, warm ones kept for their version.

An isolate belongs to one key (a worker version) from its first borrowing on, and never to another.
All isolates of a pool are of one language; :mod:`executor.pools` has a pool for each.
"""

import asyncio
import contextlib
import logging
import math
import resource
import sys
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence

from cloister.errors import NotReady
from cloister.languages import RESTRICTED, Language
from cloister.settings import MIB, Settings
from executor import doctor
from executor.cell import Death, Isolate, IsolateDied
from executor.gate import Gate
from executor.isolate.frames import Load
from executor.sandbox import cgroups
from executor.shares import Name
from executor.zygotes import COMMAND, Zygote

__all__ = ["Death", "Isolate", "IsolateDied", "IsolatePool"]

log = logging.getLogger(__name__)

NOBODY = ("", "")
"""The owner of isolates that no worker waits for."""

FORKS_AT_ONCE = 2
"""More would not be made sooner, and leave less of the machine to what is warm."""

REFILL_AFTER_S = 0.01
FEW = 4
"""Blank isolates are made when none was taken for so long, or but one in so many is left: what is
called for the first time, often not alone, is to have the processors to itself."""

RECYCLE_FORKS = 5_000
RECYCLE_S = 3_600.0
"""After so many forks or seconds a fresh zygote follows: the children of one share the layout of
its memory and its hash seed."""

WATCH_S = 0.5
IDLE_WATCH_S = 0.1
"""How long an isolate may be at work, on nobody's account, before that is seen."""

LOOKED_AT_ONCE = 16
"""Isolates whose memory is read without a pause: hundreds would hold up the loop for long."""

BACKOFF_S = (0.1, 5.0)
"""First and longest pause after an isolate could not be made."""


class IsolatePool:
    """Makes, lends and ends isolates. Lives in one event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        language: Language = RESTRICTED,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.language = language
        self._settings = settings
        self._command = (*command, "--ids", *map(str, settings.sandbox_ids))
        self._without: frozenset[str] = frozenset()
        self._groups: cgroups.Groups | None = None
        self._zygote: Zygote | None = None
        self._retired: set[Zygote] = set()
        self._starting = asyncio.Lock()
        self._forking = Gate(
            FORKS_AT_ONCE, running=FORKS_AT_ONCE, waiting=sys.maxsize, in_line=sys.maxsize
        )
        self._blank: deque[Isolate] = deque()
        self._warm: defaultdict[str, list[Isolate]] = defaultdict(list)
        self._idle: OrderedDict[Isolate, None] = OrderedDict()
        self._busy: set[Isolate] = set()
        self._wanted = 0
        self._taken_s = -math.inf
        self._short = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    async def start(self) -> None:
        """Check the kernel, start the zygote and the first blank isolate.

        Raises:
            NotReady: a facility is missing that the operator did not accept to be missing, or
                the sandbox could not be built.
        """
        self._without = await asyncio.to_thread(doctor.admit, self._settings)
        _allow_descriptors()
        if cgroups.FACILITY not in self._without:
            self._groups = await asyncio.to_thread(_open_groups)
        try:
            self._blank.append(await self._make())
        except BaseException:
            await self.close()
            raise
        self._short.set()
        tasks = self._refill(), self._watch(), self._watch_idle()
        self._tasks = [asyncio.create_task(task) for task in tasks]

    async def close(self) -> None:
        """End every isolate and zygote; returns when they are gone."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        async with self._starting:
            zygotes = [*self._retired, *([self._zygote] if self._zygote else [])]
        await asyncio.gather(*(zygote.close() for zygote in zygotes))
        if self._groups is not None:
            await asyncio.to_thread(self._groups.close)

    async def borrow(
        self,
        key: str,
        load: Callable[[], Awaitable[Load]],
        *,
        owner: Name = NOBODY,
        fresh: bool = False,
    ) -> Isolate:
        """An isolate of this key: the last one that came back, or a blank one that was sent Load.

        In the latter case ``is_loaded`` is False: the borrower receives Loaded or Failed first.
        If one has to be forked, owners share in that. A ``fresh`` one has served nobody, and serves
        once.

        Raises:
            NotReady: no isolate can be made, or the code is of another language than the pool.
            IsolateDied: it died as Load was sent.
        """
        if not fresh and (warm := self.borrow_warm(key)) is not None:
            return warm
        frame = await load()
        if frame.language != self.language:
            raise NotReady(f"This pool runs no code of the {frame.language} language.")
        isolate = await self.blank(owner)
        isolate.key, isolate.serves_once = key, fresh
        try:
            if frame.memory_bytes:
                await isolate.set_memory(frame.memory_bytes)
            await isolate.send(frame)
        except BaseException:
            self.release(isolate, reuse=False)
            raise
        return isolate

    def borrow_warm(self, key: str) -> Isolate | None:
        """The isolate of this key that came back last, with its code loaded."""
        while (warm := self._take_warm(key)) is not None:
            if warm.is_quiet:
                self._busy.add(warm)
                return warm
            warm.kill("spoke while idle")
        return None

    async def blank(self, owner: Name = NOBODY) -> Isolate:
        """A sandboxed isolate that has run nothing yet. It, too, is given back by release().

        Raises:
            NotReady: none can be made.
        """
        # Nobody passes by those who wait for a fork.
        isolate = None if self._wanted else self._take_blank()
        if isolate is None:
            self._wanted += 1
            try:
                isolate = await self._make(owner)
            finally:
                self._wanted -= 1
                self._short.set()
        self._short.set()
        self._busy.add(isolate)
        return isolate

    def release(self, isolate: Isolate, *, reuse: bool) -> None:
        """Give an isolate back: kept warm for its key, or ended.

        ``reuse`` is only for one whose invocation ended in Done, or that was loaded and not used.
        """
        self._busy.discard(isolate)
        is_reusable = isolate.key is not None and isolate.is_loaded and not isolate.serves_once
        if not reuse or not is_reusable or self._closing:
            isolate.kill("released")
            return
        if not isolate.is_quiet:
            isolate.kill("spoke while idle")
            return
        isolate.rest()
        self._warm[str(isolate.key)].append(isolate)
        self._idle[isolate] = None
        while len(self._idle) > self._settings.warm_isolates:
            self._evict(next(iter(self._idle)), "evicted")

    def drop(self, ending: str) -> None:
        """End those that are kept for keys that end so."""
        for isolate in [one for one in self._idle if str(one.key).endswith(ending)]:
            self._evict(isolate, "dropped")

    def _take_warm(self, key: str) -> Isolate | None:
        waiting = self._warm.get(key)
        if not waiting:
            return None
        isolate = waiting.pop()
        del self._idle[isolate]
        if not waiting:
            del self._warm[key]
        return isolate

    def _take_blank(self) -> Isolate | None:
        while self._blank:
            isolate = self._blank.popleft()
            if isolate.is_quiet:
                self._taken_s = time.monotonic()
                return isolate
            isolate.kill("spoke while blank")
        return None

    def _evict(self, isolate: Isolate, reason: str) -> None:
        self._forget(isolate)
        isolate.kill(reason)

    def _forget(self, isolate: Isolate) -> None:
        """Take an isolate out of every list, if it is in one."""
        self._busy.discard(isolate)
        if isolate in self._blank:
            self._blank.remove(isolate)
            self._short.set()
        if isolate in self._idle and isolate.key is not None:
            del self._idle[isolate]
            waiting = self._warm[isolate.key]
            waiting.remove(isolate)
            if not waiting:
                del self._warm[isolate.key]

    async def _make(self, owner: Name = NOBODY) -> Isolate:
        """Fork a blank isolate, from a new zygote if need be."""
        async with self._forking.place(owner):
            zygote = await self._current_zygote()
            isolate = await zygote.fork(self._settings.default_memory_mb * MIB, self._groups)
        isolate.language = self.language
        isolate.on_closed.append(self._forget)
        return isolate

    async def _current_zygote(self) -> Zygote:
        async with self._starting:
            if self._zygote is None or self._zygote.ended.is_set():
                self._zygote = await self._start_zygote()
            return self._zygote

    async def _start_zygote(self) -> Zygote:
        if self._closing:
            raise NotReady("The executor is stopping.")
        zygote = await Zygote.start(
            self._command, self._without, self._settings.max_memory_mb * MIB
        )
        zygote.on_ended = self._on_zygote_ended
        return zygote

    def _on_zygote_ended(self, zygote: Zygote) -> None:
        self._retired.discard(zygote)
        if zygote is self._zygote and not self._closing:
            log.error("the zygote died, and %d busy isolates with it", len(self._busy))
        self._short.set()

    async def _refill(self) -> None:
        """Keep blank isolates ready."""
        pause_s, longest_s = BACKOFF_S
        while True:
            await self._short.wait()
            self._short.clear()
            try:
                while not self._wanted and len(self._blank) < self._settings.blank_isolates:
                    await self._calm()
                    self._blank.append(await self._make())
                pause_s, _ = BACKOFF_S
            except NotReady as exc:
                log.error("no isolate, trying again in %g s: %s", pause_s, exc)  # noqa: TRY400 - expected
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, longest_s)
                self._short.set()

    async def _calm(self) -> None:
        """Wait until the next blank isolate may be made."""
        few = self._settings.blank_isolates // FEW
        while len(self._blank) > few:
            pause_s = self._taken_s + REFILL_AFTER_S - time.monotonic()
            if pause_s <= 0:
                return
            self._short.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._short.wait(), pause_s)

    async def _watch(self) -> None:
        """Look after memory, idle isolates and old zygotes."""
        while True:
            await self._watch_memory()
            self._expire(time.monotonic() - self._settings.isolate_idle_s)
            try:
                await self._recycle()
            except NotReady as exc:
                log.warning("the zygote could not be replaced: %s", exc)

    async def _watch_idle(self) -> None:
        """End isolates that go on without being asked to: native code can."""
        while True:
            await asyncio.sleep(IDLE_WATCH_S)
            for isolate in [one for one in self._idle if not one.is_at_rest()]:
                self._evict(isolate, "busy while idle")

    async def _watch_memory(self) -> None:
        """Look once at each that runs, within :data:`WATCH_S`."""
        running = list(self._busy)
        parts = len(running) // LOOKED_AT_ONCE + 1
        for part in range(parts):
            await asyncio.sleep(WATCH_S / parts)
            for isolate in running[part::parts]:
                if isolate in self._busy and isolate.exceeds_memory():
                    isolate.kill("memory")

    def _expire(self, before_s: float) -> None:
        while self._idle and (oldest := next(iter(self._idle))).idle_since_s < before_s:
            self._evict(oldest, "idle")

    async def _recycle(self) -> None:
        """Start a fresh zygote beside one that has served long; end those without an isolate."""
        for empty in [zygote for zygote in self._retired if not zygote.isolates]:
            await empty.close()
        old = self._zygote
        if old is None or not _is_due(old):
            return
        async with self._starting:
            self._zygote = await self._start_zygote()
            self._retired.add(old)
        for isolate in list(self._blank):
            self._evict(isolate, "recycled")


def _open_groups() -> cgroups.Groups:
    try:
        return cgroups.Groups.open(cgroups.delegated())
    except OSError as exc:
        raise NotReady(f"Control groups are delegated, and cannot be used: {exc}.") from exc


def _allow_descriptors() -> None:
    """As many as the system lets us have: each isolate takes two, its door and its process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _is_due(zygote: Zygote) -> bool:
    age_s = time.monotonic() - zygote.started_s
    return not zygote.ended.is_set() and (zygote.forks >= RECYCLE_FORKS or age_s >= RECYCLE_S)
