"""Ordinary Python runs unchanged: the programs of ``programs/``, written as people write them."""

from pathlib import Path

import pytest
from policy_cell import Cell

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_prints_what_plain_python_prints(cell: Cell, program: Path) -> None:
    """A program under the policy writes the lines that the same source writes without it."""
    source = program.read_text()
    outcome = cell.run(source)
    assert outcome.refusal == "", f"{outcome.refusal}\n{outcome.traceback}"
    assert "\n".join(outcome.log).splitlines() == cell.run_plain(source)


def test_the_corpus_is_broad() -> None:
    """The corpus holds at least sixty programs."""
    assert len(PROGRAMS) >= 60
