"""The cache of key-value pairs, over a real Valkey, and a store that reads through it."""

import time
from collections.abc import Iterator

import pytest
import redis

from cloister.registry import kv_cache as cache_module
from cloister.registry import open_registry
from cloister.registry.kv_cache import KvCache
from cloister.registry.registry import Registry
from cloister.registry.views import KvValue
from cloister.settings import Settings

ONE, OTHER = "1" * 32, "2" * 32


def found(text: str, expires_at: int | None = None) -> KvValue:
    return KvValue(value=text.encode(), metadata=None, expires_at=expires_at)


class Source:
    """A database of pairs that counts how often it is asked."""

    def __init__(self) -> None:
        self.pairs: dict[tuple[str, bytes], KvValue] = {}
        self.asked = 0

    def read(self, namespace_id: str, key: bytes) -> KvValue | None:
        self.asked += 1
        return self.pairs.get((namespace_id, key))


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as made:
        yield made


@pytest.fixture
def cache(client: redis.Redis) -> KvCache:
    return KvCache(client)


@pytest.fixture
def source() -> Source:
    return Source()


def test_a_pair_is_read_once(cache: KvCache, source: Source) -> None:
    """What was read is served from Valkey; that there is none, too."""
    source.pairs[ONE, b"k"] = found("v")
    for _ in range(3):
        assert cache.get(ONE, b"k", 60, source.read) == found("v")
        assert cache.get(ONE, b"absent", 60, source.read) is None
    assert source.asked == 2


def test_a_write_is_seen_at_once(cache: KvCache, source: Source) -> None:
    """After a write was told of, the next read asks the database; other pairs stay."""
    source.pairs[ONE, b"k"] = found("old")
    cache.get(ONE, b"k", 3600, source.read)
    cache.get(ONE, b"other", 3600, source.read)
    source.pairs[ONE, b"k"] = found("new")
    cache.forget(ONE, [b"k"])
    assert cache.get(ONE, b"k", 60, source.read) == found("new")
    cache.get(ONE, b"other", 60, source.read)
    assert source.asked == 3


def test_what_was_read_before_a_write_is_not_kept_after_it(cache: KvCache, source: Source) -> None:
    """A slow reader that got the old value while a write was on its way does not fill the slot."""

    def slow(_namespace_id: str, _key: bytes) -> KvValue | None:
        cache.forget(ONE, [b"k"])  # the write is committed after this reader has read
        return found("old")

    assert cache.get(ONE, b"k", 60, slow) == found("old")
    source.pairs[ONE, b"k"] = found("new")
    assert cache.get(ONE, b"k", 60, source.read) == found("new")


def test_nor_if_another_reads_meanwhile(cache: KvCache, source: Source) -> None:
    """The mark of a later reader is not the slow one's."""
    source.pairs[ONE, b"k"] = found("new")

    def slow(_namespace_id: str, _key: bytes) -> KvValue | None:
        cache.forget(ONE, [b"k"])
        assert cache.get(ONE, b"k", 60, source.read) == found("new")
        return found("old")

    cache.get(ONE, b"k", 60, slow)
    assert cache.get(ONE, b"k", 60, source.read) == found("new")
    assert source.asked == 1


def test_slots_are_shared_and_entries_are_not(
    cache: KvCache, source: Source, monkeypatch: pytest.MonkeyPatch, client: redis.Redis
) -> None:
    """With one slot for all, nobody gets another's value, neither of another namespace nor of
    another key, and no more than one entry is held."""
    monkeypatch.setattr(cache_module, "SLOTS", 1)
    source.pairs = {(ONE, b"k"): found("one"), (OTHER, b"k"): found("other")}
    for _ in range(3):
        assert cache.get(ONE, b"k", 60, source.read) == found("one")
        assert cache.get(OTHER, b"k", 60, source.read) == found("other")
        assert cache.get(OTHER, b"l", 60, source.read) is None
    assert client.keys("kv:*") == [b"kv:0"]


