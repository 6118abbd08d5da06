"""Conditional and partial requests (RFC 9110, 13 and 14)."""

import re
from collections.abc import Mapping
from typing import NamedTuple

_RANGE = re.compile(r"bytes=[ \t]*(\d{0,15})-(\d{0,15})[ \t]*", re.ASCII)

Pairs = list[tuple[str, str]]


class Span(NamedTuple):
    """Some bytes of a blob."""

    start: int
    length: int


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has it already."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]


def span_of(
    headers: Mapping[str, str], etag: str, size: int, fields: Pairs, method: str
) -> tuple[int, Span]:
    """Status and the bytes asked for; adds the fields that go with them. Several ranges at once are
    not served: such a client gets the whole, as it must expect."""
    whole = 200, Span(0, size)
    fields.append(("accept-ranges", "bytes"))
    found = _RANGE.fullmatch(headers.get("range", ""))
    if found is None or method != "GET" or headers.get("if-range", etag) != etag:
        return whole
    first, last = found[1], found[2]
    if not first and not last:
        return whole
    if first and last and int(last) < int(first):
        return whole
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1, size) if first and last else size
    if start >= end:
        fields.append(("content-range", f"bytes */{size}"))
        return 416, Span(0, 0)
    fields.append(("content-range", f"bytes {start}-{end - 1}/{size}"))
    return 206, Span(start, end - start)
