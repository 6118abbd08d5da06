"""Who computes: a few invocations of an executor at a time, the others wait for their turn.

More isolates at work than cores gain nothing, and lose much: each has pages of its own to bring
into the caches. So a turn begins only when an earlier one ended, which it does when the isolate
has answered, when it waits for something that it asked for, or when it computed for so long that
others should not wait for it: then the kernel shares out the cores.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from executor.shares import Name

PLACES = 4
LONGEST_S = 0.002
"""Turns of which others wait for the end are over by then."""


class Turn:
    """A turn that has begun."""

    __slots__ = ("_turns", "began_s")

    def __init__(self, turns: "Turns", began_s: float) -> None:
        self._turns = turns
        self.began_s = began_s

    def end(self) -> None:
        """It is over. Harmless when called again."""
        self._turns.end(self)


class Waiter(Protocol):
    """Who waits for a turn."""

    def begin(self, turn: Turn) -> bool:
        """It has begun, and must be ended. False: it is not wanted any more."""

    def is_like(self, other: "Waiter") -> bool:
        """Whether both want the same done, in effect."""


class Turns:
    """Turns of workers, which rotate. Lives on one event loop."""

    def __init__(self, places: int = PLACES, longest_s: float = LONGEST_S) -> None:
        self._places = places
        self._longest_s = longest_s
        self._begun: dict[Turn, None] = {}
        self._lines: OrderedDict[Name, deque[Waiter]] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._is_gathering = False

    async def begin(self, name: Name) -> Turn:
        """Wait for a turn. Whoever has one ends it."""
        if (turn := self.begin_now()) is not None:
            return turn
        waiter = _FutureTurn()
        self._wait(name, waiter)
        try:
            return await waiter.turn
        except asyncio.CancelledError:
            if not waiter.turn.cancelled():
                waiter.turn.result().end()  # it came at the very moment of giving up
            raise

    def begin_now(self) -> Turn | None:
        """A turn, if there is one without a wait."""
        return self._new() if len(self._begun) < self._places else None

    def call(self, name: Name, waiter: Waiter) -> None:
        """Let it begin when there is a turn, perhaps now."""
        if self._is_gathering:
            self._append(name, waiter)
        elif len(self._begun) < self._places:
            self._offer(waiter)
        else:
            self._wait(name, waiter)

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Whoever calls meanwhile begins at the end, so that those who are alike can go together,
        though there may be a turn for each."""
        self._is_gathering = True
        try:
            yield
        finally:
            self._is_gathering = False
            self._hand_on()
            if self._lines:
                self._watch()

    def take_first(self, name: Name, *, like: Waiter) -> Waiter | None:
        """Take the first in a worker's line out of it, if it is like another one."""
        line = self._lines.get(name)
        if line is None or not line[0].is_like(like):
            return None
        return self._pop(name, line)

    def _wait(self, name: Name, waiter: Waiter) -> None:
        self._append(name, waiter)
        self._watch()

    def _append(self, name: Name, waiter: Waiter) -> None:
        self._lines.setdefault(name, deque()).append(waiter)

    def _offer(self, waiter: Waiter) -> None:
        turn = self._new()
        if not waiter.begin(turn):
            self._begun.pop(turn, None)

    def _pop(self, name: Name, line: deque[Waiter]) -> Waiter:
        waiter = line.popleft()
        if not line:
            del self._lines[name]
        return waiter

    def end(self, turn: Turn) -> None:
        """See :meth:`Turn.end`."""
        if turn in self._begun:
            del self._begun[turn]
            self._hand_on()

    def _new(self) -> Turn:
        turn = Turn(self, asyncio.get_running_loop().time())
        self._begun[turn] = None
        return turn

    def _hand_on(self) -> None:
        while self._lines and len(self._begun) < self._places:
            name, line = next(iter(self._lines.items()))
            self._lines.move_to_end(name)
            self._offer(self._pop(name, line))

    def _watch(self) -> None:
        """See to it that the oldest turn ends in time."""
        if self._timer is None:
            oldest = next(iter(self._begun))
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(oldest.began_s + self._longest_s, self._end_long_ones)

    def _end_long_ones(self) -> None:
        self._timer = None
        before_s = asyncio.get_running_loop().time() - self._longest_s
        for turn in [turn for turn in self._begun if turn.began_s <= before_s]:
            turn.end()
        if self._lines:
            self._watch()


class _FutureTurn:
    """Waits in a task."""

    def __init__(self) -> None:
        self.turn: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()

    def begin(self, turn: Turn) -> bool:
        """See :class:`Waiter`."""
        if self.turn.done():
            return False
        self.turn.set_result(turn)
        return True

    def is_like(self, other: Waiter) -> bool:  # noqa: ARG002 - the protocol's signature
        """Nobody knows."""
        return False
