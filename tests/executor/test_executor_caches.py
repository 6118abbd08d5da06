"""The Cache API, from inside real isolates: what is kept, for whom, and what of it is given."""

import json
from pathlib import Path

import pytest
from executor_house import House, worker

from executor.caches import rules
from executor.caches import store as store_module
from executor.caches.store import CacheStore, Head

CACHE = """
from workers import caches
URL = "https://example.com/page"
"""


def run(shared: House, namespace: str, body: str, name: str = "w") -> str:
    shared.deploy(namespace, name, worker(body, top=CACHE))
    answer = shared.call(namespace, name)
    assert answer.failure is None, answer.failure
    return answer.body.decode()


def test_put_match_delete(shared: House, namespace: str) -> None:
    """A response is given until it is deleted, with what its headers say and that it was kept;
    other URLs and other caches have nothing."""
    said = run(
        shared,
        namespace,
        """
import json
cache = await caches.open("pages")
await cache.put(URL, Response("hello", headers={"cache-control": "max-age=60", "x-a": "b"}))
found = await cache.match(URL)
out = [await found.text(), found.status, found.headers["x-a"], found.headers["cf-cache-status"],
       "age" in found.headers]
out += [await cache.match(URL + "?other"), await (await caches.open("others")).match(URL)]
out += [await cache.delete(URL), await cache.delete(URL), await cache.match(URL)]
return Response(json.dumps(out))
""",
    )
    assert json.loads(said) == ["hello", 200, "b", "HIT", True, None, None, True, False, None]


def test_methods(shared: House, namespace: str) -> None:
    """Only GET is matched, unless the method is to be ignored."""
    said = run(
        shared,
        namespace,
        """
import json
from workers import Request
cache = await caches.open("c")
await cache.put(URL, Response("x"))
post = Request(URL, method="POST")
out = [await cache.match(post), (await cache.match(post, {"ignoreMethod": True})).status]
out += [await cache.delete(post), await cache.delete(post, ignoreMethod=True)]
return Response(json.dumps(out))
""",
    )
    assert json.loads(said) == [None, 200, False, True]


@pytest.mark.parametrize(
    ("request_", "response", "error"),
    [
        ('Request(URL, method="POST")', 'Response("x")', "non-GET"),
        ("URL", 'Response("x", status=206)', "206 Partial Content"),
        ("URL", 'Response("x", headers={"vary": "*"})', "Vary: *"),
        ("URL", '"x"', "takes a Response"),
    ],
)
def test_what_may_not_be_put(
    shared: House, namespace: str, request_: str, response: str, error: str
) -> None:
    """It is a TypeError, in the product's words."""
    said = run(
        shared,
        namespace,
        f"""
from workers import Request
cache = await caches.open("c")
try:
    await cache.put({request_}, {response})
except TypeError as failure:
    return Response(str(failure))
return Response("taken")
""",
    )
    assert error in said


def test_large_bodies_stream(shared: House, namespace: str) -> None:
    """A body of megabytes is kept and given in pieces, whole or in part; one that is too large for
    the cache is taken and not kept."""
    said = run(
        shared,
        namespace,
        """
import json
cache = await caches.open("c")
async def pieces(count):
    for n in range(count):
        yield bytes([n % 251]) * 100_000
await cache.put(URL, Response(pieces(30)))
whole = await (await cache.match(URL)).bytes()
from workers import Request
asked = Request(URL, headers={"range": "bytes=250000-799999"})
part = await cache.match(asked)
data = await part.bytes()
await cache.put(URL + "2", Response(pieces(170)))
out = [len(whole), whole[::100_000] == bytes(range(30)), part.status,
       part.headers["content-range"], data == whole[250_000:800_000],
       await cache.match(URL + "2")]
return Response(json.dumps(out))
""",
    )
    assert json.loads(said) == [3_000_000, True, 206, "bytes 250000-799999/3000000", True, None]


def test_conditions(shared: House, namespace: str) -> None:
    """Who has the response already is told so."""
    said = run(
        shared,
        namespace,
        """
import json
from workers import Request
cache = await caches.open("c")
await cache.put(URL, Response("x", headers={"etag": '"v1"'}))
statuses = []
for tag in ('"v1"', '"v2"', '*'):
    found = await cache.match(Request(URL, headers={"if-none-match": tag}))
    statuses.append(found.status)
return Response(json.dumps(statuses))
""",
    )
    assert json.loads(said) == [304, 200, 304]


READ = """
cache = await caches.open("c")
found = await cache.match(URL)
return Response("nothing" if found is None else await found.text())
"""
WRITE = """
cache = await caches.open("c")
await cache.put(URL, Response("kept"))
return Response("put")
"""


def test_untrusted_workers_have_their_own(shared: House, namespace: str) -> None:
    """A neighbour of the same namespace, and a later worker of the same name, find nothing; the
    next version of the same worker does."""
    run(shared, namespace, WRITE, "one")
    assert run(shared, namespace, READ, "one") == "kept"
    assert run(shared, namespace, READ, "two") == "nothing"
    found = shared.registry.namespaces.get("a" * 32, namespace)
    shared.registry.scripts.delete(found.id, "one")
    assert run(shared, namespace, READ, "one") == "nothing"


DEFAULT = """
try:
    await caches.default.put(URL, Response("kept"))
except Exception as error:
    return Response(str(error))
return Response("put")
"""


def test_no_default_cache_for_the_untrusted(shared: House, namespace: str) -> None:
    """Its use is refused, and the message says what to use."""
    assert "use caches.open(name)" in run(shared, namespace, DEFAULT)


