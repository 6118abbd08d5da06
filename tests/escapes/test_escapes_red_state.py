"""Attempts on what the library evaluates, generates, remembers and hands to callbacks."""

import pytest
from policy_cell import Cell
from test_escapes_language import Escape, escape

SPOOF = """
        import typing
        class Spoof:
            def __getattribute__(self, name):
                if name == "__class__": return typing.ForwardRef
                return object.__getattribute__(self, name)
            def _evaluate(self, globalns, localns, *rest, **more):
                if globalns or localns: print("ESCAPED", globalns)
                raise ValueError("evaluated with nothing")
"""

SOURCES = [
    escape(
        "an annotation's text is evaluated in the module that a class claims to be from",
        """
        import functools, json, typing
        class A: x: "codecs.builtins.eval"
        functools.update_wrapper(A, json.dumps, assigned=("__module__",), updated=())
        print("ESCAPED", typing.get_type_hints(A)["x"]("1+1"))
        """,
        "name 'codecs' is not defined",
        """
        import functools, typing
        class B: pass
        class A:
            Inner = int
            x: "B"
            y: "list[Inner] | None"
            z: "Missing"
        def g(a: "B") -> "int": "doc"
        @functools.wraps(g)
        def f(*a): pass
        hints = typing.get_type_hints(A, localns={"Missing": str, "Inner": int})
        print(hints["x"] is B, hints["y"], hints["z"] is str, typing.get_type_hints(f)["a"] is B)
        """,
        "True list[int] | None True True",
    ),
    escape(
        "a reference to a module of the library",
        "import typing\nclass A: x: typing.ForwardRef('codecs.builtins', module='json')\n"
        "print('ESCAPED', typing.get_type_hints(A))",
        "name 'codecs' is not defined",
        "import typing\nclass A: x: typing.ForwardRef('int')\nprint(typing.get_type_hints(A))",
        "{'x': <class 'int'>}",
    ),
    escape(
        "an object in an annotation claims to be a reference and is handed the namespaces",
        SPOOF
        + """
        class A: x: list[Spoof()]
        typing.get_type_hints(A)
        """,
        "evaluated with nothing",
        "import typing\nclass A: x: list['A']\n"
        "print(typing.get_args(typing.get_type_hints(A)['x'])[0] is A)",
        "True",
    ),
    escape(
        "an object in a reference to a module claims to be a reference itself",
        SPOOF
        + """
        class A: x: typing.ForwardRef("list[Spoof()]", module="json")
        typing.get_type_hints(A, localns={"Spoof": Spoof})
        """,
        "evaluated with nothing",
        "import typing\nT = typing.TypedDict('T', {'a': 'int'})\nprint(typing.get_type_hints(T))",
        "{'a': <class 'int'>}",
    ),
    escape(
        "the bases of a class are asked twice what they stand for",
        """
        import asyncio
        class B:
            n = 0
            def __getattr__(self, name):
                if name != "__mro_" + "entries__": raise AttributeError(name)
                def entries(bases):
                    self.n += 1
                    return (object,) if self.n == 1 else (asyncio.Future,)
                return entries
        class F(B()): pass
        print("ESCAPED", F)
        """,
        "a base is a class, not a B object",
        """
        import typing, collections.abc
        T = typing.TypeVar("T")
        class A(typing.Generic[T]): pass
        class B(A[int], dict[str, int], metaclass=type): pass
        class N(typing.NamedTuple): a: int = 1
        class D(typing.TypedDict, total=False): a: int
        class M(collections.abc.Mapping[str, int]):
            __getitem__ = __iter__ = __len__ = None
        print(B.__orig_bases__, N().a, D(a=1), typing.get_args(M.__orig_bases__[0]))
        print(A[int].__origin__ is A, B.mark if hasattr(B, "mark") else "", M.__name__)
        """,
        "(worker.A[int], dict[str, int]) 1 {'a': 1} (<class 'str'>, <class 'int'>)",
        "True  M",
    ),
    escape(
        "a field that is none among the fields that a dataclass inherits",
        """
        import dataclasses
        @dataclasses.dataclass
        class X: a: int = 0
        class EqAll:
            def __eq__(self, other): return True
            __hash__ = object.__hash__
        class Fake:
            init = repr = compare = kw_only = False; hash = None; metadata = {}; type = int
            default = default_factory = dataclasses.MISSING
            _field_type = EqAll()
            name = "q, *, z=print('ESCAPED', ().__class__.__base__.__subclasses__())"
        getattr(X, "__dataclass_fields__")["evil"] = Fake()
        @dataclasses.dataclass
        class Y(X): b: int = 0
        Y(1, 2, 3)
        """,
        "takes from 1 to 3 positional arguments but 4 were given",
        """
        import dataclasses
        @dataclasses.dataclass
        class X: a: int = 0
        @dataclasses.dataclass(order=True, frozen=True)
        class Z: self: int; c: "list[int]" = dataclasses.field(default_factory=list)
        @dataclasses.dataclass(kw_only=True)
        class Y(X):
            b: int = 1
            i: dataclasses.InitVar[int] = 2
            def __post_init__(self, i): self.sum = self.b + i
        print(sorted(X.__dataclass_fields__), Y(a=1), Y().sum, Z(1) < Z(2))
        print(dataclasses.asdict(Z(1)))
        """,
        "['a'] Y(a=1, b=1) 3 True",
        "{'self': 1, 'c': []}",
    ),
    escape(
        "the fields of a dataclass in a copy of its namespace",
        """
        import dataclasses, functools
        @dataclasses.dataclass
        class X: a: int = 0
        class O: pass
        o = O()
        functools.update_wrapper(o, X)
        print("ESCAPED", vars(o)["__dataclass_fields__"])
        """,
        "KeyError: '__dataclass_fields__'",
        "import functools\nclass O:\n    def __call__(self): return 1\n"
        "def f(): 'doc'\nf.a = 5\no = O()\n"
        "functools.update_wrapper(o, f)\nprint(o.__doc__, o.a, o())",
        "doc 5 1",
    ),
    escape(
        "the raw methods of a class of the library, copied to an object",
        "import functools, collections\nclass O: pass\no = O()\n"
        "functools.update_wrapper(o, collections.UserList)\nprint('ESCAPED', vars(o)['__init__'])",
        "KeyError: '__init__'",
        "import functools\nclass C:\n    x = 1\n"
        "@functools.wraps(C, updated=())\ndef make(): return C()\n"
        "print(make.__name__, make().x)",
        "C 1",
    ),
]

