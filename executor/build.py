"""From a worker's sources to code that starts: compiled and tried out in one fresh isolate.

An upload and `cloister check` do the same here. What is wrong with the source is told as
complaints, all at once, in :class:`Uncompilable`; the isolate is thrown away after.
"""

from collections.abc import Sequence

import msgspec

from cloister.errors import Invalid
from cloister.languages import RESTRICTED, Language
from cloister.messages import CompileAnswer, Complaint, Source
from cloister.outcomes import ANSWERS, Outcome
from cloister.settings import MIB, Settings
from cloister.trial import Environment
from executor.isolate import frames
from executor.isolate.policy.bounds import excess
from executor.isolates import Death, Isolate, IsolateDied
from executor.watch import Watch

COMPILE_CPU_MS = 2_000
LOAD_WALL_MS = 10_000
"""Longest time for top-level code, whatever it waits for."""

MAX_HANDLERS_BYTES = 64 * 1024
"""Names of entrypoint classes and their handlers, as JSON: they are kept with the version."""

PYTHON = frozenset({"text/x-python", "text/x-python-requirement", "application/x-python"})
DEFAULT = "Default"

_TOO_DEEP = "The code is nested too deeply to compile; split the expression or the chain"


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """What the compiled blob holds."""

    main: str
    modules: dict[str, bytes]
    data: dict[str, bytes] = {}
    language: Language = RESTRICTED

    def fits(self, main: str, language: Language) -> bool:
        """Whether it is what that main module is in that language."""
        return self.main == main and self.language == language


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

    def answer(self, job_id: str) -> CompileAnswer:
        """What to tell who uploaded it."""
        return CompileAnswer(
            id=job_id, errors=self.errors, warnings=self.warnings, failure=self.failure
        )


async def build(
    isolate: Isolate,
    settings: Settings,
    sources: Sequence[Source],
    main: str,
    environment: Environment,
) -> tuple[Code, CompileAnswer]:
    """Compile sources and run their top level; the answer has no id.

    Raises:
        Uncompilable: they do not compile, or do not start.
    """
    code, warnings = await compile_sources(isolate, settings, sources, main)
    try:
        handlers, startup_ms = await _try_out(isolate, settings, code, environment)
    except Uncompilable as failed:
        failed.warnings = warnings
        raise
    named = {name: each for name, each in handlers.items() if name != DEFAULT}
    return code, CompileAnswer(
        id="",
        warnings=warnings,
        handlers=handlers.get(DEFAULT, []),
        named_handlers=named,
        startup_ms=startup_ms,
    )


async def compile_sources(
    isolate: Isolate, settings: Settings, sources: Sequence[Source], main: str
) -> tuple[Code, list[Complaint]]:
    """The code, and what the compiler warns of.

    Raises:
        Uncompilable: the language policy refuses it, or it takes too long.
    """
    modules, data = _sorted(sources)
    if reason := excess(modules):
        raise Uncompilable([Complaint(module=main, message=reason)])
    await isolate.set_memory(settings.default_memory_mb * MIB)
    frame = frames.Compile(main=main, sources=modules, only_compile=True, language=isolate.language)
    answer, _ = await _ask(isolate, frame, COMPILE_CPU_MS, "compile")
    if not isinstance(answer, frames.Compiled):
        raise Invalid("The compiler answered out of turn.")
    warnings = [_complaint(issue) for issue in answer.warnings]
    if answer.errors:
        raise Uncompilable([_complaint(issue) for issue in answer.errors], warnings)
    code = Code(main=main, modules=answer.modules, data=data, language=isolate.language)
    return code, warnings


async def _try_out(
    isolate: Isolate, settings: Settings, code: Code, environment: Environment
) -> tuple[dict[str, list[str]], int]:
    """Run the top level: entrypoint classes with their handlers, and the CPU time it took."""
    frame = frames.Load(
        main=code.main,
        modules=code.modules,
        data=code.data,
        env=environment.env,
        live=environment.live,
        language=code.language,
    )
    answer, cpu_ms = await _ask(isolate, frame, settings.startup_cpu_ms, "start")
    if not isinstance(answer, frames.Loaded):
        raise Uncompilable([Complaint(message="The worker does not start.")])
    if len(msgspec.json.encode(answer.handlers)) > MAX_HANDLERS_BYTES:
        raise Uncompilable([Complaint(message="The worker has too many classes and methods.")])
    return answer.handlers, round(cpu_ms)


async def _ask(
    isolate: Isolate, frame: frames.Compile | frames.Load, cpu_ms: int, what: str
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
        fault = died.death is Death.FAULT and what == "compile"
        told = _TOO_DEEP if fault else _limit(what, outcome, cpu_ms)
        raise Uncompilable([Complaint(message=told)], failure=outcome) from died
    finally:
        watch.stop()
    if isinstance(answer, frames.Failed):
        raise _failed(answer, what)
    return answer, watch.cpu_ms


def _sorted(sources: Sequence[Source]) -> tuple[dict[str, bytes], dict[str, bytes]]:
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
        return Uncompilable([Complaint(message=_limit(what, outcome, 0))], failure=outcome)
    text = f"Uncaught {answer.name}: {answer.message}"
    return Uncompilable([Complaint(message=f"{text}\n{answer.stack}".strip())])


def _limit(what: str, outcome: Outcome, cpu_ms: int) -> str:
    if outcome is Outcome.EXCEEDED_CPU and what == "start":
        return f"Python Worker startup exceeded CPU limit of {cpu_ms} ms; do less at the top level"
    if outcome is Outcome.EXCEEDED_CPU:
        return f"The code takes more than {cpu_ms} ms to compile; make it smaller, or nest it less"
    return f"The worker does not {what}: {ANSWERS[outcome].title}"