def test_trusted_namespaces_share(shared: House, namespace: str) -> None:
    """Their workers have a default cache, and all of the account's have the same."""
    for name in ("t1", "t2"):
        shared.namespace(f"{name}-{namespace}", trusted=True)
    assert run(shared, f"t1-{namespace}", DEFAULT) == "put"
    read = READ.replace('await caches.open("c")', "caches.default")
    assert run(shared, f"t2-{namespace}", read) == "kept"
    assert run(shared, f"t2-{namespace}", READ) == "nothing"


def head(status: int = 200, **headers: str) -> Head:
    return Head(status, [(name.replace("_", "-"), value) for name, value in headers.items()])


NOW = 1_700_000_000.0
HOUR_LATER = "Tue, 14 Nov 2023 23:13:20 GMT"
HOUR_BEFORE = "Tue, 14 Nov 2023 21:13:20 GMT"


@pytest.mark.parametrize(
    ("response", "ttl_s"),
    [
        (head(), 7200),
        (head(404), 180),
        (head(500), None),
        (head(cache_control="max-age=10"), 10),
        (head(500, cache_control="max-age=10"), 10),
        (head(cache_control="max-age=10, s-maxage=20"), 20),
        (head(cache_control="max-age=0"), None),
        (head(cache_control="max-age=x"), None),
        (head(cache_control="no-store"), None),
        (head(cache_control="private, max-age=10"), None),
        (head(cache_control="No-Cache"), None),
        (head(expires=HOUR_LATER), 3600),
        (head(expires=HOUR_BEFORE), None),
        (head(expires="0"), None),
        (head(expires=HOUR_LATER, cache_control="max-age=10"), 10),
        (head(set_cookie="a=b"), None),
        (head(set_cookie="a=b", cache_control="private=Set-Cookie, max-age=5"), 5),
        (head(cache_control="max-age=99999999999999999"), rules.LONGEST_S),
    ],
)
def test_how_long(response: Head, ttl_s: float | None) -> None:
    """As the headers say, the narrowest first; what is nobody else's is not kept. Cookies never
    are."""
    kept = rules.storable(response, NOW)
    assert (None if kept is None else kept[1]) == ttl_s
    if kept is not None:
        assert not any(name == "set-cookie" for name, _ in kept[0].headers)


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-200", (0, 100)),
        ("bytes=50-500", (50, 100)),
        ("bytes=100-", (100, 100)),
        ("bytes=9-1", None),
        ("bytes=-", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("", None),
    ],
)
def test_ranges(asked: str, part: tuple[int, int] | None) -> None:
    """One range of bytes is served; anything else is as if it were not asked for."""
    assert rules.part([("Range", asked)], 100) == part


@pytest.fixture
def store(tmp_path: Path) -> CacheStore:
    return CacheStore(tmp_path / "cache")


def put(store: CacheStore, owner: str, key: bytes, size: int, ttl_s: float = 60) -> None:
    entry = store.begin(owner, key, head(), ttl_s)
    store.add(entry, 0, bytes(size))
    store.finish(entry, size)


def kept(store: CacheStore, owner: str, keys: str) -> str:
    return "".join(key for key in keys if store.find(owner, key.encode()) is not None)


def test_the_oldest_of_an_owner_go(store: CacheStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner keeps what fits; another one's stay, until all have too much."""
    monkeypatch.setattr(store_module, "OWNER_BYTES", 10_000)
    put(store, "other", b"x", 3000)
    for key in "abcd":
        put(store, "one", key.encode(), 3000)
    assert kept(store, "one", "abcd") == "cd"
    assert kept(store, "other", "x") == "x"
    monkeypatch.setattr(store_module, "TOTAL_BYTES", 9_000)
    put(store, "third", b"y", 3000)
    assert kept(store, "other", "x") == ""
    assert kept(store, "one", "abcd") == "d"
    assert kept(store, "third", "y") == "y"
    store.close()


def test_what_is_replaced_is_not_counted(
    store: CacheStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same key over and over takes the place of one; what expired or was never finished is
    found by nobody."""
    monkeypatch.setattr(store_module, "OWNER_BYTES", 10_000)
    put(store, "one", b"a", 3000)
    for _ in range(10):
        put(store, "one", b"b", 3000)
    assert kept(store, "one", "ab") == "ab"
    put(store, "one", b"c", 10, ttl_s=-1)
    unfinished = store.begin("one", b"d", head(), 60)
    store.add(unfinished, 0, b"x")
    assert kept(store, "one", "cd") == ""
    monkeypatch.setattr(store_module, "ABANDONED_S", -1.0)
    store.begin("one", b"e", head(), 60)
    assert store.piece(unfinished, 0) is None
    store.close()


def test_nothing_is_added_to_what_was_dropped(store: CacheStore) -> None:
    """A piece may come after its response was given up: it is not kept for ever."""
    entry = store.begin("one", b"a", head(), 60)
    store.drop(entry)
    store.add(entry, 0, b"x")
    assert store.piece(entry, 0) is None
    store.close()


def test_what_is_not_kept_is_taken(shared: House, namespace: str) -> None:
    """A long body that its headers keep from being stored does not hold up who puts it, nor what
    the worker sends after it."""
    said = run(
        shared,
        namespace,
        """
cache = await caches.open("c")
async def pieces():
    for _ in range(30):
        yield bytes(100_000)
for _ in range(20):
    await cache.put(URL, Response(pieces(), headers={"cache-control": "no-store"}))
await cache.put(URL, Response("x"))
return Response(await (await cache.match(URL)).text())
""",
    )
    assert said == "x"
