from typing import Generic, TypeVar, Iterator
T = TypeVar("T"); U = TypeVar("U")
class Maybe(Generic[T]):
    def __init__(self, v: T | None): self._v = v
    def map(self, f) -> "Maybe[U]": return Maybe(f(self._v)) if self._v is not None else self
    def __repr__(self): return f"Maybe({self._v!r})"
    def __eq__(self, other): return isinstance(other, Maybe) and self._v == other._v
class Pair(Generic[T, U]): pass
class IntMaybe(Maybe[int]): pass
print(Maybe(3).map(str), Maybe(None).map(str), Maybe[int](4), IntMaybe(5), Pair[int, str] is not None, Maybe(1) == Maybe(1))
