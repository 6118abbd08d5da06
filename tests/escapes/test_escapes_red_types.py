"""Attempts on real types: what a library hands to, or makes for, an object it was not meant for.

With the interpreter's own ``type`` a worker makes classes that no class statement has checked.
"""

import pytest
from policy_cell import Cell
from test_escapes_language import Escape, escape

RECEIVERS = [
    escape(
        "a method of a container makes another of a class's type, and patterns read any name",
        """
        import collections, json
        T = collections.UserList.copy(int)
        M = T("M", (T,), {"__instancecheck__": lambda c, o: True})
        P = M("P", (), {"__match_args__": ("__globals__",)})
        match json.dumps:
            case P(g): print("ESCAPED", g["__builtins__"]["eval"]("1+1"))
        """,
        "descriptor 'copy' requires a 'UserList' object but received a 'type'",
        "import collections\nclass L(collections.UserList): pass\n"
        "print(collections.UserList.copy(L([1])), type(L([1]).copy()) is L)",
        "[1] True",
    ),
    escape(
        "a counter's method makes another of a class's type",
        "import collections\nprint('ESCAPED', collections.Counter.copy(int)('X', (), {}))",
        "descriptor 'copy' requires a 'Counter' object but received a 'type'",
        "import collections\nprint(collections.Counter.copy(collections.Counter('aa')))",
        "Counter({'a': 2})",
    ),
    escape(
        "a method of a logger's handler writes on a class of the runtime",
        "import logging\nlogging.Handler.setFormatter(logging.Logger, 5)\nprint('ESCAPED')",
        "descriptor 'setFormatter' requires a 'Handler' object but received a 'type'",
        "import logging\nh = logging.StreamHandler()\nlogging.Handler.setFormatter(h, None)\n"
        "print(h.formatter)",
        "None",
    ),
    escape(
        "the function of a property of the library is called on something else",
        "import fractions\nprint('ESCAPED', fractions.Fraction.numerator.fget(int))",
        "requires a 'Fraction' object",
        "import fractions\nprint(fractions.Fraction.numerator.fget(fractions.Fraction(1, 2)))",
        "1",
    ),
    escape(
        "a task group's method stores the event loop on the worker's object",
        """
        import asyncio
        class O: _entered = False; _loop = None; _parent_task = None
        async def main():
            o = O()
            await asyncio.TaskGroup.__aenter__(o)
            print("ESCAPED", o._loop)
        """,
        "descriptor '__aenter__' requires a 'TaskGroup' object but received a 'O'",
        """
        import asyncio
        async def main():
            async with asyncio.TaskGroup() as g: t = g.create_task(asyncio.sleep(0, 5))
            print(t.result())
        """,
        "5",
    ),
    escape(
        "an alias's setter writes on what the worker's object names as its origin",
        """
        import json, typing
        class O:
            def __getattr__(self, name): return json.JSONEncoder
        set_ = getattr(type(typing.List[int]), "__setattr__")
        set_(O(), "spoiled", 1)
        print("ESCAPED", json.JSONEncoder.spoiled)
        """,
        "descriptor '__setattr__' requires a '_BaseGenericAlias' object but received a 'O'",
        "class O:\n    def __setattr__(self, n, v): super().__setattr__(n, v + 1)\n"
        "o = O()\no.x = 1\nprint(o.x)",
        "2",
    ),
    escape(
        "an object that claims another class is let into a method",
        """
        import collections
        class Liar:
            def __getattribute__(self, name):
                return collections.UserList if name == "__class__" else int
        print("ESCAPED", collections.UserList.copy(Liar()))
        """,
        "descriptor 'copy' requires a 'UserList' object but received a 'Liar'",
        "import collections\nprint(isinstance(collections.UserList([1]), collections.UserList))",
        "True",
    ),
    escape(
        "a private method of the library through an own subclass",
        "import random\nclass R(random.Random): pass\nprint('ESCAPED', R._randbelow(int, 5))",
        "requires a 'Random' object but received a 'type'",
        "import random\nclass R(random.Random): pass\nprint(R(1)._randbelow(1))",
        "0",
    ),
    escape(
        "a generated method of a dataclass compares a private field of the library's object",
        """
        import asyncio, dataclasses
        @dataclasses.dataclass
        class X: _loop: int = 0
        class Liar:
            def __getattribute__(self, name): return asyncio.Lock if name == "__class__" else self
            def __eq__(self, other): print("ESCAPED", other)
        async def main(): X.__eq__(asyncio.Lock(), Liar())
        """,
        "called on a Lock object that is not the worker's",
        "import dataclasses\n@dataclasses.dataclass\nclass X: _a: int = 0\n"
        "print(X.__eq__(X(), X()), X() == X(1))",
        "True False",
    ),
    escape(
        "the same, by a method taken before the class with slots is complete",
        """
        import asyncio, dataclasses
        raw = []
        class B:
            def __init_subclass__(cls): raw.append(cls.__eq__)
        class Liar:
            def __getattribute__(self, name): return asyncio.Lock if name == "__class__" else self
            def __eq__(self, other): print("ESCAPED", other)
        @dataclasses.dataclass(slots=True)
        class X(B): _loop: int = 0
        async def main(): raw[-1](asyncio.Lock(), Liar())
        """,
        "called on a Lock object that is not the worker's",
        "import dataclasses\n@dataclasses.dataclass(slots=True, order=True)\nclass X: a: int = 0\n"
        "print(X(1) > X(), {X(1): 1} if X.__hash__ else 'unhashable')",
        "True unhashable",
    ),
    escape(
        "a named tuple's method is called on a function",
        "import typing\nclass P(typing.NamedTuple): a: int\n"
        "print('ESCAPED', P._replace(P.__init__))",
        "descriptor '_replace' requires a 'P' object",
        "import typing\nclass P(typing.NamedTuple): a: int\nprint(P._replace(P(1), a=2))",
        "P(a=2)",
    ),
]

