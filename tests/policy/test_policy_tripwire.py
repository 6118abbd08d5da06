"""What a worker does with a part of the runtime that it should not have fails as well."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import dataclasses, json, operator, sys
from executor.isolate.policy import ModuleSpace, compile_sources, warm_up
warm_up()
SOURCE = b'''
import contextlib, dataclasses
def use(tool, *arguments): return tool(*arguments)
def below(tool, *arguments):
    with contextlib.ExitStack() as stack: stack.callback(tool, *arguments)
def match(kind, value):
    match value:
        case kind(found): return found
def ordinary():
    @dataclasses.dataclass
    class A: x: "int" = id(1) and 1
    A.__name__ = "B"
    return A().x
'''
space = ModuleSpace(compile_sources({"w.py": SOURCE}, "w.py").modules)
worker = space.run_main("w.py")
meta = type("M", (type,), {"__instancecheck__": lambda cls, x: True})
leaked = meta("P", (), {"__match_args__": ("__globals__",)})
attempts = {
    "code": lambda: worker["use"](operator.attrgetter("__code__"), json.dumps),
    "frame": lambda: worker["use"](operator.attrgetter("gi_frame"), (x for x in [1])),
    "eval": lambda: worker["use"](eval, "1"),
    "exec below the library": lambda: worker["below"](exec, "1"),
    "open": lambda: worker["use"](open, "/etc/passwd"),
    "pattern": lambda: worker["match"](leaked, json.dumps),
    "class": lambda: worker["use"](object.__setattr__, sys.exception(), "__class__", int),
    "ordinary": lambda: worker["ordinary"](),
}
results = {}
for name, attempt in attempts.items():
    try: results[name] = repr(attempt())
    except Exception as error: results[name] = f"{type(error).__name__}: {error}"
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def results() -> dict[str, str]:
    """What came of each attempt, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("attempt", "event"),
    [
        ("code", "object.__getattr__"),
        ("frame", "object.__getattr__"),
        ("eval", "compile"),
        ("exec below the library", "compile"),
        ("open", "open"),
        ("class", "object.__setattr__"),
    ],
)
def test_a_leaked_tool_fails_in_a_workers_hands(
    results: dict[str, str], attempt: str, event: str
) -> None:
    """The interpreter announces what is being done, and the announcement fails."""
    assert results[attempt] == f"Tripped: a worker cannot do this ({event})"


def test_a_leaked_metaclass_makes_no_pattern(results: dict[str, str]) -> None:
    """A class that no class statement made is refused before the pattern reads its names."""
    assert results["pattern"] == "TypeError: a pattern cannot use a class of this kind"


def test_ordinary_code_trips_over_nothing(results: dict[str, str]) -> None:
    """A dataclass, its new name and ``id()`` are announced, and pass."""
    assert results["ordinary"] == "1"
