from dataclasses import dataclass, field, asdict, astuple, replace, fields, KW_ONLY
from typing import ClassVar
@dataclass(order=True, frozen=True)
class Version:
    major: int
    minor: int = 0
    tags: tuple[str, ...] = field(default=(), compare=False)
    separator: ClassVar[str] = "."
    def __str__(self): return f"{self.major}{self.separator}{self.minor}"
@dataclass(slots=True)
class Node:
    value: int
    _: KW_ONLY
    children: list["Node"] = field(default_factory=list)
    _depth: int = 0
    def add(self, v):
        self.children.append(Node(v, _depth=self._depth + 1)); return self
    def __post_init__(self): self.value *= 1
@dataclass
class Base: format: str = "json"
@dataclass
class Derived(Base): obj: object = None
v = Version(1, 2)
print(v, str(v), v < Version(2), replace(v, minor=5), {v: 1}, sorted([Version(2), v]))
n = Node(1).add(2).add(3)
print(n, asdict(n), astuple(n), [f.name for f in fields(Node)], n.children[0]._depth)
try: v.major = 3
except Exception as e: print(type(e).__name__, e)
print(Derived("xml"), Derived.__match_args__ if False else "")
