"""A zygote, seen from the executor: started, asked for isolates, told to end."""

import asyncio
import itertools
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Sequence
from functools import partial

from cloister.errors import NotReady
from executor.cell import Isolate, IsolateDied
from executor.isolate import zygote
from executor.isolate.door import READ_BYTES, DoorClosed
from executor.isolate.frames import Ready
from executor.isolate.zygote import Exited, Fork, MemorySet, SetMemory, StepFailure, Up
from executor.sandbox.cgroups import Groups

COMMAND = (sys.executable, "-I", "-m", "executor.isolate.zygote")

START_S = 30.0
"""From starting a zygote until it is enclosed."""
FORK_S = 10.0
"""From asking for an isolate until it is ready."""
END_S = 5.0
"""From closing a zygote's control socket until it is killed."""

DOOR_BYTES = 208 * 1024
"""What the kernel holds of a door for whoever reads. It doubles that: a whole piece of a body is
sent without a wait in its middle."""

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_MESSAGE_BYTES = 4096


class Zygote:
    """A zygote process and the isolates forked from it.

    Attributes:
        ended: set once the process is gone, and with it all its isolates.
        forks: how many isolates it was asked for.
        started_s: on the monotonic clock.
    """

    def __init__(
        self, process: "subprocess.Popen[bytes]", control: socket.socket, ceiling_bytes: int
    ) -> None:
        loop = asyncio.get_running_loop()
        self.ended = asyncio.Event()
        self.forks = 0
        self.started_s = time.monotonic()
        self.on_ended: Callable[[Zygote], None] = lambda _zygote: None
        self._process = process
        self._control = control
        self._ceiling_bytes = ceiling_bytes
        self._ids = itertools.count(1)
        self._isolates: dict[int, asyncio.Future[Exited | None]] = {}
        self._cells: set[Isolate] = set()
        self._failures: dict[int, str] = {}
        self._memory_waits: defaultdict[int, deque[asyncio.Future[None]]] = defaultdict(deque)
        self._up: asyncio.Future[None] = loop.create_future()
        self._pidfd = os.pidfd_open(process.pid)
        loop.add_reader(self._pidfd, self._on_exit)
        loop.add_reader(control, self._on_message)

    @classmethod
    async def start(
        cls, command: Sequence[str], without: Collection[str], ceiling_bytes: int
    ) -> "Zygote":
        """Start a zygote and wait until it is enclosed.

        ``without`` are the facilities that the operator accepts to do without. No isolate will
        ever be allowed more memory than ``ceiling_bytes``.

        Raises:
            NotReady: it could not enclose itself; the message names the step.
        """
        try:
            started = cls._spawn(command, without, ceiling_bytes)
        except OSError as exc:
            raise NotReady(f"The zygote did not start: {exc}.") from exc
        try:
            async with asyncio.timeout(START_S):
                await started._up
        except BaseException as exc:
            await started.close()
            if isinstance(exc, TimeoutError | NotReady):
                reason = exc if str(exc) else "it took too long"
                raise NotReady(f"The zygote did not start: {reason}.") from exc
            raise
        return started

    @classmethod
    def _spawn(
        cls, command: Sequence[str], without: Collection[str], ceiling_bytes: int
    ) -> "Zygote":
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        number = str(theirs.fileno())
        try:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [*command, "--control", number, "--without", ",".join(sorted(without))],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={},  # the executor's holds secrets
                cwd="/",
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(process, ours, ceiling_bytes)

    @property
    def isolates(self) -> int:
        """How many of its isolates are alive."""
        return len(self._isolates)

    async def fork(self, memory_bytes: int, groups: Groups | None = None) -> Isolate:
        """A fresh isolate whose sandbox stands, and which may allocate so much. Given control
        groups, it is in one of its own.

        Raises:
            NotReady: there is none; the message names the step that failed.
        """
        try:
            ours, theirs = socket.socketpair()
        except OSError as exc:
            raise NotReady(f"No isolate came to be: {exc}.") from exc
        ours.setblocking(False)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, DOOR_BYTES)
        # Before the isolate can speak: the kernel notes the sender only for one who wants to know.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        try:
            with theirs:
                number = self._ask(theirs, memory_bytes)
            isolate = await self._first_frame(number, ours, memory_bytes)
        except BaseException:
            ours.close()
            raise
        try:
            if groups is not None:
                await isolate.join(groups)
            await _check_ready(isolate)
        except BaseException:
            isolate.kill("never ready")
            raise
        return isolate

    def _ask(self, door: socket.socket, memory_bytes: int) -> int:
        if self.ended.is_set() or self._control.fileno() == -1:
            raise NotReady("The zygote has ended.")
        number = next(self._ids)
        self.forks += 1
        request = zygote.encode(Fork(number, memory_bytes, self._ceiling_bytes))
        try:
            socket.send_fds(self._control, [request], [door.fileno()])
        except OSError as exc:
            raise NotReady(f"The zygote takes no request: {exc}.") from exc
        self._isolates[number] = asyncio.get_running_loop().create_future()
        return number

    async def _first_frame(self, number: int, door: socket.socket, memory_bytes: int) -> Isolate:
        ended = self._isolates[number]
        try:
            async with asyncio.timeout(FORK_S):
                pid, first = await _introduction(door)
            process = _hold(pid, door)
        except (DoorClosed, OSError) as exc:
            await asyncio.wait([ended], timeout=END_S)
            reason = self._failures.pop(number, None) or f"{exc!r}, {_describe(ended)}"
            raise NotReady(f"No isolate came to be: {reason}.") from exc
        apply_memory = partial(self._set_memory, number)
        isolate = Isolate(pid, process, ended, memory_bytes, apply_memory)
        await isolate.attach(door, first)
        self._cells.add(isolate)
        isolate.on_closed.append(self._cells.discard)
        return isolate

    async def _set_memory(self, number: int, memory_bytes: int) -> None:
        if number not in self._isolates:
            return
        done = asyncio.get_running_loop().create_future()
        request = zygote.encode(SetMemory(number, memory_bytes, self._ceiling_bytes))
        try:
            self._control.send(request)
        except OSError as exc:
            raise NotReady(f"The zygote takes no request: {exc}.") from exc
        self._memory_waits[number].append(done)
        await done

    async def close(self) -> None:
        """End the zygote and every isolate of it; returns when they are gone."""
        self._stop_listening()
        try:
            async with asyncio.timeout(END_S):
                await self.ended.wait()
        except TimeoutError:
            self._process.kill()
            await self.ended.wait()
        for isolate in list(self._cells):
            isolate.kill("the zygote is closed")
            await isolate.closed.wait()

    def _on_message(self) -> None:
        try:
            message = self._control.recv(_MESSAGE_BYTES)
        except OSError:
            message = b""
        if not message:
            self._stop_listening()
            return
        match zygote.decode_to_host(message):
            case Up():
                self._up.set_result(None)
            case StepFailure(id=None, message=text):
                self._up.set_exception(NotReady(text))
            case StepFailure(id=int(number), message=text):
                self._failures[number] = text
            case MemorySet(id=number):
                if waits := self._memory_waits.get(number):
                    _settle(waits.popleft())
            case Exited(id=number) as exited:
                self._forget(number, exited)

    def _forget(self, number: int, exited: Exited | None) -> None:
        self._isolates.pop(number).set_result(exited)
        for wait in self._memory_waits.pop(number, ()):
            _settle(wait)

    def _on_exit(self) -> None:
        """The process is gone; so, by the kernel, are its isolates."""
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._stop_listening()
        code = self._process.wait()
        if not self._up.done():
            self._up.set_exception(NotReady(f"it exited with {code}"))
            self._up.exception()  # looked at, though start() may have been cancelled
        for number in list(self._isolates):
            self._forget(number, None)
        self.ended.set()
        self.on_ended(self)

    def _stop_listening(self) -> None:
        if self._control.fileno() != -1:
            asyncio.get_running_loop().remove_reader(self._control)
            self._control.close()


