"""Compiling: complaints, bounds, module names. Hostile sources are refused in time."""

import ast
import textwrap
from collections.abc import Callable

import pytest
from policy_cell import Cell

from executor.isolate.policy.bounds import MAX_DEPTH, MAX_MODULE_BYTES, MAX_TOKENS
from executor.isolate.policy.compiler import TOO_MANY_BLOCKS
from executor.isolate.policy.transformer import Policy
from executor.isolate.policy.transformer.base import visitors

UNVISITED = {
    "arguments": "functions visit the parts themselves",
    "arg": "functions visit the parts themselves",
    "alias": "imports visit the parts themselves",
    "comprehension": "comprehensions visit the parts themselves",
    "Load": "says nothing",
    "Store": "says nothing",
    "Del": "says nothing",
}
REFUSED_NODES = {"Interactive", "FunctionType", "TypeIgnore"}


def test_every_node_of_the_grammar_has_a_decision() -> None:
    """Each node class is visited by one of our own families or is known to be refused."""
    known = visitors(Policy) | set(UNVISITED) | REFUSED_NODES
    deprecated = {"Num", "Str", "Bytes", "NameConstant", "Ellipsis", "Index", "ExtSlice", "Suite"}
    leaves = {
        kind.__name__
        for kind in vars(ast).values()
        if isinstance(kind, type) and issubclass(kind, ast.AST) and not kind.__subclasses__()
    }
    unknown = leaves - known - deprecated - {"AugLoad", "AugStore", "Param", "slice"}
    assert unknown <= {"TemplateStr"}


def test_a_node_that_nobody_knows_is_refused() -> None:
    """A node class of a later Python is refused, not passed on."""
    invented = type("Invented", (ast.stmt,), {"_fields": ()})()
    policy = Policy("w.py", available=frozenset(), future_annotations=False)
    policy.visit(ast.Module(body=[invented], type_ignores=[]))
    assert [i.message for i in policy.refusals] == [
        "this syntax (Invented) is not part of the language that workers may use"
    ]


def test_a_node_that_only_the_stock_policy_knows_is_refused() -> None:
    """The stock transformer's visitors do not count: Interactive is one of them."""
    policy = Policy("w.py", available=frozenset(), future_annotations=False)
    policy.visit(ast.Interactive(body=[]))
    assert len(policy.refusals) == 1


def test_all_complaints_come_at_once_with_their_positions(cell: Cell) -> None:
    """Every refusal of every module is told, with file, line and column."""
    outcome = cell.run(
        {
            "worker.py": "import helper\nx = (1).__class__.__mro__\ny = eval('1')\n",
            "helper.py": "def f(a):\n    return a.gi_frame.f_back\n",
        }
    )
    assert outcome.positions == [
        ["worker.py", 2, 19],
        ["worker.py", 3, 5],
        ["helper.py", 2, 14],
        ["helper.py", 2, 23],
    ]
    assert all("is not available: " in message for message in outcome.errors)


def test_a_syntax_error_has_its_position(cell: Cell) -> None:
    """What the parser says is passed on with line and column."""
    outcome = cell.run("x = 1\nif x\n    pass\n")
    assert outcome.errors == ["SyntaxError: expected ':'"]
    assert outcome.positions == [["worker.py", 2, 5]]


