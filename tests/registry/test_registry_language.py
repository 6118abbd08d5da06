"""The language of a namespace, and whether its isolates serve once only."""

import pytest
from sqlalchemy import text

from cloister.errors import Invalid, NotFound
from cloister.messages import Changed
from cloister.registry import Registry


def test_restricted_is_what_a_namespace_begins_with(
    registry: Registry, account: str, namespace: str
) -> None:
    """Nothing is given up, and nothing costs more, unless somebody says so."""
    for found in (
        registry.namespaces.get(account, "production"),
        registry.namespaces.list(account)[0],
        registry.namespace_view("production"),
    ):
        assert found is not None
        assert (found.language, found.fresh_isolates) == ("restricted", False)


def test_setting_the_language(
    registry: Registry, account: str, namespace: str, changes: list[Changed]
) -> None:
    """It is told to every cache, is seen wherever the namespace is, survives every other change,
    and can be taken back."""
    registry.namespaces.set_language("production", "full")
    assert changes == [Changed(namespace="production")]
    renamed = registry.namespaces.update(
        account, "production", new_name="live", trusted=True, fresh_isolates=True
    )
    assert (renamed.language, renamed.fresh_isolates) == ("full", True)
    view = registry.namespace_view("live")
    assert view is not None
    assert (view.language, view.fresh_isolates) == ("full", True)
    registry.namespaces.set_language("live", "restricted")
    again = registry.namespaces.update(account, "live", fresh_isolates=False)
    assert (again.language, again.fresh_isolates) == ("restricted", False)


def test_a_later_namespace_of_the_name_does_not_inherit_it(
    registry: Registry, account: str, namespace: str
) -> None:
    """The language was given to that namespace, not to its name."""
    registry.namespaces.set_language("production", "full")
    registry.namespaces.delete(account, "production")
    assert registry.namespaces.create(account, "production").language == "restricted"


def test_what_cannot_be_set(registry: Registry, namespace: str, changes: list[Changed]) -> None:
    """An unknown language, and an unknown namespace; nothing changes."""
    with pytest.raises(Invalid, match="No language"):
        registry.namespaces.set_language("production", "Full")  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        registry.namespaces.set_language("nowhere", "full")
    assert changes == []


def test_an_unknown_word_in_the_database_is_no_language(
    registry: Registry, account: str, namespace: str
) -> None:
    """Whoever wrote it there: nobody takes it for one of the two."""
    with registry._database.write() as work:
        work.execute(text("UPDATE namespaces SET language = 'fuller'"))
    with pytest.raises(Invalid, match="fuller"):
        registry.namespace_view("production")
