"""Alarms of Durable Objects: set by an object, sent by the scheduler's duty, kept until done."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from executor_house import House, house
from executor_objects import call, deploy, worker

from cloister.broker import async_redis
from cloister.registry import Registry
from cloister.settings import Settings
from scheduler import alarms

METHODS = """
async def alarm(self, info):
    store = self.ctx.storage
    assert await store.getAlarm() is None
    told = (await store.get("told") or []) + [[info["retryCount"], info["isRetry"]]]
    await store.put("told", told)
    if await store.get("again"):
        await store.delete("again")
        await store.setAlarm(await store.get("again_at"))
    if await store.get("failing"):
        raise ValueError("not yet")

async def set(self, at_ms, more):
    for key, value in more.items():
        await self.ctx.storage.put(key, value)
    if at_ms is None:
        await self.ctx.storage.deleteAlarm()
    else:
        await self.ctx.storage.setAlarm(at_ms)

async def state(self):
    return [await self.ctx.storage.getAlarm(), await self.ctx.storage.get("told") or []]
"""
CALLS = """
import json
asked = json.loads(await request.text() or "null")
if asked is not None:
    await stub.set(asked.pop("at"), asked)
return Response(json.dumps(await stub.state()))
"""


class Tools:
    """What the duty works with."""

    def __init__(self, made: House) -> None:
        self.settings: Settings = made.settings
        self.registry: Registry = made.registry
        self.redis = async_redis(made.settings)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running executor."""
    directory: Path = tmp_path_factory.mktemp("house")
    with house(directory, blank_isolates=2) as made:
        yield made


def ring(shared: House) -> None:
    """One turn of the duty."""

    async def turn() -> None:
        tools = Tools(shared)
        await alarms.ring(tools)
        await tools.redis.aclose()

    asyncio.run(turn())


def state(shared: House, namespace: str, asked: str = "") -> str:
    answer = call(shared, namespace, method="POST", body=asked.encode())
    assert answer.failure is None, answer.failure
    return answer.body.decode()


def test_an_alarm_comes_once(shared: House, namespace: str) -> None:
    """When it is due and not before; within its handler it is set no more, and after it gone."""
    deploy(shared, namespace, worker(CALLS, METHODS))
    later = int(time.time() * 1000) + 3_600_000
    assert state(shared, namespace, f'{{"at": {later}}}') == f"[{later}, []]"
    ring(shared)
    assert state(shared, namespace) == f"[{later}, []]"
    state(shared, namespace, '{"at": 5}')
    ring(shared)
    wanted = "[null, [[0, false]]]"
    shared.wait_for(lambda: state(shared, namespace) == wanted)
    ring(shared)
    assert state(shared, namespace) == wanted


def test_an_alarm_that_was_deleted_does_not_come(shared: House, namespace: str) -> None:
    """Nor one whose time was changed, before that."""
    deploy(shared, namespace, worker(CALLS, METHODS))
    state(shared, namespace, '{"at": 5}')
    assert state(shared, namespace, '{"at": null}') == "[null, []]"
    ring(shared)
    assert state(shared, namespace) == "[null, []]"


def test_a_handler_sets_the_next_one(shared: House, namespace: str) -> None:
    """That is kept, and comes in its turn."""
    deploy(shared, namespace, worker(CALLS, METHODS))
    later = int(time.time() * 1000) + 3_600_000
    state(shared, namespace, f'{{"at": 5, "again": true, "again_at": {later}}}')
    ring(shared)
    shared.wait_for(lambda: state(shared, namespace) == f"[{later}, [[0, false]]]")


def test_a_failed_alarm_is_tried_again(shared: House, namespace: str) -> None:
    """Later, and its handler is told that it is a retry."""
    deploy(shared, namespace, worker(CALLS, METHODS))
    state(shared, namespace, '{"at": 5, "failing": true}')
    ring(shared)
    shared.wait_for(lambda: state(shared, namespace) == "[5, [[0, false]]]")
    state(shared, namespace, '{"at": 5, "failing": false}')

    def rings() -> bool:
        ring(shared)
        return state(shared, namespace) == "[null, [[0, false], [1, true]]]"

    shared.wait_for(rings, 60)


def test_an_alarm_of_the_past_waits_its_turn(shared: House, namespace: str) -> None:
    """It is due at once, and not before those of others that were due already."""
    deploy(shared, namespace, worker(CALLS, METHODS))
    before_ms = int(time.time() * 1000)
    assert state(shared, namespace, '{"at": 5}') == "[5, []]"

    def due(now_ms: int) -> bool:
        taken = shared.registry.objects.take_due(now_ms, now_ms + 60_000, 100)
        return namespace in {each.namespace for each in taken}

    assert not due(before_ms - 1)
    assert due(int(time.time() * 1000))


def test_a_time_that_cannot_be_stored_is_refused(shared: House, namespace: str) -> None:
    """The object's code is told, and everybody gets an answer; the alarm that was set stays."""
    deploy(shared, namespace, worker(CALLS, METHODS))
    later = int(time.time() * 1000) + 3_600_000
    state(shared, namespace, f'{{"at": {later}}}')
    answer = call(shared, namespace, method="POST", body=b'{"at": 1e19}')
    assert answer.failure is not None
    assert "set_alarm() takes other arguments" in answer.failure.message
    assert state(shared, namespace) == f"[{later}, []]"
    assert state(shared, namespace, '{"at": 8640000000000000}') == "[8640000000000000, []]"


def test_an_object_goes_on_after_a_time_that_was_refused(shared: House, namespace: str) -> None:
    """What it writes besides is there, and it is answered."""
    methods = """
async def far(self):
    try:
        await self.ctx.storage.setAlarm(1e19)
    except TypeError:
        return await self.increment()
"""
    deploy(shared, namespace, worker("return Response(str(await stub.far()))", methods))
    assert [call(shared, namespace).body for _ in range(2)] == [b"1", b"2"]
