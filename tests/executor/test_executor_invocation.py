"""The life of one invocation, played with a fake isolate: order, limits, outcomes, the record."""

import asyncio
import time
from functools import partial
from typing import Any

import pytest
from executor_fakes import FakeHost, FakeIsolate, FakeSink, until, work

from cloister.errors import NotReady
from cloister.limits import Limits
from cloister.messages import Outbound
from cloister.outcomes import Outcome
from cloister.registry.views import Bundle
from executor.invocation import Run
from executor.isolate import frames
from executor.isolate.text import MAX_LINES
from executor.isolates import Death, IsolateDied
from executor.traces import SPARE_LINES
from executor.turns import PLACES

HELLO = frames.Head(status=200, headers=[("a", "b")], body=b"hello", end=True)


STREAMED = (
    frames.Head(status=200, headers=[]),
    frames.Chunk(data=b"a"),
    frames.Chunk(data=b"b"),
    frames.End(),
    frames.Done(),
)


async def hello(isolate: FakeIsolate) -> None:
    """A good worker."""
    await isolate.heard(frames.Invoke)
    isolate.say(HELLO, frames.Done())


async def hang(isolate: FakeIsolate) -> None:
    """A worker that says nothing."""
    await isolate.heard(frames.Invoke)


def says(*said: Any) -> Any:
    """A worker that says this, whatever it is asked."""

    async def script(isolate: FakeIsolate) -> None:
        await isolate.heard(frames.Invoke)
        isolate.say(*said)

    return script


