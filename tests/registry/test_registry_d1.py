"""SQL databases: names, pages, and who has the files."""

import os
import time

import pytest

from cloister.blobs import Blobs
from cloister.collection import collect
from cloister.databases import export_key, import_key
from cloister.errors import Conflict, Invalid, NotFound
from cloister.registry import Registry
from cloister.registry import databases as databases_module
from cloister.registry.databases import TooMany
from cloister.settings import Settings

OTHER = "b" * 32


@pytest.fixture
def other(registry: Registry) -> str:
    registry.accounts.ensure(OTHER, "Other")
    return OTHER


def test_a_database_is_found_by_its_account(registry: Registry, account: str, other: str) -> None:
    """Made, got and listed by its own account; to another it does not exist."""
    made = registry.databases.create(account, "shop")
    assert registry.databases.get(account, made.id) == made
    assert registry.databases.list(account).items == [made]
    assert registry.databases.list(other).items == []
    for act in (registry.databases.get, lambda *of: registry.databases.settle(*of, "home")):
        with pytest.raises(NotFound, match=f"The database {made.id} could not be found"):
            act(other, made.id)
    registry.databases.delete(other, made.id)
    assert registry.databases.exists(made.id)


def test_a_name_is_an_accounts_own(registry: Registry, account: str, other: str) -> None:
    """Once in an account; two accounts may use the same, and it is free again after a delete."""
    made = registry.databases.create(account, "shop")
    with pytest.raises(Conflict, match="'shop' exists"):
        registry.databases.create(account, "shop")
    registry.databases.create(other, "shop")
    registry.databases.delete(account, made.id)
    assert not registry.databases.exists(made.id)
    assert registry.databases.create(account, "shop").id != made.id
    registry.databases.delete(account, made.id)  # which need not be there


def test_a_database_is_found_by_its_name(registry: Registry, account: str, other: str) -> None:
    """Where an id would stand; one that is called as another's id is found by its own id only."""
    made = registry.databases.create(account, "shop")
    assert registry.databases.get(account, "shop") == made
    named = registry.databases.create(account, made.id)
    assert registry.databases.get(account, made.id) == made
    assert registry.databases.get(account, named.id) == named
    for account_id, wanted in ((other, "shop"), (account, "sho"), (account, "a\0b")):
        with pytest.raises(NotFound):
            registry.databases.get(account_id, wanted)


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "ü", "a" * 65, "a\n"])
def test_bad_names_are_refused(registry: Registry, account: str, name: str) -> None:
    """The field is named, and nothing is made."""
    with pytest.raises(Invalid) as invalid:
        registry.databases.create(account, name)
    assert invalid.value.pointer == "/name"
    assert registry.databases.list(account).total == 0


@pytest.mark.parametrize("name", ["a", "A1_b-c", "a" * 64])
def test_good_names_are_not(registry: Registry, account: str, name: str) -> None:
    """The twin."""
    assert registry.databases.create(account, name).name == name


def test_pages_and_the_filter(registry: Registry, account: str) -> None:
    """Each database on one page; the filter finds parts of names, and knows no patterns."""
    made = [registry.databases.create(account, f"db_{number}") for number in range(5)]
    pages = [registry.databases.list(account, page=page, per_page=2) for page in (1, 2, 3, 4)]
    assert [len(page.items) for page in pages] == [2, 2, 1, 0]
    assert {one.id for page in pages for one in page.items} == {one.id for one in made}
    assert pages[0].total == 5
    assert [one.name for one in registry.databases.list(account, name="b_3").items] == ["db_3"]
    assert registry.databases.list(account, name="b%3").items == []
    with pytest.raises(Invalid):
        registry.databases.list(account, per_page=0)


def test_the_first_home_stays(registry: Registry, account: str) -> None:
    """Whoever opens a database first has its files for good."""
    made = registry.databases.create(account, "shop")
    assert registry.databases.settle(account, made.id, "one") == "one"
    assert registry.databases.settle(account, made.id, "two") == "one"


def test_an_account_has_so_many(
    registry: Registry, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more is refused, until one is deleted."""
    monkeypatch.setattr(databases_module, "DATABASES", 1)
    made = registry.databases.create(account, "one")
    with pytest.raises(TooMany):
        registry.databases.create(account, "two")
    registry.databases.delete(account, made.id)
    registry.databases.create(account, "two")


def test_no_account_no_database(registry: Registry) -> None:
    """An account that does not exist has none."""
    with pytest.raises(NotFound):
        registry.databases.create("f" * 32, "shop")


def test_files_that_pass_through_are_collected(registry: Registry, settings: Settings) -> None:
    """Exports and uploads for an import go some time after their addresses have expired; what is
    younger stays."""
    blobs = Blobs.open(settings)
    for age_s, id_ in ((7_300, "old"), (3_500, "young")):
        for key in (export_key(id_), import_key(id_)):
            blobs.put(key, b"SELECT 1;")
            moment = time.time() - age_s
            os.utime(settings.data_dir / "blobs" / key, (moment, moment))
    assert collect(registry, blobs) == 2
    assert blobs.size(export_key("young")) == blobs.size(import_key("young")) == 9
    assert blobs.size(export_key("old")) is None
