"""The route cache: a change here is seen there, soon, and never half."""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from cloister.limits import Limits
from cloister.messages import REGISTRY_CHANNEL, Changed
from cloister.registry import (
    NewVersion,
    Registry,
    RouteCache,
    change_publisher,
    open_registry,
)
from cloister.registry import cache as cache_module
from cloister.registry import notes as notes_module
from cloister.settings import Settings

WAIT_S = 20
VISIBLE_MS = 100
DEPLOYS = 15
SILENT_MS = 1_500


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Settings:
    """Settings of an empty registry, once on each database, and of a real Valkey."""
    on_sqlite = request.param == "sqlite"
    url = "" if on_sqlite else request.getfixturevalue("emptied_postgresql_url")
    return Settings(data=str(tmp_path / "data"), database_url=url, redis_url=redis_url)


@pytest.fixture
def registry(settings: Settings) -> Iterator[Registry]:
    """The registry as the control plane has it: it tells of its changes."""
    publisher = change_publisher(settings)
    registry = open_registry(settings, on_change=publisher)
    yield registry
    registry.close()
    publisher.close()


class Watched:
    """A started cache over its own registry, and what it has been told."""

    def __init__(self, cache: RouteCache) -> None:
        self.cache = cache
        self.told: asyncio.Queue[Changed | None] = asyncio.Queue()
        cache.on_change(self.told.put_nowait)

    async def wait_for(self, wanted: Changed | None) -> None:
        """Until the cache has been told of this."""
        async with asyncio.timeout(WAIT_S):
            while await self.told.get() != wanted:
                pass


@pytest.fixture
async def watched(settings: Settings, registry: Registry, namespace: str) -> AsyncIterator[Watched]:
    """A cache as another process has it, started once the namespace was there."""
    own = open_registry(settings)
    cache = RouteCache(own, settings)
    watched = Watched(cache)
    await cache.start()
    await watched.wait_for(None)
    yield watched
    await cache.close()
    own.close()


async def test_a_deploy_is_seen(
    watched: Watched, registry: Registry, namespace: str, version: NewVersion
) -> None:
    """Each deploy, and a name that was not there before it, and a delete."""
    cache = watched.cache
    assert await cache.route("production", "hello") is None
    for _ in range(2):
        made = registry.scripts.put_version(namespace, "hello", version)
        await watched.wait_for(Changed(namespace="production", script="hello"))
        assert (await cache.route("production", "hello")).version == made.version_id
    registry.scripts.delete(namespace, "hello")
    await watched.wait_for(Changed(namespace="production", script="hello"))
    assert await cache.route("production", "hello") is None


async def test_a_namespaces_change_is_seen(
    watched: Watched, registry: Registry, account: str, namespace: str, version: NewVersion
) -> None:
    """It is in every route of the namespace, in the namespace itself, and in the names."""
    cache = watched.cache
    registry.scripts.put_version(namespace, "hello", version)
    await watched.wait_for(Changed(namespace="production", script="hello"))
    assert (await cache.route("production", "hello")).namespace_limits == Limits()
    assert not (await cache.namespace("production")).trusted
    registry.namespaces.update(account, "production", trusted=True, limits=Limits(cpu_ms=5))
    await watched.wait_for(Changed(namespace="production"))
    assert (await cache.route("production", "hello")).namespace_limits == Limits(cpu_ms=5)
    assert (await cache.namespace("production")).trusted
    made = await cache.bundle((await cache.route("production", "hello")).version)
    registry.namespaces.update(account, "production", new_name="live")
    await watched.wait_for(Changed(namespace="production"))
    assert await cache.namespace("production") is None
    assert await cache.route("production", "hello") is None
    assert (await cache.route("live", "hello")).version == made.version
    assert (await cache.bundle(made.version)).namespace == "live"
    assert await cache.names() == ["live"]


async def test_what_is_cached_is_not_read_again(
    watched: Watched, registry: Registry, namespace: str, version: NewVersion
) -> None:
    """A warm cache answers without the database, and one script's deploy drops no other's entry."""
    cache = watched.cache
    for name in ("one", "two"):
        made = registry.scripts.put_version(namespace, name, version)
        await watched.wait_for(Changed(namespace="production", script=name))
        await cache.route("production", name)
    await cache.bundle(made.version_id)
    await cache.namespace("production")
    registry.scripts.put_version(namespace, "one", version)
    await watched.wait_for(Changed(namespace="production", script="one"))
    cache._registry.close()
    database = cache._registry.kv._database
    database.read = database.row = None  # type: ignore[method-assign,assignment]
    assert (await cache.route("production", "two")).version == made.version_id
    assert (await cache.bundle(made.version_id)).version == made.version_id
    assert (await cache.namespace("production")).id == namespace


DEPLOY = """
import sys, time
from cloister.registry import NewVersion, change_publisher, open_registry
from cloister.settings import Settings
settings = Settings.from_env()
publisher = change_publisher(settings)
registry = open_registry(settings, on_change=publisher)
version = NewVersion(digest="0" * 64, main_module="main.py")
for _ in sys.stdin:
    made = registry.scripts.put_version(sys.argv[1], "hello", version)
    print(made.version_id, time.time(), flush=True)
registry.close()
publisher.close()
"""


