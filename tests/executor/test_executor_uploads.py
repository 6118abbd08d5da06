"""Hostile uploads: each is refused, or compiled, within the compiler's CPU time, and nothing stays.

The clock is the isolate's own. Sources are broken into lines where they can be, so that it is not
the length of a line that refuses them.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from cloister.messages import Source
from cloister.outcomes import Outcome
from cloister.settings import Settings
from executor.build import COMPILE_CPU_MS, Uncompilable, compile_sources
from executor.isolate.policy.bounds import MAX_ISSUES, MAX_MESSAGE_CHARS
from executor.isolates import IsolatePool

SETTINGS = Settings(blank_isolates=0)
SLACK_MS = 0.2 * COMPILE_CPU_MS + 20
OK = ""
NEW = sys.version_info >= (3, 12)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pool() -> AsyncIterator[IsolatePool]:
    """Isolates, as an executor makes them. At the end all are gone, with their zygote."""
    made = IsolatePool(SETTINGS)
    await made.start()
    yield made
    await made.close()


@dataclass(frozen=True)
class Result:
    errors: list[str]
    places: list[tuple[str, int, int]]
    failure: Outcome | None
    cpu_ms: float


async def upload(pool: IsolatePool, sources: dict[str, str | bytes]) -> Result:
    """What came of compiling these."""
    files = [
        Source(
            name=name,
            content_type="text/x-python",
            data=text.encode() if isinstance(text, str) else text,
        )
        for name, text in sources.items()
    ]
    isolate = await pool.blank()
    before_ns, errors, failure = isolate.cpu_ns(), [], None
    try:
        await compile_sources(isolate, SETTINGS, files, "worker.py")
    except Uncompilable as refused:
        errors, failure = refused.errors, refused.failure
    cpu_ms = (isolate.cpu_ns() - before_ns) / 1e6
    pool.release(isolate, reuse=False)
    await isolate.closed.wait()
    with pytest.raises(ProcessLookupError):
        os.kill(isolate.pid, 0)
    places = [(each.module, each.line, each.column) for each in errors]
    return Result([each.message for each in errors], places, failure, cpu_ms)


def chain(start: str, link: str, count: int, end: str = "") -> str:
    """In brackets, so that each link can have its line."""
    return f"x = (\n{start}\n" + f"{link}\n" * count + f"{end}\n)\n"


def blocks(head: str, count: int, body: str) -> str:
    """Blocks within blocks."""
    return "".join(f"{' ' * i}{head}\n" for i in range(count)) + f"{' ' * count}{body}\n"


def fstrings(depth: int) -> str:
    text = "1"
    for _ in range(depth):
        text = f"f'{{{text}}}'"
    return text


DEEP = "nested "
LONG = "300000 tokens"
TIME = f"more than {COMPILE_CPU_MS} ms"
MEMORY = "too large, to compile (MemoryError)"

PARSER = {
    "100,000 brackets": ("x = " + "(\n" * 100_000 + ")\n" * 100_000, "too many nested parentheses"),
    "brackets of all kinds": ("x = " + "([{\n" * 30_000, "too many nested parentheses"),
    "brackets that never close": ("x = (", "'(' was never closed"),
    "a million lines": ("\n" * 1_000_000 + "x = 1", OK),
    "a million statements": ("x\n" * 1_000_000, LONG),
    "a 60 MB line": ("x = '" + "a" * 60_000_000 + "'", "more than 16 MiB of Python source"),
    "a 1 MB line": ("x = '" + "a" * 1_000_000 + "'", "the line is longer than 100000 characters"),
    "300,000 names": ("x = [" + "a,\n" * 150_000 + "]", LONG),
    "attributes": (chain("a", ".b", 100_000), DEEP),
    "private attributes": (chain("a", "._b", 399), DEEP),
    "calls": (chain("f", "()", 90_000), DEEP),
    "items": (chain("a", "[0]", 90_000), DEEP),
    "a sum": (chain("1", "+1", 100_000), DEEP),
    "a power": (chain("1", "**1", 5_000), DEEP),
    "a comparison": (chain("a", "<a", 20_000), OK),
    "a conjunction": (chain("a", "and a", 20_000), OK),
    "negations": (chain("", "not", 100_000, "x"), DEEP),
    "minus signs": (chain("", "-", 100_000, "x"), DEEP),
    "lambdas": (chain("", "lambda:", 50_000, "1"), DEEP),
    "choices": (chain("", "1 if x else", 50_000, "1"), DEEP),
    "elif": ("if x: pass\n" + "elif x: pass\n" * 20_000, DEEP),
    "blocks": (blocks("if x:", 99, "pass"), OK),
    "more blocks": (blocks("if x:", 101, "pass"), "too many levels of indentation"),
    "loops": (blocks("for x in y:", 30, "pass"), "too many statically nested blocks"),
    "functions": (blocks("def f(a):", 95, "return a"), OK),
    "classes": (blocks("class C:", 95, "pass"), OK),
    "decorators": ("@a\n" * 10_000 + "def f(): pass", OK),
    "a decorator": ("@" + "a(" * 195 + ")" * 195 + "\ndef f(): pass", OK),
    "comprehensions": ("x = " + "[" * 15 + "1" + " for a in b]" * 15, OK),
    "more comprehensions": ("x = " + "[" * 95 + "1" + " for a in b]" * 95, "comprehensions are"),
    "a comprehension": (chain("[1 for a in b", "if a", 20_000, "]"), OK),
    "match alternatives": ("match x:\n case (" + "1|\n" * 20_000 + "1): pass", OK),
    "match sequences": ("match x:\n case " + "[" * 195 + "]" * 195 + ": pass", OK),
    "match classes": ("match x:\n case " + "A(" * 195 + ")" * 195 + ": pass", OK),
    "match cases": ("match x:\n" + " case 1: pass\n" * 60_000, MEMORY),
    "text in pieces": (chain("''", "'a'", 90_000), OK),
    "f-strings in f-strings": (fstrings(5), OK if NEW else "SyntaxError"),
    "too many f-strings in f-strings": (fstrings(200), "SyntaxError"),
    "a format in a format": ("x = f'" + "{1:" * 5_000 + "}" * 5_000 + "'", "SyntaxError"),
    "unfinished f-string": ("x = f'" + "{" * 5_001 + "'", "SyntaxError"),
    "continued lines": ("\\\n" * 500_000 + "x", LONG),
    "finally in finally": (
        "".join(f"{' ' * i}try: pass\n{' ' * i}finally:\n" for i in range(16)) + " " * 16 + "f()",
        "compile",
    ),
    "returns through finally": (
        "def f():\n"
        + "".join(" " * i + "try:\n" for i in range(1, 16))
        + (" " * 16 + "if x: return 1\n") * 10_000
        + "".join(" " * (16 - i) + "finally: f()\n" for i in range(1, 16)),
        "compile",  # too large, or too large to tell
    ),
    "functions that are wide and deep": (
        blocks("def f(a):", 95, "pass") + (" " * 95 + "x = 1\n") * 2_000,
        OK,
    ),
    "140,000 refusals": ("eval\n" * 140_000, MEMORY),
    "2,000 refusals": ("eval\n" * 2_000, '"eval" is not available'),
}

FOLDING = {
    "a power": "def f(): return 2**10**9, 9**9**9",
    "a shift": "def f(): return 1 << 10**12",
    "text": "def f(): return 'x' * 10**10, b'x' * 10**10",
    "tuples": "x = " + "(" * 90 + "(1, 2, 3)" + " * 9)" * 90 + " if False else 0",
    "lists": "def f(): return [0] * 10**15",
    "a set": "def f(x): return x in {\n" + ",\n".join(map(str, range(20_000))) + "}",
    "percent": "def f(): return '%1000000000d' % 1",
    "numbers": "x = 0x" + "f" * 90_000,
}

ENCODINGS: dict[str, tuple[bytes, str]] = {
    "UTF-8": ("# coding: utf-8\nx = 'é'".encode(), OK),
    "a byte order mark": (b"\xef\xbb\xbfx = 1", OK),
    "a byte order mark and another encoding": (b"\xef\xbb\xbf# coding: latin-1\nx = 1", "latin-1"),
    "UTF-7": (b"# coding: utf-7\n+AGUAdgBhAGw-('1')", '"utf-7" is not accepted'),
    "UTF-7 in the second line": (b"#\n#-*- coding: utf-7 -*-\n", '"utf-7" is not accepted'),
    "UTF-7 after a carriage return": (b"#\r# coding: utf-7\r", '"utf-7" is not accepted'),
    "UTF-7 after a form feed": (b"\x0c# coding: utf-7\n", '"utf-7" is not accepted'),
    "an encoding of escapes": (b"# coding: unicode_escape\n\\x65val", "is not accepted"),
    "an encoding that rotates": (b"# coding: rot13\nriny", '"rot13" is not accepted'),
    "UTF-16": ("x = 1".encode("utf-16"), "null bytes"),
    "UTF-32": ("x = 1".encode("utf-32"), "null bytes"),
    "not UTF-8": (b"x = 1\ny = '\xff'", "not UTF-8"),
    "half a surrogate": (b"x = '\xed\xa0\x80'", "not UTF-8"),
    "an overlong form": (b"x = '\xc0\xa7'", "not UTF-8"),
    "a null byte in a comment": (b"x = 1 # \0", "null bytes"),
    "carriage returns": (b"x = 1\ry = 2\r", OK),
    "a refusal after a carriage return": (b"x = 1\reval", '"eval" is not available'),
    "form feeds": (b"\x0cx = 1\n\x0cy = 2", OK),
    "a line separator": ("x = 1\u2028eval".encode(), "U+2028"),
    "text that runs backwards": ("x = 1 # \u202e".encode(), OK),
    "a word that looks like another": (
        "x.__\uff43lass__.__\uff4dro__".encode(),
        '"__mro__" is not',
    ),
    "a builtin that looks like another": (
        "\uff45val('1')\n\uff45\uff58\uff45\uff43('1')".encode(),
        '"exec" is not',
    ),
    "letters that look like another": ("\u0435 = 1\n\u0435val = 2".encode(), OK),
}

NAMES: dict[str, str] = {
    "helper.py": OK,
    "./helper.py": OK,
    "package/part.py": OK,
    "a/b/c/d/e/f.py": OK,
    "JSON.py": OK,
    "größe.py": OK,
    "../x.py": "relative path",
    "a/../../x.py": "relative path",
    "/etc/x.py": "relative path",
    "C:\\x.py": "relative path",
    "a\\..\\x.py": "relative path",
    "a//x.py": "relative path",
    "a/./x.py": "relative path",
    "x.py/": "relative path",
    "": "relative path",
    ".py": "relative path",
    "a\0.py": "relative path",
    "json.py": '"json" would shadow',
    "json/__init__.py": '"json" would shadow',
    "encodings/__init__.py": '"encodings" would shadow',
    "encodings/utf_7.py": '"encodings" would shadow',
    "workers.py": '"workers" would shadow',
    "workers/__init__.py": '"workers" would shadow',
    "executor/isolate/main.py": '"executor" would shadow',
    "builtins.py": '"builtins" would shadow',
    "__main__.py": '"__main__" would shadow',
    "sitecustomize.py": OK,
    "python_modules/json.py": '"json" would shadow',
    "python_modules/../x.py": "relative path",
    "\uff4ason.py": 'rename the file to "json"',
    "\ufb01le.py": 'rename the file to "file"',
    "worker/__init__.py": '"worker.py" is the same module',
    "./worker.py": '"worker.py" is the same module',
    "python_modules/worker.py": '"worker.py" is the same module',
    "class.py": "not a Python module name",
    "a b.py": "not a Python module name",
    "a.b.py": "not a Python module name",
    "x\u202e.py": "not a Python module name",
    "x;y.py": "not a Python module name",
    "x.pyc": "not a Python module name",
    "a" * 300 + ".py": "relative path",
    "/".join(["a"] * 120) + ".py": OK,
}


async def check(pool: IsolatePool, sources: dict[str, str | bytes], reason: str) -> Result:
    """Upload; it is refused for that reason, or compiles if there is none, in time."""
    result = await upload(pool, sources)
    assert result.cpu_ms <= COMPILE_CPU_MS + SLACK_MS
    if reason:
        assert reason in "\n".join(result.errors), (result.errors[:3], result.failure)
    else:
        assert result.errors == [], (result.errors[:3], result.failure)
    return result


@pytest.mark.parametrize("name", PARSER)
async def test_a_source_aimed_at_the_parser_ends_in_time(pool: IsolatePool, name: str) -> None:
    """Refused with the reason, or compiled; the isolate uses no more than its CPU time."""
    source, reason = PARSER[name]
    await check(pool, {"worker.py": source}, reason)


@pytest.mark.parametrize("name", FOLDING)
async def test_what_would_fold_to_gigabytes_compiles_at_once(pool: IsolatePool, name: str) -> None:
    """Constants are not made larger than the interpreter's own bounds before the code runs."""
    result = await check(pool, {"worker.py": FOLDING[name]}, OK)
    assert result.cpu_ms < COMPILE_CPU_MS / 2


