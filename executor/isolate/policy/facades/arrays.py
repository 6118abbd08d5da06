"""``array``, whose C code has looked where a value goes before it asks the value for its number.

What a worker's object does then can have taken that place away. Here every value is a number before
the array is touched.
"""

import array
import operator
from collections.abc import Iterable
from typing import Any

from executor.isolate.policy import kinds

_FLOATS = frozenset("fd")
_TEXT = frozenset("uw")


class Array(array.array):  # type: ignore[type-arg]
    """What workers have for an array. It is hidden from them, so that none reaches its base."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return _ours(found) if type(index) is slice else found

    def __setitem__(self, index: Any, value: Any) -> None:
        if type(index) is slice:
            super().__setitem__(index, value)
        else:
            super().__setitem__(operator.index(index), self._number(value))

    def append(self, value: Any, /) -> None:
        """Add a value at the end."""
        super().append(self._number(value))

    def insert(self, index: Any, value: Any, /) -> None:
        """Add a value before that place."""
        super().insert(operator.index(index), self._number(value))

    def extend(self, values: Iterable[Any], /) -> None:
        """Add all of an array of the same kind, or of an iterable."""
        is_array = type(values) is Array
        super().extend(values if is_array else [self._number(value) for value in values])

    def fromlist(self, values: list[Any], /) -> None:
        """Add all of a list."""
        super().fromlist([self._number(v) for v in values] if type(values) is list else values)

    def tofile(self, file: Any, /) -> None:
        """Write it, as bytes."""
        file.write(self.tobytes())

    def __add__(self, other: Any) -> Any:
        return _ours(super().__add__(other))

    def __mul__(self, times: Any) -> Any:
        return _ours(super().__mul__(times))

    __rmul__ = __mul__

    def _number(self, value: Any) -> Any:
        """The value as something that C code reads without asking."""
        if type(value) is int or type(value) is float or self.typecode in _TEXT:
            return value
        if self.typecode in _FLOATS and not isinstance(value, str | bytes | bytearray):
            return float(value)
        return operator.index(value)


def _ours(found: Any) -> Any:
    return Array(found.typecode, found)


Array.__name__ = Array.__qualname__ = "array"
_SHOWN = kinds.stand_in(array.array, "array", make=Array, also=(Array,))

ARRAY: dict[str, Any] = {"array": _SHOWN, "ArrayType": _SHOWN}
