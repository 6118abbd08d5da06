"""Attempts on what a name is bound to: functions of the library without their object."""

import pytest
from policy_cell import Cell
from test_escapes_language import Escape, escape

TWIN = (
    "import json\nclass E(json.JSONEncoder):\n"
    "  def __init__(self, *args, **named):\n"
    "    super().__init__(*args, **named)\n    self.mark = super(E, self).__init__ and 1\n"
    "  def default(self, o): return self.mark\n"
    "class F(E):\n  def __init__(this, *args, **named): super().__init__(*args, **named)\n"
    "class N(dict):\n  def __init__(s, x):\n    s = s\n    super().__init__(x)\n"
    "print(json.dumps({1: E}, cls=F, indent=None), N({1: 2}))"
)

INITIALISERS = [
    escape(
        f"the initialiser of a library's class, bare, through {how}",
        f"""
        import json
        class E(json.JSONEncoder):
            {method}
        bare = {expression}
        try: bare(json.JSONEncoder, default=lambda o: "ESCAPED")
        finally: print(json.JSONEncoder.default)
        """,
        "object of",
        TWIN,
        '{"1": 1} {1: 2}',
    )
    for how, method, expression in (
        ("super() in a class method", "m = classmethod(lambda cls: super().__init__)", "E.m()"),
        (
            "super() in a class method that looks like any method",
            "def __class_getitem__(cls, item): return super().__init__",
            "E[0]",
        ),
        (
            "super() in a method that is given a class",
            "def m(self): return super().__init__",
            "E.m(E)",
        ),
        (
            "super() in a function inside a method",
            "def m(self):\n                def f(x): return super().__init__\n"
            "                return f(E)",
            "E().m()",
        ),
        ("super() of two classes", "pass", "super(E, E).__init__"),
        (
            "super() in a method whose first argument is exchanged",
            "def m(self):\n                self = E\n                return super().__init__",
            "E().m()",
        ),
        (
            "super() in a variable",
            "@classmethod\n            def m(cls):\n                s = super()\n"
            "                return getattr(s, '__init__')",
            "E.m()",
        ),
    )
]

OTHERS = [
    escape(
        "super itself is exchanged, in the module's namespace, for a class of the library",
        """
        import functools, json, sys
        class Wrapped: pass
        wrapped = Wrapped()
        vars(wrapped)["super"] = lambda: json.JSONEncoder
        functools.update_wrapper(sys.modules[__name__], wrapped)
        class C:
            def m(self): return super().__init__
        C().m()(json.JSONEncoder, default=lambda o: "ESCAPED")
        print(json.JSONEncoder.default)
        """,
        "a module wraps nothing",
        """
        import functools
        class Call:
            def __init__(self, function): functools.update_wrapper(self, function)
            def __call__(self): return super().__init__ and self.__wrapped__()
        @Call
        def f():
            "doc"
            return 1
        print(f(), f.__name__, f.__doc__)
        """,
        "1 f doc",
    ),
    escape(
        "a property of the library, initialised again by super() in a class method",
        """
        import uuid
        class P(property):
            @classmethod
            def bare(cls): return super().__init__
        P.bare()(uuid.UUID.hex, lambda self: "ESCAPED")
        print(uuid.uuid4().hex)
        """,
        "descriptor '__init__' requires a P object of a worker",
        "class P(property):\n  def __init__(self, get): super().__init__(get)\n"
        "class C:\n  x = P(lambda self: 1)\nprint(C().x)",
        "1",
    ),
    *[
        escape(
            f"a property of the library, {how} by that of the worker's subclass",
            f"import calendar\nclass P(property): pass\n{call}\nprint('ESCAPED')",
            "requires a P object of a worker",
            "class P(property):\n  def __get__(self, obj, cls):\n"
            "    return obj and super().__get__(obj, cls) * 2\n"
            "class C:\n  def __init__(self): self.y = 1\n  x = P(lambda self: self.y)\n"
            "  @x.setter\n  def x(self, y): self.y = y\n"
            "c = C()\nc.x = 4\nprint(c.x, P.__get__(vars(C)['x'], c, C))",
            "8 8",
        )
        for how, call in (
            ("read", "P.__get__(calendar.Calendar.firstweekday, calendar.Calendar(1))"),
            ("set", "P.__set__(calendar.Calendar.firstweekday, calendar.Calendar(), 1)"),
        )
    ],
    escape(
        "attributes of a function of the library that remembers",
        "import urllib.parse\nurllib.parse.urlsplit.x = 1\nprint('ESCAPED')",
        "cannot set attributes of a function object",
        "import functools, urllib.parse\n@functools.cache\ndef f(): return 1\nf.x = 2\n"
        "print(f.x, f(), urllib.parse.urlsplit('http://a/b?c').path)",
        "2 1 /b",
    ),
    escape(
        "the descriptor of an error's object, by super() in a class method",
        "class E(AttributeError):\n  @classmethod\n  def bare(cls): return super().obj\n"
        "print('ESCAPED', E.bare())",
        '"obj" of this super object',
        "class A:\n  obj = 5\nclass B(A):\n  @classmethod\n  def get(cls): return super().obj\n"
        "print(B.get())",
        "5",
    ),
    escape(
        "a module of the library behind a public name that others have, too",
        "import pathlib, typing\nA = type(typing.List[int])\n"
        "a = A(pathlib.PurePosixPath('a'), (int,), name='List')\nprint('ESCAPED', a.parser.os)",
        "parser",
        "import html.parser, types\nclass H(html.parser.HTMLParser):\n"
        "  def handle_data(self, data): print(data)\nH().feed('<b>text</b>')\n"
        "print(types.SimpleNamespace(parser=1).parser)",
        "text",
        "1",
    ),
]

