"""Dispatch namespaces."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cloister.errors import Conflict, Invalid, NotFound
from cloister.limits import Limits
from cloister.messages import Changed
from cloister.registry import NamespaceView, NewVersion, OutboundRule, Registry


def test_create_then_get_and_list(registry: Registry, account: str) -> None:
    """A namespace made is found by name, in the list, and among all names."""
    made = registry.namespaces.create(account, "b-side", limits=Limits(cpu_ms=5))
    registry.namespaces.create(account, "a-side")
    assert registry.namespaces.get(account, "b-side") == made
    assert made.limits == Limits(cpu_ms=5)
    assert (made.trusted, made.outbound, made.script_count) == (False, None, 0)
    assert [each.name for each in registry.namespaces.list(account)] == ["a-side", "b-side"]
    assert registry.namespaces.names() == ["a-side", "b-side"]


@pytest.mark.parametrize("name", ["a", "a" * 63, "a-b", "a--b", "a1"])
def test_a_name_that_may_be(registry: Registry, account: str, name: str) -> None:
    """Every DNS label that begins with a letter is a name."""
    assert registry.namespaces.create(account, name).name == name


@pytest.mark.parametrize(
    "name", ["", "A", "1a", "-a", "a-", "a" * 64, "a.b", "a_b", "a\n", "a/b", "ä", "a\0", "\ud800"]
)
def test_a_name_that_may_not_be(registry: Registry, account: str, name: str) -> None:
    """Anything else is refused, with the product's code, and is found nowhere either."""
    with pytest.raises(Invalid) as caught:
        registry.namespaces.create(account, name)
    assert caught.value.code == 10016
    with pytest.raises((NotFound, Invalid)):
        registry.namespaces.get(account, name)


def test_a_name_is_taken_over_all_accounts(
    registry: Registry, account: str, namespace: str
) -> None:
    """Queues and hostnames are made of the name, so no other account may have it."""
    other = registry.accounts.create("Other").id
    for each in (account, other):
        with pytest.raises(Conflict, match="taken"):
            registry.namespaces.create(each, "production")


def test_another_account_sees_nothing(registry: Registry, namespace: str) -> None:
    """An account can neither see, change nor delete another's namespace."""
    other = registry.accounts.create("Other").id
    assert registry.namespaces.list(other) == []
    with pytest.raises(NotFound):
        registry.namespaces.get(other, "production")
    with pytest.raises(NotFound):
        registry.namespaces.update(other, "production", trusted=True)
    with pytest.raises(NotFound):
        registry.namespaces.delete(other, "production")


def test_no_namespace_without_account(registry: Registry) -> None:
    """A namespace belongs to an account that exists."""
    with pytest.raises(NotFound):
        registry.namespaces.create("0" * 32, "production")


def test_update_changes_what_is_said(registry: Registry, account: str, namespace: str) -> None:
    """Fields that are not said stay."""
    registry.namespaces.update(account, "production", trusted=True, egress_deny=["*.evil.example"])
    rule = OutboundRule(namespace="production", script="out", parameters=["customer"])
    after = registry.namespaces.update(
        account, "production", limits=Limits(subrequests=3), outbound=rule
    )
    assert after.trusted
    assert after.egress_deny == ["*.evil.example"]
    assert after.limits == Limits(subrequests=3)
    assert after.outbound == rule
    assert registry.namespace_view("production").outbound == rule
    assert registry.namespaces.update(account, "production", outbound=None).outbound is None


def test_rename_tells_both_names(
    registry: Registry, account: str, namespace: str, changes: list[Changed], version: NewVersion
) -> None:
    """The old name is gone, the new one routes, the id stays; caches are told of both."""
    registry.scripts.put_version(namespace, "hello", version)
    changes.clear()
    after = registry.namespaces.update(account, "production", new_name="live")
    assert after.id == namespace
    assert {change.namespace for change in changes} == {"production", "live"}
    assert registry.resolve("production", "hello") is None
    assert registry.resolve("live", "hello").namespace == "live"
    registry.namespaces.create(account, "production")
    assert registry.resolve("production", "hello") is None


