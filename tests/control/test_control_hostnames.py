"""Custom hostnames over the API."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from cloister.registry import NewVersion, Registry

ACCOUNT = "a" * 32
OTHER_ACCOUNT = "b" * 32
H = "/workers/dispatch/hostnames"
BODY = {"namespace": "production", "script": "shop"}

Upload = Callable[..., httpx.Response]


@pytest.fixture(autouse=True)
def shop(registry: Registry) -> str:
    """Id of the namespace ``production``, with a worker ``shop`` in it."""
    namespace = registry.namespaces.get(ACCOUNT, "production").id
    registry.scripts.put_version(namespace, "shop", NewVersion(digest="0" * 64, main_module="m.py"))
    return namespace


def fault(response: httpx.Response) -> tuple[int, int]:
    body = response.json()
    assert set(body) == {"success", "errors", "messages", "result"}
    assert (body["success"], body["result"]) == (False, None)
    (error,) = body["errors"]
    return response.status_code, error["code"]


def result(response: httpx.Response) -> Any:
    body = response.json()
    assert (response.status_code, body["success"]) == (200, True), body
    return body["result"]


def test_set_get_list_delete(api: httpx.Client) -> None:
    """The whole life of one, in any spelling of its name."""
    made = result(api.put(f"{H}/Müller.Example.", json=BODY))
    assert made.pop("created_on").endswith("Z")
    proof = made.pop("ownership_verification")
    assert proof["name"] == "_cf-custom-hostname.xn--mller-kva.example"
    assert made.pop("ownership_verification_http")["http_body"] == proof["value"]
    # There is a second account: nobody's word is enough.
    assert made == {"hostname": "xn--mller-kva.example", "status": "pending", **BODY}
    assert result(api.get(f"{H}/müller.example"))["script"] == "shop"
    result(api.put(f"{H}/a.example", json=BODY))
    listed = api.get(H, params={"limit": 1, "namespace": "production", "script": "shop"}).json()
    assert [item["hostname"] for item in listed["result"]] == ["a.example"]
    rest = api.get(H, params={"cursor": listed["result_info"]["cursor"]}).json()
    assert [item["hostname"] for item in rest["result"]] == ["xn--mller-kva.example"]
    assert rest["result_info"] == {"count": 1, "cursor": ""}
    assert result(api.delete(f"{H}/XN--mller-kva.example")) is None
    assert fault(api.get(f"{H}/müller.example")) == (404, 1436)


@pytest.mark.parametrize(
    ("name", "body", "refusal"),
    [
        ("a.example", {}, (400, 10003)),
        ("a.example", {"namespace": "production"}, (400, 10003)),
        ("a.example", {**BODY, "script": 1}, (400, 10004)),
        ("a.example", {**BODY, "script": "Shop"}, (400, 10016)),
        ("a.example", {**BODY, "namespace": "none"}, (404, 100119)),
        ("a.example", {**BODY, "script": "none"}, (404, 10007)),
        ("a.example", [], (400, 10026)),
        ("*.example.org", BODY, (400, 1407)),
        ("10.0.0.1", BODY, (400, 1407)),
        ("shop.localhost", BODY, (400, 1407)),
        ("a.example:80", BODY, (400, 1407)),
        ("a.example%2Fb", BODY, (404, 7003)),
    ],
)
def test_refusals(api: httpx.Client, name: str, body: Any, refusal: tuple[int, int]) -> None:
    """Each says what is wrong, and nothing is set."""
    assert fault(api.put(f"{H}/{name}", json=body)) == refusal
    assert result(api.get(H)) == []


def test_bad_names_have_the_field(api: httpx.Client) -> None:
    """The refusal names the hostname, for GET and DELETE too."""
    for method in ("GET", "PUT", "DELETE"):
        response = api.request(method, f"{H}/a_b", json=BODY)
        assert fault(response) == (400, 1407)
        assert response.json()["errors"][0]["source"] == {"pointer": "/hostname"}
    assert fault(api.delete(f"{H}/a.example")) == (404, 1436)


def test_another_account(url: str, api: httpx.Client, registry: Registry) -> None:
    """What another account has is taken, and is neither seen nor deleted from here."""
    namespace = registry.namespaces.create(OTHER_ACCOUNT, "theirs").id
    registry.scripts.put_version(namespace, "shop", NewVersion(digest="0" * 64, main_module="m.py"))
    registry.hostnames.put(OTHER_ACCOUNT, "a.example", namespace="theirs", script="shop")
    claim = registry.hostnames.claims.take()
    assert claim is not None
    registry.hostnames.claims.conclude(claim, "proved", [])
    assert fault(api.put(f"{H}/a.example", json=BODY)) == (409, 1406)
    assert fault(api.put(f"{H}/b.example", json={**BODY, "namespace": "theirs"})) == (404, 100119)
    assert fault(api.get(f"{H}/a.example")) == (404, 1436)
    assert fault(api.delete(f"{H}/a.example")) == (404, 1436)
    assert result(api.get(H)) == []
    base = f"{url}/client/v4/accounts/{OTHER_ACCOUNT}"
    assert fault(api.put(f"{base}{H}/c.example", json=BODY)) == (403, 10000)


@pytest.mark.parametrize(
    ("rights", "reads"), [({"read_only": True}, 200), ({"namespace": "production"}, 403)]
)
def test_scoped_tokens(
    api: httpx.Client, registry: Registry, rights: dict[str, Any], reads: int
) -> None:
    """One for reading only reads; one of a namespace, even of the worker's own, does neither: no
    holder of such may claim names for the whole platform."""
    result(api.put(f"{H}/a.example", json=BODY))
    token = registry.tokens.create(ACCOUNT, "t", **rights).text
    headers = {"Authorization": f"Bearer {token}"}
    assert api.get(H, headers=headers).status_code == reads
    assert api.get(f"{H}/a.example", headers=headers).status_code == reads
    assert fault(api.put(f"{H}/b.example", json=BODY, headers=headers)) == (403, 10000)
    assert fault(api.delete(f"{H}/a.example", headers=headers)) == (403, 10000)
    assert len(result(api.get(H))) == 1


def test_it_goes_with_its_worker(api: httpx.Client) -> None:
    """Deleted by the API, a worker takes its hostnames along."""
    result(api.put(f"{H}/a.example", json=BODY))
    result(api.delete("/workers/dispatch/namespaces/production/scripts/shop"))
    assert fault(api.get(f"{H}/a.example")) == (404, 1436)
