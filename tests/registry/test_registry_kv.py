"""Key-value pairs and the namespaces they live in."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy.event import listen, remove

from cloister.errors import Conflict, Invalid, NotFound, NotReady
from cloister.registry import KvPut, Registry
from cloister.registry import kv as kv_module
from cloister.registry.cursors import encode_cursor
from cloister.settings import MIB


@pytest.fixture
def store(registry: Registry, account: str) -> str:
    """Id of a KV namespace."""
    return registry.kv.namespaces.create(account, "store").id


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The second that the store believes it is, to be set."""
    now = [1_000_000]
    monkeypatch.setattr(kv_module, "_now_s", lambda: now[0])
    return now


def names(registry: Registry, store: str, **options: Any) -> list[str]:
    return [key.name for key in registry.kv.list(store, **options).items]


def test_put_then_get(registry: Registry, store: str) -> None:
    """What was put is read back to the byte, with metadata and expiration."""
    data = bytes(range(256))
    registry.kv.put(store, "k", data, metadata='{"a":[1,null]}', expires_at=4_000_000_000)
    found = registry.kv.get(store, "k")
    assert (found.value, found.metadata, found.expires_at) == (
        data,
        '{"a":[1,null]}',
        4_000_000_000,
    )
    assert registry.kv.get(store, "other") is None
    assert registry.kv.get("0" * 32, "k") is None


def test_put_replaces_all_of_a_pair(registry: Registry, store: str) -> None:
    """Metadata and expiration of an earlier put do not stay; an empty value is a value."""
    registry.kv.put(store, "k", b"old", metadata="1", expires_at=4_000_000_000)
    registry.kv.put(store, "k", b"")
    found = registry.kv.get(store, "k")
    assert (found.value, found.metadata, found.expires_at) == (b"", None, None)


def test_delete(registry: Registry, store: str) -> None:
    """A deleted key is missing; deleting what is missing is no error."""
    registry.kv.put(store, "k", b"v")
    registry.kv.delete(store, "k")
    registry.kv.delete(store, "k")
    assert registry.kv.get(store, "k") is None


@pytest.mark.parametrize(
    "key", ["a", "a" * 512, "ä" * 256, "...", " ", "\0", "a/b", "%2F", "\U0001f40d"]
)
def test_keys_that_may_be(registry: Registry, store: str, key: str) -> None:
    """Any Unicode text of 1 to 512 bytes."""
    registry.kv.put(store, key, key.encode())
    assert registry.kv.get(store, key).value == key.encode()
    assert names(registry, store) == [key]
    assert names(registry, store, prefix=key[0]) == [key]


@pytest.mark.parametrize("key", ["", ".", "..", "a" * 513, "ä" * 257, "\ud800"])
def test_keys_that_may_not_be(registry: Registry, store: str, key: str) -> None:
    """Refused by every method that takes a key."""
    for refused in (
        lambda: registry.kv.put(store, key, b""),
        lambda: registry.kv.get(store, key),
        lambda: registry.kv.get_many(store, ["k", key]),
        lambda: registry.kv.delete(store, key),
        lambda: registry.kv.put_many(store, [KvPut(key=key, value=b"")]),
        lambda: registry.kv.delete_many(store, [key]),
    ):
        with pytest.raises(Invalid, match="key"):
            refused()


def test_largest_value(registry: Registry, store: str) -> None:
    """25 MiB are stored, one byte more is not."""
    registry.kv.put(store, "k", bytes(25 * MIB))
    assert len(registry.kv.get(store, "k").value) == 25 * MIB
    with pytest.raises(Invalid, match="value"):
        registry.kv.put(store, "k", bytes(25 * MIB + 1))


@pytest.mark.parametrize("metadata", ['"' + "a" * 1023 + '"', "{", "", "\ud800", "NaN"])
def test_metadata_that_cannot_be(registry: Registry, store: str, metadata: str) -> None:
    """JSON of at most 1024 bytes; what is refused leaves the pair as it was."""
    registry.kv.put(store, "k", b"old", metadata='"' + "a" * 1022 + '"')
    with pytest.raises(Invalid, match="etadata"):
        registry.kv.put(store, "k", b"new", metadata=metadata)
    assert registry.kv.get(store, "k").value == b"old"


@pytest.mark.parametrize("expires_at", [0, -1, 2**53, 2**70])
def test_expirations_that_cannot_be(registry: Registry, store: str, expires_at: int) -> None:
    """What is no second since 1970 is refused."""
    with pytest.raises(Invalid, match="expiration"):
        registry.kv.put(store, "k", b"", expires_at=expires_at)


