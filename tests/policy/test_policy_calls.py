"""Nothing that a worker can call hands it a part of the runtime, or changes one."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CALLS = Path(__file__).with_name("policy_calls.py")
PARTS = 2

DEADLINE_S = 550
"""A minute at most on a machine of our own; others may be busy with something else."""

pytestmark = pytest.mark.timeout(DEADLINE_S + 50)


def reports(*arguments: str) -> dict[str, dict[str, Any]]:
    """What came of the calls of some modules, by module; one process for each argument."""
    with contextlib.ExitStack() as stack:
        processes = []
        for argument in arguments:
            command = [sys.executable, CALLS, argument]
            process = stack.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            )
            stack.callback(process.kill)
            processes.append(process)
        results = [process.communicate(timeout=DEADLINE_S) for process in processes]
    lines = [json.loads(line) for output, _ in results for line in output.splitlines()]
    died = [name for name, _, status in lines if status]
    assert died == [], b"".join(errors for _, errors in results).decode()
    return {name: report for name, report, _ in lines}


def test_no_call_with_hostile_arguments_gives_or_changes_what_is_not_the_workers() -> None:
    """Every function, class and method, called with objects it is not meant for, tells nothing.

    Neither a result nor anything handed to the worker's own objects is a real metaclass, module,
    frame, loop, context or live namespace; no class or module of the runtime differs afterwards;
    and no method written in Python can be read from a class without a check of its receiver.
    """
    found = reports(*(f"{part}/{PARTS}" for part in range(PARTS)))
    assert {name: r["found"] for name, r in found.items() if r["found"]} == {}
    assert {name: r["changed"] for name, r in found.items() if r["changed"]} == {}
    assert {name: r["unchecked"] for name, r in found.items() if r["unchecked"]} == {}
    assert sum(report["calls"] for report in found.values()) > 50_000


def test_the_calls_find_what_is_planted() -> None:
    """A function that returns the real type, a namespace, or writes on a class is reported."""
    report = reports("planted")["planted"]
    assert any("the real type" in line for line in report["found"])
    assert any("the dictionary of the module json" in line for line in report["found"])
    assert report["changed"] == ["json.JSONDecoder:x", "json.decoder.JSONDecoder:x"]
