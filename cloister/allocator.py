"""How much freed memory the C library keeps.

By default it gives memory back to the system as soon as half a megabyte is free, and asks for it
again with the next large piece of a body: a page fault for each 4 KiB that passes, which costs more
than all the rest.
"""

import contextlib
import ctypes

from cloister.settings import MIB

KEPT_BYTES = 16 * MIB
"""What may lie free; more is given back."""

APART_BYTES = 4 * MIB
"""Pieces of this size are given back at once."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h of the GNU C library


def keep_freed_memory() -> None:
    """Set it, for this process and those forked from it. Other C libraries stay as they are."""
    with contextlib.suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, APART_BYTES)
