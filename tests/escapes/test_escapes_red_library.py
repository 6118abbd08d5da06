"""Attempts that let the library read, copy or compare for a worker what the worker may not."""

import types

import pytest
from policy_cell import Cell
from test_escapes_language import Escape, escape


def equals(real: type) -> str:
    """Source of a class whose objects have the hash of a type that a worker never sees.

    The distance between two types of the interpreter is the same in all processes.
    """
    return f"""
        got = []
        class K:
            def __hash__(self):
                at = id(int) + {id(real) - id(int)}
                turned = (at >> 4) | ((at & 15) << 60)
                return turned - (1 << 64) if turned >> 63 else turned
            def __eq__(self, other):
                got.append(other)
                return False
            def __call__(self): pass
        """


COMPARED = [
    *[
        escape(
            f"an object that equals {real.__name__} in the cache of an abstract class, {how}",
            equals(real)
            + f"""
        import collections.abc
        {liar}
        isinstance({instance}, collections.abc.Callable)
        isinstance(Liar(), collections.abc.Callable)
        print("ESCAPED", got)
        """,
            reason,
            twin,
            prints,
        )
        for how, liar, reason, twin, prints in (
            (
                "claimed by __getattribute__",
                """
        class Liar:
            def __getattribute__(self, name):
                return K() if name == "__class__" else object.__getattribute__(self, name)
                """,
                "__class__ must be a class, not a K object",
                """
                class Stands:
                    def __init__(self, other): self.other = other
                    def __getattribute__(self, name):
                        return getattr(object.__getattribute__(self, "other"), name)
                print(isinstance(Stands([1]), list), Stands("a").upper())
                """,
                "True A",
            ),
            (
                "claimed before the class is complete",
                """
        class Base:
            def __init_subclass__(cls):
                isinstance(int, collections.abc.Callable)
                isinstance(cls(), collections.abc.Callable)
        class Liar(Base):
            __getattribute__ = lambda self, name: K()
                """,
                "__class__ must be a class, not a K object",
                "class B:\n  def __init_subclass__(cls): print(cls().x)\n"
                "class C(B):\n  __getattribute__ = lambda self, name: name * 2",
                "xx",
            ),
            (
                "claimed by a slot that hides the class",
                """
        made = []
        class Base:
            def __init_subclass__(cls): made.append(cls)
        try:
            class Liar(Base):
                __slots__ = ("__class__",)
                def __getattr__(self, name): return K()
        except TypeError:
            Liar = made[0]
                """,
                "IndexError",
                "class C:\n  __slots__ = {'a': 'its doc', '_b': None}\nc = C()\nc.a, c._b = 1, 2\n"
                "print(c.a, c._b, list(C.__slots__))",
                "1 2 ['a', '_b']",
            ),
        )
        for real, instance in ((type, "int"), (types.FunctionType, "lambda: 0"))
    ],
    *[
        escape(
            f"an object that equals type in the cache of an annotation, {spelled}",
            equals(type) + f"import typing\n        {spelled}\n"
            "        raise ValueError([each for each in got if repr(each) == repr(type(int))])",
            "ValueError: []",
            f"import typing\nprint({spelled.replace('K()', 'int')})",
            prints,
        )
        for spelled, prints in (
            ("typing.TypeGuard[K()]", "typing.TypeGuard[int]"),
            ("typing.Optional[K()]", "typing.Optional[int]"),
        )
    ],
]