async def test_a_deploy_is_visible_within_100_ms(
    watched: Watched, settings: Settings, namespace: str
) -> None:
    """Another process deploys; measured from its answer to the new version out of this cache."""
    given = {
        "CLOISTER_DATA": settings.data,
        "CLOISTER_DATABASE_URL": settings.database_url,
        "CLOISTER_REDIS_URL": settings.redis_url,
    }
    deployer = subprocess.Popen(  # noqa: ASYNC220 -- nothing else waits for this loop
        [sys.executable, "-c", DEPLOY, namespace],
        env={**os.environ, **{name: value for name, value in given.items() if value}},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    took_ms = []
    for _ in range(DEPLOYS):
        deployer.stdin.write("deploy\n")
        deployer.stdin.flush()
        await watched.wait_for(Changed(namespace="production", script="hello"))
        route = await watched.cache.route("production", "hello")
        seen = time.time()
        version, answered = (await asyncio.to_thread(deployer.stdout.readline)).split()
        assert route.version == version
        took_ms.append((seen - float(answered)) * 1000)
    await asyncio.to_thread(deployer.communicate)
    print(f"visible after {statistics.median(took_ms):.1f} ms, at most {max(took_ms):.1f} ms")
    assert statistics.median(took_ms) < VISIBLE_MS


async def test_never_a_mix_of_two_versions(
    watched: Watched, registry: Registry, namespace: str, version: NewVersion
) -> None:
    """While versions replace each other, a route's limits and its bundle are of one version."""

    def deploy() -> None:
        for number in range(1, 31):
            new = msgspec.structs.replace(
                version,
                digest=f"{number:064}",
                limits=Limits(cpu_ms=number),
                bindings=[{"name": "N", "type": "secret_text", "text": str(number)}],
            )
            registry.scripts.put_version(namespace, "hello", new)

    deploying = asyncio.create_task(asyncio.to_thread(deploy))
    seen = set()
    while not deploying.done():
        await asyncio.sleep(0)  # an answer from memory lets nobody else run
        route = await watched.cache.route("production", "hello")
        if route is None:
            continue
        bundle = await watched.cache.bundle(route.version)
        number = int(bundle.digest)
        assert (bundle.env, bundle.limits) == ({"N": str(number)}, Limits(cpu_ms=number))
        assert route.script_limits == Limits(cpu_ms=number)
        seen.add(number)
    await deploying
    assert seen


async def test_a_lost_connection_drops_everything(
    watched: Watched, settings: Settings, namespace: str, version: NewVersion
) -> None:
    """What changed while nobody listened is seen after the reconnection."""
    cache = watched.cache
    assert await cache.route("production", "hello") is None
    silent = open_registry(settings)
    made = silent.scripts.put_version(namespace, "hello", version)
    assert await cache.route("production", "hello") is None, "nobody has told"
    with redis.Redis.from_url(settings.redis_url) as client:
        client.client_kill_filter(_type="pubsub")
    await watched.wait_for(None)
    assert (await cache.route("production", "hello")).version == made.version_id
    assert await cache.bundle(made.version_id) is not None
    silent.close()


async def test_a_silent_server_counts_as_gone(
    watched: Watched, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is open but dead is noticed, entries age quickly, and all ends well."""

    class Noticing(asyncio.Event):
        def __init__(self) -> None:
            super().__init__()
            self.cleared = asyncio.Event()

        def clear(self) -> None:
            super().clear()
            self.cleared.set()

    connected = Noticing()
    connected.set()
    monkeypatch.setattr(watched.cache._listener, "connected", connected)
    monkeypatch.setattr(notes_module, "SILENCE_S", 0.2)
    with redis.Redis.from_url(settings.redis_url) as client:
        client.client_pause(SILENT_MS)
        async with asyncio.timeout(WAIT_S):
            await connected.cleared.wait()
        assert watched.cache._age_s() == cache_module.BLIND_AGE_S
    await watched.wait_for(None)
    async with asyncio.timeout(WAIT_S):
        await connected.wait()
    assert watched.cache._age_s() == cache_module.AGE_S


async def test_without_valkey(
    settings: Settings, registry: Registry, namespace: str, tmp_path: Path, version: NewVersion
) -> None:
    """Routing goes on, entries live a second; a deploy goes on too and is told to nobody."""
    lonely = Settings(
        data=settings.data,
        database_url=settings.database_url,
        redis_url=f"unix://{tmp_path}/nobody.sock",
    )
    publisher = change_publisher(lonely)
    own = open_registry(lonely, on_change=publisher)
    made = own.scripts.put_version(namespace, "hello", version)
    cache = RouteCache(own, lonely)
    async with asyncio.timeout(WAIT_S):
        await cache.start()
    assert (await cache.route("production", "hello")).version == made.version_id
    assert cache._age_s() == cache_module.BLIND_AGE_S
    await cache.close()
    own.close()
    publisher.close()


async def test_an_unreadable_note_drops_everything(watched: Watched, settings: Settings) -> None:
    """What a newer release says and this one does not understand is taken as "anything"."""
    with redis.Redis.from_url(settings.redis_url) as client:
        client.publish(REGISTRY_CHANNEL, b"\xc1")
        await watched.wait_for(None)


async def test_one_callbacks_mistake(
    watched: Watched, registry: Registry, account: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; notes keep coming."""
    fail: Callable[[Any], None] = lambda changed: 1 / 0  # noqa: E731 -- it only has to fail
    watched.cache.on_change(fail)
    for name in ("one", "two"):
        registry.namespaces.create(account, name)
        await watched.wait_for(Changed(namespace=name))
    assert "not handled" in caplog.text


async def test_close_without_start(settings: Settings, registry: Registry) -> None:
    """A cache that was never started closes."""
    await RouteCache(registry, settings).close()
