"""Fixtures of the language policy's tests."""

from collections.abc import Iterator

import pytest
from policy_cell import Cell


@pytest.fixture(scope="session")
def cell() -> Iterator[Cell]:
    """A warm process in whose forks snippets run."""
    with Cell() as running:
        yield running
