"""An isolate without its sandbox: ``serve()`` in a forked child, and a small executor for it."""

import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import dedent
from typing import Any

from executor.isolate import frames
from executor.isolate.door import Unpacker, pack
from executor.isolate.main import serve

DEADLINE_S = 10.0


@dataclass(frozen=True)
class Question:
    """A call, its arguments decoded."""

    call: int
    target: str
    method: str
    arguments: list[Any]
    options: dict[str, Any]


Answers = Callable[[Question], Any]

LATER = object()
"""From a test's handler: the test answers by itself."""


class Refused(Exception):
    """What a test's handler raises to refuse a call."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Result:
    """What came of one invocation."""

    def __init__(self) -> None:
        self.head: frames.Head | None = None
        self.chunks: list[bytes] = []
        self.failures: list[frames.Failed] = []
        self.returned: Any = None
        self.logs: list[frames.Log] = []
        self.calls: list[Question] = []
        self.order: list[str] = []

    @property
    def body(self) -> bytes:
        assert self.head is not None, self.failures
        return self.head.body + b"".join(self.chunks)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def status(self) -> int:
        assert self.head is not None, self.failures
        return self.head.status

    @property
    def headers(self) -> list[tuple[str, str]]:
        assert self.head is not None, self.failures
        return [(name, value) for name, value in self.head.headers]

    @property
    def failed(self) -> frames.Failed:
        assert len(self.failures) == 1, (self.head, self.failures)
        return self.failures[0]

    @property
    def lines(self) -> list[tuple[str, str]]:
        return [(line.level, line.text) for line in self.logs]


class Cell:
    """The executor's end of one isolate's door."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self._sock, theirs = socket.socketpair()
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            self._live(theirs, before)
        theirs.close()
        self._sock.settimeout(DEADLINE_S)
        self._unpacker = Unpacker(frames.decode_from_isolate, frames.MAX_FRAME_BYTES)
        self._waiting: list[frames.FromIsolate] = []
        assert self.receive() == frames.Ready()

    def _live(self, door: socket.socket, before: Callable[[], None]) -> None:
        self._sock.close()
        try:
            before()
            serve(door)
        finally:
            os._exit(99)

    def send(self, frame: frames.ToIsolate) -> None:
        self._sock.sendall(pack(frame))

    def receive(self) -> frames.FromIsolate | None:
        """The next frame; None once the isolate has gone."""
        while not self._waiting:
            data = self._sock.recv(65536)
            if not data:
                return None
            self._waiting += [frame for frame, _ in self._unpacker.feed(data)]
        return self._waiting.pop(0)

    def load(self, source: str, **fields: Any) -> frames.Loaded | frames.Failed:
        """Compile in a cell of its own and load here; says what came of it."""
        modules = fields.pop("modules", None) or compiled({"main.py": source}).modules
        self.send(frames.Load(main="main.py", modules=modules, **fields))
        answer = self.receive()
        assert isinstance(answer, frames.Loaded | frames.Failed)
        return answer

    def invoke(self, answers: Answers | None = None, **fields: Any) -> Result:
        """Run one invocation, ``answers`` answering what it asks for."""
        self.send(frames.Invoke(**{"url": "https://worker.example/", **fields}))
        result = Result()
        while not isinstance(frame := self.receive(), frames.Done):
            assert frame is not None, "the isolate has gone"
            result.order.append(type(frame).__name__)
            self._take(frame, result, answers)
        return result

    def _take(self, frame: frames.FromIsolate, result: Result, answers: Answers | None) -> None:
        match frame:
            case frames.Head():
                result.head = frame
            case frames.Chunk():
                result.chunks.append(frame.data)
            case frames.Failed():
                result.failures.append(frame)
            case frames.Returned():
                result.returned = frames.plain(frame.value)
            case frames.Log():
                result.logs.append(frame)
            case frames.Call():
                question = Question(
                    call=frame.call,
                    target=frame.target,
                    method=frame.method,
                    arguments=frames.plain(frame.arguments),
                    options=frames.plain(frame.options),
                )
                result.calls.append(question)
                self._answer(question, answers)

    def _answer(self, call: Question, answers: Answers | None) -> None:
        if answers is None:
            self.send(frames.Refusal(call=call.call, kind="Error", message="no calls here"))
            return
        try:
            value = answers(call)
        except Refused as refused:
            self.send(frames.Refusal(call=call.call, kind=refused.kind, message=str(refused)))
        else:
            if value is not LATER:
                self.send(frames.Reply(call=call.call, value=value))

    def close(self) -> int:
        """Shut the door; the isolate's exit status."""
        self._sock.close()
        return os.waitpid(self.pid, 0)[1]


def compiled(sources: dict[str, str], main: str = "main.py", **fields: Any) -> frames.Compiled:
    """What the compiler in a cell of its own makes of these sources."""
    cell = Cell()
    try:
        data = {name: dedent(source).encode() for name, source in sources.items()}
        cell.send(frames.Compile(main=main, sources=data, **{"only_compile": True, **fields}))
        answer = cell.receive()
        assert isinstance(answer, frames.Compiled), answer
        assert not answer.errors, answer.errors
        return answer
    finally:
        cell.close()
