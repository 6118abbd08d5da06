"""Dataclasses, frozen and ordered, made and replaced, and named tuples beside them."""

from collections import namedtuple
from dataclasses import asdict, dataclass, field, replace

SIZE = 600

Size = namedtuple("Size", "width height")


@dataclass(frozen=True, order=True)
class Position:
    x: int
    y: int

    def moved(self, dx, dy):
        return Position(self.x + dx, self.y + dy)


@dataclass
class Shape:
    name: str
    at: Position
    size: Size = Size(1, 1)
    tags: list = field(default_factory=list)
    area: int = 0

    def __post_init__(self):
        self.area = self.size.width * self.size.height

    def tag(self, text):
        self.tags.append(text)
        return self


def run(size):
    shapes, seen = [], set()
    for i in range(size):
        shape = Shape(f"shape {i % 10}", Position(i % 50, i // 50), Size(i % 4 + 1, 2))
        shape.at = shape.at.moved(1, -1)
        shapes.append(shape.tag("new").tag(str(i)))
        seen.add(shape.at)
    grown = [replace(s, size=s.size._replace(height=s.size.height + 1)) for s in shapes]
    first = min(grown, key=lambda s: (s.at, s.name))
    largest = max(s.area for s in grown)
    return (
        len(seen),
        asdict(first),
        largest,
        sum(s.at.x for s in sorted(grown, key=lambda s: s.at)[:9]),
    )
