from collections import Counter, OrderedDict, defaultdict, deque, ChainMap, UserDict
from collections.abc import Mapping, MutableSequence, Iterable
c = Counter("mississippi"); c.update("sss")
print(c.most_common(2), c["z"], sum(c.values()), (c - Counter("ss")).most_common(1))
d = defaultdict(lambda: defaultdict(int)); d["a"]["b"] += 1; print(dict(d["a"]))
q = deque([1, 2, 3], maxlen=3); q.append(4); q.rotate(1); q.appendleft(0); print(list(q))
o = OrderedDict(a=1, b=2); o.move_to_end("a"); print(list(o))
print(ChainMap({"a": 1}, {"a": 2, "b": 3})["b"])
class Lower(UserDict):
    def __setitem__(self, k, v): super().__setitem__(k.lower(), v)
print(Lower(A=1), Lower(B=2).copy())
class Env(Mapping):
    def __init__(self, **kw): self._d = kw
    def __getitem__(self, k): return self._d[k]
    def __iter__(self): return iter(self._d)
    def __len__(self): return len(self._d)
print(dict(Env(a=1)), Env(a=1).get("b"), "a" in Env(a=1), isinstance([], Iterable))
