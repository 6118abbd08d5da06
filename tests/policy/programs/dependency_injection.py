import inspect
class Container:
    def __init__(self): self._factories, self._cache = {}, {}
    def provide(self, f):
        self._factories[f.__name__] = f; return f
    def __getattr__(self, name):
        if name not in self._factories: raise AttributeError(name)
        if name not in self._cache: self._cache[name] = self._factories[name](self)
        return self._cache[name]
c = Container()
@c.provide
def config(c): return {"url": "x"}
@c.provide
def db(c): return f"db({c.config['url']})"
print(c.db, hasattr(c, "nope"))
