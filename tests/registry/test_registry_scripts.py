"""Scripts, their versions and tags."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select, text

from cloister.errors import Conflict, Invalid, NotFound
from cloister.limits import Limits
from cloister.messages import Changed
from cloister.registry import NewVersion, OutboundRule, Registry, TagFilter, open_registry
from cloister.registry.models import Script
from cloister.settings import Settings

BYTES = bytes | memoryview
SECRET = {"name": "KEY", "type": "secret_text", "text": "hush-hush"}


def test_first_upload_makes_script_and_version(
    registry: Registry, namespace: str, changes: list[Changed], version: NewVersion
) -> None:
    """One call makes the script, its version, its tags, and tells of it; then it routes."""
    limits = Limits(cpu_ms=20)
    new = msgspec.structs.replace(version, limits=limits)
    script = registry.scripts.put_version(namespace, "hello", new, tags=["b", "a", "a"])
    assert script.tags == ["a", "b"]
    assert (script.namespace, script.name, script.version.number) == ("production", "hello", 1)
    assert changes == [Changed(namespace="production", script="hello")]
    assert registry.scripts.get(namespace, "hello") == script
    route = registry.resolve("production", "hello")
    assert (route.version, route.script_limits) == (script.version_id, limits)
    assert not route.trusted
    assert route.outbound is None


def test_second_upload_keeps_the_script(
    registry: Registry, namespace: str, version: NewVersion
) -> None:
    """The id stays, the version is another one, and tags stay where none are said."""
    first = registry.scripts.put_version(namespace, "hello", version, tags=["a"])
    second = registry.scripts.put_version(namespace, "hello", version)
    assert second.id == first.id
    assert second.version_id != first.version_id
    assert second.version.number == 2
    assert second.tags == ["a"]
    assert registry.resolve("production", "hello").version == second.version_id
    assert registry.scripts.put_version(namespace, "hello", version, tags=[]).tags == []


def test_an_old_version_still_runs(registry: Registry, namespace: str, version: NewVersion) -> None:
    """A queued invocation names its version, which a deploy leaves as it was."""
    old = registry.scripts.put_version(namespace, "hello", version)
    registry.scripts.put_version(
        namespace, "hello", msgspec.structs.replace(version, digest="1" * 64)
    )
    assert registry.bundle(old.version_id).digest == "0" * 64


def test_bundle_has_all_that_running_takes(
    registry: Registry, account: str, namespace: str, version: NewVersion
) -> None:
    """Plain values and secrets are in ``env``, the rest in ``live`` as uploaded."""
    kv = registry.kv.namespaces.create(account, "store").id
    service = {"name": "NEXT", "type": "service", "service": "other", "props": {"a": [1]}}
    bindings = [
        SECRET,
        {"name": "WHO", "type": "plain_text", "text": "acme"},
        {"name": "PLAN", "type": "json", "json": {"seats": 3}},
        {"name": "STORE", "type": "kv_namespace", "namespace_id": kv},
        service,
    ]
    new = msgspec.structs.replace(
        version,
        bindings=bindings,
        compatibility_date="2025-01-01",
        compatibility_flags=["python_workers"],
    )
    bundle = registry.bundle(registry.scripts.put_version(namespace, "hello", new).version_id)
    assert bundle.env == {"KEY": "hush-hush", "WHO": "acme", "PLAN": {"seats": 3}}
    assert set(bundle.live) == {"STORE", "NEXT"}
    assert bundle.live["NEXT"] == service
    assert (bundle.namespace, bundle.script, bundle.account_id) == ("production", "hello", account)
    assert (bundle.main_module, bundle.handlers) == ("main.py", {"Default": ["fetch"]})
    assert (bundle.compatibility_date, bundle.compatibility_flags) == (
        "2025-01-01",
        ["python_workers"],
    )
    assert registry.bundle("0" * 36) is None


def test_secrets_are_neither_shown_nor_stored_in_clear(
    registry: Registry, namespace: str, version: NewVersion
) -> None:
    """No view has the text of a secret, no repr of what carries it, and no row of the database."""
    new = msgspec.structs.replace(version, bindings=[SECRET])
    script = registry.scripts.put_version(namespace, "hello", new)
    assert script.version.bindings == [{"name": "KEY", "type": "secret_text"}]
    assert "hush" not in repr(registry.scripts.get(namespace, "hello"))
    assert "hush" not in repr(registry.bundle(script.version_id))
    assert "hush" not in repr(new)
    with registry.versions._database.read() as session:
        rows = session.execute(text("SELECT * FROM versions")).all()
    assert "hush" not in repr(rows)
    assert all(b"hush" not in bytes(cell) for cell in rows[0] if isinstance(cell, BYTES))


def test_revise_makes_a_version_of_the_live_one(
    registry: Registry, namespace: str, version: NewVersion
) -> None:
    """A change of settings sees the live version, secrets too, and is a version of its own."""
    registry.scripts.put_version(
        namespace, "hello", msgspec.structs.replace(version, bindings=[SECRET])
    )
    another = {"name": "OTHER", "type": "secret_text", "text": "more"}
    script = registry.scripts.revise(
        namespace,
        "hello",
        lambda live: msgspec.structs.replace(live, bindings=[*live.bindings, another]),
        tags=["a"],
    )
    assert (script.version.number, script.tags) == (2, ["a"])
    assert registry.bundle(script.version_id).env == {"KEY": "hush-hush", "OTHER": "more"}


def test_revise_needs_a_script(registry: Registry, namespace: str, changes: list[Changed]) -> None:
    """Settings of what is not there make nothing."""
    with pytest.raises(NotFound):
        registry.scripts.revise(namespace, "hello", lambda live: live)
    assert registry.scripts.list(namespace).items == []
    assert changes == []


def test_revisions_at_once_lose_nothing(
    registry: Registry, namespace: str, version: NewVersion
) -> None:
    """Eight secrets set at the same time are eight secrets afterwards."""
    registry.scripts.put_version(namespace, "hello", version)
    together = threading.Barrier(8)

    def add(number: int) -> None:
        together.wait(10)
        secret = {"name": f"S{number}", "type": "secret_text", "text": "x"}
        registry.scripts.revise(
            namespace,
            "hello",
            lambda live: msgspec.structs.replace(live, bindings=[*live.bindings, secret]),
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    bundle = registry.bundle(registry.resolve("production", "hello").version)
    assert set(bundle.env) == {f"S{number}" for number in range(8)}


def test_first_uploads_at_once_follow_one_another(
    registry: Registry, opened: Callable[..., Registry], namespace: str, version: NewVersion
) -> None:
    """Of eight first uploads, over two connections pools, each is a whole version of one script."""
    registries = [registry, opened()]
    together = threading.Barrier(8)

    def upload(number: int) -> int:
        together.wait(10)
        new = msgspec.structs.replace(version, digest=f"{number:064}")
        made = registries[number % 2].scripts.put_version(
            namespace, "hello", new, tags=[f"t{number}"]
        )
        assert made.digest == f"{number:064}"
        assert made.tags == [f"t{number}"]
        return made.version.number

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(upload, range(8)))
    assert sorted(numbers) == list(range(1, 9))
    live = registry.scripts.get(namespace, "hello")
    assert live.version.number == 8
    assert live.tags == [f"t{numbers.index(8)}"]
    assert live.digest == f"{numbers.index(8):064}"


def test_a_failed_upload_leaves_nothing(
    registry: Registry, namespace: str, changes: list[Changed], version: NewVersion
) -> None:
    """If anything is refused, neither script nor version nor tag is there, and nobody is told."""
    bad = msgspec.structs.replace(version, bindings=[SECRET, SECRET])
    with pytest.raises(Invalid):
        registry.scripts.put_version(namespace, "hello", bad, tags=["a"])
    assert registry.scripts.list(namespace).items == []
    assert changes == []
    registry.scripts.put_version(namespace, "hello", version)
    with pytest.raises(Invalid):
        registry.scripts.put_version(namespace, "hello", bad, tags=["a"])
    kept = registry.scripts.get(namespace, "hello")
    assert (kept.version.number, kept.tags) == (1, [])


@pytest.mark.parametrize(
    ("binding", "code"),
    [
        ({"type": "plain_text", "text": "x"}, 10052),
        ({"name": "", "type": "plain_text", "text": "x"}, 10052),
        ({"name": "KEY", "type": "plain_text", "text": "x"}, 10053),
        ({"name": "X"}, 100153),
        ({"name": "X", "type": "plain_text"}, 100153),
        ({"name": "X", "type": "kv_namespace", "namespace_id": "0" * 32}, 10042),
        ({"name": "X", "type": "kv_namespace"}, 10042),
    ],
)
def test_bindings_that_cannot_be(
    registry: Registry, namespace: str, version: NewVersion, binding: dict[str, str], code: int
) -> None:
    """The registry is the last to check what every reader relies on."""
    new = msgspec.structs.replace(version, bindings=[SECRET, binding])
    with pytest.raises(Invalid) as caught:
        registry.scripts.put_version(namespace, "hello", new)
    assert caught.value.code == code


def test_no_binding_to_another_accounts_kv(
    registry: Registry, namespace: str, version: NewVersion
) -> None:
    """Knowing the id of another account's KV namespace gives no way to its data."""
    other = registry.accounts.create("Other").id
    theirs = registry.kv.namespaces.create(other, "store").id
    binding = {"name": "STORE", "type": "kv_namespace", "namespace_id": theirs}
    with pytest.raises(Invalid):
        registry.scripts.put_version(
            namespace, "hello", msgspec.structs.replace(version, bindings=[binding])
        )


