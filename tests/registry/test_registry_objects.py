"""Durable Objects: classes and their migrations, and who runs an object."""

from typing import Any

import msgspec
import pytest

from cloister.errors import Conflict, Invalid, NotFound
from cloister.registry import NewVersion, Registry, objects
from cloister.registry.object_classes import (
    MIGRATION_INVALID,
    NAMESPACE_MISSING,
    NOT_EXPORTED,
    TAG_MISMATCH,
    Migration,
    Rename,
    Step,
    Transfer,
)
from cloister.registry.objects import Ownership, TooMany

ID = "c" * 64
BINDING = {"type": "durable_object_namespace", "name": "COUNTERS", "class_name": "Counter"}


def version(*classes: str, bindings: list[dict[str, Any]] | None = None) -> NewVersion:
    handlers = {"Default": ["fetch"], **{name: ["class", "fetch"] for name in classes}}
    return NewVersion(
        digest="0" * 64, main_module="main.py", handlers=handlers, bindings=bindings or []
    )


def step(old: str = "", new: str = "", **fields: Any) -> Migration:
    return Migration(old_tag=old, new_tag=new, steps=[Step(**fields)])


@pytest.fixture
def counters(registry: Registry, account: str, namespace: str) -> str:
    """A script ``main`` with a class of objects; the id of that."""
    registry.scripts.put_version(
        namespace,
        "main",
        version("Counter", bindings=[BINDING]),
        migration=step(new="v1", new_sqlite_classes=["Counter"]),
    )
    return registry.objects.namespaces(account).items[0].id


def test_a_migration_is_part_of_the_version(
    registry: Registry, account: str, namespace: str, counters: str
) -> None:
    """The class is there with it, its binding knows the id, and the tag is kept."""
    view = registry.scripts.get(namespace, "main")
    assert view.version.bindings == [{**BINDING, "script_name": "main", "namespace_id": counters}]
    assert registry.objects.migration_tags([view.id]) == {view.id: "v1"}
    found = registry.objects.namespace(counters)
    assert found is not None
    assert (found.namespace, found.script, found.class_name) == ("production", "main", "Counter")
    assert found.uses_sqlite
    assert len(found.key) == 32
    assert found.account_id == account
    assert "key" not in repr(found)


def test_what_does_not_fit_changes_nothing(
    registry: Registry, account: str, namespace: str, counters: str
) -> None:
    """A wrong tag, a class that is there or is not, code without a class that has objects, and a
    binding to what is none: refused by code, and version, tag and classes stay."""
    before = registry.scripts.get(namespace, "main").version.id
    new = version("Counter", "Room")
    cases: list[tuple[NewVersion, Migration | None, int]] = [
        (new, step("v0", "v2", new_classes=["Room"]), TAG_MISMATCH),
        (new, step("v1", "v2", new_classes=["Room", "Counter"]), MIGRATION_INVALID),
        (new, step("v1", "v2", deleted_classes=["Room"]), MIGRATION_INVALID),
        (new, step("v1", "v2", new_classes=["no name"]), MIGRATION_INVALID),
        (version("Counter"), step("v1", "v2", new_classes=["Room"]), NOT_EXPORTED),
        (version(), None, NOT_EXPORTED),
        (version("Counter", bindings=[{**BINDING, "class_name": "No"}]), None, NAMESPACE_MISSING),
    ]
    for wanted, migration, code in cases:
        with pytest.raises(Invalid) as refused:
            registry.scripts.put_version(namespace, "main", wanted, migration=migration)
        assert refused.value.code == code
    view = registry.scripts.get(namespace, "main")
    assert view.version.id == before
    assert registry.objects.migration_tags([view.id]) == {view.id: "v1"}
    assert registry.objects.namespaces(account).total == 1
    registry.scripts.put_version(
        namespace, "main", new, migration=step("v1", "v2", new_classes=["Room"])
    )
    assert registry.objects.namespaces(account).total == 2


def test_classes_are_renamed_moved_and_deleted(
    registry: Registry, account: str, namespace: str, counters: str
) -> None:
    """A class keeps its id under another name and in another script; deleted it is gone."""
    put = registry.scripts.put_version
    renamed = step("v1", "v2", renamed_classes=[Rename(old="Counter", new="Tally")])
    put(namespace, "main", version("Tally"), migration=renamed)
    moved = Transfer(old="Tally", script="main", new="Sum")
    put(namespace, "other", version("Sum"), migration=step(transferred_classes=[moved]))
    found = registry.objects.namespace(counters)
    assert found is not None
    assert (found.script, found.class_name) == ("other", "Sum")
    put(namespace, "main", version())  # it has none any more
    put(namespace, "other", version(), migration=step(deleted_classes=["Sum"]))
    assert registry.objects.namespace(counters) is None
    assert registry.objects.exist([counters]) == set()


