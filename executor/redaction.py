"""What a tail must not show: credentials in headers, and ids in URLs that work like passwords.

The product's rules (header names by fragment; long hexadecimal and base-64 runs in URLs).
"""

import re
from functools import lru_cache

REDACTED = "REDACTED"

_SECRET_NAMES = ("auth", "key", "secret", "token", "jwt")
_COOKIES = frozenset({"cookie", "set-cookie"})

_HEX_ID = re.compile(r"[0-9a-fA-F][0-9a-fA-F-]{30,}[0-9a-fA-F]")
_HEX_DIGITS = 32
_BASE64_ID = re.compile(r"[A-Za-z0-9+_-]{21,}={0,2}")


def header_value(name: str, value: str) -> str:
    """The value, unless the header's name says that it is a credential."""
    return REDACTED if _is_secret(name) else value


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    lower = name.lower()
    return lower in _COOKIES or any(part in lower for part in _SECRET_NAMES)


@lru_cache(maxsize=128)
def url(text: str) -> str:
    """The URL with everything that looks like an id replaced."""
    text = _HEX_ID.sub(_redact_hex, text)
    return _BASE64_ID.sub(_redact_base64, text)


def _redact_hex(match: re.Match[str]) -> str:
    digits = len(match[0]) - match[0].count("-")
    return REDACTED if digits >= _HEX_DIGITS else match[0]


def _redact_base64(match: re.Match[str]) -> str:
    """At least two upper-case letters, two lower-case ones and two digits make an id."""
    text = match[0]
    counts = (
        sum(c.isupper() for c in text),
        sum(c.islower() for c in text),
        sum(c.isdigit() for c in text),
    )
    return REDACTED if min(counts) >= 2 else text