def test_large_values_are_not_kept(cache: KvCache, source: Source) -> None:
    """So that what the slots can hold together is bounded; the largest that is kept is."""
    source.pairs[ONE, b"large"] = found("x" * (cache_module.LARGEST_BYTES + 1))
    source.pairs[ONE, b"just"] = found("x" * cache_module.LARGEST_BYTES)
    for _ in range(2):
        cache.get(ONE, b"large", 60, source.read)
        cache.get(ONE, b"just", 60, source.read)
    assert source.asked == 3


def test_an_expired_pair_reads_as_missing(cache: KvCache, source: Source) -> None:
    """However long the reader wanted it cached."""
    source.pairs[ONE, b"k"] = found("v", int(time.time()) - 1)
    assert cache.get(ONE, b"k", 3600, source.read) is not None  # the database said so just now
    assert cache.get(ONE, b"k", 3600, source.read) is None
    assert source.asked == 1


def test_how_long_it_is_kept(cache: KvCache, source: Source, client: redis.Redis) -> None:
    """As long as the first reader asks, but for a bound."""
    cache.get(ONE, b"k", 3600, source.read)
    (slot,) = client.keys("kv:*")
    assert 3000 < client.ttl(slot) <= 3600
    cache.forget(ONE, [b"k"])
    cache.get(ONE, b"k", 10**9, source.read)
    assert client.ttl(slot) <= cache_module.LONGEST_S


def test_a_namespace_that_is_gone(cache: KvCache, source: Source) -> None:
    """Nothing of it is read from the cache any more; of another namespace, it is."""
    source.pairs = {(ONE, b"k"): found("one"), (OTHER, b"k"): found("other")}
    cache.get(ONE, b"k", 60, source.read)
    cache.get(OTHER, b"k", 60, source.read)
    cache.forget_namespace(ONE)
    assert cache.get(ONE, b"k", 60, source.read) is None
    assert cache.get(OTHER, b"k", 60, source.read) == found("other")


def test_an_unreadable_entry_is_read_anew(
    cache: KvCache, source: Source, client: redis.Redis
) -> None:
    """What another release left there is no pair."""
    source.pairs[ONE, b"k"] = found("v")
    cache.get(ONE, b"k", 60, source.read)
    (slot,) = client.keys("kv:*")
    client.set(slot, b"\x93nonsense")
    assert cache.get(ONE, b"k", 60, source.read) == found("v")


def test_without_valkey(source: Source) -> None:
    """The database is asked each time, and a write is a write."""
    source.pairs[ONE, b"k"] = found("v")
    nowhere = KvCache(redis.Redis(unix_socket_path="/nonexistent/valkey.sock"))
    assert nowhere.get(ONE, b"k", 60, source.read) == found("v")
    nowhere.forget(ONE, [b"k"])
    nowhere.forget_namespace(ONE)
    nowhere.close()


def test_a_store_reads_what_another_process_wrote(
    redis_url: str, emptied_postgresql_url: str, tmp_path: object
) -> None:
    """Two registries on one PostgreSQL, as a control process and an executor: each sees the other's
    writes and deletions as soon as they have returned, though both have cached the pair."""
    settings = Settings(
        data=str(tmp_path), database_url=emptied_postgresql_url, redis_url=redis_url
    )
    one, other = open_registry(settings), open_registry(settings)
    try:
        _write_and_read(one, other)
    finally:
        one.close()
        other.close()


def _write_and_read(one: Registry, other: Registry) -> None:
    one.accounts.ensure("a" * 32, "test")
    store = one.kv.namespaces.create("a" * 32, "store").id
    for number in range(5):
        assert one.kv.get(store, "k") == other.kv.get(store, "k")
        other.kv.put(store, "k", b"%d" % number)
        for registry in (one, other):
            value = registry.kv.get(store, "k", ttl_s=3600)
            assert value is not None
            assert value.value == b"%d" % number
    one.kv.delete(store, "k")
    assert other.kv.get(store, "k") is None
    one.kv.put(store, "k", b"v")
    assert other.kv.get(store, "k") is not None
    one.kv.namespaces.delete("a" * 32, store)
    assert other.kv.get(store, "k") is None
