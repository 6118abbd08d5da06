def f(*a, **k): return a, k
print(f(*[1], *"ab", 2, **{"x": 1}, **{"y": 2}), [*{1: 2}], (*[],), {*[1, 1]}, max(*[3, 4]))
x = *range(2), 9; print(x); print({**{}, "a": 0, **{"a": 1}})
def g(): return *x, 1
print(g(), *x)
