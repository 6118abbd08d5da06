"""The C library keeps freed memory, so that large pieces cost no page faults."""

import platform
import subprocess
import sys

import pytest

FAULTS = """\
import resource
from cloister.allocator import keep_freed_memory
{first}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    held = [bytes([1]) * 262_144 for _ in range(8)]
work()
before = faults()
for _ in range(20):
    work()
print(faults() - before)
"""


def faults(first: str) -> int:
    """Page faults of a process that makes and drops 2 MiB, twenty times."""
    command = [sys.executable, "-c", FAULTS.format(first=first)]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others have no such setting")
def test_large_pieces_cost_no_page_faults() -> None:
    """Once it is set, memory that was used before is used again as it is."""
    assert faults("keep_freed_memory()") < faults("") / 4
