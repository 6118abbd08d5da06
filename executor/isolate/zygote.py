"""The zygote: a warm, single-threaded process outside the system, from which isolates are forked.

``python -I -m executor.isolate.zygote --control FD`` is started by the executor. It imports all
that an isolate needs, encloses itself (``executor.sandbox.enclose``), and then forks one isolate
for every :class:`Fork` that comes over the control socket with a door attached. It never reads
from a door. When the control socket closes, it ends, and being PID 1 takes every isolate along.
"""

import argparse
import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

import msgspec

from cloister.languages import LANGUAGES, RESTRICTED
from executor import sandbox
from executor.isolate import immortal
from executor.isolate.languages import DIALECTS
from executor.sandbox import kernel, limits, process, seccomp, users

DEFAULT_SERVE = "executor.isolate.main:serve"

EXIT_STEP = 64
"""Plus one and the position of the step that failed: the sandbox was not complete, nothing ran."""
EXIT_SERVE = 100
"""The isolate's own code, not the tenant's, let an exception through."""
EXIT_ENCLOSURE = 101
"""The zygote could not enclose itself."""

_CONTROL_DESCRIPTOR = 4  # beside the door's in a fresh child; closed before anything is read
_MAX_MESSAGE_BYTES = 4096

FILLING_BYTES = 64 * 1024
_SMALL_SIZES = range(16, 480, 16)
_filling: list[bytes] = []

Serve = Callable[[socket.socket], object]


class Fork(msgspec.Struct, frozen=True, tag="fork"):
    """To the zygote: fork an isolate; its door is attached.

    It may allocate ``memory_bytes``; :class:`SetMemory` can change that, up to ``ceiling_bytes``.
    """

    id: int
    memory_bytes: int
    ceiling_bytes: int


class SetMemory(msgspec.Struct, frozen=True, tag="memory"):
    """To the zygote: from now on, this isolate may allocate so much. Answered by MemorySet."""

    id: int
    memory_bytes: int
    ceiling_bytes: int


class MemorySet(msgspec.Struct, frozen=True, tag="memory_set"):
    """From the zygote: done, or the isolate has ended."""

    id: int


class Up(msgspec.Struct, frozen=True, tag="up"):
    """From the zygote: it is enclosed and takes requests."""


class StepFailure(msgspec.Struct, frozen=True, tag="step"):
    """From the zygote (``id`` is None) or an isolate: a sandbox step failed; nothing ran."""

    id: int | None
    facility: str
    message: str


class Exited(msgspec.Struct, frozen=True, tag="exited"):
    """From the zygote: an isolate ended, and what it used. ``code`` is negative for a signal."""

    id: int
    code: int
    cpu_ns: int = 0
    peak_kb: int = 0


ToZygote = Fork | SetMemory
ToHost = Up | StepFailure | MemorySet | Exited

encode = msgspec.msgpack.Encoder().encode
decode_to_zygote = msgspec.msgpack.Decoder(ToZygote).decode
decode_to_host = msgspec.msgpack.Decoder(ToHost).decode


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    options = _parse(arguments)
    control, door = _settle_descriptors(options.control)
    without = frozenset(filter(None, options.without.split(",")))
    serve = _warm_up(options)
    base_bytes = limits.address_space_bytes()
    block = users.Block(tuple(options.ids))
    try:
        sandbox.enclose(without, block)
        process.die_with_parent()
    except sandbox.StepFailed as exc:
        control.send(encode(StepFailure(None, exc.facility, str(exc))))
        os._exit(EXIT_ENCLOSURE)
    if first := os.fork():
        control.close()
        _watch(first)  # and hold the block: this process outlives every isolate
    block.release()
    process.die_with_parent()
    Zygote(control, door, serve, without, base_bytes).run()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="executor.isolate.zygote")
    parser.add_argument("--control", type=int, required=True, help="descriptor of the socket")
    parser.add_argument("--serve", default=DEFAULT_SERVE, help="what an isolate runs")
    parser.add_argument("--ids", type=int, nargs=2, required=True, help="first and last, for users")
    parser.add_argument("--without", default="", help="facilities accepted to be missing")
    parser.add_argument("--language", choices=LANGUAGES, default=RESTRICTED)
    parser.add_argument("--modules", default="", help="packages that may be imported (full only)")
    parser.add_argument("--distributions", default="", help="what those are called when installed")
    return parser.parse_args(arguments)


def _settle_descriptors(given: int) -> tuple[socket.socket, socket.socket]:
    """Put the control socket where it stays, and a socket where each child has its door: what is
    made of it here, once, works in each of them."""
    _move(given, _CONTROL_DESCRIPTOR)
    ours, theirs = socket.socketpair()
    theirs.close()
    _move(ours.detach(), sandbox.DOOR_DESCRIPTOR)
    return socket.socket(fileno=_CONTROL_DESCRIPTOR), socket.socket(fileno=sandbox.DOOR_DESCRIPTOR)


def _move(descriptor: int, to: int) -> None:
    if descriptor != to:
        os.dup2(descriptor, to)
        os.close(descriptor)


