"""Invocations through a real Celery worker into real sandboxed isolates, and back."""

import time
from typing import Any

import pytest
from executor_house import House, worker

from cloister.limits import Limits
from cloister.messages import (
    Cancel,
    Chunk,
    Credit,
    End,
    Head,
    body_list,
    decode_frame,
    encode,
    executor_channel,
)
from cloister.outcomes import Outcome


def test_hello(shared: House, namespace: str) -> None:
    """Published, run, answered; warm the second time; the record says what it cost."""
    shared.deploy(namespace, "hello", worker('return Response("Hello", headers={"x-a": "1"})'))
    for _ in range(2):
        answer = shared.call(namespace, "hello")
        assert (answer.status, answer.body, len(answer.frames)) == (200, b"Hello", 1)
        assert answer.headers["x-a"] == "1"
    trace = shared.traces(namespace, "hello", 2)[0]
    assert trace.outcome is Outcome.OK
    assert trace.event["response"] == {"status": 200}
    assert 0 < trace.cpu_ms < 1000
    assert trace.wall_ms > 0


def test_the_request_arrives(shared: House, namespace: str) -> None:
    """Method, URL, headers and body are what the dispatcher sent."""
    shared.deploy(
        namespace,
        "echo",
        worker(
            "text = await request.text()\n"
            "mine = request.headers.get('x-b')\n"
            "return Response(f'{request.method} {request.url} {mine} {text}')"
        ),
    )
    answer = shared.call(
        namespace,
        "echo",
        method="POST",
        url="http://echo.localhost/p?q=1",
        headers=[("host", "echo.localhost"), ("x-b", "yes")],
        body=b"body",
    )
    assert answer.body == b"POST http://echo.localhost/p?q=1 yes body"


def test_a_body_beside_the_message(shared: House, namespace: str) -> None:
    """A large body is pulled from its list, chunk by chunk."""
    shared.deploy(
        namespace, "size", worker("data = await request.bytes()\nreturn Response(str(len(data)))")
    )
    invocation = shared.invocation(namespace, "size", method="POST", body_is_streamed=True)
    chunk = bytes(200_000)
    shared.redis.rpush(body_list(invocation.id), chunk, chunk, chunk, b"")
    shared.publish(invocation)
    assert shared.answer(invocation).body == b"600000"
    assert shared.redis.llen(body_list(invocation.id)) == 0


def test_many_in_one_message(shared: House, namespace: str) -> None:
    """A batch is answered one by one, each on its own list."""
    shared.deploy(namespace, "url", worker("return Response(request.url)"))
    batch = [
        shared.invocation(namespace, "url", url=f"http://url.localhost/{n}") for n in range(32)
    ]
    shared.publish(*batch)
    for n, invocation in enumerate(batch):
        assert shared.answer(invocation).body == f"http://url.localhost/{n}".encode()


STREAM = """
from workers import WorkerEntrypoint, Response

async def pieces():
    for n in range({count}):
        yield bytes({size})

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(pieces())
"""


def test_a_streamed_response(shared: House, namespace: str) -> None:
    """Head, chunks, end."""
    shared.deploy(namespace, "stream", STREAM.format(count=3, size=10))
    answer = shared.call(namespace, "stream")
    kinds = [type(frame) for frame in answer.frames]
    assert kinds[0] is Head
    assert kinds[-1] is End
    assert set(kinds[1:-1]) == {Chunk}
    assert answer.body == bytes(30)


def test_credit_bounds_what_is_sent(shared: House, namespace: str) -> None:
    """Four MiB go out, then it waits for the dispatcher's credit."""
    shared.deploy(namespace, "big", STREAM.format(count=24, size=256 * 1024))
    invocation = shared.invocation(namespace, "big")
    shared.publish(invocation)
    shared.wait_for(lambda: shared.redis.llen(invocation.reply_to) >= 17)
    time.sleep(0.2)
    assert shared.redis.llen(invocation.reply_to) == 17
    first = shared.redis.lindex(invocation.reply_to, 0)
    head = decode_frame(first)
    assert isinstance(head, Head)
    note = encode(Credit(id=invocation.id, bytes=4 * 1024 * 1024))
    assert shared.redis.publish(executor_channel(head.executor), note) == 1
    assert len(shared.answer(invocation).body) == 24 * 256 * 1024


