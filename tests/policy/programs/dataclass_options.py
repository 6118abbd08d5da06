import dataclasses
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import ClassVar


@dataclass(slots=True, frozen=True, order=True)
class Version:
    major: int
    minor: int = 0
    label: str = field(default="", compare=False, repr=False)


@dataclass(kw_only=True)
class Options:
    name: str
    retries: int = 3
    tags: list[str] = field(default_factory=list)
    _cache: dict = field(default_factory=dict, init=False, repr=False)
    count: ClassVar[int] = 0

    def remember(self, key, value):
        self._cache[key] = value
        return self._cache


@dataclass
class Scaled:
    value: float
    factor: InitVar[float] = 2
    _: KW_ONLY
    unit: str = "m"
    total: float = field(init=False)

    def __post_init__(self, factor):
        self.total = self.value * factor


@dataclass
class Base:
    a: int = 1


@dataclass
class Child(Base):
    b: int = 2

    def __post_init__(self):
        super_init = getattr(super(), "__post_init__", None)
        self.b += 1 if super_init is None else 0


@dataclass(eq=False, repr=False)
class Plain:
    x: int


@dataclass(unsafe_hash=True, match_args=True)
class Node:
    name: str = field(metadata={"doc": "the name"})
    next: "Node | None" = None


v = Version(1, 2, "x")
print(v, v < Version(1, 3), sorted([Version(2), v]), hash(v) == hash(Version(1, 2)))
try:
    v.major = 3
except dataclasses.FrozenInstanceError as error:
    print(error)
print(dataclasses.replace(v, minor=5), dataclasses.astuple(v), Version.__slots__)
o = Options(name="n")
print(o, o.remember("k", 1), dataclasses.asdict(Options(name="m", tags=["t"])))
try:
    Options("n")
except TypeError as error:
    print(str(error).replace("__init__", "init"))
print(Scaled(3, unit="km"), Child(), Plain(1) == Plain(1), hash(Node("a")) == hash(Node("a")))
print([(f.name, f.default, dict(f.metadata)) for f in dataclasses.fields(Node)][0][2])
match Node("a", Node("b")):
    case Node(name, Node(inner)):
        print(name, inner)
print(dataclasses.is_dataclass(Node), dataclasses.is_dataclass(3))
