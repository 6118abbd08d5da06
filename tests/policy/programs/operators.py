import functools
@functools.total_ordering
class V:
    __slots__ = ("x", "y")
    def __init__(self, x, y): self.x, self.y = x, y
    def __add__(self, o): return V(self.x + o.x, self.y + o.y)
    def __radd__(self, o): return self if o == 0 else NotImplemented
    def __iadd__(self, o): self.x += o.x; self.y += o.y; return self
    def __mul__(self, k): return V(self.x * k, self.y * k)
    __rmul__ = __mul__
    def __neg__(self): return V(-self.x, -self.y)
    def __eq__(self, o): return isinstance(o, V) and (self.x, self.y) == (o.x, o.y)
    def __lt__(self, o): return (self.x, self.y) < (o.x, o.y)
    def __hash__(self): return hash((self.x, self.y))
    def __bool__(self): return bool(self.x or self.y)
    def __abs__(self): return (self.x**2 + self.y**2) ** 0.5
    def __iter__(self): return iter((self.x, self.y))
    def __getitem__(self, i): return (self.x, self.y)[i]
    def __contains__(self, v): return v in (self.x, self.y)
    def __len__(self): return 2
    def __call__(self, f): return V(f(self.x), f(self.y))
    def __repr__(self): return f"V({self.x}, {self.y})"
    def __format__(self, spec): return f"<{self.x:{spec}}, {self.y:{spec}}>"
    def __matmul__(self, o): return self.x * o.x + self.y * o.y
v, w = V(1, 2), V(3, 4)
v += w
print(v, 2 * w, -v, v == V(4, 6), sorted([w, v]), sum([v, w]), bool(V(0, 0)), abs(w))
print(list(v), v[0], 6 in v, len(v), v(str), f"{v:.1f}", v @ w, max(v, w), {v: 1}[V(4, 6)])
