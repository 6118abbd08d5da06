"""Attempts to get between the frames that an isolate sends."""

from collections.abc import Callable
from typing import Any

import pytest

from executor.isolate import calls
from executor.isolate.calls import Channel
from executor.isolate.workers.bodies import BodyStream, give_up, is_used


class SlowDoor:
    """A door's socket that takes a few bytes at a time; in between anything may happen."""

    def __init__(self, amid: Callable[[], None]) -> None:
        self.taken = b""
        self._amid = amid

    def send(self, data: memoryview) -> int:
        """Take three bytes."""
        self.taken += bytes(data[:3])
        self._amid()
        return len(data[:3])


def channel_to(door: SlowDoor) -> Channel:
    """A channel that sends there."""
    channel = Channel()
    channel._door = door  # type: ignore[assignment] # as far as sending goes
    return channel


def test_what_a_finalizer_sends_amid_a_frame_follows_it() -> None:
    """The garbage collector may run a worker's code anywhere: its frame stays in one piece, and so
    do the one that it came in between and those after."""
    left = [b"second", b"third"]

    def finalize() -> None:
        if left:
            channel.send_packed(left.pop(0))

    door = SlowDoor(finalize)
    channel = channel_to(door)
    channel.send_packed(b"the first")
    channel.send_packed(b"fourth")
    assert door.taken == b"the firstsecondthirdfourth"


@pytest.mark.parametrize("error", [RecursionError, MemoryError])
def test_half_a_frame_ends_the_isolate(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error after the first bytes: nothing may be sent that would be taken for the rest."""
    door = SlowDoor(lambda: None)
    channel = channel_to(door)

    def fail(_data: Any) -> int:
        raise error

    def amid() -> None:
        door.send = fail  # type: ignore[method-assign]

    def leave() -> None:
        raise SystemExit

    door._amid = amid
    monkeypatch.setattr(calls, "leave", leave)
    with pytest.raises(SystemExit):
        channel.send_packed(b"a frame")


def test_an_error_before_a_frame_is_the_workers_own() -> None:
    """The twin: where nothing was sent yet, the error passes through and the next frame leaves."""
    door = SlowDoor(lambda: None)
    channel = channel_to(door)
    sending = door.send

    def fail(_data: Any) -> int:
        door.send = sending  # type: ignore[method-assign]
        raise RecursionError

    door.send = fail  # type: ignore[method-assign]
    with pytest.raises(RecursionError):
        channel.send_packed(b"a frame")
    channel.send_packed(b"another")
    assert door.taken == b"another"


def test_a_body_that_is_none_is_not_written_on() -> None:
    """A worker's subclass of Response may put anything in the place of its body."""

    class Other:
        pass

    give_up(Other)  # type: ignore[arg-type] # what the test is about
    assert not hasattr(Other, "_used")
    body = BodyStream(b"x")
    give_up(body)
    assert is_used(body)
