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
from dataclasses import dataclass, field

from bench.policy.contenders import Child, Contender, Guarded
from bench.policy.workload import PROGRAMS

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
        spread = (max(self.guarded) - min(self.guarded)) / 2
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
    for contender in (contenders.plain, contenders.guarded, contenders.stock):
        await contender.close()
    summarize(rows)


def summarize(rows: list[Row]) -> None:
    guarded = [statistics.median(row.guarded) for row in rows]
    stock = [statistics.median(row.stock) for row in rows if row.stock]
    print(f"\ngeometric mean: policy {mean(guarded)}, worst {max(guarded):.2f};", end=" ")
    print(f"stock {mean(stock)} over the {len(stock)} of {len(rows)} that it runs")


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
