"""The isolate's life: load, invoke, fail, go on."""

import pytest
from workers_cell import LATER

from executor.isolate import frames
from executor.isolate.handlers import TWO_DEFAULTS
from executor.isolate.main import NEVER_ANSWERED
from executor.isolate.text import MAX_LINES, NOTICE_BYTES, line_bytes

HELLO = """
from workers import WorkerEntrypoint, Response

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("Hello " + request.url)
"""

BY_PATH = """
import asyncio
from workers import WorkerEntrypoint, Response, fetch, wait_until

count = 0

async def forever():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

async def note(text):
    await asyncio.sleep(0)
    print(text)

async def leave():
    raise SystemExit(3)

async def broken():
    raise ValueError("in the background")

async def pieces():
    yield "one "
    raise ValueError("half way")

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        global count
        count += 1
        match request.url.rpartition("/")[2]:
            case "exit":
                raise SystemExit(1)
            case "interrupt":
                raise KeyboardInterrupt
            case "stop":
                raise StopIteration
            case "generator":
                raise GeneratorExit
            case "cancel":
                asyncio.current_task().cancel()
                await asyncio.sleep(0)
            case "cancel-late":
                asyncio.current_task().cancel()
            case "memory":
                raise MemoryError
            case "recursion":
                return await self.fetch(request)
            case "junk":
                return {"not": "a response"}
            case "none":
                return None
            case "exit-in-task":
                try:
                    await asyncio.create_task(leave())
                except SystemExit as stopped:
                    return Response(f"task stopped: {stopped}")
            case "leftover":
                asyncio.create_task(note("never"))
                asyncio.create_task(asyncio.sleep(3600))
            case "stubborn":
                asyncio.create_task(forever())
                await asyncio.sleep(0)
            case "stalled":
                await asyncio.get_running_loop().create_future()
            case "background":
                self.ctx.waitUntil(note("later"))
                wait_until(note("later still"))
            case "broken-background":
                self.ctx.waitUntil(broken())
                self.ctx.waitUntil(leave())
                self.ctx.waitUntil(note("fine"))
            case "pass-through":
                self.ctx.passThroughOnException()
                raise ValueError("let it pass")
            case "half":
                return Response(pieces())
            case "unretrieved":
                asyncio.create_task(broken())
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            case "time":
                await asyncio.wait_for(asyncio.sleep(3600), 0.01)
            case "str":
                class Odd(Exception):
                    def __str__(self):
                        raise SystemExit
                raise Odd
        return Response(f"fine {count}")
"""


def test_hello(cell):
    """A worker loads, tells its handlers and answers, several times in the same process."""
    assert cell.load(HELLO) == frames.Loaded(handlers={"Default": ["fetch"]})
    for _ in range(3):
        result = cell.invoke()
        assert result.text == "Hello https://worker.example/"
        assert result.status == 200
        assert ("content-type", "text/plain;charset=UTF-8") in result.headers
        assert result.order == ["Head"]


@pytest.mark.parametrize(
    ("path", "name", "message"),
    [
        ("exit", "SystemExit", "1"),
        ("interrupt", "KeyboardInterrupt", ""),
        ("stop", "RuntimeError", "coroutine raised StopIteration"),
        ("generator", "GeneratorExit", ""),
        ("cancel", "CancelledError", ""),
        ("recursion", "RecursionError", None),
        ("junk", "TypeError", "The handler fetch() returned dict instead of a Response"),
        ("none", "TypeError", "The handler fetch() returned NoneType instead of a Response"),
        ("stalled", "RuntimeError", NEVER_ANSWERED),
        ("time", "TimeoutError", ""),
        ("str", "Odd", "<SystemExit while describing the error>"),
    ],
)
def test_failures_end_the_invocation_only(run, cell, path, name, message):
    """Whatever a handler raises is one Failed, and the next invocation is served."""
    result = run(BY_PATH, url=f"https://w.example/{path}")
    assert result.failed.name == name
    if message is not None:
        assert result.failed.message == message
    assert (result.failed.phase, result.failed.memory) == ("invoke", False)
    assert cell.invoke().text == "fine 2" if path != "recursion" else cell.invoke().text


def test_traceback_has_the_tenants_lines(run):
    """The stack names the tenant's file and line, and nothing of the runtime."""
    stack = run(BY_PATH, url="https://w.example/pass-through").failed.stack
    line = 1 + BY_PATH.splitlines().index('                raise ValueError("let it pass")')
    assert "main.py" in stack
    assert f"line {line}" in stack
    assert "executor/isolate" not in stack


