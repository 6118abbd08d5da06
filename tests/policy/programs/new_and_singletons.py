class Single:
    _instance = None
    def __new__(cls, *a):
        if cls._instance is None: cls._instance = super().__new__(cls)
        return cls._instance
    def __init__(self, v=0): self.v = v
print(Single(1) is Single(2), Single(3).v)
class Celsius(float):
    def __new__(cls, v): return super().__new__(cls, round(v, 1))
    def __repr__(self): return f"{float(self)}C"
class Upper(str):
    def __new__(cls, s): return str.__new__(cls, s.upper())
class Pair(tuple):
    def __new__(cls, a, b): return tuple.__new__(cls, (a, b))
print(Celsius(3.14159), Upper("abc"), Upper("x").lower(), Pair(1, 2), type(Pair(1, 2)).__name__)
