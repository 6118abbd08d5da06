"""Who may run: so many at once in all, and of each worker; the others wait in line, and no line is
long. No namespace and no worker holds so many places that others find none (:mod:`shares`).
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from executor.shares import ONE_MORE, Name, Shares

Line = deque["asyncio.Future[None]"]


BUSY_AT_ONCE = 8
"""So many invocations of one worker that are long at work fill its bound."""


class Overloaded(Exception):
    """The line is full."""


class Gate:
    """First come, first served in a line of each worker; namespaces take turns, and so do the
    workers of one.

    ``running`` and ``waiting`` are bounds for each worker. Of all who wait (``in_line``), too, each
    worker has a share; its first may always wait.
    """

    def __init__(self, places: int, *, running: int, waiting: int, in_line: int) -> None:
        self._shares = Shares(places)
        self._limit = running
        self._extra = max(0, running // BUSY_AT_ONCE - 1)
        self._waiting = waiting
        self._in_line = Shares(in_line)
        self._running: dict[Name, int] = {}
        self._lines: OrderedDict[str, OrderedDict[Name, Line]] = OrderedDict()

    def enter_now(self, name: Name) -> bool:
        """Take a place if there is one, to be given back with :meth:`leave`."""
        if not self._is_free(name):
            return False
        self._take(name)
        return True

    async def enter(self, name: Name) -> None:
        """Wait for a place; give it back with :meth:`leave`.

        Raises:
            Overloaded: too many wait already.
        """
        if self.enter_now(name):
            return
        if self._length(name) >= self._longest(name[0]):
            raise Overloaded
        place = asyncio.get_running_loop().create_future()
        lines = self._lines.setdefault(name[0], OrderedDict())
        lines.setdefault(name, deque()).append(place)
        self._in_line.take(name)
        try:
            await place  # whoever leaves hands its place over
        except BaseException:
            self._give_up(name, place)
            raise

    @asynccontextmanager
    async def place(self, name: Name) -> AsyncIterator[None]:
        """Hold a place for a while. Raises Overloaded."""
        await self.enter(name)
        try:
            yield
        finally:
            self.leave(name)

    def leave(self, name: Name) -> None:
        """Give a place back: to whose turn it is."""
        self._shares.give(name)
        self._lower(name, 1)

    def _lower(self, name: Name, places: int) -> None:
        """Count so many less, and give what is free to who waits."""
        if left := self._running.get(name, 0) - places:
            self._running[name] = left
        else:
            self._running.pop(name, None)
        while (following := self._next()) is not None:
            place = self._pop(following)
            if not place.done():
                self._take(following)
                place.set_result(None)

    def burden(self, name: Name, *, is_busy: bool) -> None:
        """One of a worker's invocations is long at work, or not any more. Such a one counts as
        many, against its worker's bound only: processors are fewer than places."""
        if is_busy:
            self._running[name] = self._running.get(name, 0) + self._extra
        else:
            self._lower(name, self._extra)

    def _is_free(self, name: Name) -> bool:
        return self._running.get(name, 0) < self._limit and self._shares.has_room_for(name)

    def _take(self, name: Name) -> None:
        self._shares.take(name)
        self._running[name] = self._running.get(name, 0) + 1

    def _length(self, name: Name) -> int:
        lines = self._lines.get(name[0])
        return 0 if lines is None or name not in lines else len(lines[name])

    def _longest(self, namespace: str) -> int:
        """One line never takes the last room, so that the namespace's queue is still consumed."""
        return max(1, min(self._waiting, self._in_line.room(namespace) - 2 * ONE_MORE))

    def _next(self) -> Name | None:
        """The worker whose turn it is, if any of those that wait may run."""
        for namespace, lines in self._lines.items():
            if (name := self._next_of(lines)) is not None:
                lines.move_to_end(name)
                self._lines.move_to_end(namespace)
                return name
        return None

    def _next_of(self, lines: OrderedDict[Name, Line]) -> Name | None:
        return next((name for name in lines if self._is_free(name)), None)

    def _pop(self, name: Name) -> "asyncio.Future[None]":
        place = self._lines[name[0]][name].popleft()
        self._in_line.give(name)
        self._drop_empty(name)
        return place

    def _give_up(self, name: Name, place: "asyncio.Future[None]") -> None:
        if not place.cancelled():
            self.leave(name)  # handed over at the very moment of giving up
            return
        lines = self._lines.get(name[0])
        if lines is not None and name in lines and place in lines[name]:
            lines[name].remove(place)
            self._in_line.give(name)
            self._drop_empty(name)

    def _drop_empty(self, name: Name) -> None:
        lines = self._lines[name[0]]
        if not lines[name]:
            del lines[name]
        if not lines:
            del self._lines[name[0]]
