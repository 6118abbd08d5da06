"""Faults are of whole platforms: the rigs of the rooms are at hand."""

import sys
from pathlib import Path

for room in ("executor", "scheduler"):
    sys.path.append(str(Path(__file__).parents[1] / room))
