"""Nothing that a worker can call hands it a part of the runtime, or changes one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CALLS = Path(__file__).with_name("policy_calls.py")
PARTS = 2


def start(argument: str) -> subprocess.Popen[bytes]:
    """The calls of some modules, in processes of their own."""
    return subprocess.Popen([sys.executable, CALLS, argument], stdout=subprocess.PIPE)


def reports(process: subprocess.Popen[bytes]) -> dict[str, dict[str, Any]]:
    """What came of them, by module."""
    output, _ = process.communicate(timeout=110)
    assert process.returncode == 0
    lines = [json.loads(line) for line in output.splitlines()]
    assert [name for name, _, status in lines if status] == []
    return {name: report for name, report, _ in lines}


def test_no_call_with_hostile_arguments_gives_or_changes_what_is_not_the_workers() -> None:
    """Every function, class and method, called with objects it is not meant for, tells nothing.

    Neither a result nor anything handed to the worker's own objects is a real metaclass, module,
    frame, loop, context or live namespace; no class or module of the runtime differs afterwards;
    and no method written in Python can be read from a class without a check of its receiver.
    """
    found = {}
    for process in [start(f"{part}/{PARTS}") for part in range(PARTS)]:
        found |= reports(process)
    assert {name: r["found"] for name, r in found.items() if r["found"]} == {}
    assert {name: r["changed"] for name, r in found.items() if r["changed"]} == {}
    assert {name: r["unchecked"] for name, r in found.items() if r["unchecked"]} == {}
    assert sum(report["calls"] for report in found.values()) > 50_000


def test_the_calls_find_what_is_planted() -> None:
    """A function that returns the real type, a namespace, or writes on a class is reported."""
    report = reports(start("planted"))["planted"]
    assert any("the real type" in line for line in report["found"])
    assert any("the dictionary of the module json" in line for line in report["found"])
    assert report["changed"] == ["json.JSONDecoder:x", "json.decoder.JSONDecoder:x"]