STATE = [
    escape(
        "the memo of a deep copy keeps the namespace of a facade",
        """
        import copy, json
        memo = {}
        try: copy.deepcopy(json, memo)
        except KeyError: pass
        d = [x for x in memo[id(memo)] if type(x) is dict][0]
        d["dumps"] = lambda *a: "ESCAPED"
        print(json.dumps(1))
        """,
        "cannot copy 'Facade' object",
        """
        import collections, copy, datetime, decimal, uuid
        class Node:
            def __init__(self, *parts): self.parts = [*parts]
            def __deepcopy__(self, memo):
                new = memo[id(self)] = Node()
                new.parts = copy.deepcopy(self.parts, memo)
                return new
        shared = collections.UserDict(a=[1])
        n = Node(shared, shared, datetime.date(2000, 1, 1), decimal.Decimal(1), uuid.UUID(int=1))
        n.parts.append(n)
        c = copy.deepcopy(n)
        print(c is not n, c.parts[-1] is c, c.parts[0] is c.parts[1], c.parts[0] == shared)
        print(c.parts[0]["a"] is not shared["a"], copy.deepcopy(ValueError(1)).args, c.parts[2])
        """,
        "True True True True",
        "True (1,) 2000-01-01",
    ),
    escape(
        "the memo that a hook is given keeps the state of a handler",
        """
        import copy, logging
        seen = []
        class A:
            def __deepcopy__(self, memo): seen.append(memo); return self
        try: copy.deepcopy([logging.getLogger("a"), logging.StreamHandler(), A()])
        except TypeError as error: raise ValueError(f"{error}, {seen}")
        print("ESCAPED", seen)
        """,
        "cannot copy 'StreamHandler' object, []",
        "import copy\nclass A:\n    def __init__(self): self.x = [1]\na = A()\n"
        "print(copy.deepcopy(a).x, copy.copy(a).x is a.x)",
        "[1] True",
    ),
    escape(
        "a shallow copy of a binding or a lock",
        "import asyncio, copy\nasync def main(): print('ESCAPED', copy.copy(asyncio.Lock()))",
        "cannot copy 'Lock' object",
        "import copy\nprint([copy.copy(x) == x for x in ([1], {1: 2}, (1,), 'a', copy.copy, int)])",
        "[True, True, True, True, True, True]",
    ),
    escape(
        "a user string's text is a template of attributes",
        "import collections, json\n"
        "print('ESCAPED', collections.UserString('{0.__globals__}').format(json.dumps))",
        '"__globals__" of this function object',
        "import collections\nU = collections.UserString\n"
        "print(U('{0.real} {a}').format(1, a=2), U('{a}').format_map({'a': 3}))",
        "1 2 3",
    ),
    escape(
        "a future of the worker's own loop is handed the runtime's context",
        """
        import asyncio
        class L:
            def call_soon(self, cb, *a, context=None): print("ESCAPED", list(context.items()))
            def get_debug(self): return False
        async def main():
            f = asyncio.Future(loop=L())
            f.add_done_callback(print)
            f.set_result(1)
        """,
        "there is one event loop; leave out loop=",
        """
        import asyncio
        async def main():
            f = asyncio.Future()
            f.add_done_callback(lambda f: print("done", f.result()))
            f.set_result(1)
            t = asyncio.Task(asyncio.sleep(0, 2))
            print(isinstance(t, asyncio.Task), isinstance(t, asyncio.Future))
            print(type(t) is asyncio.Task)
            print(await t, await asyncio.gather(f, asyncio.ensure_future(asyncio.sleep(0, 3))))
        """,
        "True True",
        "True",
        "done 1",
        "2 [1, 3]",
    ),
    escape(
        "a task on the worker's own loop",
        "import asyncio\nclass L: pass\nasync def c(): pass\n"
        "async def main():\n    k = c()\n    try: asyncio.Task(k, loop=L()); print('ESCAPED')\n"
        "    finally: k.close()",
        "there is one event loop; leave out loop=",
        "import asyncio\nasync def main():\n"
        "    loop = asyncio.get_running_loop()\n    print(await asyncio.ensure_future(\n"
        "        asyncio.sleep(0, 1), loop=loop))",
        "1",
    ),
    escape(
        "an object claims to be a future, and its loop is handed the context",
        """
        import asyncio
        class L:
            def call_soon(self, cb, *a, context=None): print("ESCAPED", context)
        class F:
            _asyncio_future_blocking = False
            def get_loop(self): return L()
            def add_done_callback(self, cb, context=None): self.cb = cb
        async def main(): asyncio.gather(F())
        """,
        "a coroutine or an awaitable is required",
        """
        import asyncio
        class A:
            def __await__(self): return asyncio.sleep(0, 4).__await__()
        async def main(): print(await asyncio.gather(A(), A()), asyncio.isfuture(A()))
        """,
        "[4, 4] False",
    ),
    escape(
        "the class of a gathering makes one for the worker's own loop",
        "import asyncio\nasync def main():\n    G = type(asyncio.gather())\n"
        "    print('ESCAPED', G(loop=5))",
        "there is one event loop",
        "import asyncio\nasync def main():\n    g = asyncio.gather(asyncio.sleep(0))\n"
        "    print(type(g) is asyncio.Future, await g)",
        "True [None]",
    ),
    escape(
        "an object that equals the running loop finds its task",
        """
        import asyncio
        class K:
            __hash__ = object.__hash__
            def __eq__(self, other): print("ESCAPED", other)
        async def main(): asyncio.current_task(K())
        """,
        "there is one event loop",
        "import asyncio\nasync def main(): print(asyncio.current_task().done())",
        "False",
    ),
    escape(
        "a proxy of the library's table hands out the table",
        """
        import http
        class E:
            def __eq__(self, other): self.got = other; return True
        e = E()
        http.HTTPStatus.__members__ == e
        e.got.clear()
        raise ValueError(f"{len(http.HTTPStatus.__members__) > 50}, it was a copy")
        """,
        "True, it was a copy",
        "import http\nprint(http.HTTPStatus.__members__['OK'].value)",
        "200",
    ),
    escape(
        "a path's parser is a module from Python 3.13 on",
        "import pathlib\nprint('ESCAPED', pathlib.PurePosixPath('a').parser.os)",
        "parser",
        "class C:\n    def __init__(self): self.parser = 5\n    def get(self): return self.parser\n"
        "c = C()\nc.parser += 1\nprint(c.parser, c.get())",
        "6 6",
    ),
    escape(
        "the descriptor of an error's object",
        "class D: o = AttributeError.obj\nprint('ESCAPED', D.o)",
        '"obj" of this class object',
        "class C: obj = 5\nprint(C.obj, C().obj, memoryview(b'x').obj)",
        "5 5 b'x'",
    ),
    escape(
        "an error's object is read by an augmented assignment",
        """
        import json
        class O:
            def __radd__(self, other): print("ESCAPED", other)
        try: json.nope
        except AttributeError as error: error.obj += O()
        """,
        "AttributeError object",
        "class C: obj = 5\nc = C()\nc.obj += 1\nprint(c.obj)",
        "6",
    ),
    escape(
        "a formatter is given a class for a record, and its subclass the namespace",
        """
        import logging
        class F(logging.Formatter):
            def _fill(self, values):
                print("ESCAPED" if "__dict__" in values else "", values)
                return ""
        class R:
            created = 1.0; msecs = 1; exc_info = None
            @classmethod
            def getMessage(cls): return ""
        F().format(R)
        raise ValueError("no namespace")
        """,
        "no namespace",
        """
        import logging
        class H(logging.Handler):
            def emit(self, record): print(self.format(record), record.user)
        h = H()
        h.setFormatter(logging.Formatter("%(levelname)s %(message)s %(user)s"))
        log = logging.getLogger("x")
        log.addHandler(h)
        log.warning("hi %s", 1, extra={"user": "me"})
        """,
        "WARNING hi 1 me me",
    ),
    escape(
        "the context of another object is taken for a task's",
        "import asyncio\nclass C: _context = None\nasync def c(): pass\n"
        "async def main():\n    k = c()\n"
        "    try: asyncio.create_task(k, context=C()); print('ESCAPED')\n"
        "    finally: k.close()",
        "expected contextvars.Context, got C",
        "import asyncio, contextvars\nv = contextvars.ContextVar('v', default=1)\n"
        "async def read(): return v.get()\n"
        "async def main():\n    c = contextvars.copy_context()\n    c.run(v.set, 2)\n"
        "    print(await asyncio.create_task(read(), context=c), v.get())",
        "2 1",
    ),
]


