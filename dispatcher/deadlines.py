"""When waiting ends: one timer for all that end at about the same time, none for each."""

import asyncio
from typing import Protocol

SLOT_S = 0.05
"""Deadlines are told up to so much late."""


class Waiter(Protocol):
    """Who waits."""

    def expire(self) -> None:
        """The time is over."""


class Deadlines:
    """Those of one event loop."""

    def __init__(self) -> None:
        self._slots: dict[int, set[Waiter]] = {}

    def add(self, left_s: float, waiter: Waiter) -> set[Waiter]:
        """Have it expire in so many seconds, unless it is taken out of the set by then."""
        loop = asyncio.get_running_loop()
        number = int((loop.time() + left_s) / SLOT_S) + 1
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = set()
            loop.call_at(number * SLOT_S, self._expire, number)
        slot.add(waiter)
        return slot

    def _expire(self, number: int) -> None:
        for waiter in self._slots.pop(number):
            waiter.expire()
