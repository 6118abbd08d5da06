"""Patterns of ``_headers`` and ``_redirects``: ``/blog/:year/*``, ``https://:shop.example.com/*``.

Tenants write them and visitors choose what they are matched with, so there is no regular expression
here: matching takes time in proportion to the two, whatever they are.
"""

import re
from dataclasses import dataclass

PLACEHOLDER = re.compile(r":([A-Za-z]\w*)", re.ASCII)
SPLAT = "splat"

Captures = dict[str, str]


class PatternInvalid(ValueError):
    """A pattern that cannot be matched; the message says why."""


@dataclass(frozen=True)
class _Piece:
    """What is between two separators: text, or a wildcard with text on both sides of it."""

    before: str
    name: str = ""
    after: str = ""

    def match(self, text: str, captures: Captures) -> bool:
        if not self.name:
            return text == self.before
        end = len(text) - len(self.after)
        if not (text.startswith(self.before) and text.endswith(self.after)):
            return False
        if end - len(self.before) < (0 if self.name == SPLAT else 1):
            return False
        captures[self.name] = text[len(self.before) : end]
        return True


@dataclass(frozen=True)
class _Row:
    """Pieces between separators; a splat may take any number of places."""

    pieces: tuple[_Piece, ...]
    separator: str

    def match(self, text: str, captures: Captures) -> bool:
        parts = text.split(self.separator)
        splat = next((at for at, piece in enumerate(self.pieces) if piece.name == SPLAT), None)
        if splat is None:
            return len(parts) == len(self.pieces) and _all(self.pieces, parts, captures)
        behind = len(self.pieces) - splat - 1
        end = len(parts) - behind
        if end <= splat:
            return False
        taken = self.separator.join(parts[splat:end])
        return (
            _all(self.pieces[:splat], parts[:splat], captures)
            and _all(self.pieces[splat + 1 :], parts[end:], captures)
            and self.pieces[splat].match(taken, captures)
        )


def _all(pieces: tuple[_Piece, ...], parts: list[str], captures: Captures) -> bool:
    return all(piece.match(part, captures) for piece, part in zip(pieces, parts, strict=True))


@dataclass(frozen=True)
class Pattern:
    """A compiled pattern. ``host`` None stands for any."""

    host: _Row | None
    path: _Row

    def match(self, host: str, path: str) -> Captures | None:
        """What the wildcards stand for; None if it does not match."""
        captures: Captures = {}
        if self.host is not None and not self.host.match(host, captures):
            return None
        return captures if self.path.match(path, captures) else None


def compiled(pattern: str) -> Pattern:
    """Compile a pattern.

    Raises:
        PatternInvalid: a wildcard is there twice, or two are in one segment.
    """
    if pattern.startswith("https://"):
        authority, slash, path = pattern.removeprefix("https://").partition("/")
        host, rest = _row(authority.lower(), "."), slash + path or "/"
    else:
        host, rest = None, pattern
    row = _row(rest, "/")
    names = [piece.name for each in (host, row) if each for piece in each.pieces if piece.name]
    if len(names) != len(set(names)):
        raise PatternInvalid("A wildcard or placeholder can be used only once in a pattern.")
    return Pattern(host, row)


def has_wildcards(pattern: str) -> bool:
    """Whether it matches more than itself."""
    return "*" in pattern or PLACEHOLDER.search(pattern) is not None


def substituted(text: str, captures: Captures, most_characters: int) -> str | None:
    """The text with placeholders replaced, those without a capture left; None if it is too long."""
    pieces: list[str] = []
    at = size = 0
    for found in PLACEHOLDER.finditer(text):
        value = captures.get(found[1], found[0])
        pieces += (text[at : found.start()], value)
        size += len(value)
        at = found.end()
        if size > most_characters:
            return None
    whole = "".join((*pieces, text[at:]))
    return whole if len(whole) <= most_characters else None


def _row(text: str, separator: str) -> _Row:
    return _Row(tuple(_piece(each) for each in text.split(separator)), separator)


def _piece(text: str) -> _Piece:
    wildcards = [(found.start(), found.end(), found[1]) for found in PLACEHOLDER.finditer(text)]
    wildcards += [(at, at + 1, SPLAT) for at, character in enumerate(text) if character == "*"]
    if not wildcards:
        return _Piece(text)
    if len(wildcards) > 1:
        raise PatternInvalid("A segment of a pattern can have only one wildcard or placeholder.")
    start, end, name = wildcards[0]
    return _Piece(text[:start], name, text[end:])


@dataclass(frozen=True)
class Glob:
    """A pattern of ``run_worker_first``: each ``*`` stands for any text."""

    pieces: tuple[str, ...]

    @classmethod
    def of(cls, pattern: str) -> "Glob":
        """Compile one."""
        return cls(tuple(pattern.split("*")))

    def match(self, path: str) -> bool:
        """Whether the whole path is such."""
        first, *others = self.pieces
        if not others:
            return path == first
        *middle, last = others
        at, end = len(first), len(path) - len(last)
        if at > end or not (path.startswith(first) and path.endswith(last)):
            return False
        for piece in middle:
            found = path.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True
