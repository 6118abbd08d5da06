"""Complaints of the compiler as a terminal shows them: place, reason, source line, caret.

Both the text and the source may be a stranger's: what could steer a terminal is made visible.
"""

import io
import unicodedata

from cloister.cli.terminal import visible
from cloister.messages import Complaint

WIDTH = 100
"""Columns shown of a source line; more of it is cut off around the caret."""


def text(kind: str, place: str, complaint: Complaint, source: bytes) -> str:
    """One complaint, as compilers and editors know it: ``FILE:LINE:COLUMN: KIND: WHY``."""
    where = ":".join([place, *(str(n) for n in (complaint.line, complaint.column) if n)])
    head = f"{where}: {kind}: {complaint.message}"
    return visible("\n".join([head, *_excerpt(source, complaint.line, complaint.column)]))


def _excerpt(source: bytes, number: int, column: int) -> list[str]:
    """The source line and a caret under the column; nothing if there is no such line."""
    if not number:
        return []
    lines = io.StringIO(source.decode("utf-8", "replace"), newline=None).read().split("\n")
    if number > len(lines):
        return []
    line = lines[number - 1].lstrip("\ufeff")
    first = max(0, column - 1 - WIDTH // 2) if len(line) > WIDTH else 0
    shown = line[first : first + WIDTH].rstrip()
    if not column:
        return [f"    {shown}"]
    before = visible(line[first : column - 1])
    return [f"    {shown}", f"    {''.join(map(_blank, before))}^"]


def _blank(character: str) -> str:
    """As wide as the character."""
    if character == "\t" or unicodedata.combining(character):
        return character if character == "\t" else ""
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "
