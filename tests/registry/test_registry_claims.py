"""The life of a claim on a hostname, its wildcard, metadata, and what caches see of it."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloister.errors import Conflict, NotFound
from cloister.messages import Changed
from cloister.registry import (
    HostnameView,
    NewVersion,
    Registry,
    RouteCache,
    change_publisher,
    claims,
    hostnames,
    open_registry,
)
from cloister.registry.claims import DAY_MS, HOUR_MS, MINUTE_MS, Claim
from cloister.registry.hostname_filter import HostnameFilter
from cloister.settings import Settings

WAIT_S = 20
NAME = "shop.example.org"


class Clock:
    """The registry's, moved by hand."""

    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms

    def forward(self, ms: int) -> None:
        self.now_ms += ms


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(claims, "now_ms", made)
    monkeypatch.setattr(hostnames, "now_ms", made)
    return made


@pytest.fixture
def other(registry: Registry) -> str:
    """Another account, so that nobody's word is enough."""
    return registry.accounts.create("Other").id


def due(registry: Registry) -> Claim:
    found = registry.hostnames.claims.take()
    assert found is not None
    return found


def prove(registry: Registry) -> None:
    registry.hostnames.claims.conclude(due(registry), "proved", [])


def test_it_serves_once_it_is_proved(
    registry: Registry, account: str, clock: Clock, changes: list[Changed]
) -> None:
    """Pending with the reason, then active; its metadata is where requests are routed by it."""
    made = registry.hostnames.create(account, "Shop.Example.org", metadata={"plan": "pro"})
    assert (made.hostname, made.status, made.errors) == (NAME, "pending", [])
    assert registry.hostnames.resolve(NAME) is None
    registry.hostnames.claims.conclude(due(registry), "elsewhere", ["no record"])
    assert registry.hostnames.find(account, made.id).errors == ["no record"]
    assert registry.hostnames.claims.take() is None
    clock.forward(MINUTE_MS)
    changes.clear()
    prove(registry)
    assert changes == [Changed(namespace="", script="", hostname=NAME)]
    active = registry.hostnames.get(account, NAME)
    assert (active.status, active.errors, active.vouched) == ("active", [], False)
    route = registry.hostnames.resolve(NAME)
    assert route is not None
    assert (route.namespace, route.script, route.metadata) == ("", "", {"plan": "pro"})
    assert registry.hostnames.token(made.id) == made.token


def test_one_at_a_time(registry: Registry, account: str, clock: Clock) -> None:
    """Of many who look for what is due, one gets it; when that one dies, another gets it later."""
    registry.hostnames.create(account, NAME)
    with ThreadPoolExecutor(4) as threads:
        looking = [threads.submit(registry.hostnames.claims.take) for _ in range(8)]
        assert len([each for each in looking if each.result(WAIT_S)]) == 1
    clock.forward(claims.LEASE_MS)
    assert due(registry).hostname == NAME


def test_it_is_given_up(registry: Registry, account: str, clock: Clock) -> None:
    """Checked less and less often for a week, then deleted: until somebody asks again."""
    made = registry.hostnames.create(account, NAME)
    checks = 0
    while registry.hostnames.find(account, made.id).status == "pending":
        claim = registry.hostnames.claims.take()
        if claim is not None:
            checks += 1
            registry.hostnames.claims.conclude(claim, "unknown", ["silence"])
        clock.forward(MINUTE_MS * 10)
    assert 20 < checks < 120
    clock.forward(30 * DAY_MS)
    assert registry.hostnames.claims.take() is None
    assert registry.hostnames.find(account, made.id).status == "deleted"
    assert registry.hostnames.edit(account, made.id).status == "pending"
    prove(registry)
    assert registry.hostnames.find(account, made.id).status == "active"


