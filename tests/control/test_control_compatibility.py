"""docs/compatibility.md says what the code does: its tables are held to the routes and structs."""

import re
from pathlib import Path

import pytest
from flask import Flask

from control.openapi import PATH, routes
from control.paths import API
from control.rules.bindings import Shown
from control.rules.metadata import UploadMetadata

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
ROW = re.compile(r"^\| (?P<what>.+?) \| (?P<state>same|differs|absent) \| (?P<note>.*?) ?\|$")
TOKEN = "test-token-0123456789abcdef"
PLACES = {
    "A": "/accounts/{}",
    "N": "/accounts/{}/workers/dispatch/namespaces/{}",
    "S": "/accounts/{}/workers/dispatch/namespaces/{}/scripts/{}",
    "P": "/accounts/{}/workers/scripts/{}",
    "K": "/accounts/{}/storage/kv/namespaces",
    "Z": "/zones/{}/custom_hostnames",
    "B": "/accounts/{}/r2/buckets",
}
OURS = [
    "PATCH N",
    "GET S/logs",
    "GET S/tail",
    "GET P/logs",
    "GET P/tail",
    "GET P/tails/{}/connection",
    "GET S/versions/{}/content",
    "POST S/versions/{}/preview",
    "POST S/deployments/rollback",
    "GET P/versions/{}/content",
    "POST P/deployments/rollback",
    "GET A/workers/dispatch/hostnames",
    "GET A/analytics_engine/datasets",
    "GET A/analytics_engine/datasets/{}/points",
    *(f"{method} A/workers/dispatch/hostnames/{{}}" for method in ("GET", "PUT", "DELETE")),
    "DELETE K/{}/bulk",  # in a note
    "GET A/d1/database/{}/export/{}",
    "PUT A/d1/database/{}/import/{}",
    f"GET {PATH}",
]

Rows = list[tuple[str, str]]


def rows(section: str) -> Rows:
    """Of a section's table: each name in backticks, and the state of its row."""
    text = PAGE.read_text().partition(f"# {section}\n")[2].partition("\n#")[0]
    found = [row for line in text.splitlines() if (row := ROW.match(line))]
    return [(name, row["state"]) for row in found for name in re.findall(r"`([^`]+)`", row["what"])]


def whole(endpoint: str) -> str:
    """An endpoint without its abbreviation and parameters' names."""
    method, path = endpoint.split(" ")
    place, slash, rest = path.partition("/")
    path = f"{PLACES[place]}{slash}{rest}" if place else path
    return f"{method} {re.sub(r'{[^}]*}', '{}', path)}"


@pytest.fixture
def endpoints() -> Rows:
    names = re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE)
    found = [row for name in names for row in rows(name)]
    return [(whole(name), state) for name, state in found if re.match(r"[A-Z]{3,} [/A-Z]", name)]


@pytest.fixture
def served(app: Flask) -> set[str]:
    return {whole(f"{route.method} {route.path}") for route in routes(app)}


def test_what_is_served_is_there(endpoints: Rows, served: set[str]) -> None:
    """Each endpoint marked "same" or "differs" is a route; each route is in a table, or ours."""
    claimed = {endpoint for endpoint, state in endpoints if state != "absent"}
    assert len(claimed) > 40
    assert claimed <= served
    assert served == claimed | {whole(endpoint) for endpoint in OURS}


def test_what_is_absent_is_not(app: Flask, endpoints: Rows, served: set[str]) -> None:
    """Each marked "absent" is refused as the page says; no endpoint is there twice."""
    absent = {endpoint for endpoint, state in endpoints if state == "absent"}
    assert len(absent) > 5
    assert not absent & served
    names = [endpoint for endpoint, _ in endpoints]
    assert len(names) == len(set(names))
    client = app.test_client()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for endpoint in absent:
        method, path = endpoint.split(" ")
        url = API + path.replace("{}", "a" * 32)
        answer = client.open(url, method=method, headers=headers)
        code = answer.get_json()["errors"][0]["code"]
        assert (answer.status_code, code) in {(404, 7003), (405, 7001)}, endpoint


def test_fields_of_an_upload() -> None:
    """The fields of an upload that are not absent are those that the code knows."""
    said = rows("Metadata of an upload")
    assert {name for name, state in said if state != "absent"} == set(
        UploadMetadata.__struct_fields__
    )


def test_types_of_bindings() -> None:
    """The binding types that are not absent are those that the code knows."""
    schema = Shown.__metadata__[0].extra_json_schema
    shown = set(schema["properties"]["type"]["enum"])
    said = {name for name, state in rows("Bindings") if state != "absent"}
    assert said == shown | {"inherit"}