@pytest.mark.parametrize("name", ENCODINGS)
async def test_an_odd_encoding_hides_nothing(pool: IsolatePool, name: str) -> None:
    """What the compiler reads is what the policy reads: UTF-8, or nothing."""
    source, reason = ENCODINGS[name]
    await check(pool, {"worker.py": source}, reason)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:40]))
async def test_a_modules_name_neither_leaves_nor_shadows(pool: IsolatePool, name: str) -> None:
    """Whatever traverses, takes another's place, or looks as if it did, is refused."""
    await check(pool, {"worker.py": "", name: "x = 1"}, NAMES[name])


async def test_modules_are_counted_before_they_are_looked_at(pool: IsolatePool) -> None:
    """Thousands cost the isolate nothing; a thousand are compiled."""
    many: dict[str, str | bytes] = {"worker.py": ""}
    many |= {f"m{n}.py": "x = 1" for n in range(999)}
    await check(pool, many, OK)
    many |= {f"n{n}.py": "x = 1" for n in range(4_000)}
    result = await check(pool, many, "more than 1000 modules")
    assert result.cpu_ms < 50


async def test_code_that_takes_too_long_to_compile_is_stopped(pool: IsolatePool) -> None:
    """Numbers whose hashes are all the same; others compile beside it, and soon."""
    numbers = ",\n".join(str(n * (2**61 - 1)) for n in range(60_000))
    slow = asyncio.create_task(check(pool, {"worker.py": f"x = {{{numbers}}}"}, TIME))
    beside = await check(pool, {"worker.py": "x = 1"}, OK)
    assert beside.cpu_ms < COMPILE_CPU_MS / 10
    assert not slow.done()
    assert (await slow).failure is Outcome.EXCEEDED_CPU


async def test_complaints_are_bounded(pool: IsolatePool) -> None:
    """In number and in length, whatever the source repeats; the last says how many are left out."""
    name = "__" + "a" * 90_000 + "__"
    result = await check(
        pool, {"worker.py": f"{name}\n" * 3 + "eval\n" * 1_500}, "is not available"
    )
    assert len(result.errors) == MAX_ISSUES + 1
    assert result.errors[-1] == "... and 503 more"
    assert max(map(len, result.errors)) < 2 * MAX_MESSAGE_CHARS


async def test_data_in_the_code_is_bounded(pool: IsolatePool) -> None:
    """What would not fit into the isolate's answer is refused with words, not with its death."""
    lines = "\n".join(["a" * 90_000] * 20)
    data: dict[str, str | bytes] = {f"m{n}.py": f"x = '''{lines}'''" for n in range(3)}
    await check(pool, {"worker.py": "", **data}, OK)
    data |= {f"n{n}.py": f"x = '''{lines}'''" for n in range(2)}
    await check(pool, {"worker.py": "", **data}, "compiled worker is larger than 7 MiB")
