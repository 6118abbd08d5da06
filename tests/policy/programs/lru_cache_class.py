from collections import OrderedDict
class LRU:
    def __init__(self, size): self.size, self._d = size, OrderedDict()
    def __contains__(self, k): return k in self._d
    def __getitem__(self, k): self._d.move_to_end(k); return self._d[k]
    def __setitem__(self, k, v):
        self._d[k] = v; self._d.move_to_end(k)
        while len(self._d) > self.size: self._d.popitem(last=False)
c = LRU(2); c["a"] = 1; c["b"] = 2; c["a"]; c["c"] = 3; print("b" in c, "a" in c)