def test_a_script_takes_its_classes_along(
    registry: Registry, account: str, namespace: str, counters: str
) -> None:
    """Deleted with the script, with all that is known of their objects."""
    own = registry.objects.acquire(counters, ID, Ownership(), owner="a", home="h")
    registry.scripts.delete(namespace, "main")
    assert registry.objects.namespaces(account).total == 0
    assert registry.objects.ownership(ID) == Ownership()
    assert not registry.objects.store(ID, own.fence)


def test_an_object_has_one_owner(registry: Registry, account: str, counters: str) -> None:
    """Of two who saw nobody one gets it; the next one's number is higher, and the one before can
    note nothing any more. Files stay at the home where they came to be."""
    acquire = registry.objects.acquire
    first = acquire(counters, ID, Ownership(), owner="a", home="h")
    with pytest.raises(Conflict):
        acquire(counters, ID, Ownership(), owner="b", home="h")
    with pytest.raises(Conflict):
        acquire(counters, ID, first, owner="b", home="elsewhere")
    assert registry.objects.store(ID, first.fence)
    second = acquire(counters, ID, registry.objects.ownership(ID), owner="b", home="h")
    assert second.fence > first.fence
    with pytest.raises(Conflict):
        acquire(counters, ID, first, owner="c", home="h")
    assert not registry.objects.store(ID, first.fence)
    assert not registry.objects.wake_at(ID, first.fence, 1)
    registry.objects.release(ID, first.fence)
    assert registry.objects.ownership(ID).owner == "b"
    registry.objects.release(ID, second.fence)
    assert registry.objects.ownership(ID) == msgspec.structs.replace(second, owner=None)
    assert [each.id for each in registry.objects.list(account, counters).items] == [ID]


def test_an_object_that_stores_nothing_is_forgotten(
    registry: Registry, account: str, counters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that names which somebody asked for once fill nothing; and there is a bound on all."""
    monkeypatch.setattr(objects, "OBJECTS", 1)
    owned = registry.objects.acquire(counters, ID, Ownership(), owner="a", home="h")
    with pytest.raises(TooMany):
        registry.objects.acquire(counters, "d" * 64, Ownership(), owner="a", home="h")
    registry.objects.release(ID, owned.fence)
    assert registry.objects.ownership(ID) == Ownership()
    assert registry.objects.list(account, counters).items == []
    registry.objects.acquire(counters, "d" * 64, Ownership(), owner="a", home="h")
    with pytest.raises(NotFound):
        registry.objects.acquire("e" * 32, "f" * 64, Ownership(), owner="a", home="h")


def test_pages_of_objects(registry: Registry, account: str, counters: str) -> None:
    """By id, each once; to another account there is no such class."""
    ids = [f"{number:064x}" for number in range(5)]
    for each in ids:
        owned = registry.objects.acquire(counters, each, Ownership(), owner="a", home="h")
        registry.objects.store(each, owned.fence)
    page = registry.objects.list(account, counters, limit=3)
    rest = registry.objects.list(account, counters, limit=3, cursor=page.cursor)
    assert [each.id for each in (*page.items, *rest.items)] == ids
    assert rest.cursor is None
    with pytest.raises(NotFound):
        registry.objects.list("f" * 32, counters)
    with pytest.raises(Invalid):
        registry.objects.list(account, counters, limit=0)


def test_alarms_that_are_due_are_taken_once(
    registry: Registry, account: str, counters: str
) -> None:
    """With whom to send them to; again later, unless they come to something."""
    owned = registry.objects.acquire(counters, ID, Ownership(), owner="a", home="h")
    registry.objects.wake_at(ID, owned.fence, 1_000)
    assert registry.objects.take_due(999, 5_000, 10) == []
    (due,) = registry.objects.take_due(1_000, 5_000, 10)
    assert (due.id, due.namespace_id, due.namespace, due.script) == (
        *(ID, counters, "production", "main"),
    )
    assert registry.objects.take_due(1_000, 5_000, 10) == []
    assert len(registry.objects.take_due(5_000, 6_000, 10)) == 1
    assert registry.objects.wake_at(ID, owned.fence, None)
    assert registry.objects.take_due(9_000, 9_000, 10) == []