async def _introduction(door: socket.socket) -> tuple[int, bytes]:
    """The first bytes from an isolate, with its pid as the kernel tells it."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(door, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(door)
    data, ancillary, _, _ = door.recvmsg(READ_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size))
    door.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
    if not data:
        raise DoorClosed
    bodies = {kind: body for _, kind, body in ancillary}
    pid, _, _ = _CREDENTIALS.unpack(bodies[socket.SCM_CREDENTIALS])
    return pid, data


def _hold(pid: int, door: socket.socket) -> int:
    """A pidfd of the process. Its door is still open after, so the pid was not another's.

    Raises:
        OSError, DoorClosed: it is gone already.
    """
    process = os.pidfd_open(pid)
    try:
        _check_open(door)
    except DoorClosed:
        os.close(process)
        raise
    return process


def _check_open(door: socket.socket) -> None:
    hang_up = select.poll()
    hang_up.register(door, 0)
    if hang_up.poll(0):
        raise DoorClosed


async def _check_ready(isolate: Isolate) -> None:
    try:
        frame = await isolate.receive()
    except IsolateDied as exc:
        raise NotReady(f"An isolate ended before it was ready: {exc}.") from exc
    if not isinstance(frame, Ready):
        isolate.kill("spoke out of turn")
        raise NotReady("An isolate did not say that it is ready.")


def _describe(ended: "asyncio.Future[Exited | None]") -> str:
    exited = ended.result() if ended.done() else None
    return f"exit code {exited.code}" if exited else "exit code unknown"


def _settle(wait: "asyncio.Future[None]") -> None:
    """Answer a wait, unless who waited was cancelled."""
    if not wait.done():
        wait.set_result(None)
