"""A bounded number of places for work that holds much memory."""

from threading import Semaphore


class Places:
    """Some at a time; a few may wait for a while, and nobody else."""

    def __init__(self, count: int, *, waiting: int, wait_s: float) -> None:
        self._free = Semaphore(count)
        self._admitted = Semaphore(count + waiting)
        self._wait_s = wait_s

    def take(self) -> bool:
        """Take a place; False if none became free in time."""
        if not self._admitted.acquire(blocking=False):
            return False
        if self._free.acquire(timeout=self._wait_s):
            return True
        self._admitted.release()
        return False

    def give(self) -> None:
        """Give the place back."""
        self._free.release()
        self._admitted.release()
