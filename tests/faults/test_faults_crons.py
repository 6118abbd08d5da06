"""Cron triggers fire at most once, whatever becomes of the schedulers: real processes, killed."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from executor_house import ACCOUNT, House
from scheduler_rig import Scheduler
from sqlalchemy import func, select, update

from cloister.broker import redis_url
from cloister.events import Scheduled
from cloister.messages import Batch, dispatch_queue
from cloister.outcomes import Outcome
from cloister.registry import NewVersion
from cloister.registry.schedule_models import Schedule
from scheduler.crons import CLAIMED_AT_ONCE, COUNTS

DEADLINE_S = 60.0
SCRIPTS = 60
CRONS = 250
KILLS = 2
HOUR_MS = 3_600_000

_arguments = msgspec.msgpack.Decoder(tuple[tuple[bytes], dict[str, Any], dict[str, Any]])

PRINTS = """
from workers import WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def scheduled(self, controller, env, ctx):
        print(controller.cron, controller.scheduledTime)
"""


def wait_for(condition: Callable[[], Any]) -> Any:
    """Poll until it holds, and give what it says."""
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.002)
    raise AssertionError("it did not come to be")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Registry and Valkey; no executor yet, so that what is published stays in its queue."""
    made = House(tmp_path)
    made.start()
    yield made
    made.stop()


def scheduler(house: House) -> Scheduler:
    key = house.settings.secret_key
    return Scheduler(house.directory, redis_url(house.settings), CLOISTER_SECRET_KEY=key)


def overdue(house: House) -> int:
    """How many triggers have not been claimed yet."""
    query = select(func.count()).where(Schedule.next_at <= time.time_ns() // 1_000_000)
    with house.registry._database.read() as session:
        return session.scalar(query) or 0


def make_due(house: House) -> None:
    """Let all triggers be due since an hour ago."""
    past = (time.time_ns() // 60_000_000_000 - 60) * 60_000
    with house.registry._database.write() as work:
        work.execute(update(Schedule).values(next_at=past))


def populate(house: House) -> int:
    """Scripts with triggers that come true once a year, not soon; how many."""
    namespace = house.namespace("ns")
    month = (time.gmtime().tm_mon + 5) % 12 + 1
    crons = [f"{n % 60} {n // 60} 15 {month} *" for n in range(CRONS)]
    for number in range(SCRIPTS):
        version = NewVersion(digest="d" * 64, main_module="w.py")
        script = house.registry.scripts.put_version(namespace, f"w{number}", version)
        house.registry.schedules.replace(script.id, crons)
    make_due(house)
    return SCRIPTS * CRONS


def published(house: House) -> list[tuple[str, str, int]]:
    """What was sent: script, cron and time of each event."""
    found = []
    for data in house.redis.lrange(dispatch_queue("ns"), 0, -1):
        body = msgspec.json.decode(data)["body"]
        (payload,), _, _ = _arguments.decode(msgspec.convert(body, bytes, strict=False))
        for each in msgspec.msgpack.decode(payload, type=Batch).invocations:
            event = msgspec.msgpack.decode(each.event, type=Scheduled)
            found.append((each.script, event.cron, event.scheduled_time))
    return found


def test_schedulers_that_are_killed_fire_nothing_twice(house: House) -> None:
    """One after the other is killed amid firing, the last one goes on: no trigger fires twice, and
    no more are missed than the killed ones had claimed at that moment."""
    count = populate(house)
    queue = dispatch_queue("ns")
    left = []
    for _ in range(KILLS):
        length = house.redis.llen(queue)
        working = scheduler(house)
        try:
            wait_for(lambda length=length: house.redis.llen(queue) > length)
        finally:
            working.end(signal.SIGKILL)
        left.append(overdue(house))
    assert all(left), "they were too quick to be killed amid it"
    last = scheduler(house)
    try:
        wait_for(lambda: overdue(house) == 0)
    finally:
        assert last.end() == 0, last.output
    events = published(house)
    assert len(events) == len({(script, cron) for script, cron, _ in events})
    assert count - KILLS * CLAIMED_AT_ONCE <= len(events) <= count


def test_a_trigger_runs_its_handler(house: House) -> None:
    """From the registry to the worker's record, by a scheduler and an executor; once."""
    house.namespace("live")
    house.start_worker()
    house.deploy("live", "w", PRINTS)
    namespace = house.registry.namespaces.get(ACCOUNT, "live")
    script = house.registry.scripts.get(namespace.id, "w")
    month = (time.gmtime().tm_mon + 5) % 12 + 1
    cron = f"0 0 15 {month} *"
    house.registry.schedules.replace(script.id, [cron])
    with house.registry._database.write() as work:
        work.execute(update(Schedule).values(next_at=HOUR_MS))  # long ago
    working = scheduler(house)
    try:
        (trace,) = house.traces("live", "w")
        wait_for(lambda: house.redis.hget(COUNTS, "fired") == b"1")
    finally:
        working.end()
    assert trace.outcome is Outcome.OK
    fired = trace.event["scheduledTime"]
    assert trace.event == {"cron": cron, "scheduledTime": fired}
    assert trace.logs[0].message == [f"{cron} {fired}"]
    assert time.gmtime(fired / 1000)[1:5] == (month, 15, 0, 0)
    assert overdue(house) == 0
