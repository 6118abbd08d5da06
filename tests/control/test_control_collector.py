"""Who collects, and when."""

import os
import time
from pathlib import Path

import redis
from flask import Flask

from cloister.settings import Settings
from control.collector import Collector
from control.house import House


def test_one_of_all_processes_collects(app: Flask, settings: Settings, valkey: redis.Redis) -> None:
    """Once an hour; a failure is logged, not raised, and the next turn tries again."""
    house = next(each for each in app.extensions.values() if isinstance(each, House))
    digest = "a" * 64
    house.blobs.put(f"source/{digest}", b"x")
    path = Path(settings.data_dir / "blobs" / "source" / digest)
    os.utime(path, (time.time() - 7_200,) * 2)
    another = Collector(house.registry, house.blobs, valkey)
    assert house.collector.collect() == 1
    assert not path.exists()
    assert another.collect() is None
    valkey.flushdb()
    assert another.collect() == 0


def test_it_ends_with_the_process(app: Flask, valkey: redis.Redis) -> None:
    """It collects when it is started, and need not be waited for for an hour."""
    house = next(each for each in app.extensions.values() if isinstance(each, House))
    house.collector.start()
    house.collector.stop()
    assert house.collector.collect() is None
