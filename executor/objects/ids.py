"""Ids of objects: 16 bytes, of a name or by chance, and 16 that only the namespace's key makes.

So an id from elsewhere, or one that somebody made up, is none.
"""

import hmac
import re
import secrets

HALF_BYTES = 16

_ID = re.compile(r"[0-9a-f]{64}")


def from_name(key: bytes, name: str) -> str:
    """The id of that name: always the same."""
    return _whole(key, _digest(key, b"name", name.encode("utf-8", "surrogatepass")))


def unique(key: bytes) -> str:
    """An id that was never there."""
    return _whole(key, secrets.token_bytes(HALF_BYTES))


def is_id(key: bytes, text: str) -> bool:
    """Whether it is an id that this key has made."""
    if not _ID.fullmatch(text):
        return False
    made = _whole(key, bytes.fromhex(text)[:HALF_BYTES])
    return hmac.compare_digest(made, text)


def _whole(key: bytes, head: bytes) -> str:
    return (head + _digest(key, b"id", head)).hex()


def _digest(key: bytes, purpose: bytes, data: bytes) -> bytes:
    return hmac.digest(key, purpose + b"\0" + data, "sha256")[:HALF_BYTES]
