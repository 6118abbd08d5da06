from functools import lru_cache, cache, partial, reduce, cached_property, singledispatch, cmp_to_key, \
    partialmethod, singledispatchmethod
@lru_cache(maxsize=None)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
print(fib(50), fib.cache_info().hits > 0, reduce(lambda a, b: a * b, range(1, 6)), partial(int, base=2)("101"))
class C:
    @cached_property
    def slow(self): print("computed"); return 42
    @singledispatchmethod
    def show(self, x): return "any"
    @show.register
    def _(self, x: int): return "int"
    def _set(self, k, v): return (k, v)
    seta = partialmethod(_set, "a")
c = C(); print(c.slow, c.slow, c.show(1), c.show("x"), c.seta(3))
@singledispatch
def show(x): return "?"
@show.register
def _(x: list): return "list"
@show.register(str)
def _(x): return "str"
print(show(1), show([]), show(""), sorted([3, 1], key=cmp_to_key(lambda a, b: a - b)))
