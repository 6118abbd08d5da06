def f():
    f.calls += 1
    return f.calls
f.calls = 0
f(); f()
print(f.calls, hasattr(f, "calls"), hasattr(f, "missing"))
