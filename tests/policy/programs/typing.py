from __future__ import annotations
from typing import (Any, Callable, Generic, Protocol, TypeVar, TypedDict, Optional, Union, Literal,
    NewType, Annotated, cast, overload, runtime_checkable, get_type_hints, TYPE_CHECKING, Final, Self)
if TYPE_CHECKING:
    from nowhere import Nothing
T = TypeVar("T")
K = TypeVar("K", bound="Base")
class Base: pass
class Stack(Generic[T]):
    items: list[T]
    LIMIT: Final = 10
    def __init__(self) -> None: self.items: list[T] = []
    def push(self, item: T) -> Stack[T]:
        self.items.append(item); return self
    def pop(self: Self) -> T | None: return self.items.pop()
@runtime_checkable
class Sized(Protocol):
    size: int
    def grow(self, by: int) -> None: ...
class Box:
    size = 1
    def grow(self, by): self.size += by
class Movie(TypedDict, total=False):
    name: str
    year: int
UserId = NewType("UserId", int)
def f(x: Optional[int], cb: Callable[[int], Nothing] = None, *a: Union[int, str]) -> Literal["a"]: ...
@overload
def g(x: int) -> int: ...
@overload
def g(x: str) -> str: ...
def g(x): return x
s: Stack[int] = Stack()
print(s.push(1).push(2).pop(), isinstance(Box(), Sized), isinstance(3, Sized), Movie(name="x"))
print(UserId(3), g(4), cast(int, "q"), get_type_hints(Stack.push), sorted(f.__annotations__))
print(Stack[int].__name__ if hasattr(Stack[int], "__name__") else "", list[int].__args__)