@pytest.fixture(autouse=True, params=[False, True], ids=["in a task", "at once"])
def ready(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether everything is at hand when an invocation starts, so that it need not wait."""
    monkeypatch.setattr(FakeHost, "ready", request.param)
    return bool(request.param)


async def run(host: FakeHost, **more: Any) -> FakeSink:
    """Run one invocation to its end."""
    sink, over = FakeSink(), asyncio.Event()
    one = Run(host, work(**more), sink)  # type: ignore[arg-type]
    one.on_over = over.set
    tasks: list[asyncio.Task[None]] = []
    one.start(lambda rest: tasks.append(asyncio.create_task(rest)))
    await asyncio.wait_for(over.wait(), 10)
    await asyncio.gather(*tasks)
    return sink


async def test_hello() -> None:
    """A small response is one head; the isolate goes back for reuse; the record says ok."""
    host = FakeHost(hello)
    sink = await run(host)
    assert sink.said == [("head", 200, [("a", "b")], b"hello", True)]
    assert host.returned == [(host.isolates[0], True)]
    trace = host.written[0]
    assert (trace.outcome, trace.event["response"]) == (Outcome.OK, {"status": 200})
    assert (trace.script_name, trace.dispatch_namespace, trace.script_version) == ("w", "ns", "v1")
    assert trace.peak_memory_kb == 1234


async def test_what_waits_for_nothing_has_no_task(ready: bool) -> None:
    """A whole answer of a warm isolate costs none; all else goes on in one."""
    for script, is_plain in [(hello, True), (says(*STREAMED), False)]:
        host, over = FakeHost(script), asyncio.Event()
        one = Run(host, work(), FakeSink())  # type: ignore[arg-type]
        one.on_over = over.set
        tasks: list[asyncio.Task[None]] = []
        one.start(lambda rest, tasks=tasks: tasks.append(asyncio.create_task(rest)))
        await asyncio.wait_for(over.wait(), 5)
        assert len(tasks) == (0 if ready and is_plain else 1)
        assert host.returned == [(host.isolates[0], True)]


async def test_a_stop_while_it_waits_for_its_turn() -> None:
    """It is over at once, has run nothing, and its turn goes to the next in line."""
    host = FakeHost(hello)
    turns = [await host.turns.begin(("ns", "w")) for _ in range(PLACES)]
    tasks: list[asyncio.Task[None]] = []
    runs, sinks = [], [FakeSink(), FakeSink()]
    for sink in sinks:
        runs.append(Run(host, work(), sink))  # type: ignore[arg-type]
        runs[-1].start(lambda rest: tasks.append(asyncio.create_task(rest)))
    await asyncio.sleep(0)
    runs[0].cancel()
    await until(lambda: bool(host.written))
    assert sinks[0].said[0][:2] == ("fail", Outcome.CANCELED)
    assert not host.isolates
    turns[0].end()
    await until(lambda: len(host.written) == 2)
    assert sinks[1].said[0][:2] == ("head", 200)
    await asyncio.gather(*tasks)


async def cold_hello(isolate: FakeIsolate) -> None:
    """A good worker whose code is loaded first."""
    isolate.say(frames.Loaded())
    await hello(isolate)


class SlowHost(FakeHost):
    """Its isolates are not made before ``made`` is set; so many are ``wanted``."""

    made: asyncio.Event
    wanted = 0

    async def borrow(self, bundle: Bundle, memory_mb: int) -> Any:
        self.wanted += 1
        await self.made.wait()
        return await super().borrow(bundle, memory_mb)


async def test_who_waits_for_an_isolate_has_no_turn() -> None:
    """However many isolates are being made, a turn is free; each is taken up again before use."""
    host = SlowHost(*[cold_hello] * 2 * PLACES, loaded=False)
    host.made = asyncio.Event()
    runs = [Run(host, work(), FakeSink()) for _ in range(2 * PLACES)]  # type: ignore[arg-type]
    tasks = [asyncio.create_task(run.run()) for run in runs]
    await until(lambda: host.wanted == 2 * PLACES)
    turns = [await asyncio.wait_for(host.turns.begin(("ns", "other")), 5) for _ in range(PLACES)]
    host.made.set()
    await until(lambda: [isolate.is_loaded for isolate in host.isolates] == [True] * 2 * PLACES)
    runs[0].stop(Outcome.CANCELED)
    tasks[1].cancel()
    for turn in turns:
        turn.end()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(host.returned) == len({id(isolate) for isolate, _ in host.returned}) == 2 * PLACES
    assert [trace.outcome for trace in host.written].count(Outcome.OK) >= 2 * PLACES - 2


async def test_a_streamed_response() -> None:
    """Head, chunks and end pass in order."""
    host = FakeHost(says(*STREAMED))
    sink = await run(host)
    assert sink.said == [
        ("head", 200, [], b"", False),
        ("chunk", b"a"),
        ("chunk", b"b"),
        ("end",),
    ]
    assert host.outcome is Outcome.OK


async def test_the_tenants_exception() -> None:
    """It is the tenant's failure, its traceback is in the record, and the isolate lives on."""
    failed = frames.Failed(name="ValueError", message="no", stack="Traceback...")
    host = FakeHost(says(failed, frames.Done()))
    sink = await run(host)
    assert sink.said == [("fail", Outcome.EXCEPTION, "ValueError: no")]
    assert host.returned[0][1]
    line = host.written[0].exceptions[0]
    assert (line.name, line.message, line.stack) == ("ValueError", "no", "Traceback...")


async def test_an_exception_after_the_head() -> None:
    """A response that broke off ends in a failure, never in a good end."""
    failed = frames.Failed(name="ValueError", message="no")
    host = FakeHost(says(frames.Head(status=200, headers=[]), failed, frames.Done()))
    sink = await run(host)
    assert [each[0] for each in sink.said] == ["head", "fail"]
    assert host.outcome is Outcome.EXCEPTION


async def test_a_failure_in_the_background() -> None:
    """waitUntil work that fails changes the record and not the response."""
    failed = frames.Failed(name="ValueError", message="no", phase="background")
    host = FakeHost(says(HELLO, failed, frames.Done()))
    sink = await run(host)
    assert [each[0] for each in sink.said] == ["head"]
    assert host.outcome is Outcome.EXCEPTION


async def test_memory() -> None:
    """MemoryError is a limit, and ends the isolate."""
    host = FakeHost(says(frames.Failed(name="MemoryError", message="", memory=True)))
    sink = await run(host)
    assert sink.said[0][1] is Outcome.EXCEEDED_MEMORY
    assert not host.returned[0][1]


@pytest.mark.parametrize(
    ("death", "reason", "outcome"),
    [
        (Death.REFUSED_CALL, "", Outcome.EXCEPTION),
        (Death.FAULT, "", Outcome.EXCEPTION),
        (Death.EXITED, "", Outcome.EXCEPTION),
        (Death.KILLED, "broke the door's protocol", Outcome.EXCEPTION),
        (Death.KILLED, "memory", Outcome.EXCEEDED_MEMORY),
        (Death.KERNEL, "", Outcome.EXCEEDED_MEMORY),
        (Death.LOST, "", Outcome.INTERNAL),
    ],
)
async def test_an_isolate_that_dies_on_its_own(death: Death, reason: str, outcome: Outcome) -> None:
    """Each way of dying has a named outcome: the tenant's fault, a limit, or ours."""
    host = FakeHost(says(IsolateDied(death, reason, -9)))
    sink = await run(host)
    assert sink.said[0][:2] == ("fail", outcome)
    assert host.outcome is outcome
    assert not host.returned[0][1]


@pytest.mark.parametrize(
    "said",
    [
        [HELLO, HELLO],
        [frames.Chunk(data=b"x")],
        [frames.End()],
        [frames.Done()],
        [frames.Ready()],
        [frames.Compiled()],
        [HELLO, frames.Chunk(data=b"x")],
        [HELLO, frames.Failed(name="x", message="")],
        [frames.Head(status=200, headers=[]), frames.Returned(value=1)],
        [frames.Head(status=99, headers=[], end=True)],
        [frames.Head(status=200, headers=[("a", "b\r\nc: d")], end=True)],
        [frames.Head(status=200, headers=[("a b", "c")], end=True)],
        [frames.Head(status=200, headers=[("a", "b" * 140_000)], end=True)],
    ],
)
async def test_what_only_a_broken_isolate_says(said: list[Any]) -> None:
    """Frames out of turn and heads that are none end the isolate; it never serves again."""
    host = FakeHost(says(*said, frames.Done()))
    await run(host)
    assert host.outcome is Outcome.EXCEPTION
    assert not host.returned[0][1]


async def test_wall_time() -> None:
    """The wall clock ends a run that waits for ever."""
    host = FakeHost(hang)
    sink = await run(host, limits=Limits(cpu_ms=1000, wall_ms=20))
    assert sink.said[0][1] is Outcome.EXCEEDED_WALL
    assert not host.returned[0][1]


async def test_cpu_time() -> None:
    """The process's clock is read again when the budget may be used up, and only then it counts."""

    async def burn(isolate: FakeIsolate) -> None:
        await isolate.heard(frames.Invoke)
        isolate.cpu += 19_000_000
        await asyncio.sleep(0.05)
        isolate.cpu += 5_000_000

    host = FakeHost(burn)
    sink = await run(host, limits=Limits(cpu_ms=20, wall_ms=5_000))
    assert sink.said[0][1] is Outcome.EXCEEDED_CPU
    assert host.written[0].cpu_ms == 24


async def test_cpu_time_of_earlier_runs_does_not_count() -> None:
    """A warm isolate starts from zero."""

    async def warm(isolate: FakeIsolate) -> None:
        await hello(isolate)

    host = FakeHost(warm)
    original = host.borrow

    async def used(bundle: Any, memory_mb: int) -> Any:
        isolate = await original(bundle, memory_mb)
        isolate.cpu = 10**12
        return isolate

    host.borrow = used  # type: ignore[method-assign]
    await run(host)
    assert host.outcome is Outcome.OK
    assert host.written[0].cpu_ms == 0


async def test_background_work_has_its_own_time() -> None:
    """After the response the wall clock is that of waitUntil, and running out of it is no failure;
    the isolate is not used again."""
    host = FakeHost(says(HELLO), wait_until_ms=0)
    host_run = Run(host, work(limits=Limits(cpu_ms=1000, wall_ms=100)), FakeSink())  # type: ignore[arg-type]
    await asyncio.wait_for(host_run.run(), 10)
    assert host.outcome is Outcome.OK
    assert not host.returned[0][1]
    assert "waitUntil" in host.written[0].logs[0].message[0]


async def test_response_bytes() -> None:
    """A body over the limit is cut off."""
    head = frames.Head(status=200, headers=[])
    host = FakeHost(
        says(head, frames.Chunk(data=bytes(6)), frames.Chunk(data=bytes(6))), response_body_bytes=10
    )
    sink = await run(host)
    assert sink.said[-1][1] is Outcome.EXCEEDED_RESPONSE
    assert not host.returned[0][1]


async def test_log_bytes() -> None:
    """Log output beyond the limit is dropped, and the record says so."""
    line = frames.Log(level="log", text="x" * 60, timestamp=1)
    host = FakeHost(says(line, line, HELLO, frames.Done()), log_bytes=200)
    await run(host)
    trace = host.written[0]
    assert (len(trace.logs), trace.truncated) == (1, True)
    assert host.outcome is Outcome.OK


async def test_an_isolate_that_does_not_stop_logging_is_ended() -> None:
    """Ours cuts its log off by itself, in bytes and in lines; one that goes on is not ours."""
    for text, log_bytes, kept in [("x" * 200, 1_000, 3), ("", 10**9, MAX_LINES + 1)]:
        line = frames.Log(level="log", text=text, timestamp=1)
        said = [line] * (MAX_LINES + 1 + SPARE_LINES)
        if not text:
            said.append(HELLO)  # the twin: what comes a little late is dropped
        host = FakeHost(says(*said, line, line, HELLO, frames.Done()), log_bytes=log_bytes)
        await run(host)
        trace = host.written[0]
        assert (len(trace.logs), trace.truncated) == (kept, True)
        assert not host.returned[0][1]
        assert "sent Log out of turn" in trace.exceptions[-1].message


async def test_an_expired_message() -> None:
    """What nobody waits for any more does not run."""
    host = FakeHost()
    sink = await run(host, begin_by_s=1.0)
    assert sink.said[0][1] is Outcome.EXPIRED
    assert host.outcome is Outcome.EXPIRED


async def test_an_unknown_version() -> None:
    """A version that is gone is not found."""
    sink = await run(FakeHost(), version="v2")
    assert sink.said[0][1] is Outcome.SCRIPT_NOT_FOUND


async def test_our_failure_before_tenant_code_ran_is_tried_again() -> None:
    """Once; the second time it is the platform's failure."""
    host = FakeHost(NotReady("no"), hello)
    await run(host)
    assert host.outcome is Outcome.OK
    host = FakeHost(NotReady("no"), IsolateDied(Death.LOST, "", None))
    sink = await run(host)
    assert sink.said[0][1] is Outcome.INTERNAL


async def test_our_failure_after_tenant_code_ran_is_not() -> None:
    """Nobody knows what it did already."""
    host = FakeHost(says(IsolateDied(Death.LOST, "", None)), hello)
    await run(host)
    assert host.outcome is Outcome.INTERNAL
    assert len(host.isolates) == 1


async def test_loading() -> None:
    """A cold isolate loads first, within the time for start-up."""

    async def cold(isolate: FakeIsolate) -> None:
        isolate.say(frames.Loaded())
        await hello(isolate)

    host = FakeHost(cold, loaded=False)
    await run(host)
    assert host.outcome is Outcome.OK
    assert host.isolates[0].is_loaded


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (frames.Failed(name="ImportError", message="x", phase="load"), Outcome.EXCEPTION),
        (frames.Failed(name="MemoryError", message="", memory=True), Outcome.EXCEEDED_MEMORY),
        (IsolateDied(Death.FAULT, "", -11), Outcome.EXCEPTION),
        (HELLO, Outcome.EXCEPTION),
    ],
)
async def test_loading_fails(said: Any, outcome: Outcome) -> None:
    """Top-level code that fails is the tenant's, and not tried again."""

    async def cold(isolate: FakeIsolate) -> None:
        isolate.say(said)

    host = FakeHost(cold, loaded=False)
    sink = await run(host)
    assert sink.said[0][1] is outcome
    assert not host.returned[0][1]


