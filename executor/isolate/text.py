"""What text costs in an invocation's record, which is JSON.

The isolate and the executor count alike: an isolate knows when its log is full, and one that writes
on has no excuse.
"""

import bisect

import msgspec

LINE_BYTES = 64
"""What a log line costs beside its text."""

MAX_LINES = 1_000
"""Log lines of one invocation, beside the one that says that there were more."""

NOTICE_BYTES = 128
"""Kept free for saying that the log is cut off."""

_json = msgspec.json.Encoder().encode


def json_bytes(text: str) -> int:
    """How long it is as JSON, quotes included. The text must have a UTF-8 form."""
    return len(_json(text))


def line_bytes(text: str) -> int:
    """What it costs as a log line."""
    return LINE_BYTES + json_bytes(text)


def cut(text: str, limit_bytes: int) -> str:
    """The longest start of a text that takes at most so many bytes as JSON."""
    if 6 * len(text) + 2 <= limit_bytes or json_bytes(text) <= limit_bytes:
        return text
    lengths = range(min(len(text), max(limit_bytes, 0)) + 1)
    longer = bisect.bisect_right(lengths, limit_bytes, key=lambda n: json_bytes(text[:n]))
    return text[: max(longer - 1, 0)]
