class C:
    def f(self): return 1
old = C.f
def f(self): return old(self) + 1
C.f = f; C.extra = classmethod(lambda cls: cls.__name__)
c = C(); c.g = lambda: "instance"
print(c.f(), C.extra(), c.g(), C.f is f)
class Meta: pass
Meta.counter = 0; Meta.counter += 1; print(Meta.counter)
del C.extra; print(hasattr(C, "extra"))