FOREIGN = [
    escape(
        "an enum's __new__ returns a class of the library, which becomes a member",
        """
        import enum, json, logging
        class E(enum.Enum):
            def __new__(cls, *args): return logging.Logger
            A = (json.JSONEncoder, "spoiled")
        print("ESCAPED", json.JSONEncoder.handlers)
        """,
        "__new__ cannot return a type object of the platform",
        """
        import enum
        class Color(bytes, enum.Enum):
            def __new__(cls, value, label):
                member = bytes.__new__(cls, [value])
                member._value_, member.label = value, label
                return member
            RED = (1, "r")
        class One:
            kept = None
            def __new__(cls, *args):
                cls.kept = cls.kept or super().__new__(cls)
                return cls.kept
        class Five:
            @staticmethod
            def __new__(cls): return 5
        print(Color.RED.label, Color(1), One(1) is One(2), Five())
        """,
        "r Color.RED True 5",
    ),
    escape(
        "__new__ that is not defined with def",
        "import json\nclass A: __new__ = lambda cls: json\nprint('ESCAPED', A())",
        '"__new__" must be defined with def',
        "class A:\n    def __new__(cls, x): return super().__new__(cls)\n"
        "    def __init__(self, x): self.x = x\nprint(A(1).x, A.__new__.__name__)",
        "1 __new__",
    ),
    escape(
        "a user list copies its attributes into what its class makes",
        """
        import collections, json
        class C:
            def __getattr__(self, name): return lambda *a: json
        class L(collections.UserList):
            def __getattribute__(self, name):
                return C() if name == "__class__" else object.__getattribute__(self, name)
        x = L([1])
        x.dumps = lambda *a: "ESCAPED"
        L.__copy__(x)
        raise ValueError(json.dumps("as before"))
        """,
        "__class__ must be a class, not a C object",
        """
        import collections, copy
        class L(collections.UserList): pass
        x = L([[1]])
        x.mark = 2
        y = copy.copy(x)
        print(type(y) is L, y.mark, y == x, y.data is x.data, y[0] is x[0])
        d = copy.copy(collections.UserDict(a=1))
        print(d, copy.copy(collections.ChainMap({1: 2})))
        """,
        "True 2 True False True",
        "{'a': 1} ChainMap({1: 2})",
    ),
    escape(
        "an error is copied into what its class makes",
        """
        import copy, json
        makes = []
        class E(Exception):
            def __new__(cls, *args): return makes[0] if makes else super().__new__(cls)
        error = E()
        error.dumps = lambda *a: "ESCAPED"
        makes.append(json)
        copy.copy(error)
        raise ValueError(json.dumps("as before"))
        """,
        '"as before"',
        "import copy\nclass E(Exception): pass\ne = E(1, 2)\ne.x = [3]\nc = copy.copy(e)\n"
        "print(c.args, c.x is e.x, type(c) is E, copy.deepcopy(e).x is e.x)",
        "(1, 2) True True False",
    ),
    escape(
        "an exit stack hands its callbacks to what its class makes",
        """
        import contextlib, json
        makes = []
        class S(contextlib.ExitStack):
            def __new__(cls): return makes[0] if makes else super().__new__(cls)
        stack = S()
        makes.append(json.JSONEncoder)
        stack.pop_all()
        print("ESCAPED", json.JSONEncoder._exit_callbacks)
        """,
        "__new__ cannot return a type object of the platform",
        "import contextlib\nclass S(contextlib.ExitStack): pass\ns = S()\n"
        "s.callback(print, 'left')\nwith s.pop_all() as t: print(type(t) is S)",
        "True",
        "left",
    ),
    escape(
        "an alias of a function marks what the function returns",
        "import json, types\ntypes.GenericAlias(lambda: json.JSONEncoder, (int,))()\n"
        "print('ESCAPED')",
        "types.GenericAlias() takes a class",
        "import types\nclass C:\n    __class_getitem__ = classmethod(types.GenericAlias)\n"
        "print(C[int]().__orig_class__, isinstance(C[int], types.GenericAlias))",
        "worker.C[int] True",
    ),
    escape(
        "an error answers for its own cause and traceback when it is reported",
        """
        import traceback
        class Liar:
            def __getattr__(self, name): print("ESCAPED into the report", name)
        class E(Exception):
            def __getattribute__(self, name):
                if name in ("__cause__", "__context__", "__traceback__"): return Liar()
                return object.__getattribute__(self, name)
        try: raise E("x")
        except E as error: raise ValueError(traceback.format_exception(error)[0].splitlines())
        """,
        "E: x",
        """
        import traceback
        def f():
            try: {}["k"]
            except KeyError as error: raise ValueError("v") from error
        try: f()
        except ValueError as error: print(*traceback.format_exception(error)[0].splitlines()[-4:])
        """,
        'Traceback (most recent call last):   File "worker.py", line 6, in <module>   '
        'File "worker.py", line 5, in f ValueError: v',
    ),
    escape(
        "text that is not quite text reaches the log",
        """
        class Evil:
            def __add__(self, other): return self
            __radd__ = __getitem__ = __add__
        class S(str):
            def join(self, parts): return Evil()
        print("a", "b", sep=S())
        print("ESCAPED")
        """,
        "requires a 'str' object but received a 'Evil'",
        "class S(str):\n    def __str__(self): return 'x'\nprint(S('a'), sep=S('-'))\n"
        "import sys\nsys.stdout.write(S('b\\n'))",
        "x",
        "b",
    ),
]


@pytest.mark.parametrize("attempt", SOURCES + STATE + FOREIGN, ids=lambda a: a.name)
def test_an_attempt_on_state_is_refused_and_its_twin_runs(cell: Cell, attempt: Escape) -> None:
    """The hostile program is refused for the named reason; the twin prints what it should."""
    cell.refuses(attempt.hostile, attempt.reason)
    cell.prints(attempt.twin, *attempt.prints)


def test_settings_of_the_library_that_are_data_can_be_set(cell: Cell) -> None:
    """Precision, rounding, traps and the options of Repr are attributes, in functions, too."""
    cell.prints(
        """
        import decimal, reprlib
        def f():
            context = decimal.getcontext()
            context.prec = 20
            context.rounding = decimal.ROUND_UP
            context.traps[decimal.Inexact] = False
            short = reprlib.Repr()
            short.maxlevel, short.maxlist = 1, 2
            with decimal.localcontext() as local:
                local.prec = 3
                third = decimal.Decimal(1) / 3
            return third, decimal.Decimal(1) / 3, short.repr([1, 2, 3])
        for value in f(): print(value)
        """,
        "0.334",
        "0.33333333333333333334",
        "[1, 2, ...]",
    )