def test_cancel(shared: House, namespace: str) -> None:
    """A client that goes away ends the isolate, and the record says so."""
    shared.deploy(
        namespace,
        "slow",
        worker('import asyncio\nprint("begun")\nawait asyncio.sleep(20)\nreturn Response("late")'),
    )
    invocation = shared.invocation(namespace, "slow")
    shared.publish(invocation)
    shared.wait_for(lambda: _cancelled(shared, invocation.id, namespace))
    assert shared.traces(namespace, "slow")[0].outcome is Outcome.CANCELED


def _cancelled(shared: House, id_: str, namespace: str) -> bool:
    shared.redis.publish("executors", encode(Cancel(id=id_)))
    return bool(shared.redis.llen(f"logs:{namespace}:slow"))


LIMITED: list[tuple[str, str, dict[str, Any], Outcome]] = [
    ("cpu-python", "while True:\n    pass", {"cpu_ms": 50}, Outcome.EXCEEDED_CPU),
    ("cpu-c", "sum(range(10**12))", {"cpu_ms": 50}, Outcome.EXCEEDED_CPU),
    (
        "wall",
        "import asyncio\nawait asyncio.sleep(30)",
        {"wall_ms": 100},
        Outcome.EXCEEDED_WALL,
    ),
    ("memory", "x = 'x' * 300_000_000", {"memory_mb": 64}, Outcome.EXCEEDED_MEMORY),
    ("raises", "raise ValueError('no')", {}, Outcome.EXCEPTION),
    ("returns", "return 5", {}, Outcome.EXCEPTION),
]


@pytest.mark.parametrize(("name", "body", "limits", "outcome"), LIMITED)
def test_outcomes(
    shared: House, namespace: str, name: str, body: str, limits: dict[str, int], outcome: Outcome
) -> None:
    """Each limit ends the run with its own outcome; the tenant's failure is another kind."""
    shared.deploy(namespace, name, worker(body))
    answer = shared.call(namespace, name, limits=Limits(**limits))
    assert answer.failure is not None
    assert answer.failure.outcome is outcome
    assert shared.traces(namespace, name)[0].outcome is outcome


def test_the_traceback_is_the_tenants(shared: House, namespace: str) -> None:
    """Line numbers are those of the uploaded file."""
    shared.deploy(namespace, "boom", worker("x = 1\nraise ValueError('no')"))
    shared.call(namespace, "boom")
    line = shared.traces(namespace, "boom")[0].exceptions[0]
    assert (line.name, line.message) == ("ValueError", "no")
    assert "line 6" in line.stack
    assert "executor" not in line.stack


def test_module_state_lives_as_long_as_the_isolate(shared: House, namespace: str) -> None:
    """Warm isolates keep globals; a new version starts afresh, at once."""
    source = worker("seen.append(1)\nreturn Response(str(len(seen)))", top="seen = []")
    shared.deploy(namespace, "count", source)
    assert [shared.call(namespace, "count").body for _ in range(3)] == [b"1", b"2", b"3"]
    shared.deploy(namespace, "count", source + "\n# again\n")
    assert shared.call(namespace, "count").body == b"1"


def test_expired(shared: House, namespace: str) -> None:
    """A message taken after its deadline does not run."""
    shared.deploy(namespace, "hello", worker('return Response("Hello")'))
    answer = shared.call(namespace, "hello", deadline=time.time() - 1)
    assert answer.failure is not None
    assert answer.failure.outcome is Outcome.EXPIRED


def test_an_unknown_version(shared: House, namespace: str) -> None:
    """A version that was deleted meanwhile is not found."""
    shared.deploy(namespace, "hello", worker('return Response("Hello")'))
    answer = shared.call(namespace, "hello", version="gone")
    assert answer.failure is not None
    assert answer.failure.outcome is Outcome.SCRIPT_NOT_FOUND


def test_wait_until(shared: House, namespace: str) -> None:
    """The response does not wait for background work; the record does."""
    shared.deploy(
        namespace,
        "later",
        worker(
            "import asyncio\n"
            "async def work():\n"
            "    await asyncio.sleep(0.2)\n"
            '    print("done")\n'
            "self.ctx.waitUntil(work())\n"
            'return Response("now")'
        ),
    )
    assert shared.call(namespace, "later").body == b"now"
    trace = shared.traces(namespace, "later")[0]
    assert trace.wall_ms >= 200
    assert [line.message for line in trace.logs] == [["done"]]
