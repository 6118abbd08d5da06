"""Attempts to leave the language: each is refused, and a harmless twin of it runs.

``ESCAPED`` is printed by the hostile program only after it has obtained what it wanted.
"""

from dataclasses import dataclass

import pytest
from policy_cell import Cell


@dataclass(frozen=True)
class Escape:
    """A hostile program, the reason it is given, and a twin with what it prints."""

    name: str
    hostile: str
    reason: str
    twin: str
    prints: tuple[str, ...]


def escape(name: str, hostile: str, reason: str, twin: str, *prints: str) -> Escape:
    """One line of the tables below."""
    return Escape(name, hostile, reason, twin, prints)


ADVISORIES = [
    escape(
        "stack frame through a generator (CVE-2023-37271)",
        """
        def leak():
            yield g.gi_frame.f_back.f_back.f_builtins
        g = leak()
        print("ESCAPED", next(g))
        """,
        'attribute "gi_frame" is not available',
        "g = (x for x in [1]); print(next(g))",
        "1",
    ),
    escape(
        "stack frame through a generator expression and getattr (CVE-2023-37271)",
        "g = (1 for _ in ''); print('ESCAPED', getattr(g, 'gi_' + 'frame'))",
        '"gi_frame" of this generator object',
        "g = (1 for _ in 'a'); print(getattr(g, 'send')(None))",
        "1",
    ),
    escape(
        "format string on str (CVE-2023-41039)",
        "print('ESCAPED', '{0.__globals__}'.format(print))",
        '"__globals__" of this function object',
        "print('{0.real} {1[0]}'.format(5, [6]))",
        "5 6",
    ),
    escape(
        "format_map (CVE-2023-41039)",
        "print('ESCAPED', '{a.__globals__}'.format_map({'a': print}))",
        '"__globals__" of this function object',
        "print('{a.real}'.format_map({'a': 5}))",
        "5",
    ),
    escape(
        "string.Formatter (CVE-2023-41039)",
        "import string\nprint('ESCAPED', string.Formatter().format('{0.__globals__}', print))",
        '"__globals__" of this function object',
        "import string\nprint(string.Formatter().format('{0.real:>3}', 5))",
        "  5",
    ),
    escape(
        "string.Formatter field resolution by subclass (CVE-2026-76825)",
        """
        import string
        class F(string.Formatter):
            def get_field(self, name, args, kwargs):
                return super().get_field(name, args, kwargs)
        print('ESCAPED', F().get_field('0.__globals__', (print,), {}))
        """,
        '"__globals__" of this function object',
        """
        import string
        class F(string.Formatter):
            def get_field(self, name, args, kwargs):
                return super().get_field(name, args, kwargs)
        print(F().get_field('0.imag', (3,), {}))
        """,
        "(0, 0)",
    ),
    escape(
        "except* with a group whose split is not the interpreter's (CVE-2025-22153)",
        """
        class G(ExceptionGroup):
            def split(self, kind): return 42
        try: raise G('', [ValueError()])
        except* ValueError: print('ESCAPED')
        """,
        "ExceptionGroup cannot be extended",
        """
        try: raise ExceptionGroup('g', [ValueError(1)])
        except* ValueError as g: print(g.exceptions)
        """,
        "(ValueError(1),)",
    ),
    escape(
        "except* with split set on the instance",
        "g = ExceptionGroup('', [ValueError()]); g.split = lambda kind: 42; print('ESCAPED')",
        "cannot set attributes of a ExceptionGroup object",
        "e = ValueError(); e.code = 4; print(e.code)",
        "4",
    ),
    escape(
        "a guard shadowed by a positional-only parameter (CVE-2026-55830)",
        """
        def f(_getattr_, _write_, /):
            return getattr(print, '__globals__')
        print('ESCAPED', f(lambda o, n: 1, lambda o: o))
        """,
        '"__globals__" of this function object',
        "print((lambda _getattr_, _write_, /: _getattr_ + _write_)(1, 2))",
        "3",
    ),
    escape(
        "AttributeError.obj (CVE-2024-47532)",
        """
        import json
        try: json.nothing
        except AttributeError as e: print('ESCAPED', e.obj)
        """,
        '"obj" of this AttributeError object',
        """
        class C: pass
        try: C().nothing
        except AttributeError as e: print(type(e.obj).__name__, e.name)
        """,
        "C nothing",
    ),
    escape(
        "AttributeError.obj through a pattern (CVE-2024-47532)",
        """
        import json
        try: json.nothing
        except AttributeError as e:
            match e:
                case AttributeError(obj=o): print('ESCAPED', o)
        """,
        'a pattern cannot read the attribute "obj"',
        """
        try: {}['k']
        except KeyError as e:
            match e:
                case KeyError(args=(key,)): print(key)
        """,
        "k",
    ),
    escape(
        "AttributeError.obj through super()",
        """
        import json
        class E(AttributeError):
            def go(self): return super().obj
        e = E(obj=json.dumps); print('ESCAPED', e.go())
        """,
        '"obj" of this',
        """
        class E(AttributeError):
            def go(self): return super().obj
        print(E(obj=[1]).go())
        """,
        "[1]",
    ),
    escape(
        "type() with three arguments",
        "print('ESCAPED', type('X', (), {'__reduce__': 1}))",
        "type() takes one object here",
        "print(type(3) is int)",
        "True",
    ),
    escape(
        "a metaclass in a class statement",
        "class M(type): pass\nprint('ESCAPED')",
        "type cannot be extended",
        "from abc import ABCMeta\nclass C(metaclass=ABCMeta): pass\nprint(C.__name__)",
        "C",
    ),
    escape(
        "a metaclass through keyword unpacking",
        "class C(**{'metaclass': lambda *a: print('ESCAPED')}): pass",
        "metaclasses are not available",
        "class B:\n  def __init_subclass__(cls, x): print(x)\nclass C(B, **{'x': 1}): pass",
        "1",
    ),
    escape(
        "use of the print collector's private name",
        "print._call_print\nprint('ESCAPED')",
        '"_call_print" of this function object',
        "print('a', 'b', sep='-')",
        "a-b",
    ),
]

