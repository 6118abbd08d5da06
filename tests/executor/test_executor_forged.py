"""Workers of the full language that speak through the door themselves, deployed as any tenant's.

Each forged frame ends that isolate and no other, in the outcome that is due, and the executor's own
log has no word of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from executor_house import ACCOUNT, Answer, House, house, worker

from cloister.languages import FULL
from cloister.limits import Limits
from cloister.messages import Trace
from cloister.outcomes import Outcome

FORGER = """
import os, select, signal, sys
from workers import Response, WorkerEntrypoint


def runtime():
    frame = sys._getframe()
    while "_DONE" not in frame.f_globals:
        frame = frame.f_back
    return frame.f_globals


def write(data):
    left = memoryview(data)
    while left:
        select.select([], [3], [])
        left = left[os.write(3, left):]


def say(*said):
    write(b"".join(map(runtime()["pack"], said)))


def run(text):
    names = {**globals(), "frames": runtime()["frames"], "pack": runtime()["pack"]}
    exec(text, names)
    return names.get("result")


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(repr(run(await request.text())))

    async def told(self, text):
        return run(text)
"""

CALLER = worker(
    """
try:
    got = await self.env.FORGER.told(await request.text())
except Exception as error:
    got = f"{type(error).__name__}: {error}"
return Response(str(got))
"""
)

LIMITS = Limits(cpu_ms=200, memory_mb=64, wall_ms=15_000, subrequests=5)

ANSWER = "frames.Head(status=200, headers=[('a', 'b')], body=b'forged', end=True)"
LOOP = "\nwhile True: pass"


@dataclass(frozen=True)
class Forged:
    """What came of it."""

    answer: Answer
    record: Trace

    @property
    def reason(self) -> str:
        return self.record.exceptions[-1].message if self.record.exceptions else ""


@pytest.fixture(scope="module")
def forging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One executor; a namespace of the full language with a neighbour in it, and none the worse
    for it all at the end."""
    with house(tmp_path_factory.mktemp("house"), blank_isolates=2) as made:
        made.namespace("full")
        made.registry.namespaces.set_language("full", FULL)
        made.deploy("full", "neighbour", worker("return Response('well')"))
        yield made
        assert "Traceback" not in "".join(made.output)


@pytest.fixture
def script(forging: House, request: pytest.FixtureRequest) -> str:
    """A forger of this test's own, with a KV namespace."""
    name = f"forger-{abs(hash(request.node.name))}"
    store = forging.registry.kv.namespaces.create(ACCOUNT, name)
    binding = {"type": "kv_namespace", "name": "KV", "namespace_id": store.id}
    forging.deploy("full", name, FORGER, bindings=[binding], limits=LIMITS)
    return name


def forge(forging: House, script: str, code: str) -> Forged:
    """Run code in a forger; its neighbour is answered as ever."""
    answer = forging.call("full", script, method="POST", body=code.encode())
    assert forging.call("full", "neighbour").body == b"well"
    return Forged(answer, forging.traces("full", script)[0])


OUT_OF_TURN = {
    "nothing but that it is done": "frames.Done()",
    "that it is ready": "frames.Ready()",
    "that it is loaded": "frames.Loaded(handlers={'Default': ['x'] * 10_000})",
    "compiled code": "frames.Compiled(modules={'worker': b'x'})",
    "an end without a start": "frames.End()",
    "a piece of nothing": "frames.Chunk(data=b'x')",
    "a value instead of a response": "frames.Returned(value=frames.raw(1))",
    "a failure to load": "frames.Failed(name='X', message='m', phase='load')",
    "a failure of the background": "frames.Failed(name='X', message='m', phase='background')",
    "a failure of no phase": "frames.Failed(name='X', message='m', phase='odd')",
}


@pytest.mark.parametrize("frame", OUT_OF_TURN.values(), ids=OUT_OF_TURN.keys())
def test_what_is_said_out_of_turn(forging: House, script: str, frame: str) -> None:
    """A good frame at the wrong time is the worker's failure."""
    forged = forge(forging, script, f"say({frame})" + LOOP)
    assert forged.record.outcome is Outcome.EXCEPTION
    assert "out of turn" in forged.reason


