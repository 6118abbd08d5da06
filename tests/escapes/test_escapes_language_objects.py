"""Attempts on the library's objects and on code that the library runs for a worker."""

import sys

import pytest
from policy_cell import Cell
from test_escapes_language import Escape, escape

WRITING = [
    escape(
        "a module of the library",
        "import json\njson.dumps = print\nprint('ESCAPED')",
        "cannot set attributes of a Facade object",
        "import json\nd = json.dumps\nprint(d(1))",
        "1",
    ),
    escape(
        "a module of the library by setattr",
        "import json\nsetattr(json, 'dumps', print)\nprint('ESCAPED')",
        "cannot set attributes of a Facade object",
        "class C: pass\nsetattr(C, 'x', 1)\nprint(C.x)",
        "1",
    ),
    escape(
        "a module of the library by object.__setattr__",
        "import json\nobject.__setattr__(json, 'dumps', print)\nprint('ESCAPED')",
        "cannot set attributes of a Facade object",
        "class C: pass\nc = C()\nobject.__setattr__(c, 'x', 1)\nprint(c.x)",
        "1",
    ),
    escape(
        "a class of the library",
        "import json\njson.JSONEncoder.default = print\nprint('ESCAPED')",
        "cannot set attributes of a type object",
        "import json\nclass E(json.JSONEncoder): pass\nE.default = lambda s, o: 1\n"
        "print(json.dumps(E, cls=E))",
        "1",
    ),
    escape(
        "a function of the library",
        "import json\njson.dumps.__defaults__ = ()\nprint('ESCAPED')",
        '"__defaults__" cannot be assigned',
        "def f(): pass\nf.__doc__ = 'd'\nprint(f.__doc__)",
        "d",
    ),
    escape(
        "an own method called on a foreign object",
        "class C:\n  def go(self): self.x = 1\nimport json\nC.go(json)\nprint('ESCAPED')",
        "called on a Facade object that is not the worker's",
        "class C:\n  def go(self): self.x = 1\nc = C()\nC.go(c)\nprint(c.x)",
        "1",
    ),
    escape(
        "the private attributes of a foreign object through an own method",
        "class C:\n  def go(self): return self._loop\nimport asyncio\n"
        "async def main(): print('ESCAPED', C.go(asyncio.current_task()))",
        "called on a Task object that is not the worker's",
        "class C:\n  def go(self): return self._x\nc = C()\nc._x = 1\nprint(C.go(c))",
        "1",
    ),
    *[
        escape(
            f"a receiver rebound by {how}",
            f"""
            import json
            class C:
                def go(self):
                    {rebinding}
                    self.default = 1
                    print("ESCAPED")
            C().go()
            """,
            "cannot set attributes of a type object",
            "class C:\n  def go(self):\n    self.x = 1\n    return self\nprint(C().go().x)",
            "1",
        )
        for how, rebinding in {
            "assignment": "self = json.JSONEncoder",
            "walrus in a comprehension": "[self := json.JSONEncoder for _ in (1,)]",
            "for": "for self in [json.JSONEncoder]: pass",
            "with": "from contextlib import nullcontext\n"
            + " " * 20
            + "with nullcontext(json.JSONEncoder) as self: pass",
            "import": "from json import JSONEncoder as self",
            "match": "match json.JSONEncoder:\n" + " " * 24 + "case self: pass",
            "unpacking": "self, _ = json.JSONEncoder, 1",
            "nonlocal": "def inner():\n"
            + " " * 24
            + "nonlocal self\n"
            + " " * 24
            + "self = json.JSONEncoder\n"
            + " " * 20
            + "inner()",
        }.items()
    ],
    escape(
        "a property of the library re-initialised in place",
        "import uuid\nproperty.__init__(uuid.UUID.hex, lambda s: 1)\nprint('ESCAPED')",
        "requires a property object of a worker",
        "print(property(lambda s: 1).fget(0))",
        "1",
    ),
    escape(
        "a library's initialiser on a foreign object",
        "import dataclasses\nfrom collections import UserDict\n"
        "UserDict.__init__(dataclasses.field(), {})\nprint('ESCAPED')",
        "requires a UserDict object of a worker",
        "from collections import UserDict\nclass D(UserDict):\n"
        "  def __init__(self): UserDict.__init__(self, a=1)\nprint(D())",
        "{'a': 1}",
    ),
    escape(
        "a facade initialised again",
        "import json\njson.__init__({'dumps': print})\nprint('ESCAPED')",
        '"__init__" of this Facade object',
        "class C:\n  def __init__(self, x): self.x = x\nc = C(1)\nc.__init__(2)\nprint(c.x)",
        "2",
    ),
    escape(
        "the dict behind a mapping proxy, by a reflected operator",
        """
        from http import HTTPStatus
        class Grab:
            def __ror__(self, other): return other
        members = HTTPStatus.__members__ | Grab()
        members["OK"] = None
        print("ESCAPED" if HTTPStatus["OK"] is None else "a copy")
        raise SystemExit("nothing gained")
        """,
        "nothing gained",
        "from http import HTTPStatus\nprint(HTTPStatus.__members__['OK'].value)",
        "200",
    ),
    escape(
        "cached_property writes to any object's dict",
        """
        import functools, json
        class C:
            @functools.cached_property
            def dumps(self): return print
        vars(C)['dumps'].__get__(json)
        print('ESCAPED')
        """,
        '"__get__" of this cached_property object',
        "import functools\nclass C:\n  @functools.cached_property\n  def x(self): return 1\nprint(C().x)",
        "1",
    ),
    escape(
        "copy writes state into what __new__ returns",
        """
        import copy, logging
        target = logging.getLogger("target")
        class Evil:
            def __new__(cls, *a): return target
        e = object.__new__(Evil)
        e._secret = 1
        from collections import UserDict
        for make in (copy.copy, copy.deepcopy, lambda x: copy.deepcopy(UserDict(k=[x]))): make(e)
        try: vars(target)
        except TypeError: pass
        if hasattr(target, "_secret"): print("ESCAPED")
        copy.copy(e)._secret = 2
        print(type(copy.copy(e)).__name__)
        raise SystemExit("nothing gained")
        """,
        "nothing gained",
        "import copy\nclass C: pass\nc = C()\nc._x = [1]\nprint(copy.deepcopy(c)._x)",
        "[1]",
    ),
    escape(
        "__reduce_ex__",
        "class C:\n  def __reduce_ex__(self, p): return print, ('ESCAPED',)\nimport copy\n"
        "raise SystemExit(type(copy.copy(C())).__name__ + ' is a copy')",
        "C is a copy",
        "import copy\nclass C:\n  def __copy__(self): return 1\nprint(copy.copy(C()))",
        "1",
    ),
    escape(
        "the interpreter's __setstate__",
        "class E(Exception): pass\nE().__setstate__({'__class__': ValueError})\nprint('ESCAPED')",
        '"__setstate__" of this E object',
        "class C:\n  def __setstate__(self, s): print(s)\nC().__setstate__(1)",
        "1",
    ),
    escape(
        "update_wrapper copies any attribute",
        """
        import functools
        class Grab:
            def __setattr__(self, name, value): print("ESCAPED", name, value)
        functools.update_wrapper(Grab(), print, assigned=("__globals__",))
        """,
        "only the default attributes can be copied",
        "import functools\ndef f(): 'doc'\n@functools.wraps(f)\ndef g(): pass\nprint(g.__doc__)",
        "doc",
    ),
    escape(
        "super rebound, to read an initialiser unchecked",
        "def super(): return print\nprint('ESCAPED')",
        '"super" cannot be defined',
        "class A:\n  def f(self): return 1\nclass B(A):\n  def f(self): return super().f()\nprint(B().f())",
        "1",
    ),
]

