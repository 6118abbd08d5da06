class Proxy:
    def __init__(self, target): object.__setattr__(self, "_target", target)
    def __getattr__(self, name): return getattr(self._target, name)
    def __setattr__(self, name, value):
        if name.startswith("_"): super().__setattr__(name, value)
        else: setattr(self._target, name, value)
    def __delattr__(self, name): delattr(self._target, name)
class T: x = 1
t = T(); p = Proxy(t); p.y = 2
print(p.x, p.y, t.y, hasattr(p, "z"))
del p.y
print(hasattr(t, "y"))
class Bag:
    def __init__(self, **kw): self.__dict__.update(kw)
    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        return value * 2 if isinstance(value, int) else value
b = Bag(a=1, b="s"); print(b.a, b.b, sorted(vars(b)))
for name in ("a", "c"): setattr(b, name, 10)
print(b.c, [n for n in dir(b) if not n.startswith("_")])
