def f(a, b=2, /, c=3, *args, d, e=5, **kw) -> str:
    """Docs."""
    return f"{a}{b}{c}{args}{d}{e}{kw}"
print(f(1, d=4), f(1, 2, 3, 4, 5, d=6, z=7), f.__doc__, f.__name__)
args, kwargs = (1, 2), {"d": 9}
print(f(*args, **kwargs), (lambda *a, k=1, **kw: (a, k, kw))(1, 2, z=3))