def test_an_error_of_one_module_does_not_hide_those_of_another(cell: Cell) -> None:
    """A module that does not parse leaves the others checked."""
    outcome = cell.run({"worker.py": "x = (", "b.py": "eval('1')"})
    assert len(outcome.errors) == 2


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"x = 1\0", "null bytes"),
        (b"# -*- coding: utf-7 -*-\nx = 1", 'the encoding "utf-7" is not accepted'),
        (b"#!/bin/python\n# vim: set fileencoding=utf-16 :\n", '"utf-16" is not accepted'),
        (b"x = '\xff'", "the file is not UTF-8 (byte 5)"),
        (b"#" * (MAX_MODULE_BYTES + 1), "the file is larger than 2048 KiB"),
        (b"x = '" + b"a" * 100_001 + b"'", "the line is longer than 100000 characters"),
        (b"(" * 10_000 + b")" * 10_000, "too many nested parentheses"),
        (b"x = " + b"-" * 50_000 + b"1", "nested too deeply"),
        (b"x = " + b"+".join([b"1"] * 5_000), "nested more than"),
        (b"x = " + b"not " * 3_000 + b"1", "nested more than"),
        (b"x" + b".a" * 5_000, "nested more than"),
        (b"f" + b"()" * 5_000, "nested more than"),
        (b"x = 1\n" + b"if x: pass\n" + b"elif x: pass\n" * 5_000, "nested more than"),
        (b"x = 1\n" * (MAX_TOKENS // 3 + 1), f"the worker has more than {MAX_TOKENS} tokens"),
        (b"x\n" * 1_000_000, f"the worker has more than {MAX_TOKENS} tokens"),
        (b"\n" * 2_000_000 + b"1", ""),
        (b"x = " + b"9" * 50_000, "SyntaxError"),
        (b"".join(b" " * i + b"if 1:\n" for i in range(200)), "IndentationError: too many levels"),
        (b"x = f'" + b"{" * 5_001 + b"'", "SyntaxError"),
        (b"lambda: " * 5_000 + b"1", "nested too deeply"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:20]),
)
def test_a_source_beyond_the_bounds_is_refused(cell: Cell, source: bytes, reason: str) -> None:
    """A parser bomb or an odd file is a clear complaint; test_executor_uploads.py has the time."""
    outcome = cell.run({"worker.py": source})
    assert reason in "\n".join(outcome.errors), (outcome.errors, outcome.raised, outcome.message)


@pytest.mark.parametrize(
    "source",
    [
        "x = " + "(" * 150 + "1" + ")" * 150,
        "x = [" + ",".join(["1"] * 30_000) + "]",
        "x = " + "+".join(["1"] * (MAX_DEPTH - 10)),
        "# coding: utf-8\nx = 'é'",
        "\ufeffx = 1",
        "# -*- coding: ascii -*-\nx = 1",
        "def f(x):\n if x: return 1\n" + " elif x: return 1\n" * (MAX_DEPTH - 20),
    ],
    ids=["brackets", "a long list", "a long sum", "utf-8", "byte order mark", "ascii", "elif"],
)
def test_a_source_within_the_bounds_compiles(cell: Cell, source: str) -> None:
    """The twins of the bombs: large, nested or encoded as ordinary files are."""
    assert cell.run(source).refusal == ""


def _within(head: str, count: int, body: str, start: str = "") -> str:
    lines = [" " * n + head for n in range(bool(start), count + bool(start))]
    return (
        "\n".join([*([start] if start else []), *lines, " " * (count + bool(start)) + body]) + "\n"
    )


OVERFULL: dict[str, tuple[Callable[[int], str], int]] = {
    "comprehensions": (lambda n: "x = " + "{" * n + "1" + " for a in b}" * n, 16),
    "asynchronous comprehensions": (
        lambda n: "async def f(): return " + "[" * n + "1" + " async for a in b]" * n,
        8,
    ),
    "with": (lambda n: _within("with a:", n, "yield", "def f():"), 16),
    "with several": (lambda n: _within("with a, b, c:", n, "yield", "def f():"), 5),
    "asynchronous for": (lambda n: _within("async for a in b:", n, "pass", "async def f():"), 16),
    "handlers": (lambda n: _fallbacks("except E as e:", n), 8),
    "finally": (lambda n: _fallbacks("finally:", n), 10),
    "a comprehension in with": (lambda n: _within("with a:", n, "x = [b for b in c]"), 15),
}
"""What makes a source of so many blocks, and how many there may be."""


def _fallbacks(head: str, count: int) -> str:
    lines = [f"{' ' * n}try: a\n{' ' * n}{head}" for n in range(count)]
    return "\n".join(lines) + f"\n{' ' * count}pass\n"


@pytest.mark.parametrize("name", OVERFULL)
def test_blocks_are_bounded_before_the_interpreter_counts_them(cell: Cell, name: str) -> None:
    """Some interpreters write beyond an array of theirs first: nothing comes near it."""
    make, most = OVERFULL[name]
    if name != "finally":  # each of which is compiled twice: the deepest take seconds
        outcome = cell.run(make(most + 1))
        assert outcome.errors == [TOO_MANY_BLOCKS]
        assert outcome.positions[0][1] >= 1
    assert cell.run("if False:\n" + textwrap.indent(make(most), "  ")).errors == []