GENERATED = [
    escape(
        "a field name that is source text",
        """
        from dataclasses import dataclass
        class C: a: int
        C.__annotations__['x=print("ESCAPED"),y'] = int
        dataclass(C)()
        """,
        "a field cannot be called",
        "from dataclasses import dataclass\n@dataclass\nclass C: a: int = 1\nprint(C())",
        "C(a=1)",
    ),
    escape(
        "a field name exchanged while the class is processed",
        """
        from dataclasses import dataclass
        class Swap:
            def __get__(self, obj, owner):
                del owner.__annotations__["b"]
                owner.__annotations__['x=print("ESCAPED"),y'] = int
                return 1
        class C:
            a: int = Swap()
            b: int = 2
        dataclass(C)()
        """,
        # Newer Pythons look at a copy of the annotations, and twice at the default.
        "a field cannot be called" if sys.version_info < (3, 12) else "KeyError: 'b'",
        "from dataclasses import dataclass\n@dataclass\nclass C:\n  a: int = 1\n  b: int = 2\nprint(C(3))",
        "C(a=3, b=2)",
    ),
    escape(
        "the name of a field of the base class",
        """
        from dataclasses import dataclass, fields
        @dataclass
        class A: a: int
        fields(A)[0].name = 'x=print("ESCAPED"),y'
        @dataclass
        class B(A): b: int
        """,
        "cannot set attributes of a Field object",
        "from dataclasses import dataclass, fields\n@dataclass\nclass A: a: int\nprint(fields(A)[0].name)",
        "a",
    ),
    escape(
        "the name of a field, set by a generated initialiser",
        """
        from dataclasses import dataclass, fields
        @dataclass
        class A: a: int
        @dataclass
        class W: name: str
        W.__init__(fields(A)[0], 'x=print("ESCAPED"),y')
        """,
        "requires a W object of a worker",
        "from dataclasses import dataclass\n@dataclass\nclass W: name: str\nw = W(1)\n"
        "W.__init__(w, 2)\nprint(w)",
        "W(name=2)",
    ),
    escape(
        "a text annotation evaluated by get_type_hints",
        "import typing\nclass C: x: '().__class__.__base__.__subclasses__()'\n"
        "print('ESCAPED', typing.get_type_hints(C))",
        "Forward reference must be an expression",
        "import typing\nclass C: x: 'list[int]'\nprint(typing.get_type_hints(C))",
        "{'x': list[int]}",
    ),
    escape(
        "a text annotation evaluated by singledispatch",
        """
        import functools
        @functools.singledispatch
        def f(x): pass
        @f.register
        def g(x: 'print("ESCAPED", print.__globals__)'): pass
        """,
        "Forward reference must be an expression",
        """
        import functools
        @functools.singledispatch
        def f(x): print("any")
        @f.register
        def g(x: 'int'): print("int")
        f(1)
        """,
        "int",
    ),
    escape(
        "a text annotation evaluated without a namespace",
        "import typing\ndef f(x: 'open(1)'): pass\nprint('ESCAPED', typing.get_type_hints(f, {}, {}))",
        "a worker has only the files",
        "import typing\ndef f(x: 'int'): pass\nprint(typing.get_type_hints(f, {}, {}))",
        "{'x': <class 'int'>}",
    ),
    escape(
        "a text annotation evaluated in a module of the library",
        "import typing\nclass C:\n  x: typing.ForwardRef('system', module='os')\n"
        "print('ESCAPED', typing.get_type_hints(C))",
        "name 'system' is not defined",
        "import typing\nx = int\nclass C:\n  y: typing.ForwardRef('x')\nprint(typing.get_type_hints(C))",
        "{'y': <class 'int'>}",
    ),
    escape(
        "a class that claims another module's namespace",
        "class C: __module__ = 'os'\nprint('ESCAPED')",
        '"__module__" cannot be defined',
        "class C: pass\nprint(C.__module__)",
        "worker",
    ),
    escape(
        "members of an enum that are methods of the interpreter",
        "import enum\nenum.Enum('E', {'__reduce_ex__': lambda s, p: 1})\nprint('ESCAPED')",
        "a member cannot be called '__reduce_ex__'",
        "import enum\nprint(enum.Enum('E', {'A': 1}).A)",
        "E.A",
    ),
    escape(
        "an enum's helper that reads a module",
        """
        import enum
        class E(enum.Enum):
            @classmethod
            def go(cls): return cls._convert_("X", "os", lambda name: True)
        print("ESCAPED", E.go())
        """,
        'attribute "_convert_" is not available',
        "import enum\nclass E(enum.Enum):\n  A = 1\n  @classmethod\n  def go(cls): return cls.A\n"
        "print(E.go())",
        "E.A",
    ),
    escape(
        "an enum's metaclass by type()",
        "import enum\ntype(enum.Enum)('X', (), {})\nprint('ESCAPED')",
        "type() takes one object here",
        "import enum\nclass E(enum.Enum): A = 1\nprint(type(E.A) is E)",
        "True",
    ),
    escape(
        "the origin of typing.Type",
        "import typing\ntyping.get_origin(typing.Type[int])('X', (), {})\nprint('ESCAPED')",
        "type() takes one object here",
        "import typing\nprint(typing.get_origin(typing.List[int])())",
        "[]",
    ),
    escape(
        "dataclasses.Field extended",
        "import dataclasses\nclass F(type(dataclasses.field())): pass\nprint('ESCAPED')",
        "Field cannot be extended",
        "import dataclasses\nclass F(dict): pass\nprint(F())",
        "{}",
    ),
]

