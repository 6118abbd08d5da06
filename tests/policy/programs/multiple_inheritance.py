class Root:
    def who(self): return ["Root"]
class L(Root):
    def who(self): return ["L", *super().who()]
class R(Root):
    def who(self): return ["R", *super().who()]
class Both(L, R):
    def who(self): return ["Both", *super().who()]
class Explicit(L):
    def who(self): return ["E", *L.who(self), *super(L, self).who()]
print(Both().who(), Explicit().who())
class LoggedDict(dict):
    def __setitem__(self, k, v):
        super().__setitem__(k, v + 1)
    def __init__(self, *a, **k):
        dict.__init__(self, *a, **k)
        self.log = []
d = LoggedDict(a=1); d["b"] = 1; print(d, d.log)