def test_memory_error_is_told_as_such(run):
    """MemoryError is marked, so that the executor ends the isolate."""
    failed = run(BY_PATH, url="https://w.example/memory").failed
    assert (failed.name, failed.memory) == ("MemoryError", True)


def test_running_out_of_memory_for_real(run):
    """A handler that eats all memory allowed is told as MemoryError too."""
    source = """
import resource
from workers import WorkerEntrypoint
class Default(WorkerEntrypoint):
    def fetch(self):
        return bytearray(2 ** 62)
"""
    assert run(source.replace("import resource\n", "")).failed.memory


def test_cancel_after_the_last_await_harms_nobody(run, cell):
    """A handler that cancels its own task and returns has its response, or one failure."""
    result = run(BY_PATH, url="https://w.example/cancel-late")
    assert (result.head is not None) != bool(result.failures)
    assert cell.invoke().text == "fine 2"


def test_exit_in_a_task_of_the_tenants(run):
    """SystemExit in a task reaches who awaits the task, not the isolate's loop."""
    assert run(BY_PATH, url="https://w.example/exit-in-task").text == "task stopped: 3"


def test_leftover_tasks_are_cancelled(run, cell):
    """Tasks that nobody waits for end with their invocation."""
    assert run(BY_PATH, url="https://w.example/leftover").text == "fine 1"
    assert cell.invoke().logs == []


def test_task_that_refuses_to_end_ends_the_isolate(run, cell):
    """A task that swallows its cancellation never sees another invocation."""
    assert run(BY_PATH, url="https://w.example/stubborn").text == "fine 1"
    assert cell.receive() is None


def test_wait_until(run):
    """waitUntil work goes on after the response and before Done, in both forms."""
    result = run(BY_PATH, url="https://w.example/background")
    assert result.order[0] == "Head"
    assert result.lines == [("log", "later"), ("log", "later still")]


def test_wait_until_failures_are_independent(run, cell):
    """A failing waitUntil task is told as background failure; the others go on."""
    result = run(BY_PATH, url="https://w.example/broken-background")
    assert result.text == "fine 1"
    assert {failed.phase for failed in result.failures} == {"background"}
    assert sorted(failed.name for failed in result.failures) == ["SystemExit", "ValueError"]
    assert result.lines == [("log", "fine")]
    assert cell.invoke().text == "fine 2"


def test_pass_through_on_exception(run):
    """The flag rides with the failure."""
    assert run(BY_PATH, url="https://w.example/pass-through").failed.pass_through


def test_failure_half_way_through_a_body(run):
    """A body that raises ends in Failed after the head and what was sent."""
    result = run(BY_PATH, url="https://w.example/half")
    assert result.order == ["Head", "Chunk", "Failed"]
    assert result.body == b"one "
    assert result.failed.message == "half way"


def test_unretrieved_exception_is_logged(run):
    """What a forgotten task raised is in the worker's log."""
    result = run(BY_PATH, url="https://w.example/unretrieved")
    assert result.text == "fine 1"
    assert [level for level, text in result.lines if "in the background" in text] == ["error"]


@pytest.mark.parametrize("statement", ["raise SystemExit", "1 / 0", "import nothing_like_it"])
def test_top_level_failure(cell, statement):
    """What the top level raises is Failed in the phase load."""
    answer = cell.load(HELLO + f"\n{statement}\n")
    assert isinstance(answer, frames.Failed)
    assert answer.phase == "load"


def test_no_handlers(cell):
    """A module that answers nothing loads with no handlers, which the upload then refuses."""
    source = "from workers import WorkerEntrypoint\nclass Empty(WorkerEntrypoint): pass\n"
    assert cell.load(source) == frames.Loaded(handlers={})
    assert "does not export an entrypoint named Default" in cell.invoke().failed.message


def test_mixed_handlers(cell):
    """A Default class and on_* functions exclude each other."""
    answer = cell.load(HELLO + "\ndef on_fetch(request): pass\n")
    assert isinstance(answer, frames.Failed)
    assert (answer.name, answer.message) == ("TypeError", TWO_DEFAULTS)


def test_compile_runs_the_top_level(cell):
    """Compile answers with code, handlers and the CPU time of the top level."""
    source = HELLO + "\nfor _ in range(3_000_000): pass\n"
    cell.send(frames.Compile(main="main.py", sources={"main.py": source.encode()}))
    answer = cell.receive()
    assert isinstance(answer, frames.Compiled)
    assert answer.handlers == {"Default": ["fetch"]}
    assert answer.modules
    assert answer.startup_ms > 0