def test_put_into_nothing(registry: Registry, store: str) -> None:
    """A write to a namespace that is gone is an error, not a loss."""
    with pytest.raises(NotFound):
        registry.kv.put("0" * 32, "k", b"v")


def test_expired_reads_as_missing(registry: Registry, store: str, clock: list[int]) -> None:
    """From its second on an expired pair is nowhere to be seen; a new put makes it live."""
    registry.kv.put(store, "k", b"v", expires_at=clock[0] + 60)
    registry.kv.put(store, "stays", b"v")
    clock[0] += 59
    assert registry.kv.get(store, "k").value == b"v"
    clock[0] += 1
    assert registry.kv.get(store, "k") is None
    assert registry.kv.get_many(store, ["k", "stays"]).keys() == {"stays"}
    assert names(registry, store) == ["stays"]
    registry.kv.put(store, "k", b"again", expires_at=clock[0] + 60)
    assert registry.kv.get(store, "k").value == b"again"


def test_purge(registry: Registry, store: str, clock: list[int]) -> None:
    """Purging deletes the expired, some at a time, and nothing else."""
    for number in range(5):
        registry.kv.put(store, f"old{number}", b"", expires_at=clock[0] + 1 + number)
    registry.kv.put(store, "later", b"", expires_at=clock[0] + 6)
    registry.kv.put(store, "stays", b"")
    clock[0] += 5
    assert registry.kv.purge(limit=3) == 3
    assert registry.kv.purge(limit=3) == 2
    assert registry.kv.purge() == 0
    clock[0] = 1
    assert names(registry, store) == ["later", "stays"]


def test_the_expired_do_not_gather(registry: Registry, store: str, clock: list[int]) -> None:
    """Pairs that live a minute, written for an hour, are never more than two minutes' worth."""
    for minute in range(60):
        for number in range(3):
            registry.kv.put(store, f"{minute}-{number}", b"", expires_at=clock[0] + 60)
        clock[0] += 60
    now, clock[0] = clock[0], 1
    assert len(names(registry, store)) <= 6
    clock[0] = now
    assert names(registry, store) == []


def test_list_is_in_the_order_of_bytes(registry: Registry, store: str) -> None:
    """As UTF-8 sorts: not by locale, and not by UTF-16."""
    keys = ["a", "B", "b", "ä", "a-b", "ab", "\uffff", "\U0001f40d", "é", "\x7f", "z"]
    registry.kv.put_many(store, [KvPut(key=key, value=b"") for key in keys])
    assert names(registry, store) == sorted(keys, key=str.encode)


def test_list_tells_metadata_and_expiration(registry: Registry, store: str) -> None:
    """A listing has all but the value."""
    registry.kv.put(store, "k", b"v", metadata="[1]", expires_at=4_000_000_000)
    [key] = registry.kv.list(store).items
    assert (key.name, key.metadata, key.expires_at) == ("k", "[1]", 4_000_000_000)


def test_list_by_prefix(registry: Registry, store: str) -> None:
    """A prefix is bytes, no pattern; also one that would not be a key."""
    keys = ["a%b", "a%c", "a_b", "axb", ".", "..x", ".x", "b"]
    registry.kv.put_many(store, [KvPut(key=key, value=b"") for key in keys if key != "."])
    assert names(registry, store, prefix="a%") == ["a%b", "a%c"]
    assert names(registry, store, prefix="a_") == ["a_b"]
    assert names(registry, store, prefix=".") == ["..x", ".x"]
    assert names(registry, store, prefix="..") == ["..x"]
    assert names(registry, store, prefix="zz") == []
    with pytest.raises(Invalid):
        registry.kv.list(store, prefix="a" * 513)


def test_pages(registry: Registry, store: str) -> None:
    """Pages put together are every key once, whatever is written and deleted meanwhile."""
    keys = [f"k{number:03}" for number in range(25)]
    registry.kv.put_many(store, [KvPut(key=key, value=b"") for key in ["a", *keys, "z"]])
    found: list[str] = []
    cursor = None
    while True:
        page = registry.kv.list(store, prefix="k", limit=10, cursor=cursor)
        found += [key.name for key in page.items]
        cursor = page.cursor
        if cursor is None:
            break
        registry.kv.delete(store, found[-1])
        registry.kv.put(store, "k", b"before what was listed")
    assert found == keys
    assert registry.kv.list(store, limit=1000).cursor is None


@pytest.mark.parametrize("cursor", ["?", "ä", "a", "=" * 9])
def test_a_forged_cursor(registry: Registry, store: str, cursor: str) -> None:
    """A cursor that nobody here made is refused."""
    with pytest.raises(Invalid):
        registry.kv.list(store, cursor=cursor)


def test_page_sizes(registry: Registry, store: str) -> None:
    """A page has 1 to 1000 keys."""
    for limit in (0, 1001):
        with pytest.raises(Invalid):
            registry.kv.list(store, limit=limit)


def test_bulk(registry: Registry, store: str) -> None:
    """Many pairs at once; of one key twice the last counts; more keys than fit in one statement."""
    pairs = [KvPut(key=f"k{number}", value=b"%d" % number) for number in range(2_000)]
    registry.kv.put_many(store, [*pairs, KvPut(key="k0", value=b"last", metadata="1")])
    found = registry.kv.get_many(store, [f"k{number}" for number in range(2_100)])
    assert len(found) == 2_000
    assert (found["k0"].value, found["k0"].metadata, found["k7"].value) == (b"last", "1", b"7")
    registry.kv.delete_many(store, [f"k{number}" for number in range(1, 2_100)])
    assert names(registry, store) == ["k0"]
    registry.kv.put_many(store, [])
    registry.kv.delete_many(store, [])
    assert registry.kv.get_many(store, []) == {}


def test_bulk_is_all_or_nothing(registry: Registry, store: str) -> None:
    """One pair that may not be, and none is written."""
    pairs = [KvPut(key="good", value=b""), KvPut(key="bad", value=b"", metadata="{")]
    with pytest.raises(Invalid):
        registry.kv.put_many(store, pairs)
    assert names(registry, store) == []


def test_writers_at_once(registry: Registry, store: str) -> None:
    """Writers of the same keys in opposite orders all succeed, and every pair is whole."""
    together = threading.Barrier(4)
    keys = [f"k{number}" for number in range(50)]

    def write(number: int) -> None:
        together.wait(10)
        value, metadata = str(number).encode() * 1000, str(number)
        order = keys if number % 2 else keys[::-1]
        for _ in range(3):
            registry.kv.put_many(
                store, [KvPut(key=key, value=value, metadata=metadata) for key in order]
            )
            registry.kv.put(store, "one", value, metadata=metadata)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    found = registry.kv.get_many(store, [*keys, "one"])
    assert len(found) == 51
    for pair in found.values():
        assert pair.value == pair.metadata.encode() * 1000


def test_reads_use_the_index(registry: Registry, store: str) -> None:
    """Get, list and purge search an index, so that a million keys cost what ten do."""
    engine = registry.kv._database.engine
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, query: str, values: Any, *_: Any) -> None:
        if query.startswith("SELECT"):
            sent.append((query, values))

    listen(engine, "before_cursor_execute", note)
    registry.kv.get(store, "k")
    registry.kv.list(store, prefix="k", cursor=encode_cursor(b"k1"))
    registry.kv.purge()
    remove(engine, "before_cursor_execute", note)
    assert len(sent) == 3
    on_sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if not on_sqlite:
            # What it does with small tables says nothing of large ones, unless it must.
            for way in ("seqscan", "bitmapscan", "sort"):
                connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        for query, values in sent:
            explain = "EXPLAIN QUERY PLAN" if on_sqlite else "EXPLAIN"
            plan = repr(connection.exec_driver_sql(f"{explain} {query}", values).all())
            assert ("SEARCH" if on_sqlite else "Index") in plan
            assert ("TEMP B-TREE" if on_sqlite else "Sort") not in plan


operation = st.tuples(
    st.sampled_from(["put", "delete"]),
    st.text(min_size=1, max_size=4).filter(lambda key: key not in {".", ".."}),
    st.binary(max_size=8),
)


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(operations=st.lists(operation, max_size=12), prefix=st.text(max_size=2))
def test_like_a_dict(
    registry: Registry,
    account: str,
    operations: list[tuple[str, str, bytes]],
    prefix: str,
) -> None:
    """Whatever is put and deleted, the store is a dict whose keys sort as UTF-8."""
    store = registry.kv.namespaces.create(account, str(object())).id
    model: dict[str, bytes] = {}
    for name, key, value in operations:
        if name == "put":
            registry.kv.put(store, key, value)
            model[key] = value
        else:
            registry.kv.delete(store, key)
            model.pop(key, None)
    wanted = sorted((key for key in model if key.startswith(prefix)), key=str.encode)
    assert names(registry, store, prefix=prefix) == wanted
    assert {key: pair.value for key, pair in registry.kv.get_many(store, model).items()} == model
    registry.kv.namespaces.delete(account, store)


