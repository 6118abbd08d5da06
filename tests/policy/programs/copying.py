import copy
class Node:
    def __init__(self, v, kids=()): self.v, self._kids, self.me = v, list(kids), self
class Slotted:
    __slots__ = ("a", "__b")
    def __init__(self): self.a, self.__b = [1], 2
    def b(self): return self.__b
class Hooked:
    def __init__(self, n): self.n = n
    def __copy__(self): return Hooked(self.n + 1)
    def __deepcopy__(self, memo): return Hooked(self.n + 10)
class L(list): pass
class S(str): pass
class Stateful:
    def __init__(self): self.x, self.y = 1, 2
    def __getstate__(self): return {"x": self.x}
    def __setstate__(self, s): self.__dict__.update(s); self.restored = True
n = Node(1, [Node(2)])
a, b = copy.copy(n), copy.deepcopy(n)
print(a._kids is n._kids, b._kids is n._kids, b.me is b, b._kids[0].v)
s = copy.deepcopy(Slotted()); print(s.a, s.b())
print(copy.copy(Hooked(1)).n, copy.deepcopy([Hooked(1)])[0].n)
l = L([1, [2]]); l.tag = "t"; m = copy.deepcopy(l)
print(m, type(m).__name__, m.tag, m[1] is l[1], copy.copy(S("q")), type(copy.deepcopy(S("q"))).__name__)
r = copy.copy(Stateful()); print(vars(r))
d = {"a": [1, {2}], "b": (3, [4])}; e = copy.deepcopy(d); e["a"][0] = 9; print(d, e)
err = copy.copy(ValueError("x", 1)); print(err.args)
