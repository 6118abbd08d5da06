"""One attempt, or a few, for each other family of tricks that public Python jails have known."""

import pytest
from policy_cell import Cell
from test_escapes_language import Escape, escape

CONSOLE = [
    escape(
        f"{name}(), which belongs to a console and holds a module",
        f"print('ESCAPED', {name}, {name}())",
        f"name '{name}' is not defined",
        f"{name} = lambda: 'mine'\nprint({name}())",
        "mine",
    )
    for name in ("license", "credits", "copyright", "exit", "quit")
] + [
    escape(
        "help(), which pages files",
        "help(print)\nprint('ESCAPED')",
        '"help" is not available',
        "def f(): 'its help'\nprint(f.__doc__)",
        "its help",
    ),
    escape(
        "an f-string inside an f-string",
        "print(f\"{f'{print.__self__}'}\", 'ESCAPED')",
        'attribute "__self__" is not available',
        "print(f\"{f'{(1).real}':>3}\")",
        "  1",
    ),
    escape(
        "pickle and copyreg, which rebuild anything",
        "import copyreg\nprint('ESCAPED', copyreg.__newobj__)",
        "No module named 'copyreg'",
        "import json\nprint(json.loads(json.dumps([1])))",
        "[1]",
    ),
]

ERRORS = [
    *[
        escape(
            f"the frames behind an error's {link}",
            f"""
            def f():
                try: 1 / 0
                except ZeroDivisionError as e: {raising}
            try: f()
            except ValueError as e:
                print("ESCAPED", getattr(e.{link}.__traceback__, "tb_" + "frame"))
            """,
            '"tb_frame" of this traceback object',
            f"try:\n  try: 1 / 0\n  except ZeroDivisionError as e: {raising}\n"
            f"except ValueError as e:\n  e = e.{link}\n"
            "  print(type(e).__name__, e.__traceback__.tb_lineno)",
            "ZeroDivisionError 2",
        )
        for link, raising in (
            ("__cause__", "raise ValueError from e"),
            ("__context__", "raise ValueError"),
        )
    ],
    escape(
        "notes that are no text, read when the error is reported",
        """
        import traceback
        class N:
            def __str__(self): print("noted"); return "n"
            def __getattr__(self, name): print("ESCAPED", name)
        e = ValueError("v")
        e.__notes__ = [N(), print]
        raise ValueError(traceback.format_exception(e))
        """,
        "ValueError: v",
        "e = ValueError()\ne.add_note('n')\nprint(e.__notes__)",
        "['n']",
    ),
    escape(
        "a finalizer that the collector calls, and a callback of a weak reference",
        """
        import gc, weakref
        class C:
            def __init__(self): self.me = self
            def __del__(self): tried.append(getattr(self, "__glo" + "bals__", "refused"))
        tried = []
        ref = weakref.ref(c := C(), lambda r: tried.append(hasattr(r, "__callback__")))
        del c
        gc.collect()
        raise ValueError(tried)
        """,
        "ValueError: [False, 'refused']",
        "import weakref\nclass C:\n  def __del__(self): print('gone')\n"
        "c = C()\nr = weakref.ref(c, lambda r: print('told'))\ndel c",
        "gone",
        "told",
    ),
    escape(
        "another function in the place of the one that shows warnings",
        "import warnings\nwarnings.showwarning = lambda *a: print('ESCAPED', a)\n"
        "warnings.warn('x')",
        "cannot set attributes of a Facade object",
        "import warnings\nwarnings.warn('x')",
        "UserWarning: x",
    ),
]

CLASSES = [
    *[
        escape(
            f"{name}, which only a metaclass has a use for",
            f"class C:\n  @classmethod\n  def {name}(cls, *a): print('ESCAPED', a)",
            f'"{name}" cannot be defined',
            "class C:\n  def __set_name__(self, owner, name): print(owner.__name__, name)\n"
            "class D: x = C()",
            "D x",
        )
        for name in ("__prepare__", "__instancecheck__", "__subclasscheck__", "__mro_entries__")
    ],
    escape(
        "a class made of a specification",
        "import dataclasses\nprint('ESCAPED', dataclasses.make_dataclass('X', ['a']))",
        "use a class statement",
        "import dataclasses\n@dataclasses.dataclass\nclass X: a: int = 1\nprint(X())",
        "X(a=1)",
    ),
    escape(
        "total_ordering writes methods into a class of the library",
        "import functools, json\nfunctools.total_ordering(json.JSONEncoder)\nprint('ESCAPED')",
        "cannot set private attributes of a type object",
        "import functools\n@functools.total_ordering\nclass C:\n"
        "  def __init__(self, n): self.n = n\n"
        "  def __eq__(self, o): return self.n == o.n\n  def __lt__(self, o): return self.n < o.n\n"
        "print(C(1) <= C(2), C(1) > C(2))",
        "True False",
    ),
    escape(
        "a class's own item hook returns the class tree",
        "class C:\n  def __class_getitem__(cls, item): return cls.__mro__[-1].__subclasses__()\n"
        "print('ESCAPED', C[0])",
        "it leads to the class tree",
        "class C:\n  def __class_getitem__(cls, item): return item\nprint(C[1])",
        "1",
    ),
]

