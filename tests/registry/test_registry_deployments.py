"""Deployments: what is live, the way back, and what is kept of the past."""

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from alembic import command
from sqlalchemy import text

from cloister.errors import Conflict, Invalid, NotFound
from cloister.messages import Changed
from cloister.registry import NewVersion, Registry, ScriptView, VersionView
from cloister.registry.migrations import _config, upgrade
from cloister.registry.rollout import Share
from cloister.settings import Settings

KEY = {"name": "KEY", "type": "secret_text", "text": "first"}
Live = Callable[[], list[tuple[int, float]]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Three versions of a script are kept."""
    return dataclasses.replace(settings, versions_kept=3)


@pytest.fixture
def script(registry: Registry, namespace: str, version: NewVersion) -> ScriptView:
    return registry.scripts.put_version(
        namespace, "hello", msgspec.structs.replace(version, bindings=[KEY])
    )


@pytest.fixture
def add(registry: Registry, namespace: str, script: ScriptView) -> Callable[..., VersionView]:
    """Upload another version, with these fields, without making it live."""

    def another(**fields: object) -> VersionView:
        return registry.scripts.add_version(
            namespace, "hello", lambda newest: msgspec.structs.replace(newest, **fields)
        )

    return another


@pytest.fixture
def live(registry: Registry, namespace: str, script: ScriptView) -> Live:
    """Numbers and percentages of what is live, the newest first."""

    def shares() -> list[tuple[int, float]]:
        numbers = {item.id: item.number for item in registry.versions.list(script.id)}
        active = registry.deployments.list(namespace, "hello")[0]
        return [(numbers[share.version_id], share.percentage) for share in active.versions]

    return shares


def whole(version_id: str) -> list[Share]:
    return [Share(version_id, 100)]


def age(registry: Registry) -> None:
    """Everything was deployed long ago."""
    with registry.versions._database.write() as work:
        work.execute(text("UPDATE deployments SET created_at = created_at - 86400000"))


def test_a_version_is_not_live_by_being_there(
    registry: Registry,
    namespace: str,
    script: ScriptView,
    add: Callable[..., VersionView],
    live: Live,
    changes: list[Changed],
) -> None:
    """It is made of the newest one, with its secrets; nobody hears of it or is sent to it."""
    changes.clear()
    second = add(main_module="second.py")
    third = add(digest="3" * 64)
    assert (second.number, third.number, third.main_module) == (2, 3, "second.py")
    assert registry.bundle(third.id).env == {"KEY": "first"}
    assert registry.resolve("production", "hello").version == script.version_id
    assert registry.resolve_version(third.id).version == third.id
    assert changes == []
    assert live() == [(1, 100)]
    page = registry.versions.page(script.id, page=1, per_page=2)
    assert ([item.number for item in page.items], page.total) == ([3, 2], 3)
    assert registry.versions.get(script.id, second.id) == second
    assert registry.versions.get(script.id, "0" * 36) is None
    with pytest.raises(NotFound):
        registry.scripts.add_version(namespace, "nobody", lambda newest: newest)


def test_two_versions_are_live(
    registry: Registry,
    namespace: str,
    script: ScriptView,
    add: Callable[..., VersionView],
    changes: list[Changed],
) -> None:
    """The route names the main one and the split; one alone ends it, an upload as well."""
    second = add()
    changes.clear()
    shares = [Share(script.version_id, 70), Share(second.id, 30)]
    made = registry.deployments.create(namespace, "hello", shares, message="try it")
    assert changes == [Changed(namespace="production", script="hello")]
    assert (made.cause, made.message, made.versions) == ("deployment", "try it", shares[::-1])
    assert registry.deployments.get(namespace, "hello", made.id) == made
    route = registry.resolve("production", "hello")
    assert (route.version, route.split.traffic.versions) == (script.version_id, shares[::-1])
    assert registry.scripts.get(namespace, "hello").version_id == script.version_id
    registry.deployments.create(namespace, "hello", whole(second.id))
    assert registry.resolve("production", "hello").split is None
    registry.deployments.create(namespace, "hello", shares)
    fresh = registry.scripts.put_version(
        namespace, "hello", NewVersion(digest="4" * 64, main_module="m.py")
    )
    route = registry.resolve("production", "hello")
    assert (route.version, route.split, fresh.version.number) == (fresh.version_id, None, 3)
    causes = [item.cause for item in registry.deployments.list(namespace, "hello")]
    assert causes == ["upload", "deployment", "deployment", "deployment", "upload"]


@pytest.mark.parametrize(
    "percentages",
    [[99], [50, 49.99], [100, 0.01], [101, -1], [33.333, 66.667], [float("nan")], []],
)
def test_percentages_must_add_up(
    registry: Registry,
    namespace: str,
    script: ScriptView,
    add: Callable[..., VersionView],
    live: Live,
    percentages: list[float],
) -> None:
    """They are 0 to 100, exact to two places, and 100 together; else nothing changes."""
    ids = [script.version_id, add().id]
    shares = [Share(id_, share) for id_, share in zip(ids, percentages, strict=False)]
    with pytest.raises(Invalid) as refused:
        registry.deployments.create(namespace, "hello", shares)
    assert refused.value.code == 10210
    assert live() == [(1, 100)]


@pytest.mark.parametrize("percentages", [[100, 0], [0, 100], [99.99, 0.01], [33.3, 66.7]])
def test_percentages_that_add_up(
    registry: Registry,
    namespace: str,
    script: ScriptView,
    add: Callable[..., VersionView],
    live: Live,
    percentages: list[float],
) -> None:
    """A version of no percent is live for those who ask for it by name."""
    second = add()
    one, two = percentages
    registry.deployments.create(
        namespace, "hello", [Share(script.version_id, one), Share(second.id, two)]
    )
    assert live() == [(2, two), (1, one)]


def test_only_versions_of_the_script(
    registry: Registry, namespace: str, script: ScriptView, version: NewVersion, live: Live
) -> None:
    """Not another script's, not the same twice, not three."""
    other = registry.scripts.put_version(namespace, "other", version)
    with pytest.raises(Invalid, match="no version") as refused:
        registry.deployments.create(namespace, "hello", whole(other.version_id))
    assert (refused.value.code, refused.value.pointer) == (10071, "/versions/0/version_id")
    for count, share in ((2, 50), (3, 100 / 3)):
        with pytest.raises(Invalid, match="1 to 2 different"):
            registry.deployments.create(
                namespace, "hello", [Share(script.version_id, share)] * count
            )
    with pytest.raises(NotFound):
        registry.deployments.create(namespace, "nobody", whole(script.version_id))
    assert live() == [(1, 100)]


def test_changes_need_one_live_version(
    registry: Registry, namespace: str, script: ScriptView, add: Callable[..., VersionView]
) -> None:
    """A change of settings is a change of what is live: with two it is refused, with one not."""
    second = add()
    shares = [Share(script.version_id, 50), Share(second.id, 50)]
    registry.deployments.create(namespace, "hello", shares)
    with pytest.raises(Invalid, match="Two versions are live") as refused:
        registry.scripts.revise(namespace, "hello", lambda live: live)
    assert refused.value.code == 10215
    registry.deployments.create(namespace, "hello", whole(second.id))
    revised = registry.scripts.revise(namespace, "hello", lambda live: live)
    assert (revised.version.number, revised.version_id) == (
        3,
        registry.resolve("production", "hello").version,
    )


def test_a_change_does_not_carry_the_message_of_another(
    registry: Registry, namespace: str, version: NewVersion
) -> None:
    """What annotates a version is about that one; other settings stay."""
    said = {"annotations": {"workers/message": "first"}, "logpush": True}
    registry.scripts.put_version(
        namespace, "hello", msgspec.structs.replace(version, settings=said)
    )
    revised = registry.scripts.revise(namespace, "hello", lambda live: live)
    assert revised.version.settings == {"logpush": True}


def test_roll_back_goes_further_back_each_time(
    registry: Registry,
    namespace: str,
    script: ScriptView,
    add: Callable[..., VersionView],
    live: Live,
) -> None:
    """To what was live alone before the newest that is; what was rolled back does not return."""
    second, third = add(), add()
    with pytest.raises(Conflict, match="No other version"):
        registry.deployments.roll_back(namespace, "hello")
    registry.deployments.create(namespace, "hello", whole(second.id))
    for share in (10, 50):
        registry.deployments.create(
            namespace, "hello", [Share(second.id, 100 - share), Share(third.id, share)]
        )
    back = registry.deployments.roll_back(namespace, "hello", message="third is bad")
    assert (back.cause, back.message, live()) == ("rollback", "third is bad", [(2, 100)])
    registry.deployments.roll_back(namespace, "hello")
    assert live() == [(1, 100)]
    with pytest.raises(Conflict, match="No other version"):
        registry.deployments.roll_back(namespace, "hello")
    registry.deployments.create(namespace, "hello", whole(third.id))
    registry.deployments.roll_back(namespace, "hello")
    assert live() == [(1, 100)]


def test_old_secrets_do_not_return_by_mistake(
    registry: Registry,
    namespace: str,
    script: ScriptView,
    add: Callable[..., VersionView],
    live: Live,
) -> None:
    """A version whose secrets were changed or deleted since is refused, unless forced; a newer one
    with new secrets is not."""
    second = add(bindings=[{**KEY, "text": "second"}])
    registry.deployments.create(namespace, "hello", whole(second.id))
    for attempt in (
        lambda **options: registry.deployments.roll_back(namespace, "hello", **options),
        lambda **options: registry.deployments.create(
            namespace, "hello", whole(script.version_id), **options
        ),
    ):
        with pytest.raises(Invalid, match=r"have changed: KEY$") as refused:
            attempt()
        assert refused.value.code == 10220
        assert live() == [(2, 100)]
    registry.scripts.revise(
        namespace, "hello", lambda live: msgspec.structs.replace(live, bindings=[])
    )
    with pytest.raises(Invalid, match=r"have changed: KEY$"):
        registry.deployments.roll_back(namespace, "hello")
    registry.deployments.roll_back(namespace, "hello", force=True)
    assert live() == [(2, 100)]


def test_what_is_live_is_never_dropped(
    registry: Registry,
    namespace: str,
    script: ScriptView,
    add: Callable[..., VersionView],
) -> None:
    """The newest three are kept, and what is live or was a moment ago; blank calls may name it."""
    second = add()
    numbers = lambda: [item.number for item in registry.versions.list(script.id)]  # noqa: E731
    registry.deployments.create(
        namespace, "hello", [Share(script.version_id, 50), Share(second.id, 50)]
    )
    for _ in range(4):
        add()
    assert numbers() == [6, 5, 4, 2, 1]
    newest = registry.versions.list(script.id)[0].id
    registry.deployments.create(namespace, "hello", whole(newest))
    add()
    assert numbers() == [7, 6, 5, 2, 1]
    age(registry)
    add()
    assert numbers() == [8, 7, 6]
    assert registry.bundle(script.version_id) is None
    with pytest.raises(Conflict, match=r"No other version|not kept"):
        registry.deployments.roll_back(namespace, "hello")


def test_past_deployments_can_be_forgotten(
    registry: Registry, namespace: str, script: ScriptView
) -> None:
    """The active one cannot; a hundred of the others are kept."""
    for _ in range(102):
        registry.deployments.create(namespace, "hello", whole(script.version_id))
    found = registry.deployments.list(namespace, "hello")
    assert len(found) == 103
    with pytest.raises(Conflict):
        registry.deployments.delete(namespace, "hello", found[0].id)
    assert registry.deployments.delete(namespace, "hello", found[1].id)
    assert not registry.deployments.delete(namespace, "hello", found[1].id)
    assert registry.deployments.get(namespace, "hello", found[1].id) is None
    age(registry)
    registry.deployments.create(namespace, "hello", whole(script.version_id))
    assert len(registry.deployments.list(namespace, "hello")) == 99


def test_deployments_at_once_follow_one_another(
    registry: Registry, namespace: str, script: ScriptView, add: Callable[..., VersionView]
) -> None:
    """Whoever is last is live, and the history has all."""
    ids = [script.version_id, add().id, add().id]
    with ThreadPoolExecutor(6) as pool:
        made = list(
            pool.map(
                lambda n: registry.deployments.create(namespace, "hello", whole(ids[n % 3])),
                range(12),
            )
        )
    history = registry.deployments.list(namespace, "hello")
    assert {item.id for item in made} == {item.id for item in history[:-1]}
    assert registry.resolve("production", "hello").version == history[0].versions[0].version_id


def test_what_was_live_before_the_upgrade_is_the_first_deployment(
    settings: Settings, registry: Registry, namespace: str, script: ScriptView
) -> None:
    """A registry of the release before, brought up to date: each worker can be rolled out and back
    as if it had been deployed here."""
    database = registry.versions._database
    with database.write() as work:
        command.downgrade(_config(work.connection()), "0007")
    upgrade(database)
    (first,) = registry.deployments.list(namespace, "hello")
    assert first.versions == whole(script.version_id)
    assert (first.cause, first.created_at) == ("upload", script.modified_at)
    assert registry.resolve("production", "hello").version == script.version_id
    second = registry.scripts.add_version(namespace, "hello", lambda newest: newest)
    registry.deployments.create(namespace, "hello", whole(second.id))
    back = registry.deployments.roll_back(namespace, "hello")
    assert back.versions == whole(script.version_id)
