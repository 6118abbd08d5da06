"""A process that stands for an isolate as far as the language is concerned.

It is warm and hardened once; each snippet runs in a fork of it, so that none sees another's
classes or modules and none disturbs the test process.
"""

import asyncio
import contextlib
import inspect
import io
import os
import signal
import struct
import subprocess
import sys
import textwrap
import types
from dataclasses import dataclass
from typing import Any, Self

import msgspec

DEADLINE_S = 20
DATA = (".txt", ".json", ".csv", ".ini", ".bin")
"""Files that are uploaded with a worker and are no modules end so."""


@dataclass(frozen=True)
class Outcome:
    """What came of a snippet."""

    errors: list[str]
    positions: list[list[object]]
    warnings: list[str]
    log: list[str]
    raised: str
    message: str
    traceback: str

    @property
    def refusal(self) -> str:
        """Everything that said no, at upload or when it ran."""
        return "\n".join([*self.errors, self.raised and f"{self.raised}: {self.message}"])


class Cell:
    """Runs snippets, each in a fork of its own."""

    def __init__(self) -> None:
        self._process = _start("policy")
        self._plain = _start("plain")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for process in (self._process, self._plain):
            process.stdin.close()
            process.wait(DEADLINE_S)
            process.stdout.close()

    def run(self, source: str | dict[str, str | bytes], main: str = "worker.py") -> Outcome:
        """Compile and execute; a coroutine function called ``main`` is awaited after."""
        sources = source if isinstance(source, dict) else {main: textwrap.dedent(source)}
        encoded = {n: s.encode() if isinstance(s, str) else s for n, s in sources.items()}
        _send(self._process.stdin, msgspec.msgpack.encode((encoded, main)))
        return Outcome(*msgspec.msgpack.decode(_receive(self._process.stdout)))

    def run_plain(self, source: str) -> list[str]:
        """The lines that plain CPython prints."""
        request = {"worker.py": textwrap.dedent(source).encode()}
        _send(self._plain.stdin, msgspec.msgpack.encode((request, "worker.py")))
        return msgspec.msgpack.decode(_receive(self._plain.stdout))[3]

    def prints(self, source: str | dict[str, str | bytes], *lines: str) -> None:
        """Assert that the snippet runs and writes these lines."""
        outcome = self.run(source)
        assert outcome.refusal == "", outcome.refusal + outcome.traceback
        assert outcome.log == list(lines)

    def refuses(self, source: str | dict[str, str | bytes], reason: str) -> None:
        """Assert that the snippet is refused for this reason and obtains nothing."""
        outcome = self.run(source)
        assert "ESCAPED" not in "\n".join(outcome.log), outcome.log
        assert reason in outcome.refusal, (outcome.refusal, outcome.log)


def _start(kind: str) -> Any:
    return subprocess.Popen(
        [sys.executable, __file__, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def _send(stream: Any, data: bytes) -> None:
    stream.write(struct.pack(">I", len(data)) + data)
    stream.flush()


def _receive(stream: Any) -> bytes:
    head = stream.read(4)
    return stream.read(struct.unpack(">I", head)[0]) if len(head) == 4 else b""


def _outcome(sources: dict[str, bytes], main: str) -> tuple[Any, ...]:
    from executor.isolate.policy import (
        ModuleSpace,
        compile_sources,
        format_traceback,
        set_log_hook,
    )

    data = {name: content for name, content in sources.items() if name.endswith(DATA)}
    sources = {name: content for name, content in sources.items() if name not in data}
    log: list[str] = []
    set_log_hook(lambda _level, text: log.append(text))
    result = compile_sources(sources, main)
    errors = [issue.message for issue in result.errors]
    positions = [(i.module, i.line, i.column) for i in result.errors]
    warnings = [issue.message for issue in result.warnings]
    raised = message = traceback = ""
    if not errors:
        try:
            namespace = ModuleSpace(result.modules, data).run_main(main)
            if inspect.iscoroutinefunction(namespace.get("main")):
                asyncio.run(namespace["main"]())
        except BaseException as error:
            raised, traceback = type(error).__name__, format_traceback(error)
            try:
                message = str(error)
            except Exception:
                message = "<no text>"
    return errors, positions, warnings, log, raised, message, traceback


def _plain_outcome(sources: dict[str, bytes], main: str) -> tuple[Any, ...]:
    module = sys.modules["worker"] = types.ModuleType("worker")
    namespace = vars(module)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(sources[main], main, "exec", dont_inherit=True), namespace)
        if asyncio.iscoroutinefunction(namespace.get("main")):
            asyncio.run(namespace["main"]())
    return [], [], [], out.getvalue().splitlines(), "", "", ""


class NothingElse:
    """A warm isolate has no files to import from: what is not loaded by now is missing."""

    def find_spec(self, name: str, *_arguments: object) -> None:
        """Refuse."""
        raise ImportError(f"the platform imports {name} only when a worker runs")


def _serve(kind: str) -> None:
    if kind == "policy":
        from executor.isolate.policy import warm_up

        warm_up()
        sys.meta_path.insert(0, NothingElse())
    respond = _outcome if kind == "policy" else _plain_outcome
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    while request := _receive(stdin):
        if pid := os.fork():
            _, status = os.waitpid(pid, 0)
            if status:
                died = ([], [], [], [], "Died", f"wait status {status}", "")
                _send(stdout, msgspec.msgpack.encode(died))
            continue
        signal.alarm(DEADLINE_S)
        _send(stdout, msgspec.msgpack.encode(respond(*msgspec.msgpack.decode(request))))
        os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