READ = [
    escape(
        "a field that reads the method of the text which the dataclass extends",
        """
        import dataclasses, json
        @dataclasses.dataclass
        class O(str): format: object
        raw = dataclasses.asdict(O.__new__(O, "{0.__globals__}"))["format"]
        print("ESCAPED", raw(json.dumps))
        """,
        "a field cannot be called 'format': str has an attribute of that name",
        """
        import dataclasses
        @dataclasses.dataclass
        class Export:
            format: str
            obj: object = None
        print(dataclasses.asdict(Export("csv")), dataclasses.replace(Export("a"), format="b"))
        """,
        "{'format': 'csv', 'obj': None} Export(format='b', obj=None)",
    ),
    escape(
        "the fields that an instance claims to have",
        """
        import dataclasses
        class Field: init = True; _field_type = default = 0; name = "__reduce_ex__"
        @dataclasses.dataclass
        class O:
            x: int = 0
            def __init__(self, **given): self.given = given
        o = O(x=1)
        vars(o)["__dataclass_fields__"] = {"a": Field()}
        raise ValueError(sorted(dataclasses.replace(o).given))
        """,
        "ValueError: ['x']",
        """
        import dataclasses, typing
        @dataclasses.dataclass
        class O:
            x: int
            y: int = dataclasses.field(default=1, init=False)
            z: typing.ClassVar[int] = 2
            i: dataclasses.InitVar[int] = 3
            def __post_init__(self, i): self.y = i
        o = dataclasses.replace(O(1, 5), x=2)
        print(o, [f.name for f in dataclasses.fields(o)], dataclasses.astuple(o))
        for change in ({"y": 1}, {"nothing": 1}):
            try: dataclasses.replace(o, **change)
            except (ValueError, TypeError) as error: print(type(error).__name__)
        """,
        "O(x=2, y=3) ['x', 'y'] (2, 3)",
        "ValueError",
        "TypeError",
    ),
    escape(
        "the fields of an instance whose class has none",
        "import dataclasses\nclass A: pass\na = A()\nvars(a)['__dataclass_fields__'] = {}\n"
        "print('ESCAPED', dataclasses.fields(a))",
        "must be called with a dataclass type or instance",
        "import dataclasses\n@dataclasses.dataclass\nclass A: a: int = 1\n"
        "print([f.default for f in dataclasses.fields(A)], dataclasses.is_dataclass(A()))",
        "[1] True",
    ),
    *[
        escape(
            f"an error's object through {how}",
            f"""
            import json, typing, types, weakref
            class Mine(AttributeError):
                def __call__(self): pass
            try: json.nope
            except AttributeError as e:
                mine = Mine(obj=json.dumps)
                print("ESCAPED", ({expression}).obj)
            """,
            '"obj" of this',
            twin,
            prints,
        )
        for how, expression, twin, prints in (
            (
                "an alias that stands for it",
                "type(typing.List[int])(e, (int,), name='List')",
                "import typing\nclass C: obj = 5\nT = typing.TypeVar('T')\n"
                "class G(typing.Generic[T]): x = 1\nprint(G[int].x, C.obj)",
                "1 5",
            ),
            (
                "a method of it",
                "types.MethodType(mine, 1)",
                "import types\ndef f(x): return x\nf.obj = 1\nprint(types.MethodType(f, 2)())",
                "2",
            ),
            (
                "a weak reference to it",
                "weakref.proxy(mine)",
                "import weakref\nclass C: obj = 5\nc = C()\nprint(weakref.ref(c)().obj)",
                "5",
            ),
        )
    ],
]

COPIED = [
    *[
        escape(
            f"the tables of an enum of the library, copied by {how}",
            f"import contextlib, functools, http\n{source}\ntable.clear()\nprint('ESCAPED')",
            reason,
            "import functools\nclass C:\n  def __call__(self): 'doc'\nc = C()\nc._mark = 1\n"
            "w = functools.lru_cache(c)\nw.size = 2\n"
            "print(vars(w)['size'], functools.wraps(c)(C())._mark)",
            "2 1",
        )
        for how, source, reason in (
            (
                "lru_cache",
                "table = vars(functools.lru_cache(http.HTTPMethod))['_member_map_']",
                "KeyError: '_member_map_'",
            ),
            (
                "lru_cache and update_wrapper",
                "w = functools.lru_cache(http.HTTPMethod)\n"
                "functools.update_wrapper(w, lambda: 0)\n"
                "def f(): pass\nfunctools.update_wrapper(f, w)\ntable = f._member_map_",
                "has no attribute '_member_map_'",
            ),
            (
                "lru_cache of a context manager",
                "w = functools.lru_cache(contextlib.contextmanager(http.HTTPMethod))\n"
                "table = vars(w)['_value2member_map_']",
                "KeyError: '_value2member_map_'",
            ),
        )
    ],
    escape(
        "a private name in the attributes of a cache",
        "import functools\nclass C:\n  def __call__(self): pass\nc = C()\nc._mark = 1\n"
        "print('ESCAPED', vars(functools.lru_cache(c))['_mark'])",
        "KeyError: '_mark'",
        "import types, threading, functools\nn = types.SimpleNamespace(_a=1, b=2)\n"
        "t = threading.local()\nt.c = 3\np = functools.partial(print)\np.d = 4\n"
        "print(vars(n), vars(t), vars(p))",
        "{'_a': 1, 'b': 2} {'c': 3} {'d': 4}",
    ),
]

