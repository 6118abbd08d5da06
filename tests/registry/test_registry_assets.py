"""Upload sessions of assets, on each database."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from cloister.assets import SiteRef, Stored
from cloister.errors import Invalid, NotFound
from cloister.registry import NewVersion, Registry, TagFilter
from cloister.registry.assets import SESSIONS, Usage, Wanted
from cloister.registry.database import now_ms
from cloister.registry.models import AssetSession, AssetUpload

FILES = [Wanted("/a", "ha", 1), Wanted("/b", "hb", 2), Wanted("/c", "ha", 1)]


def stored(size: int, blob: str = "x") -> Stored:
    return Stored(blob, size, "etag", "text/plain", {"br": (size, 3)})


def rows(registry: Registry) -> tuple[int, int]:
    with registry._database.read() as session:
        return session.query(AssetSession).count(), session.query(AssetUpload).count()


def test_session(registry: Registry, namespace: str) -> None:
    """It lacks what is not known with that size, and is finished when all of it has come."""
    assets = registry.assets
    session = assets.open(namespace, "site", FILES, {"hb": stored(2), "ha": stored(9)})
    assert session.missing == {"ha": 1}
    assert assets.find(session.id) == session
    assert assets.finished(session) is None
    assert assets.add(session, {}) is False
    assert assets.add(session, {"ha": stored(1, "first")}) is True
    assert assets.add(session, {"ha": stored(1, "second")}) is True
    assert assets.finished(session) == {"ha": stored(1, "first"), "hb": stored(2)}
    assert assets.known(namespace, "site") == {"ha": stored(1, "first")}
    assert assets.known(namespace, "other") == {}


def test_last_two_uploads_at_once(registry: Registry, namespace: str) -> None:
    """Of uploads that end together one knows that all is there."""
    files = [Wanted(f"/{n}", f"h{n}", 1) for n in range(8)]
    session = registry.assets.open(namespace, "site", files, {})
    with ThreadPoolExecutor(8) as threads:
        done = list(
            threads.map(lambda n: registry.assets.add(session, {f"h{n}": stored(1)}), range(8))
        )
    assert done.count(True) == 1


def test_time_for_the_deploy(registry: Registry, namespace: str) -> None:
    """A session lasts an hour from its last file on, and again from a deploy that begins; one that
    is over does not come back."""
    assets = registry.assets
    session = assets.open(namespace, "site", FILES, {"hb": stored(2)})

    def grow_old(left_ms: int) -> None:
        with registry._database.write() as work:
            work.query(AssetSession).update({"expires_at": now_ms() + left_ms})

    def left_ms() -> int:
        with registry._database.read() as read:
            return int(read.query(AssetSession).one().expires_at) - now_ms()

    grow_old(60_000)
    assert assets.add(session, {}) is False
    assert left_ms() <= 60_000
    assert assets.add(session, {"ha": stored(1)}) is True
    assert left_ms() > 3_000_000
    grow_old(60_000)
    assets.hold(session.id)
    assert left_ms() > 3_000_000
    grow_old(-1)
    with pytest.raises(NotFound):
        assets.hold(session.id)


def test_usage(registry: Registry, namespace: str) -> None:
    """Of live versions, without the script that is to change: also more than 32 bits hold."""
    assert registry.assets.usage(namespace, without="one") == Usage(0, 0)
    for name, size in (("one", 5), ("two", 3 << 40), ("three", 2)):
        ref = SiteRef(manifest="a" * 64, config="b" * 64, files=7, bytes=size)
        version = NewVersion(digest="0" * 64, main_module="", assets=ref)
        registry.scripts.put_version(namespace, name, version)
    registry.scripts.put_version(namespace, "three", NewVersion(digest="1" * 64, main_module="m"))
    assert registry.assets.usage(namespace, without="one") == Usage(7, 3 << 40)
    assert registry.assets.usage(namespace, without="two") == Usage(7, 5)


def test_where_there_is_none(registry: Registry, namespace: str) -> None:
    """An unknown namespace, a bad name and a session that is over leave nothing behind."""
    with pytest.raises(NotFound):
        registry.assets.open("f" * 36, "site", FILES, {})
    with pytest.raises(Invalid):
        registry.assets.open(namespace, "../x", FILES, {})
    session = registry.assets.open(namespace, "site", FILES, {})
    with registry._database.write() as work:
        work.query(AssetSession).update({"expires_at": 1})
    with pytest.raises(NotFound):
        registry.assets.find(session.id)
    with pytest.raises(NotFound):
        registry.assets.add(session, {"ha": stored(1)})
    assert registry.assets.finished(session) is None
    registry.assets.open(namespace, "other", FILES, {})
    assert rows(registry) == (1, 0)


def test_sessions_are_few(registry: Registry, namespace: str) -> None:
    """Whoever opens many keeps the newest, and nobody else's go."""
    other = registry.assets.open(namespace, "other", FILES, {})
    opened = [registry.assets.open(namespace, "site", FILES, {}) for _ in range(SESSIONS + 3)]
    assert registry.assets.find(opened[-1].id).script == "site"
    assert registry.assets.find(other.id).script == "other"
    assert rows(registry)[0] == SESSIONS + 1


def test_what_goes_with_a_script(registry: Registry, account: str, namespace: str) -> None:
    """Deleted by name, by tag or with the namespace: its sessions and uploads go."""
    version = NewVersion(digest="0" * 64, main_module="m.py")
    for name in ("one", "two", "three"):
        registry.scripts.put_version(namespace, name, version, tags=[name])
        session = registry.assets.open(namespace, name, FILES, {})
        registry.assets.add(session, {"ha": stored(1)})
    registry.scripts.delete(namespace, "one")
    assert rows(registry) == (2, 2)
    registry.scripts.delete_tagged(namespace, TagFilter.parse("two:yes"))
    assert rows(registry) == (1, 1)
    registry.namespaces.delete(account, "production")
    assert rows(registry) == (0, 0)


def test_version_with_assets(registry: Registry, namespace: str) -> None:
    """A version keeps what it says of its assets; routes and bundles tell of them, and the date
    says for whom pages are that a browser navigates to."""
    ref = SiteRef(manifest="a" * 64, config="b" * 64, files=3)
    version = NewVersion(
        digest="0" * 64, main_module="", assets=ref, compatibility_date="2025-04-01"
    )
    view = registry.scripts.put_version(namespace, "site", version)
    route = registry.resolve("production", "site")
    assert route is not None
    assert (route.assets, route.has_code, route.prefers_assets) == (ref, False, True)
    bundle = registry.bundle(view.version.id)
    assert bundle is not None
    assert bundle.assets == ref
    (listed,) = registry.scripts.list(namespace).items
    assert (listed.has_assets, listed.has_code) == (True, False)
    for date, flags, prefers in (
        ("2025-03-31", [], False),
        ("2025-03-31", ["assets_navigation_prefers_asset_serving"], True),
        ("2026-01-01", ["assets_navigation_has_no_effect"], False),
    ):
        registry.scripts.put_version(
            namespace,
            "site",
            NewVersion(
                digest="0" * 64,
                main_module="m.py",
                assets=ref,
                compatibility_date=date,
                compatibility_flags=flags,
            ),
        )
        route = registry.resolve("production", "site")
        assert route is not None
        assert (route.has_code, route.prefers_assets) == (True, prefers)