TYPES = [
    escape(
        "a subclass hook is asked about every class",
        """
        from abc import ABC
        got = []
        class A(ABC):
            @classmethod
            def __subclasshook__(cls, C): got.append(C); return False
        isinstance(int, A)
        print("ESCAPED", got[0]("X", (), {}))
        """,
        "type() takes one object here",
        """
        from abc import ABC
        class Closes(ABC):
            @classmethod
            def __subclasshook__(cls, C): return hasattr(C, "close") or NotImplemented
        class F:
            def close(self): pass
        print(isinstance(F(), Closes), isinstance(1, Closes), issubclass(F, Closes))
        """,
        "True False True",
    ),
    escape(
        "a subclass hook that is not defined with def",
        "from abc import ABC\nclass A(ABC):\n"
        "    __subclasshook__ = classmethod(lambda cls, C: print('ESCAPED', C))\n"
        "isinstance(int, A)",
        '"__subclasshook__" must be defined with def',
        "from abc import ABC\nclass A(ABC): pass\nA.register(int)\nprint(isinstance(1, A))",
        "True",
    ),
    escape(
        "a subclass hook behind a dispatcher",
        """
        import functools
        from abc import ABC
        got = []
        class A(ABC):
            @classmethod
            def __subclasshook__(cls, C): got.append(C); return False
        @functools.singledispatch
        def f(x): pass
        f.register(A, print)
        f(lambda: 0)
        print("ESCAPED", got[0](f.__code__, {}))
        """,
        '"__code__" is not available',
        "import functools\n@functools.singledispatch\ndef f(x): return 'any'\n"
        "@f.register\ndef _(x: int): return 'int'\nprint(f(1), f('a'), f.dispatch(bool)(1))",
        "int any int",
    ),
    escape(
        "the annotations of a function of the platform, copied to the worker's",
        "import functools\ndef f(): pass\nfunctools.update_wrapper(f, functools.total_ordering)\n"
        "print('ESCAPED', f.__annotations__['cls']('X', (), {}))",
        "KeyError: 'cls'",
        "import functools\ndef g(x: int): 'doc'\ng.mark = 1\n@functools.wraps(g)\ndef f(): pass\n"
        "print(f.__name__, f.__doc__, f.__annotations__['x'] is int, f.mark, f.__wrapped__ is g)",
        "g doc True 1 True",
    ),
    escape(
        "the annotations of a function of the platform, in a cache's attributes",
        "import functools\ncached = functools.lru_cache(functools.total_ordering)\n"
        "print('ESCAPED', vars(cached)['__annotations__']['cls']('X', (), {}))",
        "KeyError: '__annotations__'",
        "import functools\n@functools.lru_cache\ndef f(x): return x\nf.mark = 1\n"
        "print(vars(f)['mark'], f(2), f.cache_info().misses)",
        "1 2 1",
    ),
    escape(
        "the annotations of a function of the platform, registered with a dispatcher",
        "import functools\n@functools.singledispatch\ndef f(x): pass\n"
        "f.register(functools.total_ordering)\n"
        "print('ESCAPED', [k for k in f.registry if k is not object][0]('X', (), {}))",
        "Invalid first argument to `register()`",
        "import functools\n@functools.singledispatch\ndef f(x): return 1\n"
        "f.register(str, lambda x: 2)\nprint(f('a'), str in f.registry)",
        "2 True",
    ),
    escape(
        "an alias of type compares its origin with another's",
        """
        import typing
        got = []
        class O:
            def __call__(self): pass
            __hash__ = object.__hash__
            def __eq__(self, other): got.append(other); return False
        origin = typing.Annotated[O(), 1]
        got.clear()
        typing.Type[int] == origin
        print("ESCAPED", [o for o in got if "type" in repr(o)][0]("X", (), {}))
        """,
        "type() takes one object here",
        "import typing\n"
        "print(typing.Type[int] == typing.Type[int], typing.get_args(typing.Type[int]))",
        "True (<class 'int'>,)",
    ),
    escape(
        "the class of an attribute getter makes one for any name",
        "import json, operator\nA = type(operator.attrgetter('x'))\n"
        "print('ESCAPED', A('__globals__')(json.dumps))",
        "function objects cannot be made by a worker",
        "import operator\nclass C: a = 1; b = 2\nC.c = C\n"
        "print(operator.attrgetter('a')(C), operator.attrgetter('a', 'c.b')(C))",
        "1 (1, 2)",
    ),
    escape(
        "the class of a method caller makes one for any name",
        "import operator\nA = type(operator.methodcaller('x'))\n"
        "print('ESCAPED', A('__subclasses__')(object))",
        "function objects cannot be made by a worker",
        "import operator\nprint(operator.methodcaller('split', ',')('a,b'))",
        "['a', 'b']",
    ),
    escape(
        "an object that equals the types in a dispatcher's cache",
        """
        import functools
        got = []
        class K:
            def __hash__(self): return hash(int)
            def __eq__(self, other): got.append(other)
        class Claims:
            def __getattribute__(self, name):
                return K() if name == "__class__" else object.__getattribute__(self, name)
        class M:
            @functools.singledispatchmethod
            def m(self, x): pass
        M().m(int)
        M().m(Claims())
        print("ESCAPED", got)
        """,
        "__class__ must be a class, not a K object",
        """
        import functools
        class M:
            @functools.singledispatchmethod
            def m(self, x): return "any"
            @m.register
            def _(self, x: int): return "int"
        print(M().m(1), M().m("a"))
        """,
        "int any",
    ),
    escape(
        "the constructor of functions, read from a function",
        "def f(): pass\nprint('ESCAPED', f.__new__)",
        '"__new__" of this function object',
        "class C:\n    def __new__(cls): return object.__new__(cls)\nprint(type(C()) is C)",
        "True",
    ),
    escape(
        "an abstract method of the library's function writes on it",
        "import abc, json\nabc.abstractmethod(json.dumps)\nprint('ESCAPED')",
        "only a function of the worker can be abstract",
        "import abc, contextlib\nclass A(abc.ABC):\n    @abc.abstractmethod\n"
        "    @contextlib.contextmanager\n    def m(self): yield\n"
        "try: A()\nexcept TypeError: print('abstract')",
        "abstract",
    ),
]

