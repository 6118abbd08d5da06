"""What the transformer proves: cheap, at one look, and without a trace in what a program does."""

import ast

import pytest
from policy_cell import Cell

from executor.isolate.policy.transformer import facts
from executor.isolate.policy.transformer.facts import Survey

LIVES = """
import weakref
class Node:
    def __init__(self, *inside): self._inside = list(inside); self.other = None
def gone(*references): print([reference() is None for reference in references])
def read(root):
    reference = weakref.ref(root._inside[0])
    root._inside[0]._inside.append(1)
    root._inside.clear()
    gone(reference)
def write(root):
    reference = weakref.ref(root._inside[0])
    root._inside[0].other = 5
    root._inside.pop()
    gone(reference)
def loop(root):
    reference = weakref.ref(root._inside[0])
    while root._inside and root._inside[0]._inside is not None:
        root._inside.pop()
        gone(reference)
def branch(root):
    reference = weakref.ref(root._inside[0])
    if root._inside[0]._inside == []:
        root._inside.pop()
        gone(reference)
def generator(root):
    reference = weakref.ref(root._inside[0])
    yield root._inside[0]._inside
    root._inside.pop()
    yield
    gone(reference)
for function in (read, write, loop, branch): function(Node(Node()))
list(generator(Node(Node())))
"""

ORDER = """
class Node:
    def __init__(self, name): self.name = name; self._value = 0
    def __setattr__(self, name, value):
        print("set", name); object.__setattr__(self, name, value)
    def __getattr__(self, name): print("missing", name); return 7
def say(what): print(what); return NODES[what]
NODES = {name: Node(name) for name in "ab"}
def run(optional=None):
    say("a").x = say("b").y = say("a")._z + say("b")._value
    say("a")._value += say("b")._value + 1
    del say("b").y
    if optional is not None: optional._a; optional._b; optional._c
    try: optional._value
    except AttributeError as error: print(error)
    for first, second in (("a", "b"), ("b", "a")):
        node = NODES[first]
        node._value += 1; node._value += 1; node._next = NODES[second]
        print(node._value, node._next._value)
    with_default = lambda node=NODES["a"]: node._value + say("b")._value
    return with_default()
print(run(), run(NODES["a"]))
def unbound(items):
    for item in items: item._a; item._b
    try: print(item._value, item._value)
    except UnboundLocalError as error: print(type(error).__name__)
unbound([])
"""


@pytest.mark.parametrize("source", [LIVES, ORDER], ids=["lives", "order"])
def test_a_proof_leaves_no_trace(cell: Cell, source: str) -> None:
    """Objects die when they die in plain Python, and all is evaluated once, in the same order."""
    plain = cell.run_plain(source)
    outcome = cell.run(source)
    assert outcome.refusal == "", outcome.traceback
    assert [line for line in outcome.log if "None" not in line] == [
        line for line in plain if "None" not in line
    ]


def test_private_names_of_nothing_are_missing(cell: Cell) -> None:
    """A private attribute of None is an AttributeError, however the name was proved."""
    cell.prints(
        "def f(o=None):\n  for _ in range(2):\n    try: o._a; o._b; o._c\n"
        "    except AttributeError: print('missing')\nf()",
        "missing",
        "missing",
    )


def test_a_function_inside_others_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of what is known of variables does not grow with the depth of the nesting."""
    looked: list[ast.AST] = []
    real = facts.children
    monkeypatch.setattr(facts, "children", lambda node: looked.append(node) or real(node))
    nested = "".join(f"{' ' * i}def f{i}(a):\n" for i in range(90)) + " " * 90 + "a.b = a._c\n"
    tree = ast.parse(nested)
    survey = Survey()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            survey.of(node)
    assert len(looked) == len(set(looked))
    assert survey.of(tree.body[0]).below >= {f"f{i}" for i in range(1, 90)}
