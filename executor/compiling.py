"""From source to code that an isolate can load: compiled once, in an isolate, kept by digest.

A job compiles, then runs the top-level code in the same fresh isolate, each within its own limit,
and the isolate is thrown away. The compiled blob's key carries the Python and policy versions; if
there is none for ours, the source is compiled again when a worker is first needed.
"""

import asyncio
import logging
import sys
import time
from collections import OrderedDict

import msgspec

from cloister.blobs import Blobs
from cloister.bundles import decode_sources
from cloister.errors import CloisterError, Invalid, NotFound
from cloister.messages import CompileAnswer, CompileJob, Complaint, Source
from cloister.outcomes import ANSWERS, Outcome
from cloister.secrets import Cipher
from cloister.settings import MIB, Settings
from cloister.trial import Environment, unseal
from executor.isolate import frames
from executor.isolate.policy import POLICY_VERSION
from executor.isolates import Isolate, IsolateDied, IsolatePool
from executor.watch import Watch

log = logging.getLogger(__name__)

COMPILE_CPU_MS = 2_000
LOAD_WALL_MS = 10_000
AT_ONCE = 4
"""Compile jobs at once: each is CPU time only, and its clock on the wall is ticking."""

KEPT = 64
KEPT_BYTES = MIB
"""Compiled workers kept in memory, and the largest that is: cold starts come in bursts."""

TAG = f"{sys.implementation.cache_tag}-{POLICY_VERSION}"
PYTHON = frozenset({"text/x-python", "text/x-python-requirement", "application/x-python"})
DEFAULT = "Default"


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """What the compiled blob holds."""

    main: str
    modules: dict[str, bytes]
    data: dict[str, bytes] = {}


class Uncompilable(Exception):
    """The source does not compile, or its top-level code does not run."""

    def __init__(
        self,
        errors: list[Complaint],
        warnings: list[Complaint] | None = None,
        failure: Outcome | None = None,
    ) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors
        self.warnings = warnings or []
        self.failure = failure


