"""Data points on their way: what one worker writes too many of is nobody else's loss."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from cloister.registry.points import Point, Points
from executor.points import WORKER_BYTES, Gathered


class Written:
    """A registry that remembers what was written."""

    def __init__(self) -> None:
        self.scripts: list[str] = []

    def write(self, batches: Sequence[tuple[str, str, Sequence[Point]]]) -> None:
        self.scripts += [point.script for _, _, points in batches for point in points]


def point(script: str, text: str) -> Point:
    return Point(timestamp=0, namespace="n", script=script, index=None, blobs=[text], doubles=[0.0])


async def test_a_worker_loses_its_own_points_only() -> None:
    """One that writes without end has its share, by what its text takes in memory; another one's
    point is written, and so is what comes in the next moment."""
    written = Written()
    with ThreadPoolExecutor(1) as threads:
        gathered = Gathered(cast("Points", cast("Any", written)), threads)
        wide = "\N{GRINNING FACE}" + "a" * 100_000
        for _ in range(200):
            gathered.add("a" * 32, "set", point("greedy", wide))
        gathered.add("a" * 32, "set", point("modest", "x"))
        await asyncio.wait_for(gathered.close(), 60)
    greedy = written.scripts.count("greedy")
    assert 0 < greedy * 4 * len(wide) <= WORKER_BYTES
    assert written.scripts.count("modest") == 1
