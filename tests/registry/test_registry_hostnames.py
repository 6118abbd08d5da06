"""Custom hostnames: what may be one, whose it is, where it leads, and that caches know."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloister.errors import Conflict, Invalid, NotFound
from cloister.messages import Changed, decode_changed, encode
from cloister.registry import (
    NewVersion,
    Registry,
    RouteCache,
    TagFilter,
    change_publisher,
    open_registry,
)
from cloister.registry.hostname_names import canonical_hostname, may_be_hostname
from cloister.settings import Settings

WAIT_S = 20
DOMAIN = "Apps.Example.com."
LONG = ".".join(["a" * 63] * 3 + ["b" * 61])


def where(registry: Registry, hostname: str) -> tuple[str, str] | None:
    """Where an active one leads."""
    found = registry.hostnames.resolve(hostname)
    return None if found is None else (found.namespace, found.script)


@pytest.fixture
def shop(registry: Registry, namespace: str, version: NewVersion, changes: list[Changed]) -> str:
    """Name of a script in ``production``."""
    registry.scripts.put_version(namespace, "shop", version)
    changes.clear()
    return "shop"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("shop.example.org", "shop.example.org"),
        ("SHOP.Example.ORG.", "shop.example.org"),
        ("1.example.org", "1.example.org"),
        ("r3---sn-a.example.org", "r3---sn-a.example.org"),
        ("example.x1", "example.x1"),
        ("evilapps.example.com", "evilapps.example.com"),
        ("apps.example.com.evil.org", "apps.example.com.evil.org"),
        ("Müller.example", "xn--mller-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        (LONG, LONG),
    ],
)
def test_what_may_be(text: str, name: str) -> None:
    """However a person writes a name, it is kept as a Host header has it, and so it is found."""
    assert canonical_hostname(text, DOMAIN) == name
    assert canonical_hostname(name, DOMAIN) == name
    assert may_be_hostname(name, DOMAIN)


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "..", "localhost", "a..b", ".a.b", "a.b..", "a.b:80", "http://a.b", "a.b/c"),
        *(
            "-a.example.org",
            "a-.example.org",
            "a_b.example.org",
            "a b.example.org",
            "a.b\n",
            "a\0.b",
        ),
        *("*.example.org", "*", "a.*.org", "*.müller.example"),
        *("127.0.0.1", "127.1", "1.2.3.4.", "0x7f.0.0.0x1", "example.0x", "[::1]", "::1"),
        *("\uff11.\uff12.\uff13.\uff14", "\uff41pps.example.com"),  # full width, as IDNA maps it
        *("apps.example.com", "x.APPS.example.com", "x.y.apps.example.com.", "a\0.b"),
        *(f"{'a' * 64}.example.org", LONG + "b", "a." * 100_000, "ü." * 100, "ü" * 200 + ".org"),
        *("a\u200db.example", "\ud800.example", "xn--a.müller.example"),
    ],
)
def test_what_may_not_be(text: str) -> None:
    """Addresses, wildcards, the platform's own names and what is no name at all are refused."""
    with pytest.raises(Invalid) as caught:
        canonical_hostname(text, DOMAIN)
    assert (caught.value.code, caught.value.pointer) == (1407, "/hostname")
    assert len(str(caught.value)) < 400
    if text.isascii() and text == text.lower().removesuffix("."):
        assert not may_be_hostname(text, DOMAIN)


def test_put_get_list_delete(
    registry: Registry, account: str, shop: str, changes: list[Changed]
) -> None:
    """Set, found in any spelling, listed, deleted; each change is told."""
    made = registry.hostnames.put(account, "Shop.Example.ORG", namespace="production", script=shop)
    assert (made.hostname, made.namespace, made.script) == ("shop.example.org", "production", shop)
    assert registry.hostnames.get(account, "SHOP.example.org.") == made
    assert registry.hostnames.list(account).items == [made]
    assert where(registry, "shop.example.org") == ("production", shop)
    registry.hostnames.delete(account, "shop.EXAMPLE.org")
    with pytest.raises(NotFound):
        registry.hostnames.get(account, "shop.example.org")
    with pytest.raises(NotFound):
        registry.hostnames.delete(account, "shop.example.org")
    assert registry.hostnames.resolve("shop.example.org") is None
    told = Changed(namespace="production", script=shop, hostname="shop.example.org")
    assert changes == [told, told]