async def test_startup_cpu() -> None:
    """Top-level code has its own budget."""

    async def cold(isolate: FakeIsolate) -> None:
        isolate.cpu = 2_000_000_000

    host = FakeHost(cold, loaded=False, startup_cpu_ms=10)
    sink = await run(host)
    assert sink.said[0][1] is Outcome.EXCEEDED_CPU


async def test_a_client_that_goes_away() -> None:
    """Before the head it is canceled, after it disconnected; either way the isolate is ended."""
    for script, outcome in [
        (hang, Outcome.CANCELED),
        (says(frames.Head(status=200, headers=[])), Outcome.RESPONSE_DISCONNECTED),
    ]:
        host = FakeHost(script)
        sink = FakeSink()
        one = Run(host, work(), sink)  # type: ignore[arg-type]
        task = asyncio.create_task(one.run())
        await until(partial(_is_under_way, host, sink, outcome))
        one.cancel()
        await asyncio.wait_for(task, 5)
        assert host.outcome is outcome
        assert not host.returned[0][1]


def _is_under_way(host: FakeHost, sink: FakeSink, outcome: Outcome) -> bool:
    heard = bool(host.isolates) and not host.isolates[0].sent.qsize()
    return heard and (bool(sink.said) or outcome is Outcome.CANCELED)


async def test_what_goes_on_after_the_response_makes_way() -> None:
    """From the response to its end; an invocation that is over with its response does not."""
    finish = asyncio.Event()

    async def goes_on(isolate: FakeIsolate) -> None:
        await isolate.heard(frames.Invoke)
        isolate.say(HELLO)
        await until(lambda: bool(isolate.made_way))
        finish.set()
        isolate.say(frames.Done())

    for script, made_way in [(goes_on, [True, False]), (hello, []), (says(*STREAMED), [])]:
        host = FakeHost(script)
        await run(host)
        assert host.isolates[0].made_way == made_way
    assert finish.is_set()


async def test_a_client_that_goes_away_after_the_end() -> None:
    """Background work goes on."""
    finish = asyncio.Event()

    async def script(isolate: FakeIsolate) -> None:
        await isolate.heard(frames.Invoke)
        isolate.say(HELLO)
        await finish.wait()
        isolate.say(frames.Done())

    host = FakeHost(script)
    sink = FakeSink()
    one = Run(host, work(), sink)  # type: ignore[arg-type]
    task = asyncio.create_task(one.run())
    await until(lambda: bool(sink.said))
    one.cancel()
    finish.set()
    await asyncio.wait_for(task, 5)
    assert host.outcome is Outcome.OK
    assert host.returned[0][1]


