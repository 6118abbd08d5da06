"""Memory of everything that `cloister up` runs, as the proportional set size (PSS)."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Added:
    """KiB that came during a with block."""

    kb: int = 0


@contextlib.contextmanager
def added_kb(data: Path) -> Iterator[Added]:
    """Measure what the block adds to the processes whose CLOISTER_DATA is under ``data``."""
    added = Added()
    before = total_kb(data)
    yield added
    added.kb = total_kb(data) - before


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