def test_put_again_moves_it(
    registry: Registry, account: str, shop: str, version: NewVersion
) -> None:
    """To another script, of another namespace too; it is made only once."""
    made = registry.hostnames.put(account, "a.example", namespace="production", script=shop)
    other = registry.namespaces.create(account, "staging").id
    registry.scripts.put_version(other, "next", version)
    moved = registry.hostnames.put(account, "a.example", namespace="staging", script="next")
    assert moved.created_at == made.created_at
    assert registry.hostnames.list(account).items == [moved]
    assert where(registry, "a.example") == ("staging", "next")


def test_it_leads_to_what_there_is(registry: Registry, account: str, shop: str) -> None:
    """A namespace or script that is not there, or another account's, is no destination."""
    other = registry.accounts.create("Other").id
    for owner, namespace, script in [
        (account, "absent", shop),
        (account, "production", "absent"),
        (other, "production", shop),
    ]:
        with pytest.raises(NotFound):
            registry.hostnames.put(owner, "a.example", namespace=namespace, script=script)
    assert registry.hostnames.resolve("a.example") is None


def test_a_hostname_is_one_accounts(
    registry: Registry, account: str, shop: str, version: NewVersion
) -> None:
    """Another account can neither take, see nor delete it. When it is given up, that one must prove
    it, as where there are several accounts nobody's word is enough."""
    registry.hostnames.put(account, "a.example", namespace="production", script=shop)
    other = registry.accounts.create("Other").id
    registry.scripts.put_version(registry.namespaces.create(other, "theirs").id, "shop", version)
    with pytest.raises(Conflict, match="another account"):
        registry.hostnames.put(other, "A.example", namespace="theirs", script="shop")
    with pytest.raises(NotFound):
        registry.hostnames.get(other, "a.example")
    with pytest.raises(NotFound):
        registry.hostnames.delete(other, "a.example")
    assert registry.hostnames.list(other).items == []
    assert where(registry, "a.example") == ("production", shop)
    registry.hostnames.delete(account, "a.example")
    registry.hostnames.put(other, "a.example", namespace="theirs", script="shop")
    assert where(registry, "a.example") is None


def test_it_follows_a_rename(registry: Registry, account: str, shop: str) -> None:
    """It leads to the namespace, not to its name."""
    registry.hostnames.put(account, "a.example", namespace="production", script=shop)
    registry.namespaces.update(account, "production", new_name="live")
    assert where(registry, "a.example") == ("live", shop)
    assert registry.hostnames.get(account, "a.example").namespace == "live"


@pytest.mark.parametrize("what", ["script", "tagged", "namespace"])
def test_it_goes_with_its_script(
    registry: Registry, account: str, namespace: str, shop: str, version: NewVersion, what: str
) -> None:
    """A later script of the same name does not inherit it."""
    registry.scripts.set_tags(namespace, shop, ["gone"])
    registry.hostnames.put(account, "a.example", namespace="production", script=shop)
    registry.scripts.put_version(namespace, shop, version)
    assert where(registry, "a.example") == ("production", shop)
    if what == "script":
        registry.scripts.delete(namespace, shop)
    elif what == "tagged":
        registry.scripts.delete_tagged(namespace, TagFilter(have=["gone"]))
    else:
        registry.namespaces.delete(account, "production")
        namespace = registry.namespaces.create(account, "production").id
    registry.scripts.put_version(namespace, shop, version)
    assert registry.hostnames.resolve("a.example") is None
    assert registry.hostnames.list(account).items == []


