"""Type parameters in brackets, ``type`` statements, newer f-strings: where Python has them."""

import sys

import pytest
from policy_cell import Cell

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is newer")

ORDINARY = {
    "a function": """
        def first[T](items: list[T], default: T | None = None) -> T:
            return items[0] if items else default
        print(first([1, 2]), first.__type_params__, first.__annotations__["items"])
    """,
    "an async function and a lambda": """
        async def later[T](value: T) -> T: return (lambda: value)()
        async def main(): print(await later(3), later.__type_params__)
    """,
    "every kind of parameter": """
        def call[**P, R, *Ts](function, *args: P.args, **kwargs: P.kwargs) -> tuple[R, *Ts]:
            return function(*args, **kwargs)
        print(call(max, 1, 5), [type(each).__name__ for each in call.__type_params__])
    """,
    "a class": """
        class Box[T]:
            kept: list[T]
            def __init__(self, value: T) -> None: self._value = value
            def map[U](self, function) -> "Box[U]": return Box(function(self._value))
            def __repr__(self): return f"Box({self._value!r})"
        print(Box(1).map(str), Box[int], Box[int](4), Box.__type_params__, Box.__parameters__)
    """,
    "a base with parameters": """
        class Base[T]:
            def get(self): return self._get()
        class Child[K, V](Base[V]):
            def _get(self): return super().__init__() or "child"
        print(Child().get(), Child[int, str]().get(), Child.__orig_bases__)
    """,
    "a data class": """
        from dataclasses import dataclass
        @dataclass
        class Pair[A, B]:
            a: A
            b: B
        print(Pair(1, "x"), Pair(1, 2) == Pair(1, 2))
    """,
    "a protocol": """
        from typing import Protocol, runtime_checkable
        @runtime_checkable
        class Sized[T](Protocol):
            def size(self) -> T: ...
        class A:
            def size(self): return 1
        print(isinstance(A(), Sized), isinstance(1, Sized))
    """,
    "a named tuple and a typed dictionary": """
        from typing import NamedTuple, TypedDict
        class N[T](NamedTuple):
            x: T
        class D[T](TypedDict):
            x: T
        print(N(1), D(x=2))
    """,
    "an alias": """
        type Pair[A] = tuple[A, A]
        type Tree = dict[str, Tree] | None
        print(Pair, Pair.__value__, Pair[int], Tree.__value__, Pair.__type_params__, Pair.__name__)
    """,
    "bounds and constraints are evaluated when they are read": """
        def f[T: later(), U: (int, str)](x): return T, U
        def later(): print("now"); return int
        T, U = f(0)
        print("before"); print(T.__bound__, U.__constraints__, T.__covariant__)
    """,
    "an alias in a function and in a class": """
        def f(x):
            type X = list[x]
            x = str
            return X.__value__
        class C:
            y = int
            type Y = list[y]
            def m[T](self, a: y) -> T: return a
        print(f(int), C.Y.__value__, C.m.__annotations__["a"])
    """,
    "names that are only keywords in place": """
        type = 5
        print(type)
        def type(x): return x
        print(type (3))
    """,
    "f-strings with their own quotes, comments and lines": """
        names = {"a": 1}
        print(f"{names["a"]} {f"{f"{1 + 1}"}"} {
            names["a"]  # why not
            :>{names["a"] + 4}}")
        print(f"{'\\n'.join(["x", "y"])!r:>10}")
    """,
}


@pytest.mark.parametrize("name", ORDINARY)
def test_the_newer_syntax_means_what_it_means_in_plain_python(cell: Cell, name: str) -> None:
    """The same lines as without the policy."""
    source = ORDINARY[name]
    outcome = cell.run(source)
    assert outcome.refusal == "", outcome.refusal + outcome.traceback
    assert outcome.log == cell.run_plain(source)
    assert outcome.log


HOSTILE = {
    "a forbidden attribute in an alias": ("type X = (1).__class__.__mro__", "__mro__"),
    "a forbidden attribute in a bound": ("def f[T: f.__globals__](): pass", "__globals__"),
    "a forbidden attribute in a generic annotation": ("def f[T](x: f.__code__): pass", "__code__"),
    "a forbidden attribute in a base": ("class C[T](f.__globals__): pass", "__globals__"),
    "a forbidden builtin in an alias": ("type X = eval('1')", '"eval" is not available'),
    "a nested f-string": ("""print(f"{f"{print.__self__}"}")""", "__self__"),
    "the private attribute of a foreign object, read late": (
        "import json\ndef f(x):\n    type X = x._ESCAPED\n    return X\n"
        "class A: _ESCAPED = 1\nprint(f(json).__value__)",
        "not available to workers",
    ),
    "a type parameter named as a method's receiver": (
        "class C:\n    def m(self):\n        def g[self](): return self._x\n        return g\n"
        "C().m()()",
        "not available to workers",
    ),
    "an alias's parameter named as a method's receiver": (
        "class C:\n    def m(self):\n        type X[self] = self._x\n        return X\n"
        "C().m().__value__",
        "not available to workers",
    ),
    "a class's parameter named as a method's receiver": (
        "class C:\n    def m(self):\n        class D[self]:\n"
        "            def n(this): return self._x\n        return D().n()\nC().m()",
        "not available to workers",
    ),
    "a receiver exchanged in a class body for an alias in it": (
        "import json\nclass C:\n    def m(self):\n        class D:\n            self = json\n"
        "            type X = self._default_encoder\n        return D.X\nprint(C().m().__value__)",
        "not available to workers",
    ),
    "a local variable exchanged before the alias is read": (
        "import json\ndef f():\n    x = C()\n    type X = x._default_encoder\n    x = json\n"
        "    return X\nclass C: pass\nprint(f().__value__)",
        "not available to workers",
    ),
    "super as a type parameter": ("def f[super](): pass", '"super" cannot be defined'),
    "a class cell as a type parameter": ("class C[__classdict__]: pass", '"__classdict__" cannot'),
    "a foreign base beside the parameters": (
        "import asyncio\nclass C[T](asyncio.Future): pass",
        "cannot be extended by a worker",
    ),
    "a metaclass beside the parameters": (
        "class M: pass\nclass C[T](metaclass=M): pass",
        "metaclasses are not available",
    ),
    "an alias as a base": ("type X = int\nclass C(X): pass", "X cannot be extended by a worker"),
    "the class of aliases": ("type X = int\nclass C(type(X)): pass", "cannot be extended"),
    "an alias's attributes": ("type X = int\nX.x = 1", "cannot set attributes"),
    "a type parameter's attributes": (
        "def f[T](): return T\nf().x = 1",
        "cannot set attributes",
    ),
    "an endless alias": ("type X = X.__value__\nX.__value__", "RecursionError"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_newer_syntax_leads_nowhere(cell: Cell, name: str) -> None:
    """What is refused elsewhere is refused in it, at upload or when it is evaluated."""
    source, reason = HOSTILE[name]
    cell.refuses(source, reason)
