"""Operations from inside a worker, beside the same done directly from Python, in turns.

The worker takes the time around each operation, so that neither side has the way to the worker in
it. It is asked with ``?KIND=COUNT``, and answers with the seconds that each took.
"""

import statistics
import time
from collections.abc import Callable

import httpx

ROUNDS = 3
"""That count; one before them does not."""


def both(
    url: str, kind: str, count: int, direct: Callable[[int], object]
) -> tuple[list[float], list[float]]:
    """Seconds of so many operations in each round: in the worker, and of ``direct``, which is
    given each one's number."""
    ours: list[float] = []
    theirs: list[float] = []
    for round_ in range(ROUNDS + 1):
        inside, beside = asked(url, kind, count), measured(direct, count)
        if round_:
            ours += inside
            theirs += beside
    return ours, theirs


def asked(url: str, kind: str, count: int) -> list[float]:
    """Seconds that each took in the worker."""
    answer = httpx.get(f"{url}?{kind}={count}", timeout=60, trust_env=False)
    found: list[float] = answer.raise_for_status().json()
    return found


def measured(do: Callable[[int], object], count: int) -> list[float]:
    """Seconds that each took here."""
    taken_s = []
    for number in range(count):
        began = time.perf_counter()
        do(number)
        taken_s.append(time.perf_counter() - began)
    return taken_s


def compare(url: str, kind: str, count: int, direct: Callable[[int], object]) -> None:
    """One line of a table: p50 and operations a second, of both."""
    shown = " | ".join(
        f"{statistics.median(each) * 1e6:,.0f} µs | {len(each) / sum(each):,.0f}"
        for each in both(url, kind, count, direct)
    )
    print(f"| {kind.replace('_', ' ')} | {shown} |", flush=True)