def test_it_moves_away(
    registry: Registry, account: str, clock: Clock, changes: list[Changed]
) -> None:
    """Found elsewhere for days, an active one serves no more; not because the DNS was away, and not
    if it came back in between."""
    registry.hostnames.create(account, NAME)
    prove(registry)
    verdicts = ["elsewhere", *["unknown"] * 100, "proved", *["elsewhere"] * 71]
    for verdict in verdicts:
        clock.forward(DAY_MS)
        if verdict == "elsewhere" and registry.hostnames.get(account, NAME).errors:
            clock.forward(HOUR_MS - DAY_MS)
        registry.hostnames.claims.conclude(due(registry), verdict, ["x"] * (verdict != "proved"))
        assert registry.hostnames.resolve(NAME) is not None
    changes.clear()
    clock.forward(2 * HOUR_MS)
    registry.hostnames.claims.conclude(due(registry), "elsewhere", ["x"])
    assert registry.hostnames.get(account, NAME).status == "moved"
    assert [change.hostname for change in changes] == [NAME]
    assert registry.hostnames.resolve(NAME) is None
    clock.forward(HOUR_MS)
    prove(registry)
    assert registry.hostnames.get(account, NAME).status == "active"


def test_the_last_to_prove_has_it(
    registry: Registry, account: str, other: str, clock: Clock
) -> None:
    """Two accounts claim a name: a claim takes nothing from anybody, a proof does; and the loser
    gets it back by asking anew and another proof only."""
    mine = registry.hostnames.create(account, NAME, metadata={"who": "mine"})
    prove(registry)
    theirs = registry.hostnames.create(other, NAME, metadata={"who": "theirs"})
    assert mine.token != theirs.token
    assert registry.hostnames.resolve(NAME).metadata == {"who": "mine"}
    prove(registry)
    assert registry.hostnames.resolve(NAME).metadata == {"who": "theirs"}
    lost = registry.hostnames.find(account, mine.id)
    assert (lost.status, len(lost.errors)) == ("moved", 1)
    assert registry.hostnames.token(mine.id) is None
    clock.forward(HOUR_MS)
    assert registry.hostnames.claims.take() is None
    registry.hostnames.edit(account, mine.id)
    prove(registry)
    assert registry.hostnames.resolve(NAME).metadata == {"who": "mine"}
    assert registry.hostnames.find(other, theirs.id).status == "moved"


def test_proofs_at_once(registry: Registry, account: str, other: str, clock: Clock) -> None:
    """However two proofs of a name meet, it is active for exactly one."""
    made = [registry.hostnames.create(each, NAME) for each in (account, other)]
    found = [due(registry), due(registry)]
    with ThreadPoolExecutor(2) as threads:
        for claim in found:
            threads.submit(registry.hostnames.claims.conclude, claim, "proved", [])
    statuses = [registry.hostnames.find(each.account_id, each.id).status for each in made]
    assert sorted(statuses) == ["active", "moved"]


def test_who_deletes_gives_it_up(
    registry: Registry, account: str, other: str, clock: Clock
) -> None:
    """A record left behind in the DNS proves nothing for the next claim, not of the same account
    either: each has a token of its own. The check under way of what is gone is without effect."""
    made = registry.hostnames.create(account, NAME)
    prove(registry)
    clock.forward(DAY_MS)
    checking = due(registry)
    registry.hostnames.discard(account, made.id)
    again = [registry.hostnames.create(each, NAME) for each in (account, other)]
    assert len({made.token, *(each.token for each in again)}) == 3
    registry.hostnames.claims.conclude(checking, "proved", [])
    assert registry.hostnames.resolve(NAME) is None
    with pytest.raises(NotFound):
        registry.hostnames.find(account, made.id)


def test_nobody_vouches_beside_others(
    registry: Registry, account: str, namespace: str, version: NewVersion, clock: Clock
) -> None:
    """The only account's word is enough; with a second one, it is not."""
    registry.scripts.put_version(namespace, "shop", version)
    lead = {"namespace": "production", "script": "shop"}
    assert registry.hostnames.put(account, "a.example", **lead).status == "active"
    registry.accounts.create("Second")
    assert registry.hostnames.put(account, "b.example", **lead).status == "pending"
    assert registry.hostnames.put(account, "a.example", **lead).status == "active"
    prove(registry)
    assert registry.hostnames.resolve("b.example").script == "shop"


