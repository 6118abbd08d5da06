"""Fixtures of the language layer's escape tests: the cell of tests/policy."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "policy"))

from policy_cell import Cell


@pytest.fixture(scope="session")
def cell() -> Iterator[Cell]:
    """A warm process in whose forks snippets run."""
    with Cell() as running:
        yield running