PATTERNS = [
    escape(
        "a keyword pattern",
        "def g(): yield\nmatch g():\n  case object(gi_frame=f): print('ESCAPED', f)",
        'a pattern cannot read the attribute "gi_frame"',
        "match 3:\n  case int(real=r): print(r)",
        "3",
    ),
    escape(
        "__match_args__ of a class that claims generators",
        """
        from abc import ABC
        class C(ABC):
            __match_args__ = ("gi_frame",)
        C.register(type(x for x in ()))
        match (x for x in ()):
            case C(f): print("ESCAPED", f)
        """,
        'a pattern cannot read the attribute "gi_frame"',
        "class C:\n  __match_args__ = ('x',)\n  x = 1\nmatch C():\n  case C(v): print(v)",
        "1",
    ),
    escape(
        "__match_args__ computed",
        "class C:\n  __match_args__ = tuple(['gi_' + 'frame'])\nprint('ESCAPED')",
        'a pattern cannot read the attribute "gi_frame"',
        "class C:\n  __match_args__ = tuple(['re' + 'al'])\nprint(C.__match_args__)",
        "('real',)",
    ),
    escape(
        "__match_args__ from a descriptor",
        "class D:\n  def __get__(self, o, c): return ('gi_frame',)\n"
        "class C:\n  __match_args__ = D()\nprint('ESCAPED')",
        "__match_args__ must be a tuple of strings",
        "class D:\n  def __get__(self, o, c): return 1\nclass C:\n  x = D()\nprint(C.x)",
        "1",
    ),
    *[
        escape(
            f"__match_args__ bound by {how}",
            f"class C:\n  {binding}\nprint('ESCAPED')",
            '"__match_args__" cannot be defined',
            "class C:\n  args = ('x',)\nprint(C.args)",
            "('x',)",
        )
        for how, binding in {
            "for": "for __match_args__ in [('gi_frame',)]: pass",
            "unpacking": "__match_args__, x = ('gi_frame',), 1",
            "a function": "def __match_args__(self): pass",
            "walrus": "x = (__match_args__ := ('gi_frame',))",
            "import": "import json as __match_args__",
            "annotation": "__match_args__: tuple = ('gi_frame',)",
        }.items()
    ],
    escape(
        "fields of a dataclass that claims generators",
        """
        from abc import ABC
        from dataclasses import dataclass
        @dataclass
        class C(ABC):
            gi_frame: object
        print("ESCAPED")
        """,
        "a field cannot be called 'gi_frame'",
        "from dataclasses import dataclass\n@dataclass\nclass C: x: int\nmatch C(1):\n  case C(v): print(v)",
        "1",
    ),
    escape(
        "a dataclass field that patterns would read from text",
        """
        from abc import ABC
        from dataclasses import dataclass
        @dataclass
        class C(ABC):
            format: object
        C.register(str)
        match "{0.__globals__}":
            case C(f): print("ESCAPED", f(print))
        """,
        "accepts 0 positional sub-patterns",
        "from dataclasses import dataclass\n@dataclass\nclass C: format: str\nprint(C('x').format)",
        "x",
    ),
    escape(
        "a named tuple's fields in a class that claims text",
        """
        from abc import ABC
        from collections import namedtuple
        class C(namedtuple("T", "format"), ABC): pass
        print("ESCAPED")
        """,
        'a pattern cannot read the attribute "format"',
        "from collections import namedtuple\nT = namedtuple('T', 'format')\nprint(T('x').format)",
        "x",
    ),
]

