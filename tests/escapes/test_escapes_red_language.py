"""More attempts to leave the language, found by attacking it.

Names that are not quite text, objects that stand for others, and library classes given hostile
parts. Each is refused; its twin runs.
"""

from dataclasses import dataclass

import pytest
from policy_cell import Cell


@dataclass(frozen=True)
class Attempt:
    """A hostile program, the reason it is given, and a twin with what it prints."""

    name: str
    hostile: str
    reason: str
    twin: str
    prints: str


NAME_THAT_LIES = """
class Name(str):
    def __str__(self): return self
    def isidentifier(self): return True
    def startswith(self, *_): return True
    def __hash__(self): return 5
    def __eq__(self, other): return False
"""

ATTEMPTS = [
    Attempt(
        "a str that lies about itself names an attribute to read",
        NAME_THAT_LIES + "print('ESCAPED', getattr(print, Name('__self__')))",
        "attribute name must be string",
        "print(getattr('a', 'upper')())",
        "A",
    ),
    Attempt(
        "a str that lies about itself names an attribute to set",
        NAME_THAT_LIES + "class A: pass\nsetattr(A, Name('__class__'), 1)\nprint('ESCAPED')",
        "attribute name must be string",
        "class A: pass\nsetattr(A, 'x', 1)\nprint(A.x)",
        "1",
    ),
    Attempt(
        "a str that lies about itself becomes source text in a named tuple",
        NAME_THAT_LIES
        + "import collections\n"
        + "print('ESCAPED', collections.namedtuple('X', [Name('a=().__class__')]))",
        "must be strings",
        "import collections\nprint(collections.namedtuple('X', ['a'])(1).a)",
        "1",
    ),
    Attempt(
        "a field that is no identifier becomes source text in typing.NamedTuple",
        "import typing\nprint('ESCAPED', typing.NamedTuple('X', [('a b', int)]))",
        "must be valid identifiers",
        "import typing\nprint(typing.NamedTuple('X', [('a', int)])(1).a)",
        "1",
    ),
    Attempt(
        "a generic alias hands attributes of its origin on",
        "import json, types\n"
        "alias = types.GenericAlias(json.JSONEncoder, (int,))\n"
        "print('ESCAPED', getattr(alias, '__glob' + 'als__'))",
        '"__globals__" of this GenericAlias object',
        "import types\nprint(types.GenericAlias(list, (int,)).__args__[0] is int)",
        "True",
    ),
    Attempt(
        "a method is called on an object of the library",
        "class A:\n    def m(self): return self._abc\nprint('ESCAPED', A.m(print))",
        "is not the worker's",
        "class A:\n    _abc = 1\n    def m(self): return self._abc\nprint(A.m(A()))",
        "1",
    ),
    Attempt(
        "super() of a foreign object",
        "class A:\n    def m(self): return super().__init__\nprint('ESCAPED', A.m(print))",
        "this method was called on a function object that is not the worker's",
        "class A:\n    def m(self): return super().__init__\nprint(A().m()())",
        "None",
    ),
    Attempt(
        "a module's own builtins are replaced",
        "import sys\nsetattr(sys.modules['worker'], '__builtins__', {})\nprint('ESCAPED')",
        '"__builtins__" cannot be set',
        "import sys\nsetattr(sys.modules['worker'], 'x', 5)\nprint(x)",
        "5",
    ),
    Attempt(
        "an annotation's text walks to the class tree",
        'import typing\nclass A:\n    x: "().__class__.__base__"\n'
        "print('ESCAPED', typing.get_type_hints(A))",
        "Forward reference must be an expression",
        "import typing\nclass A:\n    x: 'int'\nprint(typing.get_type_hints(A)['x'] is int)",
        "True",
    ),
    Attempt(
        "the state of a partial is replaced",
        "import functools\n"
        "part = functools.partial(print, 1)\n"
        "part.__setstate__((eval if False else print, (2,), {}, {}))\nprint('ESCAPED')",
        "is not available",
        "import functools\nfunctools.partial(print, 1)(2)",
        "1 2",
    ),
    Attempt(
        "the current task leads to its loop and coroutine",
        "import asyncio\n"
        "async def main():\n"
        "    task = asyncio.current_task()\n"
        "    for name in ('_loop', 'get_coro', 'get_loop', 'get_context', 'get_stack'):\n"
        "        if hasattr(task, name): print('ESCAPED', name)\n"
        "    task.get_loop()",
        "leads from a task or future to the runtime's event loop",
        "import asyncio\nasync def main(): print(asyncio.current_task().done())",
        "False",
    ),
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda a: a.name)
def test_a_red_team_attempt_is_refused_and_its_twin_runs(cell: Cell, attempt: Attempt) -> None:
    """The hostile program is refused for its reason and obtains nothing; the twin prints."""
    cell.refuses(attempt.hostile, attempt.reason)
    cell.prints(attempt.twin, attempt.prints)
