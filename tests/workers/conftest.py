"""Fixtures: a blank isolate without its sandbox, and one that runs a source."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from workers_cell import Answers, Cell, Result

from executor.isolate import frames


@pytest.fixture
def cell() -> Iterator[Cell]:
    """A blank isolate."""
    cell = Cell()
    yield cell
    cell.close()


@pytest.fixture
def run(cell: Cell) -> Callable[..., Result]:
    """Load a worker's source into the isolate and run one invocation."""

    def run(source: str, answers: Answers | None = None, **fields: Any) -> Result:
        load = {name: fields.pop(name) for name in ("env", "live") if name in fields}
        answer = cell.load(source, **load)
        assert isinstance(answer, frames.Loaded), answer
        return cell.invoke(answers, **fields)

    return run