JAIL = [
    escape(
        "subclasses of object",
        "print('ESCAPED', ().__class__.__base__.__subclasses__())",
        'attribute "__subclasses__" is not available',
        "print(().__class__.__name__)",
        "tuple",
    ),
    escape(
        "subclasses by computed name",
        "print('ESCAPED', getattr(object, '__sub' + 'classes__')())",
        '"__subclasses__" of this class object',
        "print(getattr([1], 'cop' + 'y')())",
        "[1]",
    ),
    escape(
        "globals of a function",
        "import json\nprint('ESCAPED', json.dumps.__globals__)",
        'attribute "__globals__" is not available',
        "import json\nprint(json.dumps.__name__)",
        "dumps",
    ),
    escape(
        "code object of a function",
        "f = lambda: 0\nf.__code__ = (lambda: 1).__code__\nprint('ESCAPED')",
        'attribute "__code__" is not available',
        "f = lambda: 0\nf.mark = 1\nprint(f.mark)",
        "1",
    ),
    escape(
        "builtins of a function",
        "print('ESCAPED', (lambda: 0).__builtins__)",
        'attribute "__builtins__" is not available',
        "print((lambda a=1: 0).__defaults__)",
        "(1,)",
    ),
    escape(
        "the module behind a builtin",
        "print('ESCAPED', len.__self__)",
        'attribute "__self__" is not available',
        "print(len.__name__)",
        "len",
    ),
    escape(
        "closure cells",
        "def f(x): return lambda: x\nprint('ESCAPED', f(1).__closure__)",
        'attribute "__closure__" is not available',
        "def f(x): return lambda: x\nprint(f(1)())",
        "1",
    ),
    escape(
        "frames through a traceback",
        "try: 1/0\nexcept Exception as e: print('ESCAPED', e.__traceback__.tb_frame)",
        'attribute "tb_frame" is not available',
        "try: 1/0\nexcept Exception as e: print(e.__traceback__.tb_lineno)",
        "1",
    ),
    escape(
        "frames through __exit__",
        """
        class C:
            def __enter__(self): pass
            def __exit__(self, kind, error, tb): print('ESCAPED', getattr(tb, 'tb_' + 'frame'))
        with C(): 1/0
        """,
        '"tb_frame" of this traceback object',
        """
        class C:
            def __enter__(self): pass
            def __exit__(self, kind, error, tb): print(kind.__name__); return True
        with C(): 1/0
        """,
        "ZeroDivisionError",
    ),
    escape(
        "NFKC look-alike of a dunder",
        "print('ESCAPED', print.__ｇlobals__)",
        'attribute "__globals__" is not available',
        "ｘ = 1\nprint(x)",
        "1",
    ),
    escape(
        "NFKC look-alike of a builtin",
        "print('ESCAPED', ｅval('1'))",
        '"eval" is not available',
        "print(ｍax(1, 2))",
        "2",
    ),
    escape(
        "__builtins__ by name",
        "print('ESCAPED', __builtins__)",
        '"__builtins__" is not available',
        "print(__name__)",
        "worker",
    ),
    escape(
        "__builtins__ through globals()",
        "print('ESCAPED', globals()['__builtins__'])",
        "KeyError: '__builtins__'",
        "x = 1\nprint(globals()['x'])",
        "1",
    ),
    escape(
        "__import__",
        "print('ESCAPED', __import__('os').system)",
        '"__import__" is not available',
        "import importlib\nprint(importlib.import_module('json').dumps(1))",
        "1",
    ),
    escape(
        "__import__ deleted and rebound",
        "global __import__\n__import__ = 1\nprint('ESCAPED')",
        '"__import__" cannot be defined',
        "_import = 1\nprint(_import)",
        "1",
    ),
    escape(
        "loader and spec",
        "print('ESCAPED', __loader__.load_module('os'), __spec__)",
        '"__loader__" is not available',
        "print(__file__)",
        "worker.py",
    ),
    escape(
        "eval under another name",
        "f = eval\nprint('ESCAPED')",
        '"eval" is not available',
        "def eval(x): return x\nprint(eval(1))",
        "1",
    ),
    escape(
        "decorators as calls",
        "@exec\n@input\nclass X: pass\nprint('ESCAPED')",
        '"exec" is not available',
        "@str\nclass X: pass\nprint(X)",
        "<class 'worker.X'>",
    ),
    escape(
        "open",
        "print('ESCAPED', open('/etc/passwd').read())",
        "a worker has only the files",
        "import io\nprint(io.StringIO('text').read())",
        "text",
    ),
    escape(
        "breakpoint",
        "breakpoint()\nprint('ESCAPED')",
        '"breakpoint" is not available',
        "print('no breakpoint')",
        "no breakpoint",
    ),
    escape(
        "mro",
        "print('ESCAPED', int.mro())",
        'attribute "mro" is not available',
        "print(issubclass(bool, int))",
        "True",
    ),
    escape(
        "__getattribute__ of object",
        "print('ESCAPED', object.__getattribute__(print, '__self__'))",
        '"__self__" of this function object',
        "class C: x = 1\nprint(object.__getattribute__(C(), 'x'))",
        "1",
    ),
    escape(
        "attrgetter",
        "import operator\nprint('ESCAPED', operator.attrgetter('real.__self__')(1))",
        '"__self__" of this int object',
        "import operator\nprint(operator.attrgetter('real.imag')(1))",
        "0",
    ),
    escape(
        "methodcaller of format",
        "import operator\nprint('ESCAPED', operator.methodcaller('format', len)('{0.__self__}'))",
        '"__self__" of this builtin_function_or_method object',
        "import operator\nprint(operator.methodcaller('format', 1)('{}'))",
        "1",
    ),
    escape(
        "format mapped over texts",
        "print('ESCAPED', list(map(str.format, ['{0.__globals__}'], [print])))",
        '"__globals__" of this function object',
        "print(list(map(str.format, ['{}'], [1])))",
        "['1']",
    ),
    escape(
        "format of a subclass of str",
        """
        class S(str):
            def go(self, x): return self.format(x)
        print('ESCAPED', S('{0.__globals__}').go(print))
        """,
        '"__globals__" of this function object',
        "class S(str): pass\nprint(S('{0}').format(1))",
        "1",
    ),
    escape(
        "format through super()",
        """
        class S(str):
            def go(self, x): return super().format(x)
        print('ESCAPED', S('{0.__globals__}').go(print))
        """,
        '"__globals__" of this function object',
        """
        class S(str):
            def go(self, x): return super().format(x)
        print(S('{0}').go(1))
        """,
        "1",
    ),
    escape(
        "format nested in a width",
        "print('ESCAPED', '{0:{1.__globals__}}'.format(1, print))",
        '"__globals__" of this function object',
        "print('{:>{}}'.format(1, 3))",
        "  1",
    ),
    escape(
        "logging with a format that reads attributes",
        """
        import logging
        logging.basicConfig(format='ESCAPED {msg.__globals__}', style='{')
        logging.error(print)
        """,
        '"__globals__" of this function object',
        """
        import logging
        logging.basicConfig(format='{levelname} {message}', style='{')
        logging.error('x')
        """,
        "ERROR x",
    ),
]


@pytest.mark.parametrize("attempt", ADVISORIES + JAIL, ids=lambda a: a.name)
def test_an_attempt_is_refused_and_its_twin_runs(cell: Cell, attempt: Escape) -> None:
    """The hostile program is refused for the named reason; the twin prints what it should."""
    cell.refuses(attempt.hostile, attempt.reason)
    cell.prints(attempt.twin, *attempt.prints)
