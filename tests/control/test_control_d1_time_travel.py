"""What a database was, over REST."""

from typing import Any

import httpx
import pytest
from control_d1 import FakeDatabases

from cloister.registry import Registry

ACCOUNT = "a" * 32


@pytest.fixture
def fake(executor: Any) -> FakeDatabases:
    return executor.databases


@pytest.fixture
def travel(registry: Registry, fake: FakeDatabases) -> str:
    return f"/d1/database/{registry.databases.create(ACCOUNT, 'shop').id}/time_travel"


def result(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def test_bookmarks(api: httpx.Client, travel: str) -> None:
    """Now, and at a time in any notation of RFC 3339."""
    assert result(api.get(f"{travel}/bookmark")) == {"bookmark": "now"}
    asked = {"timestamp": "2026-01-02T03:04:05.678+01:00"}
    assert result(api.get(f"{travel}/bookmark", params=asked)) == {"bookmark": "at 1767319445678"}


def test_restore(api: httpx.Client, travel: str) -> None:
    """To a bookmark, or to a time; the answer says how to undo it."""
    done = result(api.post(f"{travel}/restore", params={"bookmark": "then"}))
    assert (done["bookmark"], done["previous_bookmark"]) == ("then", "now")
    done = result(api.post(f"{travel}/restore", params={"timestamp": "2026-01-01T00:00:00Z"}))
    assert done["bookmark"] == "at 1767225600000"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", 7400),
        ("bookmark=a&timestamp=2026-01-01T00:00:00Z", 7400),
        ("bookmark=bad", 7500),
        ("timestamp=yesterday", 10004),
        ("timestamp=2999-01-01T00:00:00Z", 10004),
    ],
)
def test_what_cannot_be_restored(api: httpx.Client, travel: str, query: str, code: int) -> None:
    """Each with its code; a database that is not there is 404."""
    answer = api.post(f"{travel}/restore?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code)
    elsewhere = travel.replace(travel.split("/")[3], "f" * 8)
    assert api.post(f"{elsewhere}/restore?bookmark=a").status_code == 404