class Compiler:
    """Compiles in isolates of the pool."""

    def __init__(self, settings: Settings, blobs: Blobs, pool: IsolatePool, cipher: Cipher) -> None:
        self._cipher = cipher
        self._settings = settings
        self._blobs = blobs
        self._pool = pool
        self._kept: OrderedDict[str, Code] = OrderedDict()
        self._decoder = msgspec.msgpack.Decoder(Code)
        self._again = asyncio.Lock()
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def answer(self, job: CompileJob) -> CompileAnswer:
        """Do a job. What goes wrong is in the answer."""
        try:
            async with self._turns:
                return await self._do(job)
        except Uncompilable as exc:
            return CompileAnswer(
                id=job.id, errors=exc.errors, warnings=exc.warnings, failure=exc.failure
            )
        except (CloisterError, IsolateDied):
            log.exception("compile job %s failed", job.id)
            return CompileAnswer(id=job.id, failure=Outcome.INTERNAL)

    async def code(self, digest: str, main: str) -> Code:
        """The compiled code of a deployed version.

        Raises:
            NotFound: its source is gone.
            Uncompilable: this release's policy refuses what an earlier one took.
            NotReady: object store or pool do not answer.
        """
        code = self._kept.get(digest) or await self._stored(digest)
        if code is None or code.main != main:
            async with self._again:
                code = await self._stored(digest)
                if code is None or code.main != main:
                    code = await self._compile_again(digest, main)
        self._keep(digest, code)
        return code

    async def _stored(self, digest: str) -> Code | None:
        data = await self._blobs.aget(_key(digest))
        return None if data is None else self._decoder.decode(data)

    def _keep(self, digest: str, code: Code) -> None:
        if sum(map(len, (*code.modules.values(), *code.data.values()))) <= KEPT_BYTES:
            self._kept[digest] = code
            self._kept.move_to_end(digest)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)

    async def _compile_again(self, digest: str, main: str) -> Code:
        isolate = await self._pool.blank()
        try:
            code, _warnings = await self._compile(isolate, digest, main)
        finally:
            self._pool.release(isolate, reuse=False)
        await self._blobs.aput(_key(digest), msgspec.msgpack.encode(code))
        return code

    async def _do(self, job: CompileJob) -> CompileAnswer:
        if job.deadline <= time.time():
            return CompileAnswer(id=job.id, failure=Outcome.EXPIRED)
        isolate = await self._pool.blank()
        try:
            code, warnings = await self._compile(isolate, job.digest, job.main_module)
            environment = unseal(self._cipher, job.id, job.environment)
            handlers, startup_ms = await self._try_out(isolate, code, environment, warnings)
        finally:
            self._pool.release(isolate, reuse=False)
        await self._blobs.aput(_key(job.digest), msgspec.msgpack.encode(code))
        return CompileAnswer(
            id=job.id,
            warnings=warnings,
            handlers=handlers.get(DEFAULT, []),
            named_handlers={name: each for name, each in handlers.items() if name != DEFAULT},
            startup_ms=startup_ms,
        )

    async def _compile(
        self, isolate: Isolate, digest: str, main: str
    ) -> tuple[Code, list[Complaint]]:
        source = await self._blobs.aget(f"source/{digest}")
        if source is None:
            raise NotFound("The source of this version is gone.")
        modules, data = _sorted(decode_sources(source))
        await isolate.set_memory(self._settings.default_memory_mb * MIB)
        frame = frames.Compile(main=main, sources=modules, data=data, only_compile=True)
        answer, _ = await self._ask(isolate, frame, COMPILE_CPU_MS, "compile")
        if not isinstance(answer, frames.Compiled):
            raise Invalid("The compiler answered out of turn.")
        warnings = [_complaint(issue) for issue in answer.warnings]
        if answer.errors:
            raise Uncompilable([_complaint(issue) for issue in answer.errors], warnings)
        return Code(main=main, modules=answer.modules, data=data), warnings

    async def _try_out(
        self, isolate: Isolate, code: Code, environment: Environment, warnings: list[Complaint]
    ) -> tuple[dict[str, list[str]], int]:
        """Run the top level: entrypoint classes with their handlers, and the CPU time it took."""
        frame = frames.Load(
            main=code.main,
            modules=code.modules,
            data=code.data,
            env=environment.env,
            live=environment.live,
        )
        limit_ms = self._settings.startup_cpu_ms
        answer, cpu_ms = await self._ask(isolate, frame, limit_ms, "start")
        if not isinstance(answer, frames.Loaded):
            raise Uncompilable([Complaint(message="The worker does not start.")], warnings)
        return answer.handlers, round(cpu_ms)

    async def _ask(
        self, isolate: Isolate, frame: frames.Compile | frames.Load, cpu_ms: int, what: str
    ) -> tuple[frames.FromIsolate, float]:
        """One question to the isolate, within a limit. What the isolate dies of is its source's
        fault: nothing else is in there."""
        overrun: list[Outcome] = []

        def kill(outcome: Outcome) -> None:
            overrun.append(outcome)
            isolate.kill(outcome.value)

        watch = Watch(isolate, cpu_ms=cpu_ms, wall_ms=LOAD_WALL_MS, on_overrun=kill)
        watch.start()
        try:
            await isolate.send(frame)
            answer = await isolate.receive()
        except IsolateDied as died:
            outcome = overrun[0] if overrun else Outcome.EXCEEDED_MEMORY
            raise Uncompilable(_limit(what, outcome, cpu_ms), failure=outcome) from died
        finally:
            watch.stop()
        if isinstance(answer, frames.Failed):
            raise _failed(answer, what)
        return answer, watch.cpu_ms


def _key(digest: str) -> str:
    return f"compiled/{digest}-{TAG}"


def _sorted(sources: list[Source]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Python modules, and everything else."""
    modules: dict[str, bytes] = {}
    data: dict[str, bytes] = {}
    for source in sources:
        is_python = source.content_type in PYTHON or source.name.endswith(".py")
        (modules if is_python else data)[source.name] = source.data
    return modules, data


def _complaint(issue: frames.Issue) -> Complaint:
    return Complaint(
        message=issue.message, module=issue.module, line=issue.line, column=issue.column
    )


def _failed(answer: frames.Failed, what: str) -> Uncompilable:
    if answer.memory:
        outcome = Outcome.EXCEEDED_MEMORY
        return Uncompilable(_limit(what, outcome, 0), failure=outcome)
    text = f"Uncaught {answer.name}: {answer.message}"
    return Uncompilable([Complaint(message=f"{text}\n{answer.stack}".strip())])


def _limit(what: str, outcome: Outcome, cpu_ms: int) -> list[Complaint]:
    if outcome is Outcome.EXCEEDED_CPU and what == "start":
        text = f"Python Worker startup exceeded CPU limit of {cpu_ms} ms"
    elif outcome is Outcome.EXCEEDED_CPU:
        text = f"The code takes more than {cpu_ms} ms to compile"
    else:
        text = f"The worker does not {what}: {ANSWERS[outcome].title}"
    return [Complaint(message=text)]
