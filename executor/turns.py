"""Who computes: a few invocations of an executor at a time, the others wait for their turn.

More isolates at work than cores gain nothing, and lose much: each has pages of its own to bring
into the caches. So a turn begins only when an earlier one ended, which it does when the isolate
has answered, when it waits for something that it asked for, or when it computed for so long that
others should not wait for it: then the kernel shares out the cores.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable

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


OnTurn = Callable[[Turn], bool]
"""Called when the turn has begun; whether it is taken."""


class Turns:
    """Turns of workers, which rotate. Lives on one event loop."""

    def __init__(self, places: int = PLACES, longest_s: float = LONGEST_S) -> None:
        self._places = places
        self._longest_s = longest_s
        self._begun: dict[Turn, None] = {}
        self._lines: OrderedDict[Name, deque[OnTurn]] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    async def begin(self, name: Name) -> Turn:
        """Wait for a turn. Whoever has one ends it."""
        if len(self._begun) < self._places:
            return self._new()
        waiter: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()

        def take(turn: Turn) -> bool:
            if waiter.done():
                return False
            waiter.set_result(turn)
            return True

        self._wait(name, take)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                waiter.result().end()  # it came at the very moment of giving up
            raise

    def call(self, name: Name, on_turn: OnTurn) -> None:
        """Call it when there is a turn, perhaps now. Whoever takes it ends it."""
        if len(self._begun) < self._places:
            self._offer(on_turn)
        else:
            self._wait(name, on_turn)

    def _wait(self, name: Name, on_turn: OnTurn) -> None:
        self._lines.setdefault(name, deque()).append(on_turn)
        self._watch()

    def _offer(self, on_turn: OnTurn) -> None:
        turn = self._new()
        if not on_turn(turn):
            self._begun.pop(turn, None)

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
            on_turn = line.popleft()
            self._lines.move_to_end(name)
            if not line:
                del self._lines[name]
            self._offer(on_turn)

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
