"""One isolate, seen from the executor: its door, its process, its end."""

import asyncio
import contextlib
import enum
import os
import resource
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from cloister.errors import NotReady
from cloister.languages import RESTRICTED, Language
from executor.isolate.door import DoorClosed, HostDoor
from executor.isolate.frames import FromIsolate, Head, Log, ToIsolate
from executor.isolate.zygote import Exited
from executor.sandbox import priority
from executor.sandbox.cgroups import Group, Groups

_CPUCLOCK_SCHED = 2
_PAGE_KB = resource.getpagesize() // 1024

GRACE_S = 1.0
"""From the door's end to the process's; then it is killed."""

IDLE_CPU_NS = 20_000_000
"""CPU time between two invocations: what is left to do after the answer takes far less."""

RESIDENT_SLACK_KB = 32 * 1024
"""Pages shared by all isolates that come in as they are touched: no part of a tenant's memory."""


class Death(enum.Enum):
    """How an isolate ended."""

    KILLED = "killed"  # by the executor, which gave a reason
    REFUSED_CALL = "refused system call"  # SIGSYS: native code tried what seccomp forbids
    FAULT = "fault"  # SIGSEGV and its like: the stack overflowed, or native code erred
    KERNEL = "killed by the kernel"  # SIGKILL that was not ours, for want of memory
    EXITED = "exited"
    LOST = "lost"  # with its zygote, or by a SIGKILL of somebody else's


class IsolateDied(Exception):
    """The isolate is gone.

    Attributes:
        death: how it ended.
        reason: what was given to ``kill()``; empty unless it was killed.
        code: exit code, negative for a signal; None if it was lost.
    """

    def __init__(self, death: Death, reason: str, code: int | None) -> None:
        super().__init__(f"{death.value}: {reason or code}")
        self.death = death
        self.reason = reason
        self.code = code