TABLES = [
    escape(
        f"the table behind a mapping proxy of {what}, by {how}",
        f"""
        import dataclasses, re
        class Taker:
            __hash__ = object.__hash__
            def __eq__(self, other): self.got = other; return True
            def __ror__(self, other): self.got = other; return self
        taker = Taker()
        {first}
        {take}
        taker.got["b"] = 5
        if "b" in {second}: print("ESCAPED")
        raise ValueError("nothing changed")
        """,
        reason,
        twin,
        prints,
    )
    for what, first, second, reason, twin, prints in (
        (
            "a pattern, which all share that compile the same text",
            "proxy = re.compile('(?P<a>x)').groupindex",
            "re.compile('(?P<a>x)').groupindex",
            "nothing changed",
            "import re, types\nm = re.match('(?P<a>x)(?P<b>y)', 'xy')\n"
            "print(dict(m.re.groupindex), m.groupdict(), types.SimpleNamespace(groupindex=1))",
            "{'a': 1, 'b': 2} {'a': 'x', 'b': 'y'} namespace(groupindex=1)",
        ),
        (
            "a field without metadata, which all such fields share",
            "proxy = dataclasses.field().metadata",
            "dataclasses.field().metadata",
            "does not support item assignment",
            "import dataclasses\n@dataclasses.dataclass\nclass A:\n  a: int = 1\n"
            "  b: int = dataclasses.field(default=2, metadata={'k': 3})\n"
            "print([dict(f.metadata) for f in dataclasses.fields(A)], A())",
            "[{}, {'k': 3}] A(a=1, b=2)",
        ),
    )
    for how, take in (("comparison", "proxy == taker"), ("a reflected operator", "proxy | taker"))
]

FIELDS = [
    escape(
        "a field that is inherited beside text, so that it is read as the method of the text",
        """
        import dataclasses, json
        @dataclasses.dataclass
        class A: format: object
        class B(A, str): pass
        raw = dataclasses.asdict(str.__new__(B, "{0.__globals__}"))["format"]
        print("ESCAPED", raw(json.dumps))
        """,
        "str cannot be extended with a field 'format'",
        """
        import dataclasses
        @dataclasses.dataclass
        class A: format: str
        @dataclasses.dataclass
        class B(A): x: int = 0
        class C(str):
            def __init__(self, text): self.format = "mine"
        print(B("f"), dataclasses.asdict(B("f")), C("a").format)
        """,
        "B(format='f', x=0) {'format': 'f', 'x': 0} mine",
    ),
    escape(
        "a class that is made a dataclass after its pattern was checked",
        """
        import json
        from abc import ABC
        from dataclasses import dataclass
        @dataclass
        class A: format: object
        class B(A, ABC): y: int = 0
        B.register(str)
        def ask(value):
            match value:
                case B(f): print("ESCAPED", f(json.dumps))
        try: ask(B(1))
        except TypeError: dataclass(B)
        ask("{0.__globals__}")
        """,
        "accepts 0 positional sub-patterns (1 given)",
        """
        from dataclasses import dataclass
        class A: x: int
        def ask(value):
            match value:
                case A(x): return x
        a = A()
        a.x = 5
        try: ask(a)
        except TypeError as error: print(error)
        dataclass(A)
        print(ask(a), A.__match_args__)
        """,
        "A() accepts 0 positional sub-patterns (1 given)",
        "5 ('x',)",
    ),
    escape(
        "a class that becomes a dataclass while its pattern is tried",
        """
        import json
        from abc import ABC
        from dataclasses import dataclass
        @dataclass
        class A: obj: object
        class B(A, ABC):
            y: int = 0
            @classmethod
            def __subclasshook__(cls, other):
                dataclass(cls)
                return True
        try: json.nope
        except AttributeError as error:
            match error:
                case B(o): print("ESCAPED", o)
        """,
        "accepts 0 positional sub-patterns (1 given)",
        "from abc import ABC\nclass B(ABC):\n  __match_args__ = ('real',)\n  @classmethod\n"
        "  def __subclasshook__(cls, other): return other is int\n"
        "match 5:\n  case B(r): print(r)",
        "5",
    ),
    escape(
        "the defaults of a function of the library, in the signature of the worker's class",
        "import inspect, json\nclass A: __init__ = json.JSONDecoder().parse_object\n"
        "print('ESCAPED', inspect.signature(A))",
        "no signature found for <class 'worker.A'>",
        "import dataclasses, inspect\n@dataclasses.dataclass\nclass A: x: int = 1\n"
        "class B:\n  def __init__(self, y, *, z=2): pass\n"
        "print(inspect.signature(A), inspect.signature(B))",
        "(x: int = 1) -> None (y, *, z=2)",
    ),
]


@pytest.mark.parametrize("attempt", INITIALISERS + OTHERS + TABLES + FIELDS, ids=lambda a: a.name)
def test_an_attempt_on_bindings_is_refused_and_its_twin_runs(cell: Cell, attempt: Escape) -> None:
    """The hostile program is refused for the named reason; the twin prints what it should."""
    cell.refuses(attempt.hostile, attempt.reason)
    cell.prints(attempt.twin, *attempt.prints)