def test_rename_to_a_taken_name_changes_nothing(
    registry: Registry, account: str, namespace: str, changes: list[Changed]
) -> None:
    """A refused rename is refused whole, what was said beside it too."""
    registry.namespaces.create(account, "staging")
    changes.clear()
    with pytest.raises(Conflict):
        registry.namespaces.update(account, "staging", new_name="production", trusted=True)
    assert not registry.namespaces.get(account, "staging").trusted
    assert changes == []


def test_outbound_rules_follow_a_rename(registry: Registry, account: str, namespace: str) -> None:
    """Own rules and those of other namespaces keep meaning the same script."""
    registry.namespaces.create(account, "staging")
    for name in ("production", "staging"):
        rule = OutboundRule(namespace="production", script="out")
        registry.namespaces.update(account, name, outbound=rule)
    registry.namespaces.update(account, "production", new_name="live")
    assert registry.namespace_view("live").outbound.namespace == "live"
    assert registry.namespace_view("staging").outbound.namespace == "live"


def test_outbound_rule_stays_in_the_account(
    registry: Registry, account: str, namespace: str
) -> None:
    """Tenants' traffic goes neither to another account's worker nor to a name yet to be taken."""
    other = registry.accounts.create("Other").id
    registry.namespaces.create(other, "theirs")
    for target in ("theirs", "nobodys"):
        with pytest.raises(NotFound):
            registry.namespaces.update(
                account, "production", outbound=OutboundRule(namespace=target, script="out")
            )


def test_a_namespace_in_use_is_not_deleted(
    registry: Registry, account: str, namespace: str
) -> None:
    """While a rule names it, its name cannot fall to somebody else."""
    registry.namespaces.create(account, "staging")
    rule = OutboundRule(namespace="production", script="out")
    registry.namespaces.update(account, "staging", outbound=rule)
    with pytest.raises(Conflict, match="staging"):
        registry.namespaces.delete(account, "production")
    registry.namespaces.update(account, "staging", outbound=None)
    registry.namespaces.delete(account, "production")


def test_rules_both_ways_at_once(registry: Registry, account: str, namespace: str) -> None:
    """Two namespaces that come to name each other, in two threads, do not wait for ever."""
    registry.namespaces.create(account, "staging")
    together = threading.Barrier(2)

    def point(name: str, other: str) -> None:
        for number in range(10):
            together.wait(10)
            rule = OutboundRule(namespace=other, script=f"s{number}")
            registry.namespaces.update(account, name, outbound=rule)

    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(point, "production", "staging"),
            pool.submit(point, "staging", "production"),
        ]
        for each in both:
            each.result(60)
    assert registry.namespace_view("staging").outbound.script == "s9"


def test_delete_takes_everything_with_it(
    registry: Registry, account: str, namespace: str, changes: list[Changed], version: NewVersion
) -> None:
    """Scripts, versions and restricted tokens go; a namespace made again is empty."""
    script = registry.scripts.put_version(namespace, "hello", version, tags=["a"])
    token = registry.tokens.create(account, "deployer", namespace="production")
    changes.clear()
    registry.namespaces.delete(account, "production")
    assert changes == [Changed(namespace="production")]
    assert registry.resolve("production", "hello") is None
    assert registry.bundle(script.version_id) is None
    assert registry.tokens.verify(token.text) is None
    again = registry.namespaces.create(account, "production")
    assert again.id != namespace
    assert registry.scripts.list(again.id).items == []


def test_script_count(
    registry: Registry, account: str, namespace: str, version: NewVersion
) -> None:
    """The detail counts the scripts, not their versions."""
    for name in ("one", "two", "two"):
        registry.scripts.put_version(namespace, name, version)
    assert registry.namespaces.get(account, "production").script_count == 2
    assert registry.namespaces.list(account)[0].script_count == 2


def test_a_namespace_is_found_without_counting(registry: Registry, account: str) -> None:
    """Who only needs the namespace gets what is in its row, of its own account only."""
    made = registry.namespaces.create(account, "production")
    found = registry.namespaces.find(account, "production")
    assert type(found) is NamespaceView
    assert found.id == made.id
    for other, name in ((account, "staging"), ("0" * 32, "production")):
        with pytest.raises(NotFound):
            registry.namespaces.find(other, name)
