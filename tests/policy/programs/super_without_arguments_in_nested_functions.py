class A:
    def f(self, x): return x + 1
class B(A):
    def f(self, x):
        def inner(): return super(B, self).f(x)
        return super().f(x) + inner()
    def g(self): return [super(B, self).f(i) for i in range(2)]
    @property
    def p(self): return super().f(0)
    @classmethod
    def c(cls): return __class__.__name__
print(B().f(1), B().g(), B().p, B.c())
