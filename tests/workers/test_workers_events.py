"""Handlers of events: what they are given, and what is told of them."""

import pytest
from workers_cell import Cell

from cloister.events import Scheduled, encode
from executor.isolate.events import EVENTS, Event

AT = 1_767_225_600_000
EVENT = encode(Scheduled(cron="0 0 * * *", scheduled_time=AT))

SEEN = """
from workers import WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def scheduled(self, controller, env, ctx):
        print(controller.cron, controller.scheduledTime, controller.scheduled_time)
        print(controller.type, controller.noRetry(), env.WORD, self.env.WORD, ctx.props)
"""


def scheduled(cell: Cell, source: str, **fields: object):
    cell.load(source, env={"WORD": "hi"})
    return cell.invoke(handler="scheduled", event=EVENT, **fields)


def test_scheduled_is_given_controller_env_and_ctx(cell):
    """The controller says what fired, and for when, in both spellings."""
    result = scheduled(cell, SEEN)
    assert [line.text for line in result.logs] == [
        f"0 0 * * * {AT} {AT}",
        "scheduled None hi hi {}",
    ]
    assert result.order == ["Log", "Log", "Returned"]
    assert result.returned is None


@pytest.mark.parametrize("kind", ["async def", "def"])
def test_an_older_function_is_a_handler(cell, kind):
    """on_scheduled takes the same three arguments, sync or async."""
    source = f"{kind} on_scheduled(controller, env, ctx):\n    print(controller.cron)"
    assert [line.text for line in scheduled(cell, source).logs] == ["0 0 * * *"]


def test_the_controller_is_the_platforms(cell):
    """Nothing about it can be changed by whoever is given it."""
    source = """
def on_scheduled(controller, env, ctx):
    controller.cron = "mine"
"""
    assert scheduled(cell, source).failed.name in ("AttributeError", "TypeError")


def test_a_handler_that_raises_or_is_missing(cell):
    """Its exception is the answer; a worker without the handler says so."""
    raising = "def on_scheduled(controller, env, ctx):\n    raise ValueError('no')"
    failed = scheduled(cell, raising).failed
    assert (failed.name, failed.message, failed.phase) == ("ValueError", "no", "invoke")
    missing = cell.invoke(handler="queue", event=b"\xc0").failed
    assert missing.phase == "invoke"


def test_wait_until_goes_on_after_the_handler(cell):
    """Background work of an event ends before the isolate is free; what it raises is told."""
    source = """
import asyncio
async def later():
    await asyncio.sleep(0)
    print("later")
    raise ValueError("too late")
def on_scheduled(controller, env, ctx):
    ctx.waitUntil(later())
"""
    result = scheduled(cell, source)
    assert result.order == ["Returned", "Log", "Failed"]
    assert result.failed.phase == "background"


def test_an_rpc_method_of_that_name_is_no_event(cell):
    """What a service binding calls gets its own arguments, whatever it is called."""
    source = """
from workers import WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def scheduled(self, word):
        return word
"""
    cell.load(source)
    assert cell.invoke(handler="scheduled", arguments=["mine"]).returned == "mine"


def test_what_an_event_rescues(monkeypatch):
    """An event may be answered though its handler raised, and the failure is told as well."""
    event = Event(lambda _data: {"acked": [1]}, lambda _given, _value: "whole", lambda given: given)
    monkeypatch.setitem(EVENTS, "queue", event)
    cell = Cell()
    cell.load("def on_queue(batch, env, ctx):\n    raise ValueError('no')")
    result = cell.invoke(handler="queue", event=b"\xc0")
    cell.close()
    assert (result.returned, result.failed.phase) == ({"acked": [1]}, "background")