def test_blocks_of_one_function_do_not_count_for_another(cell: Cell) -> None:
    """A function within 16 blocks may have 16 of its own."""
    source = _within("with a:", 16, "def f(): pass", "def g():").replace(
        "def f(): pass", "def f(): return " + "[" * 16 + "1" + " for a in b]" * 16
    )
    assert cell.run(source).errors == []


def test_blocks_in_the_text_of_an_annotation_are_bounded_too(cell: Cell) -> None:
    """It is compiled when the worker runs."""
    source = "import typing\nclass A:\n    x: '{}'\nb = [1]\nprint(typing.get_type_hints(A))"
    cell.refuses(source.format("[" * 17 + "1" + " for a in b]" * 17), "Forward reference must be")
    assert cell.run(source.format("list[int]")).log == ["{'x': list[int]}"]


def test_constant_folding_cannot_explode(cell: Cell) -> None:
    """Expressions that would fold to gigabytes compile at once and fail only when they run."""
    outcome = cell.run(
        "def f(): return ('a' * 10**12, (2**64)**(2**20), [0] * 10**15)\nprint('ok')"
    )
    assert outcome.log == ["ok"]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("../evil.py", "a relative path"),
        ("/etc/evil.py", "a relative path"),
        ("a/../b.py", "a relative path"),
        ("a//b.py", "a relative path"),
        ("a\\b.py", "a relative path"),
        ("json.py", '"json" would shadow'),
        ("os/path.py", '"os" would shadow'),
        ("workers.py", '"workers" would shadow'),
        ("executor/isolate/evil.py", '"executor" would shadow'),
        ("my-module.py", "is not a Python module name"),
        ("a/class.py", '"class" is not a Python module name'),
        ("a b.py", "is not a Python module name"),
        ("__init__.py", "a package needs a directory"),
        ("x" * 300 + ".py", "a relative path"),
    ],
)
def test_a_module_name_that_leaves_or_shadows_is_refused(
    cell: Cell, file: str, reason: str
) -> None:
    """A file's name can neither traverse nor take the place of a module of the platform."""
    outcome = cell.run({"worker.py": "", file: ""})
    assert reason in outcome.refusal


def test_two_files_cannot_be_one_module(cell: Cell) -> None:
    """a.py beside a/__init__.py is refused."""
    outcome = cell.run({"worker.py": "", "a.py": "", "a/__init__.py": ""})
    assert '"a.py" is the same module' in outcome.refusal


def test_a_missing_main_module_is_told(cell: Cell) -> None:
    """The main module must be among the files."""
    assert "the main module is not among" in cell.run({"other.py": ""}).refusal


def test_an_unavailable_import_is_a_warning_and_fails_when_it_runs(cell: Cell) -> None:
    """An import under a guard that never runs refuses nothing; one that runs raises."""
    guarded = cell.run(
        "if False:\n    import numpy\ntry: import requests\nexcept ImportError as e: print(e)"
    )
    assert guarded.refusal == ""
    assert [w for w in guarded.warnings if '"numpy"' in w]
    assert guarded.log == ["No module named 'requests' for workers: use fetch() from workers"]
    assert cell.run("import numpy").raised == "ModuleNotFoundError"


def test_warnings_of_the_parser_are_passed_on(cell: Cell) -> None:
    """An invalid escape is a warning with its text, not a failure."""
    outcome = cell.run("x = '\\d'\nprint(1 is 1)")
    assert any("invalid escape sequence" in warning for warning in outcome.warnings)
    assert outcome.refusal == ""


def test_a_vendored_copy_of_the_platform_is_ignored(cell: Cell) -> None:
    """python_modules/workers, which the product's tools vendor, gives way to the platform's."""
    outcome = cell.run({"worker.py": "", "python_modules/workers/__init__.py": "syntax error("})
    assert outcome.refusal == ""
    assert outcome.warnings == ["ignored: the platform provides this module"]


def test_a_builtin_that_is_missing_may_be_defined(cell: Cell) -> None:
    """A worker's own function called compile or help is its own business."""
    cell.prints("def compile(x, help=2): return x + help\nprint(compile(1))", "3")
