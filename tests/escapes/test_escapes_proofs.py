"""Attempts on what the transformer proves instead of asking: whose object a variable holds."""

import pytest
from policy_cell import Cell
from test_escapes_language import Escape, escape

REFUSED_READ = '"_numerator" of this Fraction object is not available'
REFUSED_WRITE = "cannot set attributes of a type object"

START = """
import fractions, json
FOREIGN = fractions.Fraction(3, 4)
class Own:
    _numerator = 1
    def __init__(self): self.next = self
own = Own()
"""

TWIN = (
    START + "def f(o):\n    o._numerator = 5\n    o.x = o._numerator\n    return o.x\nprint(f(own))"
)


def reading(name: str, body: str) -> Escape:
    """A function that has the foreign object where it proved something of its own."""
    return escape(name, START + body, REFUSED_READ, TWIN, "5")


REBOUND = [
    reading(
        f"a checked variable is rebound by {how}",
        f"""
def f(o, foreign):
    o._numerator; o._numerator; o._numerator
    {rebinding}
    print("ESCAPED", o._numerator)
f(own, FOREIGN)
""",
    )
    for how, rebinding in {
        "assignment": "o = foreign",
        "unpacking": "o, _ = foreign, 1",
        "nested unpacking": "(o, (_, _)) = foreign, (1, 2)",
        "chained assignment": "o = p = foreign",
        "annotated assignment": "o: object = foreign",
        "a walrus": "(o := foreign)",
        "a walrus in a comprehension": "[o := foreign for _ in (1,)]",
        "a walrus in a generator": "next(o := foreign for _ in (1,))",
        "for": "for o in [foreign]: pass",
        "for with unpacking": "for o, _ in [(foreign, 1)]: pass",
        "with": "from contextlib import nullcontext\n    with nullcontext(foreign) as o: pass",
        "two managers": "from contextlib import nullcontext as n\n"
        "    with n(foreign) as o, n(1): pass",
        "a pattern": "match foreign:\n        case o: pass",
        "nonlocal": "def g():\n        nonlocal o\n        o = foreign\n    g()",
        "nonlocal in a class body": "class C:\n        nonlocal o\n        o = foreign",
        "a starred target": "*_, o = 1, foreign",
    }.items()
] + [
    reading(
        "a variable is bound by a target that fails before its check",
        """
class Fails:
    @property
    def a(self): return 1
def f(o, foreign):
    o._numerator; o._numerator; o._numerator
    try: o, Fails().a = foreign, 1
    except AttributeError: pass
    print("ESCAPED", o._numerator)
f(own, FOREIGN)
""",
    ),
    reading(
        "a variable is bound by a manager whose neighbour fails",
        """
from contextlib import nullcontext
class Fails:
    def __enter__(self): raise ValueError
    def __exit__(self, *e): pass
def f(o, foreign):
    o._numerator; o._numerator; o._numerator
    try:
        with nullcontext(foreign) as o, Fails(): pass
    except ValueError: pass
    print("ESCAPED", o._numerator)
f(own, FOREIGN)
""",
    ),
    reading(
        "the variable of an error handler",
        """
import decimal
class E(Exception): _numerator = 1
def f():
    for raised in (E(), decimal.InvalidOperation()):
        try: raise raised
        except (E, decimal.InvalidOperation) as o:
            o = FOREIGN if type(o) is not E else o
            print(o._numerator, o._numerator, o._numerator)
f()
""",
    ),
    reading(
        "a loop ends before it binds",
        "def f(items):\n    o = FOREIGN\n    for o in items:\n        o._numerator; o._numerator\n"
        "    print('ESCAPED', o._numerator)\nf([])",
    ),
    reading(
        "a global of the name of a checked parameter, in a function inside",
        "o = FOREIGN\ndef f(o):\n    o._numerator; o._numerator\n    def g():\n        global o\n"
        "        print('ESCAPED', o._numerator, o._numerator)\n    g()\nf(own)",
    ),
    reading(
        "a variable of a function inside, called as the receiver is",
        "class C:\n    def m(self):\n        self.x = 1\n        def g():\n"
        "            self = FOREIGN\n            print('ESCAPED', self._numerator)\n        g()\n"
        "C().m()",
    ),
    reading(
        "a variable of a class body, called as the receiver is",
        "class C:\n    def m(self):\n        self.x = 1\n        class D:\n"
        "            self = FOREIGN\n            print('ESCAPED', self._numerator)\nC().m()",
    ),
]

