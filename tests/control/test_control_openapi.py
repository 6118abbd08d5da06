"""The API's document: valid, whole, open to everybody, and readable by people."""

import re
from typing import Any

import httpx
import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from control.openapi import PATH
from control.paths import API


@pytest.fixture
def document(app: Flask) -> dict[str, Any]:
    answer = app.test_client().get(f"{API}{PATH}")  # without a token
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    found: dict[str, Any] = answer.get_json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, said)
        for path, methods in document["paths"].items()
        for method, said in methods.items()
    ]


def test_it_is_valid(document: dict[str, Any]) -> None:
    """A validator that is not ours finds OpenAPI 3.1, and each operation has a name of its own."""
    assert document["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    names = [said["operationId"] for _, _, said in operations(document)]
    assert len(names) == len(set(names))
    assert all(said["summary"] for _, _, said in operations(document))


def test_every_route_is_in_it_and_nothing_else(app: Flask, document: dict[str, Any]) -> None:
    """The document has the methods of every route of the app, and the app every one of its own.
    Only the dashboard's pages and the health check are outside of the API.
    """
    served, others = set(), set()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:[^:>]*:)?([^>]*)>", r"{\1}", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            if path.startswith(API):
                served.add((path.removeprefix(API), method.lower()))
            else:
                others.add(rule.endpoint.partition(".")[0])
    assert served == {(path, method) for path, method, _ in operations(document)}
    assert others == {"ask", "dashboard", "healthz"}
    assert document["servers"] == [{"url": API}]


def test_it_says_who_may(document: dict[str, Any]) -> None:
    """Everything but the document itself asks for a token."""
    free = [path for path, _, said in operations(document) if said.get("security") == []]
    assert free == [PATH]
    assert document["security"] == [{"token": []}]


def test_what_a_view_declares_is_there(document: dict[str, Any]) -> None:
    """Parameters with their bounds, the body's fields, the result, and every refusal's code."""
    listed = document["paths"]["/accounts/{account_id}/storage/kv/namespaces/{kv_id}/keys"]["get"]
    limit = next(one for one in listed["parameters"] if one["name"] == "limit")
    assert limit["schema"] == {"type": "integer", "default": 1000, "minimum": 10, "maximum": 1000}
    made = document["paths"]["/accounts/{account_id}/workers/dispatch/namespaces"]["post"]
    body = made["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/NewNamespace"}
    schema = document["components"]["schemas"]["NewNamespace"]
    assert schema["required"] == ["name"]
    assert set(schema["properties"]) >= {"limits", "egress", "outbound", "trusted_workers"}
    refused = document["components"]["responses"]["Refused"]["content"]["application/json"]
    codes = refused["schema"]["properties"]["errors"]["items"]["properties"]["code"]["enum"]
    assert {971, 7003, 10000, 10007, 10021, 100119} <= set(codes)


def test_the_page(url: str, document: dict[str, Any]) -> None:
    """Whoever is not signed in reads each operation, type and refusal, without any script."""
    with httpx.Client(trust_env=False) as client:
        page = client.get(f"{url}/api")
        assert page.status_code == 200
        assert "<script" not in page.text
        for _, _, said in operations(document):
            assert f'id="{said["operationId"]}"' in page.text
        for name in document["components"]["schemas"]:
            assert f'id="type-{name}"' in page.text
        for target in re.findall(r'href="#([^"]+)"', page.text):
            assert f'id="{target}"' in page.text
        assert client.get(f"{url}/namespaces/production").status_code == 303
