"""The page on the language says what the code does."""

import sys
from pathlib import Path

import pytest

from executor.isolate.policy.page import page

FILE = Path(__file__).parents[2] / "docs" / "language.md"


@pytest.mark.skipif(sys.version_info[:2] != (3, 13), reason="the page is made with Python 3.13")
def test_the_page_is_what_the_tables_give() -> None:
    """docs/language.md was made from the present tables (run executor.isolate.policy.page)."""
    assert FILE.read_text() == page()