def test_namespaces(registry: Registry, account: str) -> None:
    """Made, found, renamed and deleted by their account alone."""
    made = registry.kv.namespaces.create(account, "Store")
    other = registry.accounts.create("Other").id
    assert registry.kv.namespaces.get(account, made.id) == made
    assert registry.kv.namespaces.rename(account, made.id, "Shop").title == "Shop"
    assert registry.kv.namespaces.get(account, made.id).title == "Shop"
    with pytest.raises(NotFound):
        registry.kv.namespaces.get(other, made.id)
    with pytest.raises(NotFound):
        registry.kv.namespaces.rename(other, made.id, "Mine")
    with pytest.raises(NotFound):
        registry.kv.namespaces.delete(other, made.id)
    registry.kv.put(made.id, "k", b"v")
    registry.kv.namespaces.delete(account, made.id)
    assert registry.kv.get(made.id, "k") is None
    with pytest.raises(NotFound):
        registry.kv.namespaces.get(account, made.id)


def test_titles_are_unique_in_an_account(registry: Registry, account: str) -> None:
    """Two accounts may use one title, one account may not use it twice."""
    registry.kv.namespaces.create(account, "Store")
    registry.kv.namespaces.create(registry.accounts.create("Other").id, "Store")
    second = registry.kv.namespaces.create(account, "Shop")
    with pytest.raises(Conflict):
        registry.kv.namespaces.create(account, "Store")
    with pytest.raises(Conflict):
        registry.kv.namespaces.rename(account, second.id, "Store")
    for title in ("", "x" * 513, "a\0b", "a\nb"):
        with pytest.raises(Invalid):
            registry.kv.namespaces.create(account, title)
    with pytest.raises(NotFound):
        registry.kv.namespaces.create("0" * 32, "Store")


def test_pages_of_namespaces(registry: Registry, account: str) -> None:
    """Numbered pages, by id or title, either way round, with the total."""
    made = [registry.kv.namespaces.create(account, title) for title in ("b", "a", "c")]
    listed = registry.kv.namespaces.list

    def titles(**options: Any) -> list[str]:
        return [each.title for each in listed(account, order="title", **options).items]

    assert titles() == ["a", "b", "c"]
    assert titles(direction="desc") == ["c", "b", "a"]
    assert titles(per_page=2) == ["a", "b"]
    assert titles(page=2, per_page=2) == ["c"]
    assert titles(page=3, per_page=2) == []
    assert listed(account, per_page=1).total == 3
    assert [each.id for each in listed(account).items] == sorted(each.id for each in made)
    for page, per_page in ((0, 20), (1, 0), (1, 1001), (10**30, 20)):
        with pytest.raises(Invalid):
            listed(account, page=page, per_page=per_page)


def test_reads_without_a_wait(registry: Registry, store: str, clock: list[int]) -> None:
    """A near database answers at once, with all of a pair, if the value is small; nothing that is
    expired. Any other refuses, and the caller waits."""
    registry.kv.put(store, "k", b"v", metadata="1", expires_at=clock[0] + 60)
    registry.kv.put(store, "large", bytes(kv_module.NEAR_BYTES + 1))
    registry.kv.put(store, "just", bytes(kv_module.NEAR_BYTES))
    if not registry.is_near:
        with pytest.raises(NotReady):
            registry.kv.get(store, "k", wait=False)
        return
    assert registry.kv.get(store, "k", wait=False) == registry.kv.get(store, "k")
    assert registry.kv.get(store, "just", wait=False) is not None
    assert registry.kv.get(store, "absent", wait=False) is None
    with pytest.raises(NotReady):
        registry.kv.get(store, "large", wait=False)
    clock[0] += 60
    assert registry.kv.get(store, "k", wait=False) is None


def test_many_values_are_bounded_before_they_are_read(registry: Registry, store: str) -> None:
    """More bytes than may be read are refused; as many are not."""
    for key in "abc":
        registry.kv.put(store, key, bytes(10))
    assert len(registry.kv.get_many(store, "abc", limit_bytes=30)) == 3
    with pytest.raises(Invalid):
        registry.kv.get_many(store, "abc", limit_bytes=29)
