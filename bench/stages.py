"""`python -m bench.stages`: where a request's CPU time goes, process by process.

CPU time is the kernel's count for each process, so a busy machine changes it little. A closed loop
of so many connections calls the `hello` worker; what each kind of process used meanwhile is divided
by the requests answered.
"""

import argparse
import asyncio
import os
import tempfile
from collections import Counter
from pathlib import Path

from load import measure
from memory import tree
from run import WARM_UP_S, cloister

TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")

KINDS = (
    ("valkey", "valkey"),
    ("dispatcher.server", "dispatcher"),
    ("control.server", "control"),
    ("executor.app", "executor"),
    ("executor.isolate", "isolates"),
    ("scheduler.app", "scheduler"),
)
"""What a command line contains, and what the process is then called."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--connections", type=int, nargs="*", default=[1, 16, 64])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloister-bench-") as name:
        directory = Path(name)
        with cloister(directory) as who:
            url = f"{who.dispatch_url}/{who.namespace}/hello/"
            for connections in options.connections:
                stages(url, connections, options.seconds, directory / "cloister")


def stages(url: str, connections: int, seconds: float, data: Path) -> None:
    """Print CPU microseconds a request, by kind of process."""
    asyncio.run(measure(url, connections=connections, duration_s=WARM_UP_S))
    before = cpu_us(data)
    figures = asyncio.run(measure(url, connections=connections, duration_s=seconds))
    used = cpu_us(data)
    used.subtract(before)
    answered = len(figures.latencies_ms)
    parts = [f"{kind} {used[kind] / answered:.0f}" for kind in sorted(used)]
    print(
        f"{connections:>3} connections: {figures.rate:,.0f} requests/s, CPU us a request: "
        f"{', '.join(parts)}; together {sum(used.values()) / answered:.0f}",
        flush=True,
    )


def cpu_us(data: Path) -> Counter[str]:
    """CPU time so far of this process and of all that work on that data directory, by kind."""
    found: Counter[str] = Counter()
    for process in {os.getpid(), *tree(data)}:
        try:
            stat = Path(f"/proc/{process}/stat").read_text()
        except OSError:
            continue
        fields = stat.rpartition(")")[2].split()
        found[kind_of(process)] += int((int(fields[11]) + int(fields[12])) * TICK_US)
    return found


def kind_of(process: int) -> str:
    """What a process does for a request."""
    if process == os.getpid():
        return "load"
    try:
        command = Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return "gone"
    return next((kind for part, kind in KINDS if part in command), "others")


if __name__ == "__main__":
    main()
