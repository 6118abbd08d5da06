from __future__ import annotations

import typing
from collections.abc import Callable, Iterator
from typing import (Annotated, Any, ClassVar, Final, Generic, Literal, NamedTuple, NewType, NoReturn, Optional,
                    ParamSpec, Protocol, Self, TypeAlias, TypedDict, TypeGuard, TypeVar, Union, overload,
                    runtime_checkable)

T = TypeVar("T", bound="Comparable")
K = TypeVar("K")
P = ParamSpec("P")
UserId = NewType("UserId", int)
Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | None"


@runtime_checkable
class Comparable(Protocol):
    def compare(self, other: Any) -> int: ...


class Named(NamedTuple):
    name: str
    size: int = 0

    def double(self) -> Named:
        return self._replace(size=self.size * 2)


class Movie(TypedDict, total=False):
    title: typing.Required[str]
    year: int


class Stack(Generic[K]):
    limit: ClassVar[int] = 10
    kind: Final = "stack"

    def __init__(self) -> None:
        self._items: list[K] = []

    def push(self, item: K) -> Self:
        self._items.append(item)
        return self

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)


class Number:
    def __init__(self, n: int) -> None:
        self.n = n

    def compare(self, other: Any) -> int:
        return self.n - other.n


@overload
def size(x: str) -> int: ...
@overload
def size(x: list) -> int: ...
def size(x):
    return len(x)


def logged(function: Callable[P, K]) -> Callable[P, K]:
    def inner(*args: P.args, **kwargs: P.kwargs) -> K:
        return function(*args, **kwargs)

    return inner


def is_text(values: list[object]) -> TypeGuard[list[str]]:
    return all(isinstance(v, str) for v in values)


def fail() -> NoReturn:
    raise ValueError("no")


@typing.dataclass_transform()
def model(cls: type[K]) -> type[K]:
    return cls


@typing.no_type_check
def unchecked(x: "nonsense here"):
    return x


@model
class M:
    x: int = 1


def annotated(a: Annotated[int, "meta"], b: Optional[str] = None, c: Literal["x", "y"] = "x") -> Union[int, str]:
    return a


print(isinstance(Number(1), Comparable), isinstance(3, Comparable), Number(2).compare(Number(1)))
print(Named("a", 2).double(), Named._fields, Named("b")._asdict(), Movie(title="T"), sorted(Movie.__required_keys__))
print(list(Stack[int]().push(1).push(2)), UserId(5) + 1, size("ab"), logged(size)([1]), is_text(["a"]))
print(typing.get_type_hints(annotated), typing.get_type_hints(annotated, include_extras=True)["a"])
print(typing.get_origin(list[int]), typing.get_args(dict[str, int]), typing.cast(int, "x"), unchecked(1), M().x)
print(typing.get_type_hints(Movie), typing.get_type_hints(Stack))
