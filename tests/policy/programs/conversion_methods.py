class N:
    def __int__(self): return 3
    def __float__(self): return 3.5
    def __index__(self): return 2
    def __str__(self): return "N"
    def __bytes__(self): return b"N"
    def __round__(self, n=None): return 4
    def __complex__(self): return 1j
    def __trunc__(self): return 3
    def __length_hint__(self): return 1
    def __fspath__(self): return "/n"
    def __dir__(self): return ["a"]
    def __sizeof__(self): return 1
import os, math
n = N(); print(int(n), float(n), [0, 1, 2][n], str(n), bytes(n), round(n), complex(n), hex(n), os.fspath(n), math.trunc(n), dir(n))
