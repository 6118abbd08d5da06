"""Scheduler processes: one is at work, another takes over, each ends when it is told to."""

import signal
from pathlib import Path

import redis
from scheduler_rig import Scheduler, holder

from scheduler.doctor import report
from scheduler.duty import COUNTS
from scheduler.lease import KEY, LEASE_S

BLOBS = "blobs 1 runs, 0 failed, 0 took too long"


def test_one_is_at_work_and_another_takes_over(
    tmp_path: Path, redis_url: str, valkey: redis.Redis, wait_for
) -> None:
    """The first does the duties. Told to end, it lets go at once, and the second goes on."""
    first = Scheduler(tmp_path, redis_url)
    try:
        held = wait_for(lambda: holder(valkey))
        wait_for(lambda: valkey.hget(COUNTS, "blobs:runs") == b"1")
        said = report(valkey)
        assert said[0].split(maxsplit=1) == ["scheduler", "at work"]
        assert any(line.split() == BLOBS.split() for line in said), said
        second = Scheduler(tmp_path, redis_url)
        try:
            assert holder(valkey) == held
            assert first.end() == 0, first.output
            wait_for(lambda: holder(valkey) not in (None, held))
            assert second.is_alive
        finally:
            code = second.end(signal.SIGINT)
        assert code == 0, second.output
    finally:
        if first.is_alive:
            first.end()
    assert report(valkey)[0].split(maxsplit=1) == ["scheduler", "NOT AT WORK"]
    assert not valkey.exists(KEY)
    assert valkey.hget(COUNTS, "blobs:runs") == b"1"


def test_a_killed_one_is_replaced(
    tmp_path: Path, redis_url: str, valkey: redis.Redis, wait_for
) -> None:
    """Nothing is let go, so the lease has to run out first; then the other one has it."""
    first = Scheduler(tmp_path, redis_url)
    held = wait_for(lambda: holder(valkey))
    first.end(signal.SIGKILL)
    assert valkey.pttl(KEY) <= LEASE_S * 1000
    second = Scheduler(tmp_path, redis_url)
    try:
        wait_for(lambda: holder(valkey) not in (None, held))
    finally:
        second.end()


def test_it_does_not_start_without_its_registry(tmp_path: Path, redis_url: str) -> None:
    """One line says why."""
    scheduler = Scheduler(tmp_path, redis_url, CLOISTER_DATABASE_URL="nothing://here")
    scheduler._process.wait(30)
    assert scheduler.end() == 1
    assert any(line.startswith("scheduler: ") for line in scheduler.output), scheduler.output