def _warm_up(options: argparse.Namespace) -> Serve:
    """Import, now that there is a file system, all that isolates run; then settle memory."""
    module_name, _, attribute = options.serve.partition(":")
    module = importlib.import_module(module_name)
    serve: Serve = getattr(module, attribute)
    dialect = DIALECTS[options.language]
    modules = _names(options.modules)
    dialect.warm_up(modules, _names(options.distributions))
    if prepare := getattr(module, "prepare", None):
        prepare(options.language)
    seccomp.program(kernel.machine())
    os.environ.clear()
    # Every tenant's local time is UTC, and libc need not look for a zone file.
    os.environ["TZ"] = "UTC0"
    time.tzset()
    dialect.forget_host(modules)
    # Collected and frozen, objects stay in pages that all isolates share. With the gaps between
    # them filled, what isolates allocate lies together in a few fresh ones.
    gc.disable()
    gc.collect()
    immortal.immortalise()
    _filling.extend(bytes(size) for size in _SMALL_SIZES for _ in range(FILLING_BYTES // size))
    gc.freeze()
    return serve


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _watch(first: int) -> NoReturn:
    """Outside the PID namespace: end as PID 1 did, so that the executor can wait for it."""
    _, status = os.waitpid(first, 0)
    os._exit(max(0, os.waitstatus_to_exitcode(status)))


class _Child(NamedTuple):
    """An isolate. ``id`` is that of the request; ``user`` is None if all are one."""

    id: int
    user: int | None


class Zygote:
    """PID 1 of the isolates' world."""

    def __init__(
        self,
        control: socket.socket,
        door: socket.socket,
        serve: Serve,
        without: frozenset[str],
        base_bytes: int,
    ) -> None:
        self._control = control
        self._serve = serve
        self._without = without
        self._door = door
        self._base_bytes = base_bytes
        self._isolates: dict[int, _Child] = {}
        self._users: set[int] = set()

    def run(self) -> NoReturn:
        """Fork and reap until the control socket closes."""
        children, wake = socket.socketpair()
        for end in (children, wake):
            end.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
        self._tell(Up())
        poll = select.poll()
        for end in (self._control, children):
            poll.register(end, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self._control.fileno():
                    self._take_request()
                else:
                    children.recv(_MAX_MESSAGE_BYTES)
                    self._reap()

    def _take_request(self) -> None:
        try:
            message, doors, _, _ = socket.recv_fds(self._control, _MAX_MESSAGE_BYTES, 1)
        except ConnectionError:
            message = b""
        if not message:
            os._exit(0)
        match decode_to_zygote(message):
            case Fork() as request:
                (door,) = doors
                self._fork(request, door)
                os.close(door)
            case SetMemory() as request:
                self._set_memory(request)

    def _fork(self, request: Fork, door: int) -> None:
        try:
            user = self._free_user()
            pid = kernel.fork()
        except OSError as exc:
            self._tell(StepFailure(request.id, "fork", str(exc)))
            self._tell(Exited(request.id, EXIT_STEP))
            return
        if pid == 0:
            self._become_isolate(request, door, user)
        self._isolates[pid] = _Child(request.id, user)
        if user is not None:
            self._users.add(user)

    def _free_user(self) -> int | None:
        """An id that no living isolate has. One that was waited for is gone, and had no child."""
        if not sandbox.has_users(self._without):
            return None
        return users.pick(self._users)

    def _set_memory(self, request: SetMemory) -> None:
        pids = [pid for pid, child in self._isolates.items() if child.id == request.id]
        for pid in pids:
            # Ended, it is not reaped yet: the pid is its own.
            with contextlib.suppress(ProcessLookupError):
                limits.limit_memory(*self._bounds(request), pid)
        self._tell(MemorySet(request.id))

    def _bounds(self, request: Fork | SetMemory) -> tuple[int, int]:
        """The address space's limit and its ceiling: what the zygote has itself comes on top."""
        return self._base_bytes + request.memory_bytes, self._base_bytes + request.ceiling_bytes

    def _become_isolate(self, request: Fork, door: int, user: int | None) -> NoReturn:
        """In the child: take the door, lose all else, serve. Never comes back."""
        code = EXIT_STEP
        try:
            self._take_door(door)
            sandbox.lock_down(self._without, user, *self._bounds(request))
            code = EXIT_SERVE
            self._control.close()
            gc.enable()
            self._serve(self._door)
            code = 0
        except sandbox.StepFailed as exc:
            code = EXIT_STEP + 1 + exc.position
            self._tell(StepFailure(request.id, exc.facility, str(exc)))
        finally:
            # Nothing of the zygote's stack may run in a child.
            os._exit(code)

    def _take_door(self, door: int) -> None:
        """Let go of all that the zygote has open, but the control socket, to tell of a failure.

        The handler of SIGCHLD stays: no signal but SIGKILL ever comes here.
        """
        sys.stdin = sys.stdout = sys.stderr = None
        os.dup2(door, sandbox.DOOR_DESCRIPTOR, inheritable=False)
        process.keep_descriptors(sandbox.DOOR_DESCRIPTOR, _CONTROL_DESCRIPTOR)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            cpu_ns = int((usage.ru_utime + usage.ru_stime) * 1e9)
            child = self._isolates.pop(pid)
            if child.user is not None:
                self._users.remove(child.user)
            self._tell(Exited(child.id, code, cpu_ns, usage.ru_maxrss))

    def _tell(self, message: ToHost) -> None:
        try:
            self._control.send(encode(message))
        except ConnectionError:
            os._exit(0)


if __name__ == "__main__":
    main()
