x = "global"
class C:
    x = "class"
    y = [x for _ in range(1)]
    def f(self): return x
    g = lambda self: x
def f():
    x = "local"
    class D:
        z = x
        def h(self): return x
    return D.z, D().h()
print(C.y, C().f(), C().g(), f(), [x for x in "ab"], x)
try:
    def bad():
        print(v)
        v = 1
    bad()
except UnboundLocalError as e: print(type(e).__name__)
fs = [lambda i=i: i for i in range(3)]; print([g() for g in fs])
try: raise ValueError
except ValueError as e: pass
try: e
except NameError: print("e is gone")
