"""What the language policy costs: ``python -m bench.policy.run [--rounds N] [PROGRAM ...]``.

Each round runs a program in plain CPython, in an isolate and under stock RestrictedPython, one
straight after the other; a row is the median of the rounds' ratios of CPU time. All must return
the same.
"""

import argparse
import asyncio
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass, field

from bench.policy.contenders import Child, Contender, Guarded
from bench.policy.workload import PROGRAMS
from executor.isolate.policy import compile_sources

ONCE = frozenset({"definitions"})
"""Programs that do what a worker does when it is loaded. They do not count for the mean."""

TARGET_NS = 25_000_000
"""CPU time of one timed run: the program is repeated until it takes so long."""


@dataclass
class Row:
    """CPU milliseconds and ratios of one program."""

    name: str
    plain_ms: list[float] = field(default_factory=list)
    guarded: list[float] = field(default_factory=list)
    stock: list[float] = field(default_factory=list)
    refused: str = ""

    def __str__(self) -> str:
        plain_ms, guarded = map(statistics.median, (self.plain_ms, self.guarded))
        stock = f"{statistics.median(self.stock):>7.2f}" if self.stock else "refused"
        quarters = statistics.quantiles(self.guarded, n=4) if len(self.guarded) > 1 else [0, 0, 0]
        spread = (quarters[2] - quarters[0]) / 2
        line = f"{self.name:<20}{plain_ms:>9.2f} ms{plain_ms * guarded:>9.2f} ms"
        return f"{line}{guarded:>7.2f} ±{spread:.2f}{stock:>10}  {self.refused}".rstrip()


HEAD = f"{'program':<20}{'plain':>12}{'policy':>12}{'ratio':>7}{'':>6}{'stock':>10}"


@dataclass
class Contenders:
    """The three of them."""

    plain: Contender
    guarded: Contender
    stock: Contender


async def measure(name: str, rounds: int, contenders: Contenders) -> Row:
    """One row. Ends the run if the results differ."""
    once_ns, expected = await contenders.plain.run(name, 1)
    times = max(1, round(TARGET_NS / once_ns))
    row = Row(name)
    for _ in range(rounds):
        plain_ns, result = await contenders.plain.run(name, times)
        check(name, "plain", result, expected)
        row.plain_ms.append(plain_ns / times / 1e6)
        guarded_ns, result = await contenders.guarded.run(name, times)
        check(name, "policy", result, expected)
        row.guarded.append(guarded_ns / plain_ns)
        if not row.refused:
            stock_ns, result = await contenders.stock.run(name, times)
            if stock_ns:
                check(name, "stock", result, expected)
                row.stock.append(stock_ns / plain_ns)
            else:
                row.refused = result[:56]
    return row


def check(name: str, who: str, result: str, expected: str) -> None:
    if result != expected:
        sys.exit(f"{name}: {who} returned {result}, plain CPython {expected}")


async def main(rounds: int, names: list[str]) -> None:
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {rounds} rounds\n\n{HEAD}"
    )
    contenders = Contenders(
        await Child.start("plain"), await Guarded.start(), await Child.start("stock")
    )
    rows = []
    for name in names:
        rows.append(await measure(name, rounds, contenders))
        print(rows[-1], flush=True)
    summarize([row for row in rows if row.name not in ONCE])
    for contender in (contenders.plain, contenders.guarded, contenders.stock):
        await contender.close()


def summarize(rows: list[Row]) -> None:
    if not rows:
        return
    guarded = [statistics.median(row.guarded) for row in rows]
    stock = [statistics.median(row.stock) for row in rows if row.stock]
    print(f"\ngeometric mean: policy {mean(guarded)}, worst {max(guarded):.2f};", end=" ")
    print(f"stock {mean(stock)} over the {len(stock)} of {len(rows)} that it runs")
    print(compile_rate())


def compile_rate() -> str:
    """Lines of the programs that are compiled in a second of CPU time."""
    sources = {f"{name}.py": text.encode() for name, text in PROGRAMS.items()}
    lines = sum(text.count("\n") for text in PROGRAMS.values())

    def plain() -> None:
        for name, text in sources.items():
            compile(text, name, "exec", dont_inherit=True)

    def guarded() -> None:
        assert not compile_sources(sources, "nbody.py").errors

    rates = []
    for step in (plain, guarded):
        taken = []
        for _ in range(5):
            started = time.process_time()
            step()
            taken.append(time.process_time() - started)
        rates.append(lines / statistics.median(taken))
    return f"compiled lines a second: plain {rates[0]:,.0f}, policy {rates[1]:,.0f}"


def mean(ratios: list[float]) -> str:
    return f"{statistics.geometric_mean(ratios):.2f}" if ratios else "-"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("programs", nargs="*", default=list(PROGRAMS))
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    asyncio.run(main(given.rounds, given.programs))
