__all__ = ["x"]
__version__ = "1.0"
__author__ = "me"
_private = 3
x: int = 1
y: list[int]
def get(): return _private + x
print(get(), __version__, __all__, __doc__, "x" in globals(), globals()["_private"], __annotations__["x"])
if __name__ == "__main__":
    print("main")
assert x == 1, "message"
try: assert x == 2, "message"
except AssertionError as e: print(e)
del x
try: x
except NameError as e: print(e)
