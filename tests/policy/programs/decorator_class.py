class memo:
    def __init__(self, f):
        self.f, self._cache = f, {}
        self.__doc__ = f.__doc__
    def __call__(self, n):
        if n not in self._cache:
            self._cache[n] = self.f(n)
        return self._cache[n]
@memo
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
print(fib(80))
