"""The isolate's life once the sandbox stands: one worker version, one invocation at a time."""

import asyncio
import math
import socket
import time
from typing import Any, NoReturn

from cloister.languages import RESTRICTED
from executor.isolate import env as environment
from executor.isolate import frames
from executor.isolate.answer import Answer, tell_failure
from executor.isolate.calls import READ_BYTES, Channel, leave
from executor.isolate.door import pack
from executor.isolate.handlers import DEFAULT, Handlers, discover
from executor.isolate.invocation import Invocation, runtime
from executor.isolate.languages import DIALECTS, Dialect
from executor.isolate.workers.entrypoints import WorkerEntrypoint
from executor.isolate.workers.facade import facades
from executor.isolate.workers.requests import Request
from executor.isolate.workers.responses import Response

BACKGROUND_S = 30.0
"""How long waitUntil work may go on after the response. That of an event has its wall time."""

_DONE = pack(frames.Done())

_prepared: list["Isolate"] = []

NEVER_ANSWERED = "The script will never generate a response"

_REHEARSAL = b"""
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(request.method)
"""
"""The worker of a rehearsal: the plainest of answers."""

_REHEARSED = frames.Invoke(url="http://rehearsal/", headers=[("a", "b")])

REHEARSALS = 20
"""So often Python runs a function, and more, before it has fitted its code to what it is given."""


def prepare(language: str = RESTRICTED) -> None:
    """Make ready, in the zygote, what every isolate needs; each then has a copy of its own."""
    isolate = Isolate(DIALECTS[language])
    isolate.rehearse()
    _prepared.append(isolate)


def serve(door: socket.socket) -> NoReturn:
    """Do what comes through the door until it closes."""
    if _prepared:
        isolate = _prepared.pop()
        isolate.rehearse_alone()
    else:
        isolate = Isolate(DIALECTS[RESTRICTED])
    isolate.channel.open(door)
    isolate.channel.send(frames.Ready())
    while True:
        isolate.handle(isolate.channel.receive())


