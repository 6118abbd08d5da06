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


@pytest.mark.parametrize("attempt", INITIALISERS + OTHERS, ids=lambda a: a.name)
def test_an_attempt_on_bindings_is_refused_and_its_twin_runs(cell: Cell, attempt: Escape) -> None:
    """The hostile program is refused for the named reason; the twin prints what it should."""
    cell.refuses(attempt.hostile, attempt.reason)
    cell.prints(attempt.twin, *attempt.prints)
