"""A worker's modules at run time: packages, imports of every form, tracebacks."""

from policy_cell import Cell


def test_packages_and_relative_imports(cell: Cell) -> None:
    """Modules below the main module's directory import one another in every form."""
    cell.prints(
        {
            "worker.py": (
                "import pkg.sub.deep\nimport pkg.sub.deep as d\nfrom pkg import a, sub\n"
                "from pkg.sub import *\nfrom pkg.a import value as v, _hidden\n"
                "print(pkg.sub.deep is d, a.value, v, exported, d.up(), _hidden, pkg.__name__)\n"
                "print(a.__package__, d.__name__, pkg.__file__)"
            ),
            "pkg/__init__.py": "from . import a\nfrom .a import value",
            "pkg/a.py": "value = 1\n_hidden = 2",
            "pkg/sub/__init__.py": "__all__ = ['exported']\nexported = 3\nnot_exported = 4",
            "pkg/sub/deep.py": "from ..a import value\nfrom .. import sub\ndef up(): return value + sub.exported",
        },
        "True 1 1 3 4 2 pkg",
        "pkg pkg.sub.deep pkg/__init__.py",
    )


def test_a_namespace_package_needs_no_init(cell: Cell) -> None:
    """A directory without __init__.py is a package all the same."""
    cell.prints(
        {"worker.py": "from lib.tools import f\nprint(f())", "lib/tools.py": "f = lambda: 5"}, "5"
    )


def test_circular_imports(cell: Cell) -> None:
    """Two modules may import each other as in plain Python."""
    cell.prints(
        {
            "worker.py": "import a\nprint(a.f(), a.b.g())",
            "a.py": "import b\ndef f(): return b.g() + 1\n",
            "b.py": "import a\ndef g(): return 1\ndef h(): return a.f()\n",
        },
        "2 1",
    )


def test_a_relative_import_beyond_the_top_fails(cell: Cell) -> None:
    """from .. in a top-level module is the ImportError of plain Python."""
    assert "beyond top-level package" in cell.run("from .. import x").refusal


def test_a_module_that_fails_is_tried_again(cell: Cell) -> None:
    """A module whose code raised is not left half loaded."""
    cell.prints(
        {
            "worker.py": "import flag\ntry: import bad\nexcept ValueError as e: print(e)\n"
            "flag.ok = True\nimport bad\nprint(bad.x)",
            "flag.py": "ok = False",
            "bad.py": "import flag\nif not flag.ok: raise ValueError('first')\nx = 1",
        },
        "first",
        "1",
    )


def test_module_getattr(cell: Cell) -> None:
    """A module may answer for names that it does not have."""
    cell.prints(
        {
            "worker.py": "import lazy\nfrom lazy import other\nprint(lazy.anything, other)",
            "lazy.py": "def __getattr__(name):\n    if name.startswith('_'): raise AttributeError(name)\n"
            "    return name.upper()",
        },
        "ANYTHING OTHER",
    )


def test_the_main_modules_directory_is_the_root(cell: Cell) -> None:
    """Imports are relative to the main module's directory, and vendored packages have their own."""
    outcome = cell.run(
        {
            "src/entry.py": "import helper, vendored.thing\nprint(helper.x, vendored.thing.y, __name__)",
            "src/helper.py": "x = 1",
            "python_modules/vendored/thing.py": "y = 2",
        },
        main="src/entry.py",
    )
    assert outcome.log == ["1 2 entry"], outcome.refusal


def test_dataclasses_and_text_annotations_find_their_module(cell: Cell) -> None:
    """What looks a class's module up in sys.modules finds the worker's."""
    cell.prints(
        {
            "worker.py": "from __future__ import annotations\nimport dataclasses, typing\nimport m\n"
            "@dataclasses.dataclass\nclass A:\n  x: dataclasses.InitVar[int]\n  y: typing.ClassVar[int] = 2\n"
            "  z: m.T = 3\n  def __post_init__(self, x): self.z += x\n"
            "print(A(1), [f.name for f in dataclasses.fields(A)], typing.get_type_hints(A)['z'])",
            "m.py": "T = int",
        },
        "A(z=4) ['z'] <class 'int'>",
    )


def test_a_traceback_shows_own_files_and_lines_only(cell: Cell) -> None:
    """Frames of the platform and of the library are left out; causes and contexts are there."""
    outcome = cell.run(
        {
            "worker.py": "import json\nfrom pkg.deep import fail\ndef main():\n    json.dumps(1, default=1)\n"
            "    json.loads('{}', object_hook=lambda d: fail(d))\n\nmain()",
            "pkg/deep.py": "def fail(d):\n    try:\n        d['k']\n    except KeyError as e:\n"
            "        raise ValueError('no key') from e\n",
        }
    )
    assert outcome.traceback.splitlines() == [
        "Traceback (most recent call last):",
        '  File "pkg/deep.py", line 3, in fail',
        "KeyError: 'k'",
        "",
        "The above exception was the direct cause of the following exception:",
        "",
        "Traceback (most recent call last):",
        '  File "worker.py", line 7, in <module>',
        '  File "worker.py", line 5, in main',
        '  File "worker.py", line 5, in <lambda>',
        '  File "pkg/deep.py", line 5, in fail',
        "ValueError: no key",
    ]


def test_an_exception_whose_text_fails_is_still_told(cell: Cell) -> None:
    """A hostile __str__ cannot break the report."""
    outcome = cell.run("class E(Exception):\n    def __str__(self): raise ValueError\nraise E(1)")
    assert outcome.traceback.endswith("E: <the exception's text could not be made>\n")


def test_line_numbers_survive_the_transformation(cell: Cell) -> None:
    """Checks that the policy inserts do not move lines."""
    outcome = cell.run(
        'class C:\n    def f(self):\n        """Doc."""\n\n        self.x = 1\n        1 / 0\nC().f()'
    )
    assert "line 6, in C.f" in outcome.traceback


def test_strptime_and_time_zones_work_without_files(cell: Cell) -> None:
    """What the library imports or reads lazily was loaded before."""
    cell.prints(
        "from datetime import datetime\nfrom zoneinfo import ZoneInfo, ZoneInfoNotFoundError\n"
        "print(datetime.strptime('2024-07-01', '%Y-%m-%d').replace(tzinfo=ZoneInfo('Europe/Paris')))\n"
        "try: ZoneInfo('No/Where')\nexcept ZoneInfoNotFoundError as e: print(e)",
        "2024-07-01 00:00:00+02:00",
        "'No time zone found with key No/Where'",
    )


def test_unpacking_of_compressed_data_is_bounded(cell: Cell) -> None:
    """A small body that unpacks to gigabytes is an error, not the end of the isolate."""
    cell.prints(
        "import zlib, gzip\nbomb = zlib.compress(bytes(100_000_000))\n"
        "try: zlib.decompress(bomb)\nexcept zlib.error as e: print(e)\n"
        "try: gzip.decompress(gzip.compress(bytes(100_000_000)))\nexcept OSError as e: print(e)\n"
        "print(len(zlib.decompress(zlib.compress(bytes(1000)))))",
        "the data unpacks to more than 67108864 bytes",
        "the data unpacks to more than 67108864 bytes",
        "1000",
    )
