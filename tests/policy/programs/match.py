from dataclasses import dataclass
from enum import Enum
class Color(Enum): RED = 1; BLUE = 2
@dataclass
class Point: x: int; y: int
def describe(v):
    match v:
        case None | True | False: return "singleton"
        case 0: return "zero"
        case -1.5: return "negative"
        case str() as s if len(s) > 3: return f"long {s}"
        case str(s): return f"short {s}"
        case [1, *rest]: return f"list {rest}"
        case (a, b): return f"pair {a} {b}"
        case {"kind": "x", **others}: return f"map {others}"
        case Point(0, y): return f"on axis {y}"
        case Point(x=px, y=py): return f"point {px} {py}"
        case Color.RED: return "red"
        case int(n) | float(n): return f"number {n}"
        case _: return "other"
for v in (None, 0, -1.5, "hello", "hi", [1, 2], (3, 4), {"kind": "x", "a": 1}, Point(0, 2),
          Point(3, 4), Color.RED, Color.BLUE, 7, 2.5, {}):
    print(describe(v))
