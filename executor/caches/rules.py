"""What may be cached, for how long, and what of it a request gets. Plain values, no I/O."""

import email.utils
import re
from typing import Any

from executor.caches.store import Head

Headers = list[tuple[str, str]]

HEURISTIC_S = {200: 7200, 301: 7200, 302: 1200, 303: 1200, 403: 60, 404: 180, 410: 180}
"""For how long a response is kept that says nothing of it; another status is not kept then."""

LONGEST_S = 365 * 24 * 3600

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Uncacheable(Exception):
    """The product raises a TypeError with this message."""


def check(method: str, head: Head) -> None:
    """Raises Uncacheable: an error of whoever calls ``put``."""
    if method != "GET":
        raise Uncacheable("Cannot cache response to non-GET request.")
    if head.status == 206:
        raise Uncacheable("Cannot cache response to a range request (206 Partial Content).")
    if any(part.strip() == "*" for part in _value(head.headers, "vary").split(",")):
        raise Uncacheable("Cannot cache response with 'Vary: *' header.")


def storable(head: Head, now_s: float) -> tuple[Head, float] | None:
    """What to keep of a response, and for how long; None: it is not to be kept."""
    says = _directives(_value(head.headers, "cache-control"))
    headers = head.headers
    if _value(headers, "set-cookie"):
        if (says.get("private") or "").strip('"').lower() != "set-cookie":
            return None
        headers = [(name, value) for name, value in headers if name.lower() != "set-cookie"]
        says.pop("private")
    if {"no-store", "no-cache", "private"} & says.keys():
        return None
    ttl_s = _ttl_s(head.status, headers, says, now_s)
    return (Head(head.status, headers), min(ttl_s, LONGEST_S)) if ttl_s > 0 else None


def _ttl_s(status: int, headers: Headers, says: dict[str, str | None], now_s: float) -> float:
    for name in ("s-maxage", "max-age"):
        if name in says:
            digits = (says[name] or "").strip('"')
            return float(digits[:12]) if digits.isascii() and digits.isdigit() else 0.0
    if expires := _value(headers, "expires"):
        moment = _moment(expires)
        return 0.0 if moment is None else moment - now_s
    return HEURISTIC_S.get(status, 0)


def is_not_modified(asked: Headers, kept: Headers) -> bool:
    """Whether who asks has it already."""
    etag = _value(kept, "etag")
    if wanted := _value(asked, "if-none-match"):
        known = {part.strip().removeprefix("W/") for part in wanted.split(",")}
        return "*" in known or (bool(etag) and etag.removeprefix("W/") in known)
    since, modified = _moment(_value(asked, "if-modified-since")), _value(kept, "last-modified")
    changed = _moment(modified)
    return since is not None and changed is not None and changed <= since


def part(asked: Headers, size: int) -> tuple[int, int] | None:
    """The range of bytes that is asked for, its end excluded; None: the whole. An empty one: there
    is nothing there."""
    found = _RANGE.fullmatch(_value(asked, "range").replace(" ", ""))
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        return max(size - int(last), 0), size
    start = int(first)
    if last and int(last) < start:
        return None
    end = min(int(last) + 1, size) if last else size
    return (start, end) if start < end else (size, size)


def _directives(text: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for each in text.lower().split(","):
        name, equals, value = each.strip().partition("=")
        found.setdefault(name.strip(), value.strip() if equals else None)
    return found


def _value(headers: Headers, wanted: str) -> str:
    return ", ".join(value for name, value in headers if name.lower() == wanted)


def _moment(text: Any) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, TypeError, OverflowError):
        return None
