"""What is there before the first fork counts its references no more, where Python can do without.

To count one is to write to the page that holds the object, and a page that an isolate has written
to is its own from then on. Since 3.12, CPython leaves the count of an immortal object alone
(PEP 683) and never ends its life, which nothing here waits for: what the zygote has made, every
isolate keeps. There is no call to make an object immortal; it is so by the count itself.
"""

import ctypes
import gc
import sys
from types import CodeType

KNOWN = ((3, 12), (3, 13))
"""Releases that have immortal objects, and of which we know how they tell them."""

_IMMORTAL = 1 << 31
"""From here on a count, which is the first word of an object, is no count."""

_WORD_BYTES = 4
_Memory = ctypes.c_uint32 * (1 << 46)


def immortalise() -> None:
    """Do that to all that can be reached. Elsewhere than in a release we know, do nothing."""
    if not is_possible():
        return
    found = gc.get_objects()
    words = _Memory.from_address(0)  # made after, so that it is not found, and does not stay
    immortal = words[id(None) // _WORD_BYTES]
    while found:
        new = []
        for each in found:
            at = id(each) // _WORD_BYTES
            if words[at] < _IMMORTAL:
                words[at] = immortal
                new.append(each)
        found = gc.get_referents(*new)
        for code in new:
            if type(code) is CodeType:  # of which the garbage collector knows nothing
                found += code.co_consts, code.co_names, code.co_name, code.co_qualname


def is_possible() -> bool:
    """Whether this Python has immortal objects, and counts where we think it does."""
    mortal = object()
    return (
        sys.version_info[:2] in KNOWN
        and sys.getrefcount(None) == _count_at(id(None)) >= _IMMORTAL
        and _count_at(id(mortal)) == 1
    )


def _count_at(address: int) -> int:
    return ctypes.c_uint32.from_address(address).value
