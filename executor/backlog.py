"""What an executor took from its queues and does not run yet.

A queue with much waiting is not consumed for a while: its messages stay in Valkey, where another
executor may take them, and those of other queues are taken as before.
"""

from collections.abc import Callable

from cloister.settings import Settings
from executor.shares import Shares


def waiting_places(settings: Settings) -> int:
    """How many invocations may wait for others to end: half as many as run."""
    return max(1, settings.executor_concurrency // 2)


class Backlog:
    """So many places, shared out among queues. A message may bring a whole batch; what of it
    exceeds the places is taken all the same.
    """

    def __init__(self, places: int) -> None:
        self._shares = Shares(places)
        self._refused: set[str] = set()
        self._was_full = False
        self.on_room: Callable[[], object] = _nothing
        """Called when it is not full any more."""
        self.on_open: Callable[[], object] = _nothing
        """Called when a queue that was closed is open, and rather empty."""

    def take(self, queue: str) -> Callable[[], None]:
        """Count one more; what is returned gives its place back, when called first."""
        self._shares.take((queue, ""))
        taken = [queue]

        def give() -> None:
            if taken:
                self._give(taken.pop())

        return give

    def has_room(self) -> bool:
        """Whether anything may be taken."""
        self._was_full = self._shares.free <= 0
        return not self._was_full

    @property
    def free(self) -> int:
        """How many places are left; negative when a batch exceeded them."""
        return self._shares.free

    def is_open(self, queue: str) -> bool:
        """Whether that queue may be consumed."""
        if self._shares.has_room(queue):
            self._refused.discard(queue)
            return True
        self._refused.add(queue)
        return False

    def _give(self, queue: str) -> None:
        self._shares.give((queue, ""))
        if self._was_full and self._shares.free > 0:
            self._was_full = False
            self.on_room()
        if queue in self._refused and self._is_rather_empty(queue):
            self._refused.discard(queue)
            self.on_open()

    def _is_rather_empty(self, queue: str) -> bool:
        """It holds half of what it may. To tell sooner would cost more round trips."""
        return self._shares.held(queue) <= self._shares.room(queue)


def _nothing() -> None:
    """Nobody listens."""
