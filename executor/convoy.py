"""Invocations sent to an isolate before it has answered the one that it serves.

An isolate serves one at a time. But to be woken for each costs it, and the executor, as much as a
quick answer does. So where several invocations of a worker wait for their turn, or come in one
message, and the isolate that is about to serve one has answered quickly for a while, the next few
are sent along; it takes them one after the other.

Nothing begins in an isolate before it has said that it is done with the one before. So those that
are behind when it dies, or is ended, have not begun, and run elsewhere; or what they did there was
heard by nobody: all that an invocation does to the world are its calls, which are served only when
the one before is over. One that waits for something says that it will not come to those behind it
(``Declined``), and they run elsewhere, too; so does one that begins a long response, which its
client may be slow to take. Only one that computes for long, where all before were quick, keeps the
few behind it waiting.
"""

from collections import deque
from typing import Protocol, cast

from executor.isolates import Isolate
from executor.shares import Name
from executor.turns import Turn, Turns, Waiter

BEHIND = 3
"""Sent along, at most."""

PROVEN = 16
"""So many quick answers in a row make an isolate quick."""

QUICK_CPU_MS = 1.0
QUICK_WALL_S = 0.01
"""What a quick answer takes at most."""


class Follower(Waiter, Protocol):
    """An invocation that may be sent along."""

    def invoke_packed(self) -> bytes:
        """What starts it."""

    def go_behind(self) -> None:
        """It has been sent along."""

    def take_over(self, isolate: Isolate, convoy: "Convoy", turn: Turn, start_ns: int) -> None:
        """The isolate serves it now, since its CPU clock was ``start_ns``; others are behind it."""

    def go_elsewhere(self) -> None:
        """The isolate did not come to it: start again, alone."""


class Convoy:
    """Those behind the one that an isolate serves, in the order sent."""

    def __init__(self) -> None:
        self._behind: deque[Follower] = deque()

    def __len__(self) -> int:
        return len(self._behind)

    def gather(self, turns: Turns, name: Name, leader: Follower) -> bytes:
        """Take along who waits for a turn and is like the leader; all that starts them."""
        started: list[bytes] = []
        while len(started) < BEHIND and (one := turns.take_first(name, like=leader)) is not None:
            follower = cast("Follower", one)  # as the leader is
            self._behind.append(follower)
            follower.go_behind()
            started.append(follower.invoke_packed())
        return b"".join(started)

    def next(self) -> Follower:
        """Who is served now."""
        return self._behind.popleft()

    def dissolve(self, count: int | None = None) -> None:
        """Let the first ones, or all, start again elsewhere."""
        for _ in range(len(self._behind) if count is None else count):
            self._behind.popleft().go_elsewhere()


def count_answer(isolate: Isolate, cpu_ms: float, wall_s: float) -> None:
    """Remember whether it answers quickly."""
    is_quick = cpu_ms <= QUICK_CPU_MS and wall_s <= QUICK_WALL_S
    isolate.quick_answers = isolate.quick_answers + 1 if is_quick else 0


def is_quick(isolate: Isolate) -> bool:
    """Whether invocations may be sent along to it."""
    return isolate.quick_answers >= PROVEN
