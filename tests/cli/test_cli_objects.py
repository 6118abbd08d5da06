"""Durable Objects of a project: what `cloister deploy` makes of its configuration."""

from typing import Any, cast

import pytest

from cloister.cli.objects import bindings, migrations
from cloister.cli.project import ProjectInvalid
from cloister.client import ApiError, Client

FIRST = {"tag": "v1", "new_sqlite_classes": ["A"]}
SECOND = {"tag": "v2", "renamed_classes": [{"from": "A", "to": "B"}]}


class Said:
    """A control API whose worker has that tag; with an empty one there is no worker."""

    def __init__(self, tag: str | None) -> None:
        self._tag = tag

    def call(self, method: str, path: str) -> Any:
        assert (method, path) == ("GET", "/workers/dispatch/namespaces/production/scripts/main")
        if self._tag == "":
            raise ApiError("There is none.", status=404)
        return {"script": {"migration_tag": self._tag}}


def made(tag: str | None, *steps: dict[str, Any]) -> Any:
    client = cast("Client", Said(tag))
    return migrations(client, "production", "main", {"migrations": list(steps)})


def test_bindings() -> None:
    """As wrangler's configuration has them; a script only where one is named."""
    said = [{"name": "A", "class_name": "B"}, {"name": "C", "class_name": "D", "script_name": "e"}]
    kind = "durable_object_namespace"
    assert bindings({"durable_objects": {"bindings": said}}) == [{"type": kind, **i} for i in said]
    assert bindings({}) == []


def test_the_steps_that_a_worker_has_not_had() -> None:
    """All for a new one, those behind its tag for another, and nothing where it has them all."""
    whole = {"old_tag": None, "new_tag": "v2"}
    steps = [{key: item for key, item in each.items() if key != "tag"} for each in (FIRST, SECOND)]
    assert made("", FIRST, SECOND) == {**whole, "steps": steps}
    assert made(None, FIRST, SECOND) == {**whole, "steps": steps}
    assert made("v1", FIRST, SECOND) == {"old_tag": "v1", "new_tag": "v2", "steps": steps[1:]}
    assert made("v2", FIRST, SECOND) is None
    assert made("v1") is None


def test_steps_that_do_not_lead_on() -> None:
    """A tag that the project does not know, and a step without one, are refused."""
    with pytest.raises(ProjectInvalid, match="v0"):
        made("v0", FIRST)
    with pytest.raises(ProjectInvalid, match="tag"):
        made("v1", FIRST, {"new_classes": ["C"]})