NO_FRAMES = {
    "a length of four GiB": "write(bytes([255] * 4))",
    "a frame of nothing": "write(bytes(4))",
    "bytes that are no msgpack": "write(bytes([0, 0, 0, 2, 0xc1, 0xc1]))",
    "a list": "write(bytes([0, 0, 0, 1, 0x90]))",
    "text that is no text": "write(pack(frames.Chunk(data=b'')).replace(b'chunk', b'chun\\xff'))",
    "a type that there is not": "write(pack({'type': 'invoke'}))",
    "a type that is a number": "write(pack({'type': 1}))",
    "a status of text": "write(pack({'type': 'head', 'status': '200', 'headers': []}))",
    "a level that there is not": "say(frames.Log(level='fatal', text='', timestamp=1))",
    "a time that is no whole number": (
        "write(pack({'type': 'log', 'level': 'log', 'text': '', 'timestamp': 1.5}))"
    ),
    "lists in lists": "write((500_004).to_bytes(4, 'big') + bytes([0x91]) * 500_004)",
}


@pytest.mark.parametrize("code", NO_FRAMES.values(), ids=NO_FRAMES.keys())
def test_what_is_no_frame(forging: House, script: str, code: str) -> None:
    """Nothing of it is believed."""
    forged = forge(forging, script, code + LOOP)
    assert forged.record.outcome is Outcome.EXCEPTION
    assert "broke the protocol" in forged.reason


HEADS = {
    "two responses": "frames.Head(status=200, headers=[]), frames.Head(status=200, headers=[])",
    "a status of the protocol's own": "frames.Head(status=101, headers=[], end=True)",
    "a status beyond all": "frames.Head(status=2**63, headers=[], end=True)",
    "a header of two lines": "frames.Head(status=200, headers=[('a', 'b\\r\\nc: d')], end=True)",
    "a header without a name": "frames.Head(status=200, headers=[('', 'b')], end=True)",
    "headers without end": "frames.Head(status=200, headers=[('a', '')] * 150_000, end=True)",
}


@pytest.mark.parametrize("frame", HEADS.values(), ids=HEADS.keys())
def test_what_is_no_response(forging: House, script: str, frame: str) -> None:
    """It never reaches the client."""
    forged = forge(forging, script, f"say({frame})" + LOOP)
    assert forged.record.outcome is Outcome.EXCEPTION
    assert forged.answer.failure is not None


ENDS = {
    "leaves amid a frame": ("write(bytes([0, 0, 0, 9, 1])); os._exit(0)", "ended itself"),
    "leaves after half a response": (
        "say(frames.Head(status=200, headers=[])); os._exit(0)",
        "itself",
    ),
    "closes the door": ("os.close(3)\nimport time\ntime.sleep(60)", "broke the protocol"),
    "shuts the door": (
        "import _socket\n_socket.socket(fileno=3).shutdown(2)" + LOOP,
        "not allowed",
    ),
}


@pytest.mark.parametrize(("code", "reason"), ENDS.values(), ids=ENDS.keys())
def test_how_it_leaves(forging: House, script: str, code: str, reason: str) -> None:
    """However it does, the client is told, and so is the record."""
    forged = forge(forging, script, code)
    assert forged.record.outcome is Outcome.EXCEPTION
    assert reason in forged.reason
    assert forged.answer.failure is not None


def test_what_it_may_say(forging: House, script: str) -> None:
    """The twin: its own response and its own log, in its own name and no other."""
    log = "frames.Log(level='error', text='neighbour: I', timestamp=0)"
    forged = forge(forging, script, f"say({log}, {ANSWER}, frames.Done())" + LOOP)
    assert (forged.answer.status, forged.answer.body) == (200, b"forged")
    assert forged.answer.headers == {"a": "b"}
    assert (forged.record.script_name, forged.record.outcome) == (script, Outcome.OK)
    assert [line.message for line in forged.record.logs] == [["neighbour: I"]]


def test_how_it_may_fail(forging: House, script: str) -> None:
    """The twin: as its own exception would. And what the runtime says is as good as ever."""
    assert forge(forging, script, "result = 6 * 7").answer.body == b"42"
    code = "say(frames.Failed(name='X', message='m'), frames.Done())" + LOOP
    failure = forge(forging, script, code).answer.failure
    assert failure is not None
    assert (failure.outcome, failure.message) == (Outcome.EXCEPTION, "X: m")


FLOODS = {
    "failures of the background": (
        f"say({ANSWER})\none = pack(frames.Failed(name='', message='', phase='background'))"
    ),
    "empty pieces": "say(frames.Head(status=200, headers=[]))\none = pack(frames.Chunk(data=b''))",
    "pieces of a byte": (
        "say(frames.Head(status=200, headers=[]))\none = pack(frames.Chunk(data=b'x'))"
    ),
}

CALLS = """
calls = (frames.Call(call=n, target={target!r}, method="read", arguments=frames.raw([0]))
         for n in range(500))
calls = b"".join(map(pack, calls))
while True:
    write(calls)
    answers = 0
    while answers < 500:
        select.select([3], [], [])
        answers += os.read(3, 1 << 20).count(b"call")
"""