HOOKS = [
    escape(
        f"{name} is handed the worker's objects only",
        f"""
        import asyncio, bisect, collections, csv, datetime, decimal, fractions, functools, heapq
        import io, itertools, json, random, re, statistics, string
        seen = []
        class Number(float):
            def __getattr__(self, name): seen.append(name); raise AttributeError(name)
            def __eq__(self, o): seen.append(o); return False
            def __lt__(self, o): seen.append(o); return True
            __gt__ = __lt__
            def __add__(self, o): seen.append(o); return self
            __radd__ = __sub__ = __mul__ = __truediv__ = __add__
            def __hash__(self): return 1
        def take(*a): seen.extend(a); return "1"
        n = Number(2)
        try: {hostile}
        except Exception: pass
        inner = "frame", "module", "code", "type", "cell"
        found = [each for each in seen if type(each).__name__ in inner]
        if found: print("ESCAPED", found)
        raise ValueError("nothing but data")
        """,
        "nothing but data",
        "import csv, datetime, decimal, fractions, heapq, io, json, random, re, statistics\n"
        f"import string\nprint({twin})",
        prints,
    )
    for name, hostile, twin, prints in (
        (
            "a hook of json",
            "json.loads('{\"a\": [1.5, NaN]}', object_pairs_hook=take, parse_float=take,"
            " parse_constant=take)",
            "json.loads('[1.5]', parse_float=str)",
            "['1.5']",
        ),
        (
            "json's default",
            "json.dumps({1: {2}}, default=take)",
            "json.dumps({1: {2}}, default=list)",
            '{"1": [2]}',
        ),
        (
            "a callback of re",
            "re.sub('(a)', take, 'aa')",
            "re.sub('a', lambda m: m[0] * 2, 'a')",
            "aa",
        ),
        (
            "a number in decimal and fractions",
            "fractions.Fraction(n) + n, decimal.Decimal(n) + n",
            "fractions.Fraction(0.5) + decimal.Decimal('1').__int__()",
            "3/2",
        ),
        ("a number in statistics", "statistics.stdev([n, n, 3])", "statistics.mean([1, 2])", "1.5"),
        (
            "a comparison of heapq, bisect and sort",
            "heapq.merge([n], [n, 1]), bisect.insort([n, 3], n), sorted([n, 1, n], key=take)",
            "heapq.nsmallest(1, [2, 1])",
            "[1]",
        ),
        (
            "a key of itertools and collections",
            "list(itertools.groupby([n, n], take)), collections.Counter([n, 1]), "
            "collections.OrderedDict({n: 1}) == {1: 1}",
            "''.join(sorted('ba'))",
            "ab",
        ),
        (
            "a time zone",
            "datetime.datetime.now(type('Z', (datetime.tzinfo,), {}))",
            "datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC).utcoffset()",
            "0:00:00",
        ),
        (
            "a dialect of csv",
            "csv.writer(io.StringIO(), delimiter=n, quotechar=take)",
            "next(csv.reader(['a;b'], delimiter=';'))",
            "['a', 'b']",
        ),
        (
            "a source of random numbers",
            "random.Random(n).choices([1], weights=[n]), functools.reduce(take, [n, n])",
            "random.Random(1).randint(1, 1)",
            "1",
        ),
        (
            "a template's mapping",
            "string.Template('$a').substitute(collections.defaultdict(take))",
            "string.Template('$a').substitute(a=1)",
            "1",
        ),
    )
] + [
    escape(
        "a template's pattern that is the worker's object",
        """
        import string
        class P:
            flags = groupindex = 0
            def sub(self, convert, text): return convert(self)
            def group(self, name): return "a" if name == "named" else None
        class T(string.Template): pass
        T.pattern = P()
        raise ValueError(T("{0.__globals__}").substitute(a="{0.__globals__}").format(print))
        """,
        '"__globals__" of this function object',
        "import string\nclass T(string.Template): delimiter = '%'\n"
        "print(T('%a $b').substitute(a=1))",
        "1 $b",
    ),
    escape(
        "a record's factory, and a record that formats attributes",
        "import logging\nlogging.setLogRecordFactory(print)\nprint('ESCAPED')",
        'module "logging" has no "setLogRecordFactory"',
        "import logging\nlogging.basicConfig(format='%(levelname)s %(message)s')\n"
        "logging.warning('%(a)s', {'a': 1})",
        "WARNING 1",
    ),
    escape(
        "a function of the platform with other defaults",
        "import functools, json\np = functools.partial(json.dumps)\np.func.__kwdefaults__ = {}\n"
        "print('ESCAPED')",
        '"__kwdefaults__" cannot be assigned',
        "import functools, json\nprint(functools.partial(json.dumps, indent=None)(1))",
        "1",
    ),
]


@pytest.mark.parametrize("attempt", CONSOLE + ERRORS + CLASSES + HOOKS, ids=lambda a: a.name)
def test_an_attempt_of_a_known_family_is_refused_and_its_twin_runs(
    cell: Cell, attempt: Escape
) -> None:
    """The hostile program is refused for the named reason; the twin prints what it should."""
    cell.refuses(attempt.hostile, attempt.reason)
    cell.prints(attempt.twin, *attempt.prints)