GIVEN = [
    escape(
        "a weak reference to what claims to be a future",
        """
        import asyncio, weakref
        class Claims:
            _asyncio_future_blocking = False
            def get_loop(self): return self
            def add_done_callback(self, callback, context=None): print("ESCAPED", callback)
        async def main():
            claims = Claims()
            asyncio.shield(weakref.proxy(claims))
        """,
        "An asyncio.Future, a coroutine or an awaitable is required",
        "import asyncio\nclass A:\n  def __await__(self):\n    yield\n    return 1\n"
        "async def main():\n  a = A()\n  f = asyncio.ensure_future(asyncio.sleep(0, 2))\n"
        "  print(await asyncio.shield(a), asyncio.isfuture(f), asyncio.isfuture(a), await f)",
        "1 True False 2",
    ),
    escape(
        "a task group is given an object for a context, which is handed the task's steps",
        """
        import asyncio
        class Context:
            def run(self, step, *rest): print("ESCAPED", step)
        async def main():
            async with asyncio.TaskGroup() as group:
                step = asyncio.sleep(0)
                try: group.create_task(step, context=Context())
                finally: step.close()
        """,
        "ExceptionGroup",
        """
        import asyncio, contextvars
        v = contextvars.ContextVar("v", default=1)
        async def read(): return v.get()
        async def main():
            c = contextvars.copy_context()
            c.run(v.set, 2)
            async with asyncio.TaskGroup() as group:
                tasks = group.create_task(read(), context=c), group.create_task(read(), name="x")
            print([t.result() for t in tasks], tasks[1].get_name())
        """,
        "[2, 1] x",
    ),
    *[
        escape(
            f"a module called {name}, which becomes an attribute of its package",
            {
                "worker.py": f"import pkg.{name}\npkg.f()",
                "pkg/__init__.py": "def f():\n  class X: pass\n  print('ESCAPED', X.__module__)",
                f"pkg/{name}.py": "x = 1",
            },  # type: ignore[arg-type] # several files
            f"the module name 'pkg.{name}' belongs to the interpreter",
            {
                "worker.py": "import pkg.__version__, pkg.__main__\nprint(pkg.__version__.number)",
                "pkg/__init__.py": "",
                "pkg/__main__.py": "",
                "pkg/__version__.py": "number = 5",
            },  # type: ignore[arg-type] # several files
            "5",
        )
        for name in ("__builtins__", "__name__", "__build_class__", "__class__")
    ],
    escape(
        "names of an annotation that are guards' names",
        """
        import asyncio, typing
        class S(str):
            def __contains__(self, part): return False
        taken = {S("$getattr"): lambda *a: "ESCAPED", "$own": [0], "$type": lambda x: 0}
        async def main():
            loop = asyncio.Lock()
            def f(x: "[y._get_loop for y in [lock]]"): pass
            def g(x: "lock._get_loop"): pass
            for function in f, g:
                names = {**taken, "lock": loop}
                try: print("ESCAPED", typing.get_type_hints(function, localns=names))
                except AttributeError as error: print(error)
            raise ValueError("twice refused")
        """,
        "twice refused",
        "import typing\ndef f(x: 'T'): pass\n"
        "print(typing.get_type_hints(f, localns={'T': int, 'a b': 1}))",
        "{'x': <class 'int'>}",
    ),
    escape(
        "a parameter that is called as a place in a template",
        "class C:\n  def __new__(cls, CALL, FIRST=5): return print\nprint('ESCAPED', C(1))",
        "__new__ cannot return a function object of the platform",
        "class C:\n  def __new__(cls, CALL, *, xFIRSTx=5):\n    self = object.__new__(cls)\n"
        "    self.got = CALL, xFIRSTx\n    return self\n  def __init__(self, *a, **k): pass\n"
        "print(C(1).got, C(2, xFIRSTx=3).got)",
        "(1, 5) (2, 3)",
    ),
    escape(
        "an argument of a class that is called as one of the policy's own",
        "class B:\n  def __init_subclass__(cls, namespace): namespace['x'] = 1\n"
        "class C(B, namespace=5): print('ESCAPED' if C.x else '')",
        "NameError",
        "class B:\n  def __init_subclass__(cls, name, bases, namespace, kind):\n"
        "    print(name, bases, namespace, kind)\n"
        "class C(B, name=1, bases=2, namespace=3, kind=4): pass",
        "1 2 3 4",
    ),
]


@pytest.mark.parametrize("attempt", COMPARED + READ + COPIED + GIVEN, ids=lambda a: a.name)
def test_an_attempt_through_the_library_is_refused_and_its_twin_runs(
    cell: Cell, attempt: Escape
) -> None:
    """The hostile program is refused for the named reason; the twin prints what it should."""
    cell.refuses(attempt.hostile, attempt.reason)
    cell.prints(attempt.twin, *attempt.prints)
