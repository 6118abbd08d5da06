"""Values of key-value pairs in Valkey, for databases that are a server's.

Memory is bounded by a table of slots: a pair has one, by its name, and shares it with others, of
which the last to be read is there. Whose an entry is stands in the entry, so that nobody is given
another's. Who finds nothing leaves a mark in the slot, reads the database, and fills the slot if
its mark is still there; a write empties the slot once it is committed. So whoever reads after a
write has returned finds what it wrote: no value read before it can come into the slot after it.

Without Valkey the database is asked. A write that cannot empty its slot is noted in the log; what
was cached then lives out its time.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterable
from importlib.resources import files
from typing import Any

import msgspec
import redis

from cloister.registry.views import KvValue

log = logging.getLogger(__name__)

SLOTS = 16_384
LARGEST_BYTES = 16 * 1024
"""Values above that are not cached: of all slots together 256 MiB are at most taken."""

MARK_S = 10
"""Who takes longer to read the database fills no slot."""

LONGEST_S = 24 * 3600
GONE_S = LONGEST_S + 2 * MARK_S
"""So long it is known that a namespace was deleted."""

Read = Callable[[str, bytes], KvValue | None]


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What a slot holds: a pair, or that there is none of this name."""

    namespace_id: str
    key: bytes
    found: KvValue | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode

_MARK = b"mark:"
"""No entry begins so: it is an array."""


class KvCache:
    """For any number of threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        source = files("cloister.registry").joinpath("kv_cache_fill.lua").read_text()
        self._fill = client.register_script(source)

    def get(self, namespace_id: str, key: bytes, ttl_s: int, read: Read) -> KvValue | None:
        """The pair, from the slot or read and put there for so long."""
        slot = _slot(namespace_id, key)
        mark = _MARK + os.urandom(8)
        try:
            gone, data = self._redis.mget(_gone(namespace_id), slot)
            entry = _entry(data)
            if entry is not None and (entry.namespace_id, entry.key) == (namespace_id, key):
                return None if gone or _is_over(entry.found) else entry.found
            self._redis.set(slot, mark, ex=MARK_S)
        except redis.RedisError:
            log.warning("the cache of key-value pairs does not answer")
            return read(namespace_id, key)
        found = read(namespace_id, key)
        if found is None or len(found.value) <= LARGEST_BYTES:
            self._put(slot, mark, Entry(namespace_id, key, found), ttl_s)
        return found

    def _put(self, slot: str, mark: bytes, entry: Entry, ttl_s: int) -> None:
        try:
            self._fill(keys=[slot], args=[mark, _encode(entry), min(ttl_s, LONGEST_S)])
        except redis.RedisError:
            log.warning("the cache of key-value pairs does not answer")

    def forget(self, namespace_id: str, keys: Iterable[bytes]) -> None:
        """These pairs were written or deleted."""
        slots = {_slot(namespace_id, key) for key in keys}
        if slots:
            self._tell(lambda: self._redis.delete(*slots))

    def forget_namespace(self, namespace_id: str) -> None:
        """It was deleted, with all its pairs."""
        self._tell(lambda: self._redis.set(_gone(namespace_id), b"1", ex=GONE_S))

    def _tell(self, command: Callable[[], object]) -> None:
        try:
            command()
        except redis.RedisError:
            log.exception("cached key-value pairs may be old until their time is over")

    def close(self) -> None:
        """Close every connection."""
        self._redis.close()


def _slot(namespace_id: str, key: bytes) -> str:
    digest = hashlib.blake2b(key, digest_size=8, key=namespace_id.encode()).digest()
    return f"kv:{int.from_bytes(digest, 'big') % SLOTS}"


def _gone(namespace_id: str) -> str:
    return f"kv:gone:{namespace_id}"


def _entry(data: Any) -> Entry | None:
    if data is None or data.startswith(_MARK):
        return None
    try:
        return _decode(data)
    except msgspec.MsgspecError:
        return None  # of another release


def _is_over(found: KvValue | None) -> bool:
    return found is not None and found.expires_at is not None and found.expires_at <= time.time()