def test_delete(
    registry: Registry, namespace: str, changes: list[Changed], version: NewVersion
) -> None:
    """A deleted script is gone with its versions; made again, it is another one."""
    first = registry.scripts.put_version(namespace, "hello", version, tags=["a"])
    changes.clear()
    registry.scripts.delete(namespace, "hello")
    assert changes == [Changed(namespace="production", script="hello")]
    assert registry.bundle(first.version_id) is None
    assert registry.resolve("production", "hello") is None
    with pytest.raises(NotFound):
        registry.scripts.delete(namespace, "hello")
    again = registry.scripts.put_version(namespace, "hello", version)
    assert (again.id != first.id, again.version.number, again.tags) == (True, 1, [])


def test_delete_of_what_others_call(
    registry: Registry, account: str, namespace: str, version: NewVersion
) -> None:
    """Unless forced it is refused while a live version has a service binding to the script."""
    own = {"name": "ME", "type": "service", "service": "hello"}
    text_only = {"name": "T", "type": "json", "json": {"x": {"service": "hello"}}}
    bound = msgspec.structs.replace(version, bindings=[own])
    registry.scripts.put_version(namespace, "hello", bound)
    registry.scripts.put_version(namespace, "caller", bound)
    similar = msgspec.structs.replace(version, bindings=[text_only])
    registry.scripts.put_version(namespace, "similar", similar)
    elsewhere = registry.namespaces.create(account, "staging").id
    registry.scripts.put_version(elsewhere, "foreign", bound)
    with pytest.raises(Conflict, match=r"of caller\.$"):
        registry.scripts.delete(namespace, "hello", force=False)
    assert registry.scripts.get(namespace, "hello")
    registry.scripts.put_version(namespace, "caller", version)
    registry.scripts.delete(namespace, "hello", force=False)
    with pytest.raises(NotFound):
        registry.scripts.delete(namespace, "hello", force=False)


