"""SQL text cut into statements, as ``sqlite3_complete`` reads it."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
    (?P<blank>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<quoted>'[^']*(?:'|\Z)|"[^"]*(?:"|\Z)|`[^`]*(?:`|\Z)|\[[^\]]*(?:\]|\Z))
    | (?P<word>[^\W\d][\w$]*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)

_TRIGGER = re.compile(r"(EXPLAIN )?(QUERY PLAN )?CREATE (TEMP |TEMPORARY )?TRIGGER ")
_BEGINNING_WORDS = 6


def split(text: str) -> list[str]:
    """The statements, without those that are empty or comments only. The last need not have a
    semicolon."""
    statements, rest = cut(text)
    return [*statements, rest] if any(_words(rest)) else statements


def cut(text: str) -> tuple[list[str], str]:
    """The statements that are complete, and what is behind the last of them."""
    statements: list[str] = []
    start = 0
    beginning: list[str] = []
    last_but_one = last = ""
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "blank":
            continue
        word = token[0].upper()
        if word == ";" and _is_complete(beginning, last_but_one, last):
            if beginning:
                statements.append(text[start : token.end()].strip())
            start, beginning, last_but_one, last = token.end(), [], "", ""
            continue
        if len(beginning) < _BEGINNING_WORDS:
            beginning.append(word)
        last_but_one, last = last, word
    return statements, text[start:]


def offset_of(sql: str, token: str) -> int | None:
    """Where in a statement a token is, in bytes of UTF-8; None if it is there more than once."""
    found = [at.start() for at in _TOKEN.finditer(sql) if at[0] == token]
    return len(sql[: found[0]].encode()) if len(found) == 1 else None


def _is_complete(beginning: list[str], last_but_one: str, last: str) -> bool:
    """A trigger's statements end in semicolons too; itself it ends in ``; END ;``."""
    if not _TRIGGER.match(" ".join(beginning) + " "):
        return True
    return last_but_one == ";" and last == "END"


def _words(text: str) -> Iterator[str]:
    return (token[0] for token in _TOKEN.finditer(text) if token.lastgroup != "blank")
