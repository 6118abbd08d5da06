"""Invocations sent along behind another: who begins where, and what becomes of them if not."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from executor_fakes import FakeHost, FakeIsolate, FakeSink, bundle, until, work
from executor_house import House, house, worker

from cloister.limits import Limits
from cloister.messages import EXECUTORS_CHANNEL, Cancel, Failure, encode, log_list
from cloister.outcomes import Outcome
from executor.convoy import BEHIND, PROVEN
from executor.invocation import Run
from executor.isolate import frames
from executor.isolates import Death, IsolateDied
from executor.turns import PLACES, Turn


class Line:
    """Invocations that wait for a turn, and begin when one ends."""

    def __init__(self, host: FakeHost, turns: list[Turn]) -> None:
        self.host = host
        self.turns = turns
        self.runs: list[Run] = []
        self.sinks: list[FakeSink] = []
        self._tasks: list[asyncio.Task[None]] = []

    def join(self, **more: Any) -> None:
        """One more."""
        sink = FakeSink()
        name = str(len(self.runs))
        values = {"invoke": frames.Invoke(url=f"http://{name}/"), **more}
        run = Run(self.host, work(id=name, **values), sink)  # type: ignore[arg-type]
        run.start(lambda rest: self._tasks.append(asyncio.create_task(rest)))
        self.runs.append(run)
        self.sinks.append(sink)

    async def over(self, count: int) -> None:
        """Wait until so many are over."""
        await until(lambda: len(self.host.written) == count)
        await asyncio.gather(*self._tasks)

    @property
    def answers(self) -> list[Any]:
        """The body of each response, or the outcome."""
        return [
            each.said[0][3] if each.said[0][0] == "head" else each.said[0][1] for each in self.sinks
        ]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[House]:
    """An executor of this test's own, which keeps every record."""
    with house(tmp_path, blank_isolates=2, logs_kept=COUNT) as made:
        yield made