def test_the_platform_called_so(settings: Settings, account: str, registry: Registry) -> None:
    """What the platform's domain has come to cover is blocked, and not checked."""
    made = registry.hostnames.create(account, NAME)
    registry.hostnames.create(account, "example.com")
    renamed = open_registry(
        Settings(data=settings.data, database_url=settings.database_url, domain="Example.org.")
    )
    assert renamed.hostnames.find(account, made.id).status == "blocked"
    assert due(renamed).hostname == "example.com"
    assert renamed.hostnames.claims.take() is None

    def of(*statuses: str) -> list[str]:
        found = renamed.hostnames.page(account, HostnameFilter(statuses=statuses)).items
        return [item.hostname for item in found]

    assert (of("blocked"), of("pending")) == ([NAME], ["example.com"])
    renamed.close()


def test_twice_is_once_too_often(registry: Registry, account: str, namespace: str) -> None:
    """A second claim of the same account is a conflict; a target that is none makes no claim."""
    registry.hostnames.create(account, NAME)
    with pytest.raises(Conflict):
        registry.hostnames.create(account, NAME.upper())
    with pytest.raises(NotFound):
        registry.hostnames.create(account, "b.example", target=("production", "none"))
    assert registry.hostnames.page(account, HostnameFilter()).total == 1


def test_names_below(registry: Registry, account: str, other: str, clock: Clock) -> None:
    """One label below, if it is said; an active claim on just that name goes first."""
    registry.hostnames.create(account, "example.org", wildcard=True)
    prove(registry)
    assert registry.hostnames.resolve("*.example.org").hostname == "example.org"
    assert registry.hostnames.resolve("*.shop.example.org") is None
    registry.hostnames.create(account, "example.com")
    prove(registry)
    assert registry.hostnames.resolve("*.example.com") is None


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


async def test_the_cache_is_told(shared: tuple[Registry, Settings]) -> None:
    """Proved, changed, taken over, without its names below, deleted: the cache knows as soon as the
    note is there; and any number of names below one take one place in it."""
    registry, settings = shared
    cache = RouteCache(registry, settings)
    told: asyncio.Queue[Changed | None] = asyncio.Queue()
    cache.on_change(told.put_nowait)
    await cache.start()
    account, other = registry.accounts.create("Acme").id, registry.accounts.create("Other").id

    async def becomes(host: str, expected: dict[str, str] | None) -> None:
        async with asyncio.timeout(WAIT_S):
            while True:
                route = await cache.hostname(host)
                if (None if route is None else route.metadata) == expected:
                    return
                await told.get()

    def claim(account_id: str, who: str) -> HostnameView:
        return registry.hostnames.create(account_id, NAME, metadata={"who": who}, wildcard=True)

    below = f"a.{NAME}"
    mine = claim(account, "mine")
    await becomes(below, None)
    prove(registry)
    await becomes(below, {"who": "mine"})
    assert await cache.hostname(f"a.b.{NAME}") is None
    registry.hostnames.edit(account, mine.id, metadata={})
    await becomes(NAME, {})
    assert due(registry).id == mine.id  # its check; the next one due is theirs
    theirs = claim(other, "theirs")
    prove(registry)
    await becomes(below, {"who": "theirs"})
    for number in range(50):
        assert await cache.hostname(f"n{number}.{NAME}") is not None
    present = cache._hostnames._present
    assert {key for key in present if key.endswith(NAME)} <= {NAME, f"*.{NAME}"}
    registry.hostnames.edit(other, theirs.id, wildcard=False)
    await becomes(below, None)
    await becomes(NAME, {"who": "theirs"})
    registry.hostnames.discard(other, theirs.id)
    await becomes(NAME, None)
    await cache.close()
