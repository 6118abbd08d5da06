"""Header rules of fetch(): what a tenant may send, and what it is shown."""

import re
from collections.abc import Iterable

from executor.egress.guard import FetchInvalid

Headers = list[tuple[str, str]]

MAX_HEADERS_BYTES = 128 * 1024

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
"""What stays within one line."""

HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
        *("proxy-authenticate", "proxy-authorization", "proxy-connection"),
    }
)

OURS = HOP_BY_HOP | {"host", "content-length", "expect", "accept-encoding"}
"""Set by the client itself from URL and body; what the tenant says of them is not sent."""

CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})

CONTENT = frozenset(("content-type", "content-encoding", "content-language", "content-location"))


def outgoing(headers: Iterable[tuple[str, str]]) -> Headers:
    """The tenant's headers as they may be sent.

    Raises:
        FetchRefused: too large, or a name or value that would not stay one header on the wire.
    """
    kept = []
    size = 0
    for name, value in headers:
        value = value.strip(" \t")
        if not _NAME.fullmatch(name) or not VALUE.fullmatch(value):
            raise FetchInvalid(f"Invalid header: {name[:100]!r}.")
        size += len(name) + len(value) + 4
        if size > MAX_HEADERS_BYTES:
            raise FetchInvalid("The request's headers are too large.")
        if name.lower() not in OURS:
            kept.append((name.lower(), value))
    return kept


def without(headers: Headers, names: frozenset[str]) -> Headers:
    """The headers, except those of these names."""
    return [(name, value) for name, value in headers if name not in names]


def incoming(raw: Iterable[tuple[bytes, bytes]], *, decoded: bool) -> Headers:
    """A response's headers as the tenant sees them.

    ``decoded`` says that the body is given as it was before compression; the headers that
    described the compressed one then go.
    """
    dropped = HOP_BY_HOP | ({"content-encoding", "content-length"} if decoded else frozenset())
    headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]
    return without(headers, dropped)


def value_of(headers: Headers, name: str) -> str:
    """The first value of a header, or an empty string."""
    return next((value for key, value in headers if key == name), "")