@pytest.mark.parametrize("code", FLOODS.values(), ids=FLOODS.keys())
def test_what_costs_the_executor_more_than_the_isolate(
    forging: House, script: str, code: str
) -> None:
    """Thousands of small frames are made in no time, and taken in little by little: that counts
    as the worker's CPU time."""
    forged = forge(forging, script, code + "\none *= 20_000\nwhile True: write(one)")
    assert forged.record.outcome is Outcome.EXCEEDED_CPU


@pytest.mark.parametrize("target", ["stream", "nowhere"])
def test_calls_that_cost_nothing(forging: House, script: str, target: str) -> None:
    """Questions without end, which no limit on subrequests knows."""
    forged = forge(forging, script, CALLS.format(target=target))
    assert forged.record.outcome is Outcome.EXCEEDED_CPU


def test_as_many_small_pieces_as_one_likes(forging: House, script: str) -> None:
    """The twin: ten thousand of them, and as many calls as there are places, are within it."""
    calls = CALLS.format(target="stream").replace("while True:", "if True:")
    pieces = (
        "say(frames.Head(status=200, headers=[]))\nwrite(pack(frames.Chunk(data=b'x')) * 10_000)"
    )
    forged = forge(forging, script, f"{calls}{pieces}\nsay(frames.End(), frames.Done())" + LOOP)
    assert forged.answer.body == b"x" * 10_000
    assert forged.record.outcome is Outcome.OK


def test_what_is_not_its_own(forging: House, script: str) -> None:
    """It calls no binding but those of its version, however it spells them."""
    code = """
asked = ("KV", "kv", "", "../KV", "neighbour", "self", "__class__", "registry")
arguments = frames.raw(["key"])
say(*(frames.Call(call=n, target=name, method="get", arguments=arguments)
      for n, name in enumerate(asked)))
said = b""
while said.count(b"call") < len(asked):
    select.select([3], [], [])
    said += os.read(3, 1 << 20)
result = said.count(b"KeyError"), said.count(b"reply")
"""
    assert forge(forging, script, code).answer.body == b"(7, 1)"


VALUES = {
    "text that is no text": r"\xa1\xff",
    "a point in time that is none": r"\xc7\x0c\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    "a kind that there is not": r"\xd4\x09\x00",
    "a response that is none": r"\xd4\x03\x00",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_a_value_that_is_none_is_its_callers_exception(
    forging: House, script: str, value: str
) -> None:
    """And not its caller's end: that one catches it and answers."""
    code = f"say(frames.Returned(value=frames.Raw(b'{value}')), frames.Done())" + LOOP
    assert call(forging, script, code).partition(":")[0] in ("ValueError", "TypeError")


def test_a_response_instead_of_a_value_is_its_callers_exception(
    forging: House, script: str
) -> None:
    """The executor takes each for what was asked for. The twin: a value."""
    code = f"say({ANSWER}, frames.Done())" + LOOP
    assert "out of turn" in call(forging, script, code)
    assert call(forging, script, "result = 42") == "42"


def call(forging: House, script: str, code: str) -> str:
    """What a worker gets that calls a method of the forger's."""
    binding = {"type": "service", "name": "FORGER", "service": script}
    caller = f"{script}-caller"
    forging.deploy("full", caller, CALLER, bindings=[binding], compile_first=False)
    return forging.call("full", caller, method="POST", body=code.encode()).body.decode()


def test_arguments_that_are_none_are_the_callees_exception(forging: House, script: str) -> None:
    """Its isolate, and what it has in memory, live on."""
    counter = f"{script}-counter"
    binding = {"type": "service", "name": "COUNTER", "service": counter}
    forging.deploy("full", counter, COUNTER)
    forging.deploy("full", script, FORGER, bindings=[binding], compile_first=False)
    answers = []
    for number, arguments in enumerate((b"\x90", b"\x91\xa1\xff", b"\x90"), 1):
        code = f"""
say(frames.Call(call=1, target="COUNTER", method="count", arguments=frames.Raw({arguments})))
select.select([3], [], [])
said = os.read(3, 1 << 20)
result = b"cannot be read" in said, said[-1]
"""
        answers.append(forge(forging, script, code).answer.body)
        forging.traces("full", counter, number)  # its isolate is there for the next call
    assert (answers[0], answers[2]) == (b"(False, 1)", b"(False, 2)")
    assert answers[1].startswith(b"(True, ")


COUNTER = """
from workers import WorkerEntrypoint

counted = []


class Default(WorkerEntrypoint):
    async def count(self):
        counted.append(None)
        return len(counted)
"""