HELD = [
    reading(
        "a property gives another object each time",
        """
class Turns:
    turn = 0
    @property
    def both(self):
        Turns.turn += 1
        return own if Turns.turn % 2 else FOREIGN
def f(t):
    t.both._numerator
    print("ESCAPED", t.both._numerator)
f(Turns())
""",
    ),
    reading(
        "a generator that holds an object is driven while another does",
        """
def f(o):
    yield o.next._numerator
    yield o.next._numerator
class Leads: next = FOREIGN
a, b = f(own), f(Leads())
next(a)
print("ESCAPED", next(b))
""",
    ),
    reading(
        "an expression that holds an object holds another inside",
        "class Leads:\n    _a = FOREIGN\n    def give(self, n): return FOREIGN\n    me = own\n"
        "def f(o):\n    print('ESCAPED', o.give(o.me._numerator)._numerator)\nf(Leads())",
    ),
    reading("a global variable", "def f():\n    print('ESCAPED', FOREIGN._numerator)\nf()"),
    reading("a lambda", "print('ESCAPED', (lambda x: x()._numerator)(lambda: FOREIGN))"),
    reading(
        "a comprehension",
        "def f(x):\n    print('ESCAPED', [i.real._numerator for i in x])\nf([FOREIGN])",
    ),
    *[
        escape(
            f"a write through {how}",
            f"import json\nENCODER = json.JSONEncoder\ndef f(x):\n    {body}\n"
            "f([json])\nprint('ESCAPED')",
            REFUSED_WRITE,
            TWIN,
            "5",
        )
        for how, body in {
            "an item": "[json.JSONEncoder][0].default = 1",
            "a global": "ENCODER.default = 1",
            "a chain": "x[0].JSONEncoder.default = 1",
            "a chain, augmented": "x[0].JSONEncoder.item_separator += 'x'",
            "a chain, deleted": "del x[0].JSONEncoder.default",
            "the target of a loop": "for x[0].JSONEncoder.default in (1,): pass",
            "the target of a manager": "from contextlib import nullcontext as n\n"
            "    with n(1) as x[0].JSONEncoder.default: pass",
        }.items()
    ],
]

SUPER = [
    escape(
        f"the initialiser of a library's class by super() in {how}",
        f"""
from collections import UserDict
import logging
TARGET = logging.getLogger("target")
class B(UserDict):
    {body}
{call}
print("ESCAPED", TARGET.data)
""",
        reason,
        "from collections import UserDict\nclass B(UserDict):\n"
        "    def __init__(self, a): super().__init__(a=a)\n    @classmethod\n"
        "    def make(cls):\n        b = cls.__new__(cls)\n        super().__init__(b, x=1)\n"
        "        return b\nprint(B(2), B.make())",
        "{'a': 2} {'x': 1}",
    )
    for how, body, call, reason in (
        (
            "a class method",
            "@classmethod\n    def f(cls, x): super().__init__(x, {})",
            "B.f(TARGET)",
            "descriptor '__init__' requires a B object of a worker",
        ),
        (
            "a method called on a class",
            "def f(self, x): super().__init__(x, {})",
            "B.f(B, TARGET)",
            "this method was called on a class",
        ),
        (
            "a function inside",
            "def f(self, x):\n        def g(cls): super().__init__(x, {})\n        g(B)",
            "B().f(TARGET)",
            "descriptor '__init__' requires a B object of a worker",
        ),
        (
            "__new__",
            "def __new__(cls, x): super().__init__(x, {})",
            "B(TARGET)",
            "descriptor '__init__' requires a B object of a worker",
        ),
        (
            "no method",
            "pass",
            "super(B, B).__init__(TARGET, {})",
            "descriptor '__init__' requires a B object of a worker",
        ),
    )
]


@pytest.mark.parametrize("attempt", REBOUND + HELD + SUPER, ids=lambda a: a.name)
def test_an_attempt_on_a_proof_is_refused_and_its_twin_runs(cell: Cell, attempt: Escape) -> None:
    """The hostile program is refused for the named reason; the twin prints what it should."""
    cell.refuses(attempt.hostile, attempt.reason)
    cell.prints(attempt.twin, *attempt.prints)
