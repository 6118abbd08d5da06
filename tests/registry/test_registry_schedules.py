"""Cron triggers in the registry, on each database: what is due, claimed once, at a cost that does
not grow with what is not due."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from cloister.cron import InvalidCron
from cloister.registry import NewVersion, Registry
from cloister.registry import schedules as module
from cloister.registry.schedule_models import Schedule

ACCOUNT = "a" * 32
START = 1_767_225_600_000  # 2026-01-01 00:00, a Thursday
MINUTE = 60_000

Clock = Callable[[int], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Sets the time, in minutes since the start."""

    def set_to(minutes: float) -> None:
        monkeypatch.setattr(module, "now_ms", lambda: int(START + minutes * MINUTE))

    set_to(0.5)
    return set_to


@pytest.fixture
def script(registry: Registry) -> str:
    """A script; its id."""
    registry.accounts.ensure(ACCOUNT, "test")
    registry.namespaces.create(ACCOUNT, "ns")
    return make(registry, "w")


def make(registry: Registry, name: str) -> str:
    namespace = registry.namespaces.get(ACCOUNT, "ns")
    version = NewVersion(digest="d" * 64, main_module="w.py")
    return registry.scripts.put_version(namespace.id, name, version).id


def taken(registry: Registry, limit: int = 100) -> list[tuple[str, int]]:
    """What is claimed: cron, and its time in minutes since the start."""
    return [
        (firing.cron, (firing.scheduled_at - START) // MINUTE)
        for firing in registry.schedules.take(limit)
    ]


def test_each_fires_once_at_its_time(registry: Registry, script: str, clock: Clock) -> None:
    """Nothing before its time, everything at it, and nothing again before the next."""
    registry.schedules.replace(script, ["* * * * *", "*/5 * * * *"])
    assert taken(registry) == []
    clock(1)
    assert taken(registry) == [("* * * * *", 1)]
    assert taken(registry) == []
    for minute in (2, 3, 4):
        clock(minute)
        assert taken(registry) == [("* * * * *", minute)]
    clock(5.9)
    assert sorted(taken(registry)) == [("* * * * *", 5), ("*/5 * * * *", 5)]


def test_what_was_missed_fires_once(registry: Registry, script: str, clock: Clock) -> None:
    """After hours without a tick: once each, for the latest time, then as usual."""
    registry.schedules.replace(script, ["* * * * *", "30 * * * *", "0 12 * * *"])
    clock(10 * 60 + 45.2)
    assert sorted(taken(registry)) == [("* * * * *", 645), ("30 * * * *", 630)]
    clock(646)
    assert taken(registry) == [("* * * * *", 646)]


def test_a_tick_takes_its_share(registry: Registry, script: str, clock: Clock) -> None:
    """The longest due first; the rest has the next tick."""
    registry.schedules.replace(script, [f"{minute} * * * *" for minute in range(1, 6)])
    clock(5)
    assert taken(registry, 3) == [("1 * * * *", 1), ("2 * * * *", 2), ("3 * * * *", 3)]
    assert taken(registry, 3) == [("4 * * * *", 4), ("5 * * * *", 5)]


def test_replacing_keeps_what_stays(registry: Registry, script: str, clock: Clock) -> None:
    """A trigger that is named again keeps its dates and what it is due; one that is not is gone."""
    (first,) = registry.schedules.replace(script, ["* * * * *"])
    clock(3)
    kept, added = registry.schedules.replace(script, ["* * * * *", "0 0 * * *", "* * * * *"])
    assert kept == first
    assert added.created_at > first.created_at
    assert taken(registry) == [("* * * * *", 3)]
    assert [each.cron for each in registry.schedules.replace(script, ["0 0 * * *"])] == [added.cron]
    clock(4)
    assert taken(registry) == []
    assert registry.schedules.of(script) == [added]
    assert registry.schedules.replace(script, []) == []


def test_replaced_at_once(registry: Registry, script: str) -> None:
    """Several may replace the triggers of a script at the same time, with the same ones."""
    crons = [f"{minute} * * * *" for minute in range(50)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: registry.schedules.replace(script, crons), range(16)))
    assert all(each == found[0] for each in found)
    assert len(found[0]) == len(crons)


def test_what_is_no_expression_changes_nothing(registry: Registry, script: str) -> None:
    """All or none."""
    before = registry.schedules.replace(script, ["* * * * *"])
    with pytest.raises(InvalidCron):
        registry.schedules.replace(script, ["0 0 * * *", "nonsense"])
    assert registry.schedules.of(script) == before


def test_they_go_with_their_script(registry: Registry, script: str, clock: Clock) -> None:
    """What is deleted does not fire; a later script of the name has none."""
    registry.schedules.replace(script, ["* * * * *"])
    namespace = registry.namespaces.get(ACCOUNT, "ns")
    registry.scripts.delete(namespace.id, "w")
    clock(1)
    assert taken(registry) == []
    assert registry.schedules.of(make(registry, "w")) == []


def test_several_at_once_take_each_once(registry: Registry, script: str, clock: Clock) -> None:
    """Whoever ticks at the same time: no trigger fires twice, and none is left."""
    scripts = [make(registry, f"w{number}") for number in range(8)]
    for each in scripts:
        registry.schedules.replace(each, [f"*/{step} * * * *" for step in range(1, 11)])
    clock(60 * 24)
    took: list[tuple[str, str]] = []

    def work() -> None:
        while firings := registry.schedules.take(7):
            took.extend((firing.script_id, firing.cron) for firing in firings)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took.extend((firing.script_id, firing.cron) for firing in registry.schedules.take(100))
    assert len(took) == len(set(took)) == 80


def test_a_trigger_that_no_release_knows_any_more(
    registry: Registry, script: str, clock: Clock
) -> None:
    """It does not keep the others from firing, and is not looked at again."""
    registry.schedules.replace(script, ["* * * * *", "0 0 * * *"])
    with registry._database.write() as work:
        work.execute(update(Schedule).where(Schedule.cron == "0 0 * * *").values(cron="@old"))
        work.execute(update(Schedule).values(next_at=START))
    clock(1)
    assert taken(registry) == [("* * * * *", 1)]
    assert taken(registry) == []


def test_routes_by_id(registry: Registry, script: str) -> None:
    """Many at once, as they are found one by one; what is gone is not there."""
    other = make(registry, "other")
    found = registry.routes([script, other, "0" * 32])
    assert found == {script: registry.resolve("ns", "w"), other: registry.resolve("ns", "other")}