IMPORTS = [
    escape(
        "a module behind a module (IMPORT_FROM falls back to sys.modules)",
        "from json import decoder\nprint('ESCAPED', decoder)",
        "cannot import name 'decoder' from 'json'",
        "from json import JSONDecodeError as E\nprint(E.__name__)",
        "JSONDecodeError",
    ),
    escape(
        "a private module behind a module",
        "from collections import _sys\nprint('ESCAPED', _sys)",
        "cannot import name '_sys'",
        "from collections import OrderedDict, deque\nprint(deque([1])[0])",
        "1",
    ),
    escape(
        "a module behind a module, by attribute",
        "import os.path\nprint('ESCAPED', os.path.os)",
        'module "os.path" has no "os"',
        "import os.path\nprint(os.path.join('a', 'b'))",
        "a/b",
    ),
    escape(
        "import * of a guard's name",
        {
            "worker.py": "from evil import *\nclass C: pass\nprint('ESCAPED', C()._x)",
            "evil.py": "__all__ = ['$getattr']\ndef __getattr__(name): return lambda *a: 1",
        },  # type: ignore[arg-type] # several files
        "'$getattr' is not a name that can be imported",
        "from math import *\nprint(floor(1.5))",
        "1",
    ),
    escape(
        "sys.modules",
        "import sys\nprint('ESCAPED', sys.modules['os'].system)",
        'module "os" has no "system"',
        "import sys\nprint(sys.modules[__name__].__name__)",
        "worker",
    ),
    escape(
        "import_module of what is not listed",
        "import importlib\nprint('ESCAPED', importlib.import_module('subprocess'))",
        "a worker cannot start processes",
        "import importlib\nprint(importlib.import_module('math').pi > 3)",
        "True",
    ),
    escape(
        "native code",
        "import ctypes\nprint('ESCAPED', ctypes)",
        "native code cannot be called",
        "import struct\nprint(struct.calcsize('i'))",
        "4",
    ),
]