class Isolate:
    """A sandboxed process that belongs to at most one worker version.

    One task receives at a time.

    Attributes:
        pid: in the executor's PID namespace.
        key: the version it belongs to; None while blank.
        language: of the code that it runs; the isolate itself takes no other.
        quick_answers: how many it has given in a row; see :mod:`executor.convoy`.
        last_peak_kb: what :meth:`peak_kb` said when it was last asked.
        serves_once: it is ended after its first invocation, whatever came of it.
        memory_bytes: what the tenant may allocate; see :meth:`set_memory`.
        is_loaded: False while the answer to Load (Loaded or Failed) is still to be received by
            whoever borrowed it; that one then sets it.
        closed: set once the process is gone and its door is closed; then ``on_closed`` is called.
    """

    def __init__(
        self,
        pid: int,
        process: int,
        ended: "asyncio.Future[Exited | None]",
        memory_bytes: int,
        apply_memory: Callable[[int], Awaitable[None]],
    ) -> None:
        self.pid = pid
        self.memory_bytes = memory_bytes
        self.key: str | None = None
        self.language: Language = RESTRICTED
        self.serves_once = False
        self.is_loaded = False
        self.idle_since_s = 0.0
        self.last_peak_kb: int | None = None
        self.quick_answers = 0
        self.closed = asyncio.Event()
        self.on_closed: list[Callable[[Isolate], None]] = []
        self._process = process
        self._ended = ended
        self._apply_memory = apply_memory
        self._reason = ""
        self._clock = (~pid << 3) | _CPUCLOCK_SCHED
        self._cpu_ns = 0
        self._rested_ns = 0
        self._door = HostDoor(self._on_door_end)
        self._door_is_gone = False
        self._base_kb = self._resident_kb()
        self._group: Group | None = None
        ended.add_done_callback(self._let_go)

    async def attach(self, sock: socket.socket, first: bytes) -> None:
        """Take the door's socket, and what was read from it already; frames flow from here on."""
        await self._door.connect(sock)
        self._door.take(first)

    async def join(self, groups: Groups) -> None:
        """Be bounded by a control group from now on, until its end.

        Raises:
            NotReady: it cannot be; nothing may run in it.
        """
        self._group = groups.new()
        with _refusing():
            await asyncio.to_thread(self._group.take, self.pid, self._most_bytes())
        if self._ended.done():
            raise NotReady("An isolate ended before it was bounded.")

    async def send(self, frame: ToIsolate) -> None:
        """Send a frame; waits while the isolate is not reading.

        Raises:
            IsolateDied: it is gone.
        """
        try:
            await self._door.send(frame)
        except DoorClosed:
            raise await self._death() from None

    @property
    def is_writable(self) -> bool:
        """Whether what is sent now need not wait. If not, :meth:`send` waits, or says how it
        died."""
        return self._door.is_writable

    def send_now(self, data: bytes) -> None:
        """Send packed frames, while it is writable."""
        self._door.send_now(data)

    async def send_packed(self, data: bytes) -> None:
        """Send a packed frame; waits before that, while the isolate is not reading.

        Raises:
            IsolateDied: it is gone.
        """
        try:
            await self._door.send_packed(data)
        except DoorClosed:
            raise await self._death() from None

    async def receive(self) -> FromIsolate:
        """The isolate's next frame.

        Raises:
            IsolateDied: it is gone; every frame that came before was handed out.
        """
        try:
            return await self._door.receive()
        except DoorClosed:
            raise await self._death() from None

    @property
    def on_frames(self) -> Callable[[], None] | None:
        """Called when there is a frame, or the door is closed, and nobody waits for that."""
        return self._door.on_frames

    @on_frames.setter
    def on_frames(self, callback: Callable[[], None] | None) -> None:
        self._door.on_frames = callback

    def whole_answer(self) -> Head | None:
        """The next response, if it is there as a whole, and that the isolate is done with it."""
        return self._door.whole_answer()

    def take_log(self) -> Log | None:
        """The next frame, if it is there and a line of the log."""
        return self._door.take_log()

    @property
    def is_silent(self) -> bool:
        """Whether there is no frame to be received, but may be some day."""
        return self._door.is_silent

    @property
    def frames_pending(self) -> int:
        """How many frames are there to be received."""
        return self._door.frames_pending

    def take_answer(self) -> None:
        """Count it as received."""
        self._door.take_answer()

    @property
    def frame_bytes(self) -> int:
        """The size of the frame received last."""
        return self._door.frame_bytes

    @property
    def frames_arrived(self) -> int:
        """How many frames it has sent, received or not."""
        return self._door.frames_arrived

    @property
    def is_quiet(self) -> bool:
        """Whether the isolate is alive and has said nothing that nobody asked for."""
        return not self._ended.done() and self._door.is_quiet

    def cpu_ns(self) -> int:
        """CPU time of the process since its fork. After its end: all it used."""
        if not self._ended.done():
            try:
                self._cpu_ns = time.clock_gettime_ns(self._clock)
            except OSError:
                return self._cpu_ns  # ended, and its zygote has yet to say so
        elif (exited := self._ended.result()) is not None:
            self._cpu_ns = exited.cpu_ns
        return self._cpu_ns

    def rest(self) -> None:
        """It has nothing to do from now on."""
        self.idle_since_s = time.monotonic()
        self._rested_ns = self.cpu_ns()

    def is_at_rest(self) -> bool:
        """Whether it does nothing, as it should."""
        return self.is_quiet and self.cpu_ns() - self._rested_ns < IDLE_CPU_NS

    def peak_kb(self) -> int:
        """The most memory the process held, KiB, beyond what it held when it was ready."""
        exited = self._ended.result() if self._ended.done() else None
        peak_kb = exited.peak_kb if exited else self._high_water_kb()
        self.last_peak_kb = max(0, peak_kb - self._base_kb)
        return self.last_peak_kb

    async def set_memory(self, memory_bytes: int) -> None:
        """Let the tenant allocate so much; beyond it, allocation fails inside (MemoryError).

        Returns when that holds, or the isolate is gone; send() and receive() will say so.

        Raises:
            NotReady: it cannot be; nothing may run in it.
        """
        if memory_bytes != self.memory_bytes:
            self.memory_bytes = memory_bytes
            if self._group is not None and not self._ended.done():
                with _refusing():
                    self._group.bound_memory(self._most_bytes())
            await self._apply_memory(memory_bytes)

    def make_way(self, *, is_busy: bool) -> None:
        """Let all others run before this process, which has been at work for long; or not any
        more. A courtesy: where the system does not let us, nothing is changed."""
        if not self._ended.done():
            with contextlib.suppress(OSError):
                priority.make_way(self.pid, is_busy=is_busy)

    def is_waiting(self) -> bool:
        """Whether the process sleeps: what it waits for is not the processor."""
        try:
            stat = self._kernel_says("stat")
        except OSError:
            return True
        return stat[stat.rindex(b")") + 2 :].startswith(b"S")

    def exceeds_memory(self) -> bool:
        """Whether it holds more than its limit all the same. The backstop of the rlimit."""
        return self._resident_kb() * 1024 > self._most_bytes()

    def _most_bytes(self) -> int:
        """What it may hold in all. Of the pages that it has in common with the zygote, those are
        its own in the end that it writes to."""
        return self.memory_bytes + (self._base_kb + RESIDENT_SLACK_KB) * 1024

    def kill(self, reason: str = "killed") -> None:
        """End the process now. The first reason given is the one that counts."""
        self._door.close()
        if self._ended.done():
            return
        self._reason = self._reason or reason
        with contextlib.suppress(ProcessLookupError):  # it was ending already
            signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def _resident_kb(self) -> int:
        try:
            return int(self._kernel_says("statm").split()[1]) * _PAGE_KB
        except (OSError, IndexError):
            return 0

    def _kernel_says(self, what: str) -> bytes:
        """A short file of /proc about the process. With a thousand isolates it is read hundreds of
        times a second: Path would take more than twice as long."""
        file = os.open(f"/proc/{self.pid}/{what}", os.O_RDONLY)
        try:
            return os.read(file, 1024)
        finally:
            os.close(file)

    def _high_water_kb(self) -> int:
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return 0
        _, _, peak = status.partition("VmHWM:")
        return int(peak.split()[0]) if peak else 0

    def _on_door_end(self, broken: str | None) -> None:
        self._door_is_gone = True
        if broken is not None:
            self.kill(f"broke the door's protocol: {broken}")
        elif not self._ended.done() and not self._reason:
            # A process that is ending closes its door first; one that goes on has no business.
            loop = asyncio.get_running_loop()
            grace = loop.call_later(GRACE_S, self.kill, "closed its door")
            self._ended.add_done_callback(lambda _: grace.cancel())
        self._close_if_gone()

    async def _death(self) -> IsolateDied:
        exited = await asyncio.shield(self._ended)
        if exited is None:
            death = Death.KILLED if self._reason else Death.LOST
            return IsolateDied(death, self._reason, None)
        if exited.code == -signal.SIGKILL:
            return IsolateDied(self._death_by_kill(), self._reason, exited.code)
        if exited.code == -signal.SIGSYS:
            return IsolateDied(Death.REFUSED_CALL, "", exited.code)
        return IsolateDied(Death.FAULT if exited.code < 0 else Death.EXITED, "", exited.code)

    def _death_by_kill(self) -> Death:
        if self._reason:
            return Death.KILLED
        return Death.KERNEL if self._group is None or self._group.ran_out else Death.LOST

    def _let_go(self, ended: "asyncio.Future[Exited | None]") -> None:
        os.close(self._process)
        if self._group is not None:
            ended.get_loop().run_in_executor(None, self._group.remove)
        self._close_if_gone()

    def _close_if_gone(self) -> None:
        """Both ends are needed: the last frames may come after word of the process's end."""
        if self._ended.done() and self._door_is_gone:
            self.closed.set()
            for callback in self.on_closed:
                callback(self)


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise NotReady(f"An isolate cannot be bounded by a control group: {exc}.") from exc