class Isolate:
    """One worker version in this process."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.channel = Channel()
        calls = runtime.open(self.channel, dialect.format_traceback)
        self._loop = dialect.loop(self.channel, calls)
        dialect.set_log_hook(runtime.log)
        self._loop.set_exception_handler(_log_unretrieved)
        self._env = environment.Env()
        self._space = dialect.space(facades(self._env))
        self._handlers: Handlers | None = None

    def rehearse(self) -> None:
        """Load a worker of our own and let it answer. What Python makes at the first use of
        something is then there, in pages that all isolates share. Nothing else of it is left, and
        it asks for nothing."""
        compiled = self._dialect.compile_sources({"rehearsal": _REHEARSAL}, "rehearsal")
        self._rehearsal = frames.Load(
            main="rehearsal", modules=compiled.modules, language=self._dialect.language
        )
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.channel.open(theirs)
            for _ in range(REHEARSALS):
                self._load_rehearsal()
                ours.sendall(pack(_REHEARSED))
                self.handle(self.channel.receive())
                ours.recv(READ_BYTES)
                self._forget_rehearsal()
            self.channel.close()

    def rehearse_alone(self) -> None:
        """Once more, and to nobody. The pages that load and invocation write to are then copied,
        before anybody waits for that."""
        self.channel.pretend()
        self._load_rehearsal()
        self.handle(_REHEARSED)
        self._forget_rehearsal()

    def _load_rehearsal(self) -> None:
        if self._dialect.forget is None:
            self._handlers = discover({DEFAULT: _Rehearsal})
        else:
            self.handle(self._rehearsal)

    def _forget_rehearsal(self) -> None:
        self._handlers = None
        if self._dialect.forget is not None:
            self._dialect.forget(self._space)

    def handle(self, frame: frames.ToIsolate) -> None:
        """Do one thing that the executor wants; leave if it makes no sense."""
        match frame:
            case frames.Invoke() if self._handlers is not None:
                self._invoke(frame, self._handlers)
            case frames.Load() if self._handlers is None and self._speaks(frame.language):
                self._load(frame)
            case frames.Compile() if self._handlers is None and self._speaks(frame.language):
                self._compile(frame)
            case frames.Reply() | frames.Refusal():
                pass  # to a call that was given up
            case _:
                leave()

    def _speaks(self, language: str) -> bool:
        """Code of one language is never run as the other."""
        return language == self._dialect.language

    def _load(self, frame: frames.Load) -> None:
        environment.fill(self._env, frame.env, frame.live)
        texts = {name: value for name, value in frame.env.items() if isinstance(value, str)}
        self._dialect.set_environ(texts)
        handlers = self._run_top_level(frame.main, frame.modules, frame.data)
        if handlers is not None:
            self.channel.send(frames.Loaded(handlers=handlers))

    def _compile(self, frame: frames.Compile) -> None:
        try:
            result = self._dialect.compile_sources(frame.sources, frame.main)
        except MemoryError as error:
            tell_failure(error, "load")
            return
        handlers: dict[str, list[str]] | None = {}
        started_ns = time.process_time_ns()
        if not result.errors and not frame.only_compile:
            handlers = self._run_top_level(frame.main, result.modules, frame.data)
        if handlers is None:
            return
        self.channel.send(
            frames.Compiled(
                modules=result.modules,
                errors=list(result.errors),
                warnings=list(result.warnings),
                handlers=handlers,
                startup_ms=(time.process_time_ns() - started_ns) // 1_000_000,
            )
        )

    def _run_top_level(
        self, main: str, modules: dict[str, bytes], data: dict[str, bytes]
    ) -> dict[str, list[str]] | None:
        """The listing of a main module's handlers; None if it failed, which has been told then."""
        try:
            self._space.supply(modules, data)
            self._handlers = discover(self._space.run_main(main))
            return self._handlers.listing()
        except BaseException as error:  # noqa: BLE001 - tenant code may raise anything
            tell_failure(error, "load")
            return None

    def _invoke(self, frame: frames.Invoke, handlers: Handlers) -> None:
        invocation = Invocation(frame, self.channel)
        runtime.begin(invocation)
        environment.begin(self._env, frame.env)
        answer = Answer(invocation, handlers, self._env)
        finished = self._loop.finish(answer.give())
        if not answer.given:
            answer.fail(RuntimeError(NEVER_ANSWERED))
        last, clean = answer.unsent, True
        if invocation.background or not self._loop.is_idle:
            self.channel.send_packed(last)
            last = b""
            if finished and invocation.background:
                self._loop.finish(_wait_for_background(invocation))
                _tell_background_failures(invocation)
            clean = self._loop.forget()
        self._loop.clear()
        runtime.end()
        self.channel.send_packed(last + _DONE)
        if not clean:
            leave()  # a task refuses to end; it must not see the next invocation


class _Rehearsal(WorkerEntrypoint):
    """The worker of a rehearsal in which nothing is loaded."""

    async def fetch(self, request: Request) -> Response:
        """The same answer."""
        return Response(request.method)


async def _wait_for_background(invocation: Invocation) -> None:
    """Let waitUntil work end, and what it registers meanwhile."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (math.inf if invocation.frame.event else BACKGROUND_S)
    while pending := {task for task in invocation.background if not task.done()}:
        left_s = deadline - loop.time()
        if left_s <= 0:
            runtime.log("warn", "waitUntil() tasks did not complete in time and were cancelled")
            return
        await asyncio.wait(pending, timeout=None if left_s == math.inf else left_s)


def _tell_background_failures(invocation: Invocation) -> None:
    for task in invocation.background:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            tell_failure(error, "background")


def _log_unretrieved(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what a task raised that nobody awaited."""
    error = context.get("exception")
    if error is None:
        runtime.log("error", str(context.get("message", "")))
    else:
        runtime.log("error", runtime.failure(error).stack)
