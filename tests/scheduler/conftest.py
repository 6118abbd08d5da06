"""A real Valkey and what waits for it."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

DEADLINE_S = 30.0

WaitFor = Callable[[Callable[[], Any]], Any]


@pytest.fixture
def valkey(redis_url: str) -> Iterator[redis.Redis]:
    """A client of it."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def wait_for() -> WaitFor:
    """Poll until something holds, and give what it says."""

    def wait(condition: Callable[[], Any]) -> Any:
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            if found := condition():
                return found
            time.sleep(0.01)
        raise AssertionError("it did not come to be")

    return wait