async def test_a_client_that_goes_away_while_it_waits_in_line() -> None:
    """Its place is given up at once."""
    host = FakeHost(hang, hello, worker_concurrency=1)
    first = Run(host, work(), FakeSink())  # type: ignore[arg-type]
    running = asyncio.create_task(first.run())
    await until(lambda: bool(host.isolates))
    second = Run(host, work(id="i2"), FakeSink())  # type: ignore[arg-type]
    waiting = asyncio.create_task(second.run())
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait_for(waiting, 5)
    assert host.written[0].outcome is Outcome.CANCELED
    first.cancel()
    await asyncio.wait_for(running, 5)


async def test_concurrency_of_one_worker() -> None:
    """Over the limit they wait in line; when the line is full, it is said at once."""
    host = FakeHost(hang, hello, worker_concurrency=1)
    runs = [Run(host, work(id=f"i{n}"), FakeSink()) for n in range(3)]  # type: ignore[arg-type]
    tasks = [asyncio.create_task(each.run()) for each in runs]
    await asyncio.wait_for(tasks[2], 5)
    assert [trace.outcome for trace in host.written] == [Outcome.OVERLOADED]
    runs[0].cancel()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert [trace.outcome for trace in host.written][1:] == [Outcome.CANCELED, Outcome.OK]


async def test_waiting_in_line_ends_with_the_deadline() -> None:
    """Who waits in line longer than the client waits is dropped."""
    host = FakeHost(hang, worker_concurrency=1)
    first = Run(host, work(), FakeSink())  # type: ignore[arg-type]
    running = asyncio.create_task(first.run())
    await until(lambda: bool(host.isolates))
    await run(host, begin_by_s=time.time() + 0.05)
    assert host.written[0].outcome is Outcome.EXPIRED
    first.cancel()
    await asyncio.wait_for(running, 5)


async def test_a_slow_client_does_not_cost_the_tenant_wall_time() -> None:
    """While the response waits for credit, the wall clock stands still."""
    chunks = [
        frames.Head(status=200, headers=[]),
        frames.Chunk(data=b"x"),
        frames.End(),
        frames.Done(),
    ]
    host = FakeHost(says(*chunks))
    sink = FakeSink()
    sink.is_full = True
    one = Run(host, work(limits=Limits(cpu_ms=1000, wall_ms=400)), sink)  # type: ignore[arg-type]
    task = asyncio.create_task(one.run())
    await until(lambda: bool(sink.said))
    asyncio.get_running_loop().call_later(0.3, sink.room.set)
    await asyncio.wait_for(task, 5)
    assert host.outcome is Outcome.OK
    assert host.written[0].wall_ms >= 300


async def test_a_client_that_takes_nothing_is_given_up() -> None:
    """One wait for credit is bounded."""
    host = FakeHost(says(frames.Head(status=200, headers=[]), frames.Chunk(data=b"x")))
    sink = FakeSink()
    sink.is_full = True
    await asyncio.wait_for(
        Run(host, work(limits=Limits(cpu_ms=1000, wall_ms=50)), sink).run(),  # type: ignore[arg-type]
        5,
    )
    assert host.outcome is Outcome.RESPONSE_DISCONNECTED


async def test_outbound_parameters_reach_only_the_outbound_worker() -> None:
    """They are on env where the script is the outbound worker itself."""
    seen = []

    async def look(isolate: FakeIsolate) -> None:
        seen.append((await isolate.heard(frames.Invoke)).env)
        isolate.say(HELLO, frames.Done())

    host = FakeHost(look, look)
    for script in ("w", "gate"):
        await run(
            host, outbound=Outbound(namespace="ns", script=script, parameters={"plan": "pro"})
        )
    assert seen == [{"plan": "pro"}, {}]
