"""How messages are asked for. That they come is proved with real workers: test_executor_queues."""

from collections.abc import Callable
from queue import Empty
from types import SimpleNamespace
from typing import Any

import pytest

from executor.backlog import Backlog
from executor.taking import Taker

QUEUE = "dispatch.production"


class Connection:
    """To a Valkey that answers as it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.answer: Any = None

    def send_command(self, *command: Any) -> None:
        self.asked.append(command)

    def read_response(self) -> Any:
        return self.answer


class Bench:
    """A taker on a channel of its own, and what it has the loop do later."""

    def __init__(self) -> None:
        self.connection = Connection()
        self.delivered: list[Any] = []
        self.later: list[Callable[[], None]] = []
        self.channel: Any = SimpleNamespace(
            qos=SimpleNamespace(),
            handlers={},
            client=SimpleNamespace(connection=self.connection),
            connection=SimpleNamespace(_deliver=lambda one, _queue: self.delivered.append(one)),
            connection_errors=(),
            brpop_timeout=1,
            _active_queues=[QUEUE],
            _queue_cycle=SimpleNamespace(consume=lambda _: [QUEUE], rotate=lambda _: None),
            _closing=False,
            _in_poll=None,
        )
        Taker(self.channel, Backlog(64), self.later.append)
        self.channel._brpop_start()

    def turn(self) -> None:
        """One turn of the loop."""
        later, self.later = self.later, []
        for callback in later:
            callback()


def test_it_asks_again_when_nothing_came() -> None:
    """Else a request that comes after a second of silence waits until the hub wakes by itself,
    almost another second."""
    bench = Bench()
    with pytest.raises(Empty):
        bench.channel._brpop_read()
    bench.turn()
    assert len(bench.connection.asked) == 2


def test_it_asks_again_behind_what_came() -> None:
    """What was taken begins first."""
    bench = Bench()
    bench.connection.answer = [QUEUE.encode(), [b"{}"]]
    assert bench.channel._brpop_read()
    assert bench.delivered == [{}]
    assert len(bench.connection.asked) == 1
    bench.turn()
    assert len(bench.connection.asked) == 2


def test_it_asks_no_more_at_the_end() -> None:
    """A channel that closes is not used again, whether it is known at once or in the next turn."""
    bench = Bench()
    with pytest.raises(Empty):
        bench.channel._brpop_read()
    bench.channel._closing = True
    bench.turn()
    with pytest.raises(Empty):
        bench.channel._brpop_read()
    assert len(bench.connection.asked) == 1
    assert not bench.later
