"""How many invocations of one worker run at once: others wait in line, and the line is short."""

import asyncio
from collections import deque

Name = tuple[str, str]


class Overloaded(Exception):
    """The line is full."""


class Gate:
    """First come, first served, for each worker by itself."""

    def __init__(self, running: int, waiting: int) -> None:
        self._limit = running
        self._waiting = waiting
        self._running: dict[Name, int] = {}
        self._lines: dict[Name, deque[asyncio.Future[None]]] = {}

    def enter_now(self, name: Name) -> bool:
        """Take a place if there is one, to be given back with :meth:`leave`."""
        running = self._running.get(name, 0)
        if running >= self._limit:
            return False
        self._running[name] = running + 1
        return True

    async def enter(self, name: Name) -> None:
        """Wait for a place; give it back with :meth:`leave`.

        Raises:
            Overloaded: too many wait already.
        """
        if self.enter_now(name):
            return
        line = self._lines.setdefault(name, deque())
        if len(line) >= self._waiting:
            raise Overloaded
        place = asyncio.get_running_loop().create_future()
        line.append(place)
        try:
            await place  # the one who leaves hands its place over
        except BaseException:
            self._give_up(name, place)
            raise

    def leave(self, name: Name) -> None:
        """Hand the place to whoever waits longest."""
        line = self._lines.get(name)
        while line:
            place = line.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._lines.pop(name, None)
        self._running[name] -= 1
        if not self._running[name]:
            del self._running[name]

    def _give_up(self, name: Name, place: "asyncio.Future[None]") -> None:
        if place.done() and not place.cancelled():
            self.leave(name)  # handed over at the very moment of giving up
        elif (line := self._lines.get(name)) is not None and place in line:
            line.remove(place)