def test_unknown_namespace(registry: Registry, version: NewVersion) -> None:
    """Nothing can be put into, or found in, a namespace that is not there."""
    with pytest.raises(NotFound):
        registry.scripts.put_version("0" * 36, "hello", version)
    with pytest.raises(NotFound):
        registry.scripts.list("0" * 36)
    with pytest.raises(NotFound):
        registry.scripts.get("0" * 36, "hello")


def test_pages(registry: Registry, namespace: str, version: NewVersion) -> None:
    """Pages put together are every script once, by name, in the order of bytes."""
    names = sorted(["a", "a-b", "ab", "b", "b-1", "c"])
    for name in reversed(names):
        registry.scripts.put_version(namespace, name, version)
    found, cursor = [], None
    while True:
        page = registry.scripts.list(namespace, limit=4, cursor=cursor)
        found += [each.name for each in page.items]
        cursor = page.cursor
        if cursor is None:
            break
        registry.scripts.delete(namespace, found[-1])
    assert found == names
    assert registry.scripts.list(namespace, limit=5).cursor is None


@pytest.mark.parametrize("cursor", ["not base64!", "ä", "a"])
def test_a_forged_cursor(registry: Registry, namespace: str, cursor: str) -> None:
    """A cursor that nobody here made is refused."""
    with pytest.raises(Invalid):
        registry.scripts.list(namespace, cursor=cursor)


