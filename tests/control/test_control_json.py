"""JSON whose values another part of the platform could not carry is refused where it comes in."""

from typing import Any

import httpx
import pytest

from cloister.registry import Registry
from control.errors import VALIDATION_FAILED, Refused
from control.rules import plain

ACCOUNT = "a" * 32
S = "/workers/dispatch/namespaces/production/scripts/hello"
KV = "/storage/kv/namespaces"


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [2**64 - 1, -(2**63), 1.5, -1e308, True, None, "\0", {"": []}, deep(plain.DEPTH - 1)],
)
def test_what_can_be_carried(value: Any) -> None:
    """Whole numbers of 64 bits, signed or not, any text, and a hundred levels."""
    plain.check({"x": value}, VALIDATION_FAILED)


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (2**64, ""),
        ({"a/b": [0, {"c~": -(2**63) - 1}]}, "/a~1b/1/c~0"),
        (deep(plain.DEPTH + 1), "/0" * plain.DEPTH),
    ],
)
def test_what_cannot_be_carried(value: Any, pointer: str) -> None:
    """The refusal points at the value, in the spelling of JSON pointers."""
    with pytest.raises(Refused) as caught:
        plain.check(value, VALIDATION_FAILED)
    assert caught.value.faults[0].pointer == pointer


def _upload(api: httpx.Client, metadata: bytes) -> httpx.Response:
    module = ("worker.py", b"", "text/x-python")
    return api.put(S, files={"metadata": (None, metadata, "application/json"), "worker.py": module})


@pytest.mark.parametrize(
    ("json", "pointer"),
    [
        (b"123456789012345678901234567890", "/bindings/0/json"),
        (b'{"a": [1, -99999999999999999999]}', "/bindings/0/json/a/1"),
        (b"[" * 200 + b"]" * 200, "/bindings/0/json" + "/0" * 92),
        (b"NaN", None),
        (b"-Infinity", None),
        (b"1e999", None),
        (b'"\\ud800"', None),
        (b'"\xed\xa0\x80"', None),
        (b"[" * 100_000, None),
        (b"9" * 10_000, None),
    ],
)
def test_a_json_binding(api: httpx.Client, json: bytes, pointer: str | None) -> None:
    """Refused at the upload with 400, and nothing is deployed; before, each request failed."""
    metadata = b'{"main_module": "worker.py", "bindings": [{"type": "json", "name": "J", "json": '
    refused = _upload(api, metadata + json + b"}]}")
    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["code"]) == (400, 10021)
    assert error.get("source", {}).get("pointer") == pointer
    assert api.get(S).status_code == 404


def test_settings_and_service_properties(api: httpx.Client) -> None:
    """The same holds for whatever else the metadata says."""
    huge = b"1" + b"0" * 30
    for field in (
        b'"observability": {"rate": %s}' % huge,
        b'"bindings": [{"type": "service", "name": "S", "service": "a", "props": {"n": %s}}]'
        % huge,
    ):
        refused = _upload(api, b'{"main_module": "worker.py", %s}' % field)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, 10021)


def test_metadata_of_pairs(api: httpx.Client, registry: Registry) -> None:
    """One by one or in bulk."""
    kv = f"{KV}/{registry.kv.namespaces.create(ACCOUNT, 'store').id}"
    huge = b"1" + b"0" * 30
    one = api.put(f"{kv}/values/k", files={"value": b"v", "metadata": b'{"n": %s}' % huge})
    assert one.status_code == 400
    assert one.json()["errors"][0]["source"]["pointer"] == "/metadata/n"
    many = api.put(f"{kv}/bulk", content=b'[{"key": "k", "value": "v", "metadata": [%s]}]' % huge)
    assert many.status_code == 400
    assert many.json()["errors"][0]["source"]["pointer"] == "/0/metadata/0"
    assert api.get(f"{kv}/keys").json()["result"] == []


def test_a_key_may_hold_nul(api: httpx.Client, registry: Registry) -> None:
    """Keys are bytes: the product excludes only the empty one, "." and ".."."""
    kv = f"{KV}/{registry.kv.namespaces.create(ACCOUNT, 'store').id}"
    assert api.put(f"{kv}/values/a%00b", content=b"v").status_code == 200
    assert api.get(f"{kv}/values/a%00b").content == b"v"
    assert [key["name"] for key in api.get(f"{kv}/keys").json()["result"]] == ["a\0b"]


def test_a_namespace_is_made_whole_or_not_at_all(api: httpx.Client) -> None:
    """A rule that cannot be kept leaves no namespace behind; one that can is there at once."""
    path = "/workers/dispatch/namespaces"
    said: dict[str, Any] = {"name": "staging", "egress": {"deny": ["*"]}, "fresh_isolates": True}
    rule = {"service": "out", "namespace": "nowhere"}
    refused = api.post(path, json={**said, "outbound": rule})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (404, 100119)
    assert api.get(f"{path}/staging").status_code == 404
    rule["namespace"] = "production"
    made = api.post(path, json={**said, "outbound": rule}).json()["result"]
    assert (made["outbound"]["namespace"], made["egress"]["deny"]) == ("production", ["*"])
    assert made["fresh_isolates"] is True
    assert api.get(f"{path}/staging").json()["result"] == made


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        (b'{"title": 5}', 10004, "/title"),
        (b'{"title": null}', 10003, "/title"),
        (b"{}", 10003, "/title"),
        (b"[]", 10026, None),
        (b"{", 10026, None),
        (b'{"title": "t", "jurisdiction": "eu"}', 10004, "/jurisdiction"),
    ],
)
def test_a_body_that_does_not_fit(
    api: httpx.Client, body: bytes, code: int, pointer: str | None
) -> None:
    """What is missing, of a wrong type or no object is named; what fits is taken."""
    refused = api.post(KV, content=body)
    error = refused.json()["errors"][0]
    assert (refused.status_code, error["code"]) == (400, code)
    assert error.get("source", {}).get("pointer") == pointer
    assert api.post(KV, content=b'{"title": "t", "more": 1, "jurisdiction": null}').is_success


def test_a_pointer_into_lists(api: httpx.Client) -> None:
    """The field at fault is named also deep inside."""
    made = api.post(KV, json={"title": "t"}).json()["result"]["id"]
    pairs = [{"key": "a", "value": "1"}, {"key": "b", "value": 2}]
    refused = api.put(f"{KV}/{made}/bulk", json=pairs).json()["errors"][0]
    assert refused["source"]["pointer"] == "/1/value"
    del pairs[1]["value"]
    missing = api.put(f"{KV}/{made}/bulk", json=pairs).json()["errors"][0]
    assert (missing["code"], missing["source"]["pointer"]) == (10003, "/1/value")
    assert api.get(f"{KV}/{made}/keys").json()["result"] == []
