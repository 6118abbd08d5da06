from collections import namedtuple
from typing import NamedTuple
P = namedtuple("P", "x y", defaults=[0])
class Q(NamedTuple):
    name: str
    size: int = 3
    def double(self): return self._replace(size=self.size * 2)
class R(namedtuple("R", ["a", "b"])):
    __slots__ = ()
    @property
    def total(self): return self.a + self.b
    @classmethod
    def parse(cls, text): return cls._make(map(int, text.split(",")))
p = P(1)
print(p, p._asdict(), p._replace(y=9), P._fields, p.x, P._make([3, 4]), Q("n").double())
x, y = p
print(R.parse("1,2").total, R(1, 2), x, y, p == (1, 0), Q("a") < Q("b"), hash(p) == hash((1, 0)))
match Q("m"):
    case Q(name=n, size=3): print(n)
match p:
    case P(a, b): print(a, b)