ASYNC = [
    escape(
        "the loop behind a task",
        "import asyncio\nasync def main(): print('ESCAPED', asyncio.current_task().get_loop())",
        '"get_loop" of this Task object',
        "import asyncio\nasync def main(): print(asyncio.current_task().done())",
        "False",
    ),
    escape(
        "the loop behind a task, as a private attribute",
        "import asyncio\nasync def main(): print('ESCAPED', asyncio.current_task()._loop)",
        '"_loop" of this Task object',
        "import asyncio\nasync def main(): print(asyncio.get_running_loop().time() > 0)",
        "True",
    ),
    escape(
        "the loop behind a lock",
        "import asyncio\nasync def main(): print('ESCAPED', asyncio.Lock()._get_loop())",
        '"_get_loop" of this Lock object',
        "import asyncio\nasync def main(): print(asyncio.Lock().locked())",
        "False",
    ),
    escape(
        "a task extended, to read its private attributes",
        "import asyncio\nclass T(asyncio.Task): pass\nprint('ESCAPED')",
        "Task cannot be extended",
        "import asyncio\nasync def f(): return 1\n"
        "async def main(): print(await asyncio.create_task(f()))",
        "1",
    ),
    escape(
        "the frame of a coroutine",
        "async def f(): pass\nc = f()\nprint('ESCAPED', c.cr_frame)",
        'attribute "cr_frame" is not available',
        "async def f(): pass\nc = f()\nc.close()\nprint(type(c).__name__)",
        "coroutine",
    ),
    escape(
        "the frame of an asynchronous generator",
        "async def f(): yield\nprint('ESCAPED', f().ag_frame)",
        'attribute "ag_frame" is not available',
        "async def f(): yield 1\nasync def main(): print([x async for x in f()])",
        "[1]",
    ),
    escape(
        "the runtime's context variables",
        "import contextvars\nprint('ESCAPED', list(contextvars.copy_context().items()))",
        "has no attribute 'items'",
        "import contextvars\nv = contextvars.ContextVar('v', default=1)\n"
        "print(contextvars.copy_context().run(v.get))",
        "1",
    ),
    escape(
        "a fake future that is given the task's context",
        """
        import asyncio
        class Fake:
            _asyncio_future_blocking = True
            def get_loop(self): return None
            def add_done_callback(self, callback, context=None): print("ESCAPED", context)
        class Awaitable:
            def __await__(self): yield Fake()
        async def main(): await Awaitable()
        """,
        "RuntimeError",
        "import asyncio\nclass A:\n  def __await__(self):\n    yield\n    return 1\n"
        "async def main(): print(await A())",
        "1",
    ),
    escape(
        "every task of the process",
        "import asyncio\nasync def main(): print('ESCAPED', asyncio.all_tasks())",
        "the runtime's own tasks are among them",
        "import asyncio\nasync def main(): print(await asyncio.gather(asyncio.sleep(0, 1)))",
        "[1]",
    ),
]


@pytest.mark.parametrize(
    "attempt", WRITING + GENERATED + PATTERNS + IMPORTS + ASYNC, ids=lambda a: a.name
)
def test_an_attempt_on_objects_is_refused_and_its_twin_runs(cell: Cell, attempt: Escape) -> None:
    """The hostile program is refused for the named reason; the twin prints what it should."""
    cell.refuses(attempt.hostile, attempt.reason)
    cell.prints(attempt.twin, *attempt.prints)