@pytest.fixture
async def host(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    """One whose isolates stand ready and have been quick."""
    monkeypatch.setattr(FakeHost, "ready", True)
    monkeypatch.setattr(FakeHost, "quick_answers", PROVEN)
    return FakeHost(worker_concurrency=100)


@pytest.fixture
async def line(host: FakeHost) -> Line:
    """A line where all turns are taken."""
    turns = [await host.turns.begin(("other", "worker")) for _ in range(PLACES)]
    return Line(host, turns)


def answer(invoke: frames.Invoke) -> tuple[frames.Head, frames.Done]:
    """What a good worker says."""
    return frames.Head(status=200, headers=[], body=invoke.url.encode(), end=True), frames.Done()


async def good(isolate: FakeIsolate) -> None:
    """Answers as long as it is asked."""
    while True:
        isolate.say(*answer(await isolate.heard(frames.Invoke)))


async def test_those_who_wait_are_sent_along(host: FakeHost, line: Line) -> None:
    """In one write, a few at a time; each gets its own answer, and the isolate comes back once."""
    host._scripts += [good, good]
    for _ in range(BEHIND + 2):
        line.join()
    line.turns.pop().end()
    await line.over(BEHIND + 2)
    assert line.answers == [f"http://{n}/".encode() for n in range(BEHIND + 2)]
    assert [isolate.writes for isolate in host.isolates] == [1, 1]
    assert host.returned == [(isolate, True) for isolate in host.isolates]
    assert [trace.outcome for trace in host.written] == [Outcome.OK] * (BEHIND + 2)


async def test_only_a_quick_isolate_has_any_behind(
    host: FakeHost, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has not proven it serves one at a time."""
    monkeypatch.setattr(FakeHost, "quick_answers", PROVEN - 1)
    host._scripts += [good, good]
    line.join()
    line.join()
    line.turns.pop().end()
    await line.over(2)
    assert len(host.isolates) == 2


async def test_only_its_like_goes_behind(host: FakeHost, line: Line) -> None:
    """Another version, or another memory limit, is another isolate."""
    host.bundles["v2"] = bundle()
    host._scripts += [good] * 3
    line.join()
    line.join(version="v2")
    line.join(limits=Limits(cpu_ms=1_000, memory_mb=64, wall_ms=5_000))
    line.turns.pop().end()
    await line.over(3)
    assert len(host.isolates) == 3


async def test_those_behind_one_that_dies_run_elsewhere(host: FakeHost, line: Line) -> None:
    """They have not begun: whatever ends the isolate is only the first one's end."""

    async def dies(isolate: FakeIsolate) -> None:
        await isolate.heard(frames.Invoke)
        isolate.say(IsolateDied(Death.FAULT, "", -11))

    host._scripts += [dies, good, good]
    for _ in range(3):
        line.join()
    line.turns.pop().end()
    await line.over(3)
    assert line.answers == [Outcome.EXCEPTION, b"http://1/", b"http://2/"]
    assert [isolate.writes for isolate in host.isolates] == [1, 1, 1]


async def test_those_behind_one_that_waits_run_elsewhere(host: FakeHost, line: Line) -> None:
    """At once, while it goes on waiting."""
    goes_on = asyncio.Event()

    async def waits(isolate: FakeIsolate) -> None:
        first = await isolate.heard(frames.Invoke)
        isolate.say(frames.Declined(count=2))
        await goes_on.wait()
        isolate.say(*answer(first))

    host._scripts += [waits, good, good]
    for _ in range(3):
        line.join()
    line.turns.pop().end()
    line.turns.pop().end()
    await until(lambda: len(host.written) == 2)
    goes_on.set()
    await line.over(3)
    assert line.answers == [b"http://0/", b"http://1/", b"http://2/"]


@pytest.mark.parametrize("count", [0, 2, -1])
async def test_nobody_declines_what_was_not_sent(host: FakeHost, line: Line, count: int) -> None:
    """Such an isolate is ended, and what was behind it runs elsewhere."""

    async def lies(isolate: FakeIsolate) -> None:
        await isolate.heard(frames.Invoke)
        isolate.say(frames.Declined(count=count))

    host._scripts += [lies, good]
    line.join()
    line.join()
    line.turns.pop().end()
    await line.over(2)
    assert line.answers == [Outcome.EXCEPTION, b"http://1/"]


async def test_a_client_that_goes_away_while_behind(host: FakeHost, line: Line) -> None:
    """Its invocation may have begun, so it ends the isolate when its time comes; the answer before
    it and the one behind it are not lost."""
    first_answers = asyncio.Event()

    async def slow(isolate: FakeIsolate) -> None:
        first = await isolate.heard(frames.Invoke)
        await first_answers.wait()
        isolate.say(*answer(first))

    host._scripts += [slow, good]
    for _ in range(3):
        line.join()
    line.turns.pop().end()
    await until(lambda: bool(host.isolates))
    line.runs[1].cancel()
    first_answers.set()
    await line.over(3)
    assert line.answers == [b"http://0/", Outcome.CANCELED, b"http://2/"]


async def test_one_that_cannot_be_sent_along_is_not_lost(host: FakeHost, line: Line) -> None:
    """It ends, alone, as does the one that would have taken it along; the others are served."""
    host._scripts += [good] * 4
    line.join()
    line.join(invoke=frames.Invoke(cf={"no": object()}))
    line.join()
    line.turns.pop().end()
    await line.over(3)
    assert line.answers == [Outcome.INTERNAL, Outcome.INTERNAL, b"http://2/"]


async def test_an_error_of_ours_ends_nobody_elses(
    host: FakeHost, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While those behind one are about to be served: each ends all the same, once."""
    monkeypatch.setattr(host.watches, "add", _fail_once(host.watches.add, at=2))
    host._scripts += [good] * 2
    for _ in range(3):
        line.join()
    line.turns.pop().end()
    await line.over(3)
    assert line.answers == [b"http://0/", Outcome.INTERNAL, b"http://2/"]


def _fail_once(call: Callable[..., None], *, at: int) -> Callable[..., None]:
    count = itertools.count(1)

    def calls(*arguments: Any) -> None:
        if next(count) == at:
            raise RuntimeError("a limit cannot be watched")
        call(*arguments)

    return calls


COUNT, WAVE, ENDLESS = 600, 30, 470

MIXED = worker(
    """
path = request.url.rpartition("/")[2]
kind = path[-2:]
print(path)
if kind == "50":
    await asyncio.sleep(0.02)
if kind == "60":
    raise ValueError(path)
if path == "470":
    while True:
        pass
return Response(path)
""",
    top="import asyncio",
)


def test_real_isolates_lose_and_double_nothing(own: House) -> None:
    """Of hundreds, some of which wait, fail or never end amid others, each gets its own answer and
    has run once."""
    own.namespace("ns")
    own.deploy("ns", "mixed", MIXED, limits=Limits(cpu_ms=50))
    for first in range(0, COUNT, WAVE):
        sent = [own.invocation("ns", "mixed", url=f"http://w/{first + n}") for n in range(WAVE)]
        own.publish(*sent[: WAVE // 2])
        own.publish(*sent[WAVE // 2 :])
        for number, each in enumerate(sent, first):
            got = own.answer(each)
            assert (got.failure and got.failure.outcome, got.body) == _expected(number), number
    own.wait_for(lambda: own.redis.llen(log_list("ns", "mixed")) == COUNT)
    told = [line.message[0] for trace in own.traces("ns", "mixed") for line in trace.logs]
    assert sorted(map(int, told)) == list(range(COUNT))


BODIES = worker(
    """
if request.url.endswith("large"):
    return Response(bytes(8 * 1024 * 1024))
return Response("small")
"""
)


def test_nobody_waits_behind_a_response_that_its_client_does_not_take(own: House) -> None:
    """It is long, and nobody grants the executor more than what it may send at first: who was sent
    along behind it is served elsewhere, while it is still open."""
    own.namespace("ns")
    own.deploy("ns", "bodies", BODIES)
    large = []
    for wave in range(2 * PROVEN):
        sent = [own.invocation("ns", "bodies", url="http://w/small") for _ in range(12)]
        if wave >= 2 * PROVEN - 4:
            sent[PLACES] = own.invocation("ns", "bodies", url="http://w/large")
            large.append(sent[PLACES])
        own.publish(*sent)
        assert all(own.answer(each, 10).body == b"small" for each in sent if each not in large)
    for each in large:
        own.redis.publish(EXECUTORS_CHANNEL, encode(Cancel(id=each.id)))
    assert {own.answer(each).failure for each in large} == {
        Failure(id=each.id, outcome=Outcome.RESPONSE_DISCONNECTED, message="Client closed request")
        for each in large
    }


def _expected(number: int) -> tuple[Outcome | None, bytes]:
    if number == ENDLESS:
        return Outcome.EXCEEDED_CPU, b""
    return (Outcome.EXCEPTION, b"") if number % 100 == 60 else (None, str(number).encode())
