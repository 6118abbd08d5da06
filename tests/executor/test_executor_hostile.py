"""An isolate whose code broke out of the language: what it sends costs the executor little."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from executor_native import COMMAND, play

from cloister.outcomes import Outcome
from cloister.settings import Settings
from executor.isolate.text import MAX_LINES
from executor.isolates import IsolatePool

pytestmark = pytest.mark.asyncio(loop_scope="module")

FLAT_MB = 100
"""Generous: garbage of the test itself counts."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pool() -> AsyncIterator[IsolatePool]:
    """Isolates that run native code."""
    made = IsolatePool(Settings(blank_isolates=1), command=COMMAND)
    await made.start()
    yield made
    await made.close()


async def test_calls_without_end(pool: IsolatePool) -> None:
    """An isolate with more calls open than ours ever has is ended at once."""
    code = "sock.sendall(b''.join(call(n, 'SLOW', 'x', []) for n in range(20_000)))"
    played = await play(pool, code, wall_ms=20_000)
    assert played.outcome is Outcome.EXCEPTION
    assert "sent Call out of turn" in played.reason
    assert played.grown_mb < FLAT_MB


async def test_as_many_calls_as_are_allowed(pool: IsolatePool) -> None:
    """The twin: a thousand open calls are served."""
    code = """
sock.sendall(b''.join(call(n, 'KV', 'get', ['k']) for n in range(1_000)))
got = [door.receive() for _ in range(1_000)]
assert sorted(one.call for one in got) == list(range(1_000))
assert all(one.value == {'value': bytes(10)} for one in got)
sock.sendall(head())
"""
    played = await play(pool, code, wall_ms=20_000)
    assert played.outcome is Outcome.OK, played.trace


LARGE = {
    "bytes": "bytes(7_000_000)",
    "empty lists": "[[]] * 7_000_000",
    "text": "'x' * 7_000_000",
}


@pytest.mark.parametrize("value", LARGE.values(), ids=LARGE.keys())
async def test_large_calls_that_stay_open(pool: IsolatePool, value: str) -> None:
    """A gigabyte of calls: the isolate is not read from while a few are open, whatever is in
    them."""
    code = f"one = call(1, 'SLOW', 'x', [{value}])\nfor n in range(150): sock.sendall(one)"
    played = await play(pool, code, wall_ms=2_000)
    assert played.outcome is Outcome.EXCEEDED_WALL
    assert played.grown_mb < FLAT_MB


async def test_large_calls_that_are_answered(pool: IsolatePool) -> None:
    """The twin: they come one after the other, as fast as they are answered."""
    code = """
one = call(1, 'KV', 'nothing', [bytes(7_000_000)])
for n in range(30):
    sock.sendall(one)
    assert door.receive().kind == 'TypeError'
sock.sendall(head())
"""
    played = await play(pool, code, wall_ms=20_000)
    assert played.outcome is Outcome.OK, played.trace
    assert played.grown_mb < FLAT_MB


FLOOD = "sock.sendall(b''.join(call(n, 'KV', 'get', ['k']) for n in range(900)))\n"


async def test_answers_that_are_never_read(pool: IsolatePool) -> None:
    """More answers than an invocation may hold: they wait within its budget, the rest is
    refused."""
    played = await play(
        pool, FLOOD + "import time; time.sleep(9)", value_bytes=250_000, wall_ms=3_000
    )
    assert played.outcome is Outcome.EXCEEDED_WALL
    assert played.grown_mb < FLAT_MB


async def test_answers_that_are_read(pool: IsolatePool) -> None:
    """The twin: an isolate that reads gets every one of them."""
    code = (
        FLOOD
        + """
assert all(len(door.receive().value['value']) == 250_000 for _ in range(900))
sock.sendall(head())
"""
    )
    played = await play(pool, code, value_bytes=250_000, wall_ms=20_000)
    assert played.outcome is Outcome.OK, played.trace
    assert played.grown_mb < FLAT_MB


NO_LOGS = {
    "parts": "{'type': 'log', 'level': 'log', 'message': [['x' * 900_000]], 'timestamp': 1}",
    "a long level": "{'type': 'log', 'level': 'x' * 900_000, 'text': '', 'timestamp': 1}",
    "no text": "{'type': 'log', 'level': 'log', 'text': [['']], 'timestamp': 1}",
    "too long": "{'type': 'log', 'level': 'log', 'text': 'x' * 7_000_000, 'timestamp': 1}",
}


@pytest.mark.parametrize("line", NO_LOGS.values(), ids=NO_LOGS.keys())
async def test_what_is_no_log_line(pool: IsolatePool, line: str) -> None:
    """Strict types: the isolate is ended, and nothing of it is kept."""
    code = f"one = pack({line})\nfor n in range(100): sock.sendall(one)\nsock.sendall(head())"
    played = await play(pool, code, wall_ms=20_000)
    assert played.outcome is Outcome.EXCEPTION
    assert "broke the protocol" in played.reason
    assert played.grown_mb < FLAT_MB
    assert played.record_bytes < 2_000


LINES = {"empty": "''", "long": "'x' * 100_000", "costly": "'\\\\x01' * 20_000"}


@pytest.mark.parametrize("text", LINES.values(), ids=LINES.keys())
async def test_log_lines_without_end(pool: IsolatePool, text: str) -> None:
    """However many there are: the record stays within its bound, and the isolate is ended."""
    code = f"""
one = pack(Log(level='log', text={text}, timestamp=1))
while True: sock.sendall(one)
"""
    played = await play(pool, code, wall_ms=20_000)
    assert played.outcome is Outcome.EXCEPTION
    assert "sent Log out of turn" in played.reason
    assert played.record_bytes < 128 * 1024 + 2_000
    assert played.grown_mb < FLAT_MB


async def test_log_lines_within_the_bound(pool: IsolatePool) -> None:
    """The twin: as many lines as are allowed are kept."""
    code = f"""
one = pack(Log(level='warn', text='x', timestamp=1))
sock.sendall(one * {MAX_LINES} + head())
"""
    played = await play(pool, code, wall_ms=20_000)
    assert played.outcome is Outcome.OK, played.trace
    assert len(played.trace.logs) == MAX_LINES
    assert not played.trace.truncated


async def test_large_frames_of_other_kinds(pool: IsolatePool) -> None:
    """Eight MiB of header pairs would be hundreds of MiB of objects."""
    code = "sock.sendall(pack(Head(status=200, headers=[('', '')] * 2_500_000)))"
    played = await play(pool, code, wall_ms=20_000)
    assert "broke the protocol" in played.reason
    assert played.grown_mb < FLAT_MB
