class Handler:
    def handle(self, method):
        return getattr(self, f"do_{method.lower()}", self._default)()
    def do_get(self): return "got"
    def _default(self): return "405"
h = Handler(); print(h.handle("GET"), h.handle("PUT"), [m for m in dir(h) if m.startswith("do_")])
for name, fn in vars(Handler).items():
    if name.startswith("do_"): print(name, fn(h))
def make(n):
    class Made:
        number = n
        def get(self): return self.number
    Made.__name__ = f"Made{n}"; Made.__qualname__ = Made.__name__
    return Made
print(make(2)().get(), make(3).__name__)
