"""The first invocation of a fresh isolate: it follows the code, in the time of a request."""

import asyncio
from typing import Any

import pytest
from executor_fakes import FakeHost, FakeIsolate, FakeSink, until, work

from cloister.outcomes import Outcome
from cloister.registry.views import Bundle
from executor.invocation import Run
from executor.isolate import frames
from executor.turns import PLACES, Turn

HEAD = frames.Head(status=200, headers=[], body=b"hello", end=True)


async def run(host: FakeHost) -> FakeSink:
    sink = FakeSink()
    await asyncio.wait_for(Run(host, work(), sink).run(), 5)  # type: ignore[arg-type]
    return sink


async def patient(isolate: FakeIsolate) -> None:
    """Says nothing before it has all."""
    await isolate.heard(frames.Invoke)
    isolate.say(frames.Loaded(), HEAD, frames.Done())


async def declining(isolate: FakeIsolate) -> None:
    """Its top level runs a loop, which takes no invocation."""
    await isolate.heard(frames.Invoke)
    isolate.say(frames.Declined(count=1), frames.Loaded())
    await isolate.heard(frames.Invoke)
    isolate.say(HEAD, frames.Done())


@pytest.mark.parametrize("script", [patient, declining])
async def test_the_invocation_follows_the_code(script) -> None:
    """Nobody waits for Loaded to send it; declined, it is sent again. It is answered once, the
    isolate stays warm, and every turn is given back."""
    host = FakeHost(script, loaded=False)
    sink = await run(host)
    assert [said[:2] for said in sink.said] == [("head", 200)]
    assert host.outcome is Outcome.OK
    assert host.returned == [(host.isolates[0], True)]
    assert all(host.turns.begin_now() is not None for _ in range(PLACES))


class BusyHost(FakeHost):
    """Once an isolate is lent, others have all the turns."""

    taken: list[Turn]

    async def borrow(self, bundle: Bundle, memory_mb: int) -> Any:
        self.taken = [await self.turns.begin(("ns", "other")) for _ in range(PLACES)]
        return await super().borrow(bundle, memory_mb)


async def test_without_a_turn_it_waits() -> None:
    """While others compute, the code is loaded; the invocation follows when its turn has come."""

    async def in_order(isolate: FakeIsolate) -> None:
        isolate.say(frames.Loaded())
        await isolate.heard(frames.Invoke)
        isolate.say(HEAD, frames.Done())

    host = BusyHost(in_order, loaded=False)
    running = asyncio.create_task(run(host))
    await until(lambda: bool(host.isolates) and host.isolates[0].is_loaded)
    assert host.isolates[0].sent.empty()
    for turn in host.taken:
        turn.end()
    assert (await running).said[0][:2] == ("head", 200)


async def test_code_that_fails_is_not_invoked() -> None:
    """The failure is the answer, though the invocation was on its way, and the isolate is ended."""

    async def failing(isolate: FakeIsolate) -> None:
        await isolate.heard(frames.Invoke)
        isolate.say(frames.Failed(name="ValueError", message="no", phase="load"))

    host = FakeHost(failing, loaded=False)
    sink = await run(host)
    assert sink.said == [("fail", Outcome.EXCEPTION, "ValueError: no")]
    assert host.returned == [(host.isolates[0], False)]
    assert all(host.turns.begin_now() is not None for _ in range(PLACES))


async def test_only_one_is_declined_and_once() -> None:
    """An isolate that declines what it was not sent is not what it should be."""

    async def insisting(isolate: FakeIsolate) -> None:
        await isolate.heard(frames.Invoke)
        isolate.say(frames.Declined(count=1), frames.Declined(count=1))

    async def exaggerating(isolate: FakeIsolate) -> None:
        await isolate.heard(frames.Invoke)
        isolate.say(frames.Declined(count=2))

    for script in (insisting, exaggerating):
        host = FakeHost(script, loaded=False)
        sink = await run(host)
        assert sink.said[0][:2] == ("fail", Outcome.EXCEPTION)
        assert host.returned == [(host.isolates[0], False)]
