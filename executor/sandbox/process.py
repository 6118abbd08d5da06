"""What a process says of itself, once and for all."""

import itertools
import os
import random
import signal

from executor.sandbox import kernel

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def die_with_parent() -> None:
    """The kernel kills us when our parent dies. To be called after the last change of user."""
    kernel.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def no_new_privileges() -> None:
    """Nothing run from here on can gain a right, by no bit of any file."""
    kernel.prctl(_PR_SET_NO_NEW_PRIVS, 1)


def own_session() -> None:
    """A session of our own: no terminal."""
    os.setsid()


def own_group() -> None:
    """A process group of our own: no signal is meant for us that was sent to a group."""
    os.setpgid(0, 0)


def keep_descriptors(*kept: int) -> None:
    """Close every other descriptor."""
    bounds = [-1, *sorted(kept), 1 << 20]
    for low, high in itertools.pairwise(bounds):
        if low + 1 < high:  # os.closerange(0, 0) closes all
            os.closerange(low + 1, high)


def fresh_randomness() -> None:
    """Forget the random state that all children of one parent share."""
    random.seed()