@pytest.mark.parametrize("limit", [0, 1001, -1])
def test_page_sizes(registry: Registry, namespace: str, limit: int) -> None:
    """A page has 1 to 1000 scripts."""
    with pytest.raises(Invalid):
        registry.scripts.list(namespace, limit=limit)


def test_filter_by_tags(registry: Registry, namespace: str, version: NewVersion) -> None:
    """All ``yes`` tags must be there and all ``no`` tags missing, in this namespace only."""
    tags = {"one": ["pro", "eu"], "two": ["pro"], "three": ["free", "eu"], "four": []}
    for name, its in tags.items():
        registry.scripts.put_version(namespace, name, version, tags=its)

    def found(text: str) -> set[str]:
        page = registry.scripts.list(namespace, tags=TagFilter.parse(text))
        return {each.name for each in page.items}

    assert found("pro:yes") == {"one", "two"}
    assert found("pro:yes,eu:no") == {"two"}
    assert found("pro:no, eu:no") == {"four"}
    assert found("pro:yes,eu:yes") == {"one"}
    assert found("none:yes") == set()


def test_pages_of_a_filter(registry: Registry, namespace: str, version: NewVersion) -> None:
    """Pages of a filter by tags put together are its scripts once, by name."""
    names = ["a", "a-b", "ab", "b", "b-1", "c"]
    for name in names[::-1]:
        tags = ["all", "kept"] if name != "b" else ["all"]
        registry.scripts.put_version(namespace, name, version, tags=tags)
    for said, wanted in (
        ("all:yes", names),
        ("all:yes,kept:yes", [name for name in names if name != "b"]),
        ("kept:no", ["b"]),
        ("all:yes,kept:no", ["b"]),
    ):
        found, cursor = [], None
        while not found or cursor is not None:
            tags = TagFilter.parse(said)
            page = registry.scripts.list(namespace, tags=tags, limit=2, cursor=cursor)
            found += [each.name for each in page.items]
            cursor = page.cursor
        assert found == wanted


def test_a_page_of_a_filter_is_read_in_order(tmp_path: Path) -> None:
    """A page costs what is on it, not what has the tag: an index has it in the page's order. (Of
    SQLite; PostgreSQL plans by statistics, which a small table does not have.)"""
    registry = open_registry(Settings(data=str(tmp_path)))
    query, name = TagFilter.parse("all:yes,kept:no").apply(select(Script.name), "0" * 36)
    compiled = query.order_by(name).compile(compile_kwargs={"literal_binds": True})
    with registry.kv._database.read() as session:
        plan = str(session.execute(text(f"EXPLAIN QUERY PLAN {compiled}")).all())
    registry.close()
    assert "script_tags_by_tag (namespace_id=? AND tag=?)" in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    "text", ["", "pro", "pro:maybe", ":yes", "pro:yes,", "a:yes," * 33 + "b:no"]
)
def test_malformed_filters(text: str) -> None:
    """What is not ``tag:yes`` or ``tag:no`` is refused, never read as "all"."""
    with pytest.raises(Invalid):
        TagFilter.parse(text)


