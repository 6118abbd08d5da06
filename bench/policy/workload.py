"""The programs, and one timed run of one of them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAMS = {
    path.stem: path.read_text()
    for path in sorted((Path(__file__).parent / "programs").glob("*.py"))
    if path.stem != "__init__"
}


def timed(run: Callable[[int], Any], size: int, times: int) -> tuple[int, str]:
    """CPU nanoseconds of that many runs, and what the last one returned."""
    started = time.process_time_ns()
    for _ in range(times):
        result = run(size)
    return time.process_time_ns() - started, repr(result)


WORKER = f'''
"""Runs the program that the path names as often as it says."""
import json, time
import {", ".join(PROGRAMS)}
from workers import Response, WorkerEntrypoint

PROGRAMS = {{{", ".join(f"{name!r}: {name}" for name in PROGRAMS)}}}


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        name, times = request.url.split("/")[-2:]
        run, size = PROGRAMS[name].run, PROGRAMS[name].SIZE
        started = time.process_time_ns()
        for _ in range(int(times)):
            result = run(size)
        return Response(json.dumps([time.process_time_ns() - started, repr(result)]))
'''
"""The same, as a worker."""
