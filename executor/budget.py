"""Bytes that the executor holds in its own memory for tenants, counted before they come."""

from collections.abc import Iterator
from contextlib import contextmanager

from cloister.settings import MIB

INVOCATION_BYTES = 64 * MIB
EXECUTOR_BYTES = 1024 * MIB


class OverBudget(Exception):
    """Too much is held already."""


class Budget:
    """A bound, within a larger one that others share."""

    def __init__(self, limit_bytes: int, parent: "Budget | None" = None) -> None:
        self._left_bytes = limit_bytes
        self._held_bytes = 0
        self._parent = parent

    def take(self, size: int) -> None:
        """Count bytes that are about to be held.

        Raises:
            OverBudget: they do not fit.
        """
        if size > self._left_bytes:
            raise OverBudget("Too many large values are held at once.")
        if self._parent is not None:
            self._parent.take(size)
        self._left_bytes -= size
        self._held_bytes += size

    def give(self, size: int) -> None:
        """They are held no more. After :meth:`close` there is nothing to give back."""
        size = min(size, self._held_bytes)
        self._left_bytes += size
        self._held_bytes -= size
        if self._parent is not None:
            self._parent.give(size)

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Count bytes while they are held. Raises OverBudget."""
        self.take(size)
        try:
            yield
        finally:
            self.give(size)

    def close(self) -> None:
        """Give everything back, and take nothing more."""
        self.give(self._held_bytes)
        self._left_bytes = 0