def test_compile_tells_what_the_top_level_raised(cell):
    """A top level that raises fails the compile job with its traceback."""
    cell.send(frames.Compile(main="main.py", sources={"main.py": b"\nraise ValueError('no')\n"}))
    answer = cell.receive()
    assert isinstance(answer, frames.Failed)
    assert (answer.name, answer.message, answer.phase) == ("ValueError", "no", "load")
    assert "line 2" in answer.stack


def test_invoke_before_load_ends_the_isolate(cell):
    """A frame out of order is the end."""
    cell.send(frames.Invoke())
    assert cell.receive() is None


def test_second_load_ends_the_isolate(cell):
    """An isolate belongs to one version for life."""
    assert isinstance(cell.load(HELLO), frames.Loaded)
    cell.send(frames.Load(main="main.py", modules={}))
    assert cell.receive() is None


def test_stale_answers_are_dropped(run, cell):
    """An answer to a call of an earlier invocation reaches nobody."""
    run(HELLO)
    cell.send(frames.Reply(call=1, value=b"late"))
    assert cell.invoke().status == 200


def test_log_levels_and_bound(run):
    """print and console write lines; past log_bytes one truncated line says so, and all of it costs
    no more than that."""
    source = """
from workers import Response, WorkerEntrypoint, console
print("while loading")
class Default(WorkerEntrypoint):
    def fetch(self):
        print("a", 1, sep="-")
        console.debug("b", {"c": 2})
        console.info("i")
        console.warn("w")
        console.error("e")
        for _ in range(10):
            print("x" * 400)
        return Response("")
"""
    result = run(source, log_bytes=1000)
    assert result.lines[:6] == [
        ("log", "while loading"),
        ("log", "a-1"),
        ("debug", "b {'c': 2}"),
        ("info", "i"),
        ("warn", "w"),
        ("error", "e"),
    ]
    assert result.lines[6:] == [("warn", "x" * 400 + "... [log truncated at 1000 bytes]")]
    assert sum(line_bytes(line.text) for line in result.logs) <= 1000
    assert [line.last for line in result.logs] == [*([False] * 6), True]


def test_empty_lines_are_not_free(run, cell):
    """A line costs more than its text, and there is a bound on lines; the next log is whole."""
    source = """
from workers import Response, WorkerEntrypoint
class Default(WorkerEntrypoint):
    def fetch(self, request):
        for _ in range(100_000):
            print("")
        return Response("")
"""
    assert len(run(source, log_bytes=10_000).lines) == 1 + (10_000 - NOTICE_BYTES) // line_bytes("")
    lines = cell.invoke(log_bytes=10_000_000).lines
    assert (len(lines), lines[0]) == (MAX_LINES + 1, ("log", ""))
    assert lines[-1] == ("warn", "[log truncated at 1000 lines]")


def test_text_that_has_no_utf8_form_is_logged_all_the_same(run):
    """Lone surrogates become question marks."""
    source = """
from workers import Response, WorkerEntrypoint
class Default(WorkerEntrypoint):
    def fetch(self, request):
        print("a\\ud800b")
        return Response("")
"""
    assert run(source).lines == [("log", "a?b")]


def test_many_calls_at_once_wait_for_their_turn(run, cell):
    """More calls than an isolate may have open are all made, a thousand at a time; one that is
    given up keeps its place until it is answered."""
    source = """
import asyncio
from workers import Response, WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        given_up = asyncio.ensure_future(self.env.KV.get("0"))
        await asyncio.sleep(0)
        given_up.cancel()
        got = await asyncio.gather(*(self.env.KV.get(str(n)) for n in range(2_500)))
        return Response(str(len(got)))
"""
    waiting = []
    seen = set()

    def answers(call):
        seen.add(call.call)
        waiting.append(call.call)
        assert len(waiting) <= frames.CALLS_AT_ONCE
        if len(waiting) == frames.CALLS_AT_ONCE or len(seen) == 2_501:
            for number in waiting:
                cell.send(frames.Reply(call=number, value=None))
            waiting.clear()
        return LATER

    result = run(source, answers=answers, live={"KV": "kv_namespace"})
    assert (result.text, len(seen)) == ("2500", 2_501)
    assert cell.invoke(answers=lambda call: None).text == "2500"
