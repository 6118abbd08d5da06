"""`python bench/many.py`: many workers, each called in its turn.

First each for the first time (its code is in no cache), then again while it is warm, and beside
that one worker alone; then the memory that they hold, and what is given back when they are idle.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from load import Figures, each, measure
from memory import added_kb, total_kb
from run import HELLO, cloister, deploy

CONNECTIONS = 16
PASSES = 8
"""Whichever executor is free takes a call: it takes some until each has had all workers."""

IDLE_S = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=1_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloister-bench-") as name:
        directory = Path(name)
        settings = {
            "CLOISTER_WARM_ISOLATES": str(options.workers),
            "CLOISTER_ISOLATE_IDLE_S": str(IDLE_S),
        }
        with cloister(directory, **settings) as who:
            names = [f"many-{number}" for number in range(options.workers)]
            begun = time.perf_counter()
            deploy(who, {name: HELLO + f"# {name}\n".encode() for name in names})
            print(f"deployed {len(names)} workers in {time.perf_counter() - begun:.1f} s")
            base = f"{who.dispatch_url}/{who.namespace}"
            report(base, [f"{base}/{name}/" for name in names], directory)


def report(base: str, urls: list[str], directory: Path) -> None:
    """Every figure, printed as it comes."""
    hello = f"{base}/hello/"
    asyncio.run(measure(hello, connections=CONNECTIONS, duration_s=2))
    print(line("one worker", asyncio.run(measure(hello, connections=CONNECTIONS, duration_s=4))))
    with added_kb(directory) as first:
        print(line("first calls", asyncio.run(each(urls, connections=CONNECTIONS))))
    for _ in range(PASSES):
        print(line("in turn", asyncio.run(each(urls, connections=CONNECTIONS))))
    print(
        f"memory of {len(urls)} after their first call: {first.kb / len(urls) / 1024:.2f} MiB each"
    )
    held_kb = total_kb(directory)
    time.sleep(IDLE_S + 2)
    given_kb = held_kb - total_kb(directory)
    print(f"given back after {IDLE_S} s without a call: {given_kb / 1024:.0f} MiB")


def line(what: str, figures: Figures) -> str:
    """Rate and latency of it."""
    return (
        f"{what:<12} {figures.rate:8,.0f} requests/s   p50 {figures.percentile(0.5):7.2f} ms   "
        f"p99 {figures.percentile(0.99):7.2f} ms   {figures.failed} failed"
    )


if __name__ == "__main__":
    main()
