"""Durable Objects over REST: classes come and go with uploads, and their objects are listed."""

from typing import Any

import httpx
import msgspec
import pytest

from cloister.messages import CompileAnswer
from cloister.registry import Registry
from cloister.registry.objects import Ownership

ACCOUNT = "a" * 32
MODULE = b"from workers import DurableObject\n"
BINDING = {"type": "durable_object_namespace", "name": "COUNTERS", "class_name": "Counter"}
N = "/workers/dispatch/namespaces/production/scripts"
CLASSES = "/workers/durable_objects/namespaces"


def put(api: httpx.Client, path: str = f"{N}/main", **metadata: Any) -> httpx.Response:
    said = {"main_module": "worker.py", **metadata}
    return api.request(
        "POST" if path.endswith("/versions") else "PUT",
        path,
        files={
            "metadata": (None, msgspec.json.encode(said), "application/json"),
            "worker.py": ("worker.py", MODULE, "text/x-python"),
        },
    )


def code(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["errors"][0]["code"]


@pytest.fixture
def exporting(executor: Any) -> Any:
    """An executor that finds a class Counter in whatever it compiles."""
    executor.answer = CompileAnswer(
        id="", handlers=["fetch"], named_handlers={"Counter": ["class", "fetch"]}
    )
    return executor


@pytest.fixture
def counters(api: httpx.Client, exporting: Any) -> str:
    """A worker with a class of objects and a binding to it; the id of the class."""
    migrations = {"new_tag": "v1", "new_sqlite_classes": ["Counter"], "renamed_classes": None}
    answer = put(api, bindings=[BINDING], migrations=migrations)
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"]["migration_tag"] == "v1"
    (found,) = api.get(CLASSES).json()["result"]
    assert found == {
        "id": found["id"],
        "name": "main_Counter",
        "script": "main",
        "class": "Counter",
        "use_sqlite": True,
        "use_containers": False,
    }
    return str(found["id"])


def test_classes_come_with_uploads(api: httpx.Client, counters: str) -> None:
    """Their bindings are shown with their ids, lists of scripts have the tag, and later uploads
    need no migration."""
    (bound,) = api.get(f"{N}/main/bindings").json()["result"]
    assert bound == {**BINDING, "script_name": "main", "namespace_id": counters}
    (listed,) = api.get(N).json()["result"]
    assert listed["migration_tag"] == "v1"
    assert put(api, bindings=[BINDING]).status_code == 200
    by_id = {"type": BINDING["type"], "name": "A", "namespace_id": counters}
    answer = put(api, bindings=[by_id])
    assert answer.status_code == 200, answer.text
    steps = [{"renamed_classes": [{"from": "Counter", "to": "Other"}]}]
    old = {"old_tag": "v1", "new_tag": "v2", "steps": steps}
    assert code(put(api, migrations=old)) == (400, 10070)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"bindings": [{**BINDING, "class_name": "No"}]}, (400, 10061)),
        ({"bindings": [{**BINDING, "script_name": "no"}]}, (400, 10061)),
        ({"bindings": [{**BINDING, "class_name": 5}]}, (400, 10021)),
        ({"bindings": [{"type": BINDING["type"], "name": "A"}]}, (400, 10021)),
        ({"bindings": [{**BINDING, "environment": "staging"}]}, (400, 10021)),
        ({"migrations": {"old_tag": "v0", "new_tag": "v2"}}, (412, 10079)),
        ({"migrations": {"new_tag": "v1", "new_classes": ["Counter"]}}, (412, 10079)),
        ({"migrations": {"old_tag": "v1", "deleted_classes": ["No"]}}, (400, 10074)),
        ({"migrations": {"old_tag": "v1", "new_classes": ["Counter"]}}, (400, 10074)),
        ({"migrations": {"old_tag": "v1", "new_classes": "Counter"}}, (400, 10021)),
        ({"migrations": {"old_tag": "v1", "new_classes": ["A"] * 101}}, (400, 10021)),
        ({"migrations": ["v1"]}, (400, 10021)),
        ({"exports": {"Counter": {"type": "durable-object"}}}, (400, 10021)),
    ],
)
def test_what_does_not_fit_is_refused(
    api: httpx.Client, counters: str, metadata: Any, expected: tuple[int, int]
) -> None:
    """By its code, and the class is as it was."""
    assert code(put(api, **metadata)) == expected
    assert [each["id"] for each in api.get(CLASSES).json()["result"]] == [counters]


def test_migrations_go_live_at_once(api: httpx.Client, counters: str) -> None:
    """Not with a version that waits, and not with settings."""
    migrations = {"old_tag": "v1", "new_tag": "v2"}
    assert code(put(api, f"{N}/main/versions", migrations=migrations)) == (400, 10211)
    settings = {"settings": (None, msgspec.json.encode({"migrations": migrations}))}
    assert code(api.patch(f"{N}/main/settings", files=settings)) == (400, 10211)
    assert put(api, f"{N}/main/versions").status_code == 200
    assert put(api, migrations=migrations).status_code == 200


def test_objects_are_listed(api: httpx.Client, counters: str, registry: Registry) -> None:
    """Those that store something, by pages; of a class that the account has."""
    for number in range(3):
        id_ = f"{number:064x}"
        owned = registry.objects.acquire(counters, id_, Ownership(), owner="a", home="h")
        registry.objects.store(id_, owned.fence)
    first = api.get(f"{CLASSES}/{counters}/objects", params={"limit": 2}).json()
    assert first["result"][0] == {"id": "0" * 64, "hasStoredData": True}
    cursor = first["result_info"]["cursor"]
    rest = api.get(f"{CLASSES}/{counters}/objects", params={"cursor": cursor}).json()
    assert len(first["result"] + rest["result"]) == 3
    assert rest["result_info"] == {"count": 1, "cursor": ""}
    assert code(api.get(f"{CLASSES}/{'f' * 32}/objects")) == (404, 10061)