PATTERNS = [
    escape(
        "a pattern of a class whose names are not harmless",
        """
        import typing
        N = typing.NamedTuple("N", [("obj", int)])
        match N(1):
            case N(x): print("ESCAPED", x)
        """,
        'a pattern cannot read the attribute "obj"',
        """
        import typing
        N = typing.NamedTuple("N", [("a", int), ("b", int)])
        class P:
            __match_args__ = ("x",)
            def __init__(self, x): self.x = x
        def kind(value):
            match value:
                case N(a, b=2): return f"N {a}"
                case P(int(x)) | P((x, _)): return f"P {x}"
                case [str(s), *_]: return s
                case {"k": P(x=P(y))}: return y
                case _: return "?"
        values = N(1, 2), P(3), P((4, 5)), ["s", 1], {"k": P(P(6))}, 0
        print(*map(kind, values))
        """,
        "N 1 P 3 P 4 s 6 ?",
    ),
    escape(
        "a pattern's class changes between its check and its use",
        """
        import json
        class Fine: __match_args__ = ("x",)
        class Holder:
            n = 0
            def __getattr__(self, name):
                Holder.n += 1
                return [Fine, int][Holder.n > 1]
        h = Holder()
        match 5:
            case h.Kind(x): print("ESCAPED", x)
            case _: raise ValueError(f"looked up {Holder.n} time")
        """,
        "looked up 1 time",
        "import types\nns = types.SimpleNamespace(I=int)\nmatch 5:\n    case ns.I(): print('int')",
        "int",
    ),
    escape(
        "a positional pattern in a class body",
        "class P: __match_args__ = ('x',)\n"
        "class C:\n    match 1:\n        case P(x): print('ESCAPED')",
        "a pattern in a class body cannot have positional parts",
        "class C:\n    match 1:\n        case int(x): y = x\nprint(C.y)",
        "1",
    ),
]


@pytest.mark.parametrize("attempt", RECEIVERS + TYPES + PATTERNS, ids=lambda a: a.name)
def test_an_attempt_on_types_is_refused_and_its_twin_runs(cell: Cell, attempt: Escape) -> None:
    """The hostile program is refused for the named reason; the twin prints what it should."""
    cell.refuses(attempt.hostile, attempt.reason)
    cell.prints(attempt.twin, *attempt.prints)
