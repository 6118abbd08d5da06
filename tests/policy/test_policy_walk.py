"""Nothing that a worker can read, to any depth, leads into the runtime."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

WALK = Path(__file__).with_name("policy_walk.py")


def walk(*arguments: str) -> dict[str, Any]:
    """The report of a walk in a process of its own."""
    done = subprocess.run(
        [sys.executable, WALK, *arguments], capture_output=True, check=True, timeout=100
    )
    return json.loads(done.stdout)


def test_no_module_frame_code_loader_or_unlisted_callable_is_reachable() -> None:
    """From every facade, builtin, sample object and extended class only listed things are read."""
    report = walk()
    assert report["found"] == []
    assert report["count"] > 5_000


def test_the_walk_finds_what_is_planted() -> None:
    """The walk reports a module, a frame, a namespace and a loader among harmless objects."""
    report = walk("planted")
    assert len(report["found"]) == 4
    assert all(line.startswith("planted") for line in report["found"])