def test_list_filters_and_pages(
    registry: Registry, account: str, namespace: str, shop: str, version: NewVersion
) -> None:
    """By name, filtered by namespace and script, a page at a time."""
    registry.scripts.put_version(namespace, "blog", version)
    for name in ("d.example", "b.example", "c.example"):
        registry.hostnames.put(account, name, namespace="production", script=shop)
    registry.hostnames.put(account, "a.example", namespace="production", script="blog")

    def names(**options: object) -> list[str]:
        return [item.hostname for item in registry.hostnames.list(account, **options).items]

    assert names() == ["a.example", "b.example", "c.example", "d.example"]
    assert names(script=shop) == ["b.example", "c.example", "d.example"]
    assert names(namespace="production", script="blog") == ["a.example"]
    assert names(namespace="staging") == []
    page = registry.hostnames.list(account, limit=3)
    assert page.cursor is not None
    assert names(cursor=page.cursor) == ["d.example"]
    with pytest.raises(Invalid):
        registry.hostnames.list(account, limit=0)
    with pytest.raises(Invalid):
        registry.hostnames.list(account, cursor="é")


def test_notes_of_other_releases() -> None:
    """A note without a hostname decodes; one with it is of its script to who knows no hostnames."""
    assert decode_changed(encode({"namespace": "a", "script": "b"})).hostname is None
    note = Changed(namespace="a", script="b", hostname="c.example")
    assert decode_changed(encode(note)) == note


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(
    request: pytest.FixtureRequest, tmp_path: Path, redis_url: str
) -> Iterator[tuple[Registry, Settings]]:
    """A registry that tells of its changes, over a real Valkey."""
    on_sqlite = request.param == "sqlite"
    url = "" if on_sqlite else request.getfixturevalue("emptied_postgresql_url")
    settings = Settings(data=str(tmp_path / "data"), database_url=url, redis_url=redis_url)
    publisher = change_publisher(settings)
    registry = open_registry(settings, on_change=publisher)
    yield registry, settings
    registry.close()
    publisher.close()


async def test_the_cache_is_told(shared: tuple[Registry, Settings], version: NewVersion) -> None:
    """A name asked for in vain, set, moved, renamed under, and lost with its script: each change is
    seen as soon as its note is there."""
    registry, settings = shared
    own = open_registry(settings)
    cache = RouteCache(own, settings)
    told: asyncio.Queue[Changed | None] = asyncio.Queue()
    cache.on_change(told.put_nowait)
    await cache.start()

    async def found_after(namespace: str, **rest: str) -> tuple[str, str] | None:
        async with asyncio.timeout(WAIT_S):
            while await told.get() != Changed(namespace=namespace, **rest):
                pass
        found = await cache.hostname("a.example")
        return None if found is None else (found.namespace, found.script)

    account = registry.accounts.create("Acme").id
    namespace = registry.namespaces.create(account, "production").id
    for script in ("one", "two"):
        registry.scripts.put_version(namespace, script, version)
    assert await found_after("production", script="two") is None
    for script in ("one", "two"):
        registry.hostnames.put(account, "a.example", namespace="production", script=script)
        seen = await found_after("production", script=script, hostname="a.example")
        assert seen == ("production", script)
    registry.namespaces.update(account, "production", new_name="live")
    assert await found_after("production") == ("live", "two")
    registry.scripts.delete(namespace, "two")
    assert await found_after("live", script="two") is None
    registry.hostnames.put(account, "a.example", namespace="live", script="one")
    assert await found_after("live", script="one", hostname="a.example") == ("live", "one")
    registry.hostnames.delete(account, "a.example")
    assert await found_after("live", script="one", hostname="a.example") is None
    await cache.close()
    own.close()


async def test_what_cannot_be_one_is_not_looked_for(registry: Registry, settings: Settings) -> None:
    """The platform's own names and addresses cost no question to the database."""
    cache = RouteCache(registry, settings)
    registry.close()
    registry.kv._database.row = None  # type: ignore[method-assign,assignment]
    for host in ("hello.localhost", "localhost", "127.0.0.1", "[::1]", "a_b.example", "a" * 300):
        assert await cache.hostname(host) is None
    with pytest.raises(TypeError):
        await cache.hostname("a.example")
    await cache.close()