def test_delete_by_tag(
    registry: Registry, account: str, namespace: str, changes: list[Changed], version: NewVersion
) -> None:
    """Only what the filter lets through goes, each is told of, and no filter deletes nothing."""
    elsewhere = registry.namespaces.create(account, "staging").id
    for name, its in {"one": ["gone"], "two": ["gone", "kept"], "three": []}.items():
        registry.scripts.put_version(namespace, name, version, tags=its)
        registry.scripts.put_version(elsewhere, name, version, tags=its)
    changes.clear()
    assert registry.scripts.delete_tagged(namespace, TagFilter.parse("gone:yes,kept:no")) == ["one"]
    assert changes == [Changed(namespace="production", script="one")]
    assert {each.name for each in registry.scripts.list(namespace).items} == {"two", "three"}
    assert len(registry.scripts.list(elsewhere).items) == 3
    with pytest.raises(Invalid):
        registry.scripts.delete_tagged(namespace, TagFilter())


def test_many_changes_are_one_note(
    registry: Registry, namespace: str, changes: list[Changed], version: NewVersion
) -> None:
    """Deleting many scripts tells of their namespace, not of each."""
    for number in range(101):
        registry.scripts.put_version(namespace, f"s{number}", version, tags=["gone"])
    changes.clear()
    assert len(registry.scripts.delete_tagged(namespace, TagFilter.parse("gone:yes"))) == 101
    assert changes == [Changed(namespace="production")]


def test_tags(registry: Registry, namespace: str, version: NewVersion) -> None:
    """Tags are replaced, added and removed; adding or removing twice changes nothing."""
    registry.scripts.put_version(namespace, "hello", version, tags=["a"])
    assert registry.scripts.tags(namespace, "hello") == ["a"]
    assert registry.scripts.add_tag(namespace, "hello", "b") == ["a", "b"]
    assert registry.scripts.add_tag(namespace, "hello", "b") == ["a", "b"]
    assert registry.scripts.remove_tag(namespace, "hello", "a") == ["b"]
    assert registry.scripts.remove_tag(namespace, "hello", "a") == ["b"]
    assert registry.scripts.set_tags(namespace, "hello", ["z", "y"]) == ["y", "z"]
    assert registry.scripts.get(namespace, "hello").tags == ["y", "z"]
    with pytest.raises(NotFound):
        registry.scripts.add_tag(namespace, "nobody", "a")


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([f"t{number}" for number in range(9)], 100103),
        (["x" * 256], 100102),
        ([""], 100102),
        (["a,b"], 10004),
        (["a&b"], 10004),
        (["a\0"], 10004),
        (["\ud800"], 10004),
    ],
)
def test_tags_that_cannot_be(
    registry: Registry, namespace: str, version: NewVersion, tags: list[str], code: int
) -> None:
    """At most eight, of at most 255 characters, without what filters and paths are made of."""
    registry.scripts.put_version(namespace, "hello", version, tags=["x" * 255, *"abcdefg"])
    with pytest.raises(Invalid) as caught:
        registry.scripts.set_tags(namespace, "hello", tags)
    assert caught.value.code == code
    assert len(registry.scripts.tags(namespace, "hello")) == 8


def test_route_carries_the_namespaces_rules(
    registry: Registry, account: str, namespace: str, version: NewVersion
) -> None:
    """A route has the namespace's trust, limits and outbound rule as they are now."""
    registry.scripts.put_version(namespace, "hello", version)
    rule = OutboundRule(namespace="production", script="out", parameters=["customer"])
    registry.namespaces.update(
        account, "production", trusted=True, limits=Limits(cpu_ms=7), outbound=rule
    )
    route = registry.resolve("production", "hello")
    assert (route.trusted, route.namespace_limits, route.outbound) == (True, Limits(cpu_ms=7), rule)
    assert registry.resolve("production", "nobody") is None
    assert registry.resolve("nowhere", "hello") is None
