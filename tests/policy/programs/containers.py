class Grid:
    def __init__(self): self._cells = {}
    def __getitem__(self, key): return self._cells.get(key, 0)
    def __setitem__(self, key, value): self._cells[key] = value
    def __delitem__(self, key): del self._cells[key]
    def __missing__(self, key): return "?"
    def __reversed__(self): return reversed(list(self._cells))
g = Grid()
g[1, 2] = 5; g[1, 2] += 1; g[0, ...] = 1; del g[0, ...]
print(g[1, 2], g[9, 9], list(reversed(g)))
class D(dict):
    def __missing__(self, key): return key.upper()
print(D(a=1)["a"], D()["b"])
