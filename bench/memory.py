"""Memory of everything that `cloister up` runs, as the proportional set size (PSS)."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SETTLED_S = 1.0


@dataclass
class Added:
    """KiB that came during a with block."""

    kb: int = 0


@contextlib.contextmanager
def added_kb(data: Path) -> Iterator[Added]:
    """Measure what the block adds to the processes whose CLOISTER_DATA is under ``data``.

    Before and after, it waits for them to settle: the block takes blank isolates, which are made
    again a moment later.
    """
    added = Added()
    settle(data)
    before = total_kb(data)
    yield added
    settle(data)
    added.kb = total_kb(data) - before


def settle(data: Path) -> None:
    """Wait until none of those processes has come or gone for :data:`SETTLED_S`."""
    since, known = time.monotonic(), tree(data)
    while time.monotonic() - since < SETTLED_S:
        time.sleep(SETTLED_S / 10)
        if (now := tree(data)) != known:
            since, known = time.monotonic(), now


def total_kb(data: Path) -> int:
    """What all those processes hold now, KiB."""
    return sum(pss_kb(pid) for pid in tree(data))


def tree(data: Path) -> set[int]:
    """Processes with the marker in their environment, and all their descendants."""
    parents: dict[int, int] = {}
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            stat = (entry / "stat").read_text()
            parents[int(entry.name)] = int(stat[stat.rindex(")") + 2 :].split()[1])
            if f"CLOISTER_DATA={data}".encode() in (entry / "environ").read_bytes():
                found.add(int(entry.name))
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def pss_kb(pid: int) -> int:
    """What one process holds, KiB; 0 if it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
