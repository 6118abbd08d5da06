from contextlib import contextmanager, ExitStack, suppress, closing
class Timer:
    def __enter__(self): print("enter"); return self
    def __exit__(self, kind, error, tb):
        print("exit", kind and kind.__name__, error)
        return True
with Timer() as t, suppress(KeyError):
    raise ValueError("boom")
@contextmanager
def tag(name):
    print(f"<{name}>")
    try: yield name.upper()
    finally: print(f"</{name}>")
with tag("a") as a, tag("b") as b: print(a, b)
with ExitStack() as stack:
    for n in "xy": stack.enter_context(tag(n))
    stack.callback(print, "callback")
